# SPDX-License-Identifier: Apache-2.0
# ./dev itself: up, down and demo; what it prints, how it fails, and that it leaves nothing behind.
use Mojo::Base -strict, -signatures;

use File::Temp ();
use Gemclone::Client;
use Gemclone::Paths qw(build_dir free_port top);
use Gemclone::Process;
use IO::Socket::IP;
use Mojo::File qw(path);
use Test::More;
use Time::HiRes qw(sleep time);

# A run/ of its own, so that a stack which somebody has up is not ours; the build is the one under test.
my $run = File::Temp->newdir('gemclone-XXXXXXXX', DIR => '/tmp');
$ENV{GEMCLONE_BUILD} = build_dir->to_string;
$ENV{GEMCLONE_RUN}   = "$run";
delete @ENV{grep {/^GEMCLONE_(?:URL|PG|REDIS|STANDIN|CONF|PID)$/ || $_ eq 'GEMINI_API_KEY'} keys %ENV};

# (exit status, standard output, standard error)
sub dev (@arguments) {
    my ($out, $err) = map {"$run/$_"} qw(out err);
    my $status = system 'sh', '-c', 'exec "$0" "$@" > "$GEMCLONE_RUN/out" 2> "$GEMCLONE_RUN/err" < /dev/null',
        top->child('dev'), @arguments;
    return ($status >> 8, path($out)->slurp, path($err)->slurp);
}

# Every process with our directory in its command line.
sub ours () { return Gemclone::Process->with_text("$run") }

sub complaint ($err) { return [grep { !/\.\.\.$|still at it/ } split /\n/, $err] }

