# SPDX-License-Identifier: Apache-2.0
# The test support itself: what must make a run fail does, and nothing outlives us.
use Mojo::Base -strict, -signatures;

use File::Temp ();
use Gemclone::ErrorLog;
use Gemclone::Paths qw(write_file);
use Gemclone::Process;
use Gemclone::Stack;
use Mojo::File qw(path);
use Test::More;
use Time::HiRes qw(sleep time);

my $dir = File::Temp->newdir('gemclone-XXXXXXXX', DIR => '/tmp');

# (exit status, all that it printed) of a Perl program of our own.
sub perl ($code, @arguments) {
    open my $out, '-|', 'sh', '-c', 'exec "$@" 2>&1 < /dev/null', 'sh', $^X, '-Mstrict', '-e', $code, @arguments
        or die $!;
    my $said = do { local $/; <$out> } // '';
    close $out;
    return ($? >> 8, $said);
}

sub eventually ($holds, $seconds = 20) {
    my $until = time + $seconds;
    sleep 0.05 until $holds->() || time > $until;
    return $holds->();
}

sub with_text ($text) { return Gemclone::Process->with_text($text) }

subtest 'a run that does not test is no success' => sub {
    my $run = 'use Gemclone::Prove; my $complaint = shift;'
        . 'exit(Gemclone::Prove->run([], [@ARGV], [], sub { grep {length} $complaint }) ? 0 : 1)';
    my %file = (
        good => 'print "1..1\nok 1\n"',
        bad  => 'print "1..1\nnot ok 1\n"',
        some => 'print "1..2\nok 1\nok 2 # skip no time\n"',
        all  => 'print "1..0 # skip no time\n"',
        dies => 'print "1..1\nok 1\n"; exit 3',
    );
    write_file("$dir/$_.t", $file{$_}) for keys %file;
    for my $case (
        [0, 'a test that passes', '', 'good'],
        [1, 'one that fails', '', 'good', 'bad'],
        [1, 'one that skips some', '', 'good', 'some'],
        [1, 'one that skips all', '', 'good', 'all'],
        [1, 'one that exits with an error', '', 'good', 'dies'],
        [1, 'a complaint at the end', 'the sky fell', 'good'],
        [1, 'no test at all', ''],
    ) {
        my ($expected, $what, $complaint, @tests) = @$case;
        my ($status, $said) = perl($run, $complaint, map {"$dir/$_.t"} @tests);
        is $status, $expected, $what or diag $said;
        like $said, $expected ? qr/^Result: (?:FAIL|NOTESTS)$/m : qr/^Result: PASS$/m, 'and the last line says so';
    }
};

subtest 'the error log' => sub {
    my %bad = (
        '[Mon Nov 23 05:00:45 2026] [gemclone:warn] [pid 1:tid 1] GEM0042: oh'                       => 'a warning',
        '[Mon Nov 23 05:00:45 2026] [gemclone:error] [pid 1:tid 1] GEM0043: oh'                      => 'an error',
        '[Mon Nov 23 05:00:45 2026] [core:notice] [pid 1] AH00052: child pid 2 exit signal Aborted (6)' => 'a crash',
        '==1==ERROR: AddressSanitizer: heap-use-after-free'                                          => 'a sanitizer',
        'malloc(): unsorted double linked list corrupted'                                            => 'the C library',
    );
    my @good = map {"[Mon Nov 23 05:00:45 2026] [$_] [pid 1:tid 1] x"} qw(core:notice gemclone:info gemclone:trace8);
    for my $line (sort keys %bad) {
        write_file("$dir/error_log", join '', map {"$_\n"} $good[0], $line, $good[1], $good[2]);
        is_deeply [Gemclone::ErrorLog->of($dir)->unexpected], [$line], $bad{$line};
    }
    my $log = Gemclone::ErrorLog->of($dir);
    write_file("$dir/error_log", join '', map {"$_\n"} grep {/GEM/} sort keys %bad);
    $log->expect('GEM0042', qr/GEM\d043: oh$/);
    is_deeply [$log->unexpected], [], 'lines that were announced';
    is_deeply [Gemclone::ErrorLog->of($dir)->unexpected], [], 'which every reader of that log is told';
    is_deeply [Gemclone::ErrorLog->of($dir, from_now => 1)->lines], [], 'a reader may begin at the end';
};