subtest 'up and down' => sub {
    delete local $ENV{GEMCLONE_CLUSTER};    # once as people have it
    my ($status, $out, $err) = dev('up', '--children', 3, '--directive', 'GemcloneQuota basic 7');
    is $status, 0, 'up' or diag $err;
    my %is = map { split /=/, $_, 2 } split /\n/, $out;
    is join(' ', map {/^(\w+)=/} split /\n/, $out),
        'GEMCLONE_URL GEMCLONE_PG GEMCLONE_REDIS GEMCLONE_STANDIN GEMCLONE_CONF GEMCLONE_PID', 'nothing else on stdout';
    is_deeply [grep {/[^\w%\@:\/.+-]/} values %is], [], 'and a shell could take every value as it is';

    is(Gemclone::Client->new(url => $is{GEMCLONE_URL})->get('/healthz')->code, 200, 'Apache answers');
    like qx{psql '$is{GEMCLONE_PG}' -Atc 'SELECT rolsuper FROM pg_roles WHERE rolname = current_user'}, qr/^t$/,
        'Postgres answers, to its superuser';
    like qx{redis-cli -u '$is{GEMCLONE_REDIS}' PING}, qr/PONG/, 'Redis answers';
    is(Gemclone::Client->new(url => $is{GEMCLONE_STANDIN})->get('/stats')->code, 200, 'the stand-in answers');
    like path($is{GEMCLONE_CONF})->slurp, qr/^GemcloneQuota basic 7$/m, 'the directive is in the configuration';
    my @children = split ' ', qx{pgrep -P $is{GEMCLONE_PID}};
    is @children, 3, 'there are as many children as asked for';
    isnt((stat "/proc/$is{GEMCLONE_PID}")[4], 0, 'and none is root');
    kill KILL => $children[0];
    my ($until, @now) = time + 10;
    do { sleep 0.1; @now = split ' ', qx{pgrep -P $is{GEMCLONE_PID}} }
        until time > $until || @now == 3 && !grep { $_ == $children[0] } @now;
    is @now, 3, 'one that dies is replaced';

    ($status, $out, $err) = dev('up');
    is $status, 1, 'a second up fails';
    is_deeply complaint($err), ["dev: a stack is up already at $is{GEMCLONE_URL} (./dev down stops it)"], 'in one line';
    is $out, '', 'and nothing on stdout';

    ($status, $out, $err) = dev('down');
    is $status, 0, 'down' or diag $err;
    is $out . $err, '', 'says nothing';
    is_deeply [ours], [], 'no process is left';
    ok !IO::Socket::IP->new($is{GEMCLONE_URL} =~ s{^http://}{}r), 'nobody listens';

    ($status, $out, $err) = dev('down');
    is $status, 0, 'a second down is no failure';
    is $err, "dev: no stack is up\n", 'and says so';
};

subtest 'without Redis, on a given port' => sub {
    my $port = free_port;
    my ($status, $out, $err) = dev('up', '--no-redis', '--port', $port);
    is $status, 0, 'up' or diag $err;
    like $out, qr{^GEMCLONE_URL=http://127\.0\.0\.1:$port$}m, 'on that port';
    like $out, qr/^GEMCLONE_REDIS=$/m, 'there is no Redis to name';
    is((dev('down'))[0], 0, 'down');
    is_deeply [ours], [], 'no process is left';
};

subtest 'what goes wrong is one line' => sub {
    my $taken = IO::Socket::IP->new(LocalHost => '127.0.0.1', LocalPort => 0, Listen => 1);
    my $port = $taken->sockport;
    for my $case (
        [['up', '--port', $port] => "dev: port $port is taken by another program"],
        [['up', '--port', 'http'] => 'dev: value "http" invalid for option port (number expected)'],
        [['up', '--children', 0] => 'dev: --children wants a number from 1 to 64'],
        [['up', '--prot', 80] => 'dev: unknown option: prot'],
        [['up', 'now'] => "dev: unknown argument 'now': try ./dev help"],
        [['nonsense'] => "dev: there is no command 'nonsense': try ./dev help"],
    ) {
        my ($status, $out, $err) = dev(@{$case->[0]});
        is $status, 1, "@{$case->[0]}";
        is_deeply complaint($err), [$case->[1]], $case->[1];
        is $out, '', 'nothing on stdout';
    }
    my ($status, $out, $err) = dev('up', '--directive', 'GemcloneNonsense On');
    is $status, 1, 'a directive that httpd refuses';
    is scalar(my @lines = @{complaint($err)}), 1, 'is one line too' or diag $err;
    like $err, qr/GemcloneNonsense/, 'which names it';
    is_deeply [ours], [], 'no process is left';
};

subtest 'demo --once' => sub {
    my ($status, $out, $err) = dev('demo', '--once');
    is $status, 0, 'every step held' or diag $out, $err;
    like $out, qr/Every one of the 9 steps held/, 'and it says so';
    is_deeply [ours], [], 'no process is left';
};

subtest 'demo, its lines, and Ctrl-C' => sub {
    my $pid = fork // die $!;
    unless ($pid) {
        open STDOUT, '>', "$run/demo" or die $!;
        open STDERR, '>', "$run/err" or die $!;
        open STDIN, '<', '/dev/null' or die $!;
        exec top->child('dev'), 'demo' or die $!;
    }
    my $until = time + 60;
    sleep 0.1 until time > $until || -e "$run/demo" && path("$run/demo")->slurp =~ /^Ctrl-C/m;
    my ($lines) = path("$run/demo")->slurp =~ /Paste these, in order:\n\n(.*?)\nCtrl-C/s;
    ok $lines, 'it prints lines to paste';
    open my $paste, '>', "$run/paste" or die $!;
    print {$paste} "set -e\n", $lines // '';
    close $paste;
    my $pasted = qx{bash '$run/paste' 2>&1};
    is $?, 0, 'which work' or diag $pasted;
    like $pasted, qr/You said: Hello, Gemini!/, 'down to the reply';
    kill INT => $pid;
    waitpid $pid, 0;
    is $?, 0, 'Ctrl-C ends it in order';
    is_deeply [ours], [], 'and no process is left';
};

done_testing;