subtest 'a process is ended' => sub {
    my $log = "$dir/process.log";
    my $mild = Gemclone::Process->start(name => 'mild', command => ['sleep', 600], log => $log);
    ok $mild->alive, 'it lives';
    ok $mild->stop, 'by a wish';
    ok !$mild->alive, 'and is gone';

    my $deaf = Gemclone::Process->start(
        name     => 'deaf',
        command  => ['sh', '-c', 'trap "" TERM; echo ready; while :; do sleep 0.1; done'],
        log      => $log,
        patience => 0.3,
    );
    $deaf->wait_for(sub { path($log)->slurp =~ /ready/ });
    ok !$deaf->stop, 'or by force';

    eval { Gemclone::Process->start(name => 'none', command => ['/nowhere'], log => $log, daemon => 1) };
    is $@, "cannot start none: /nowhere ($log): No such file or directory\n", 'one that cannot start says why';
    my $brief = Gemclone::Process->start(name => 'brief', command => ['sh', '-c', 'echo no luck; exit 1'], log => $log);
    eval { $brief->wait_for(sub {0}) };
    like $@, qr/^brief ended at once: .*no luck$/, 'as does one that ends too early';
};

my $START = 'use Gemclone::Stack; $| = 1; my $s = Gemclone::Stack->start(fsync => 0, children => 1);'
    . 'print $s->dir, "\n";';

subtest 'a stack ends with the program that started it' => sub {
    for my $case (['ends' => '', 0], ['dies' => '$! = 0; die "so\n"', 255], ['is told to' => 'kill TERM => $$; sleep 60', 143]) {
        my ($how, $code, $expected) = @$case;
        my ($status, $said) = perl($START . $code);
        my ($files) = $said =~ m{^(/tmp/\S+)$}m;
        is $status, $expected, "when it $how" or diag $said;
        is_deeply [with_text($files // '/')], [], 'no process is left';
        ok !-e($files // '/'), 'and no file';
    }

    my $pid = open my $out, '-|', $^X, '-e', $START . 'sleep 600' or die $!;
    chomp(my $files = <$out>);
    ok scalar with_text($files), 'one that runs';
    kill KILL => $pid;
    ok eventually(sub { !with_text($files) }), 'and is killed outright leaves no process either';
    close $out;
    path($files)->remove_tree;
};

subtest 'a test fails by what its server says' => sub {
    my $say = 'open my $log, ">>", $s->apache->error_log; print {$log} "[x] [core:error] [pid 1] AH99999: oh\n"; close $log;';
    my ($status, $said) = perl($START . $say);
    is $status, 1, 'a line that was not announced';
    like $said, qr/unexpected in the error log: .*AH99999: oh/, 'is shown';
    ($status, $said) = perl($START . '$s->log->expect("AH99999");' . $say);
    is $status, 0, 'one that was announced does no harm' or diag $said;
};

subtest 'stacks stand side by side' => sub {
    my @stacks = map { Gemclone::Stack->start(fsync => 0, children => 1) } 1 .. 3;
    my %urls = map { $_->url => 1 } @stacks;
    is keys %urls, 3, 'each has a port of its own';
    $stacks[0]->log->expect(qr/GEM020[123]/, qr/GEM030[12]/, 'GEM0407', qr/\[dbd:(?:error|crit)\]/);
    $stacks[0]->redis->restart;
    is $stacks[0]->redis->command('PING'), 'PONG', 'a part can be stopped and started again';
    $stacks[0]->postgres->restart;
    is(($stacks[0]->dbh->selectrow_array('SELECT 1'))[0], 1, 'and keeps its address');
    ok $_->stop, 'it stops without force' for @stacks;
};

done_testing;
