# SPDX-License-Identifier: Apache-2.0
# ./dev check: make check, then every test below t/ under one prove, with one stack for those that can share it.
package Gemclone::Suite;
use Mojo::Base -base, -signatures;

use File::Find ();
use Gemclone::ApacheTest;
use Gemclone::Journal;
use Gemclone::Paths qw(build_dir processors run_dir temp_dir);
use Gemclone::Postgres;
use Gemclone::Prove;
use Gemclone::Secrets;
use Gemclone::Stack;
use Mojo::File qw(path);

# Tests that need more than Debian's usual packages: of the directories t/referee, t/browser and t/package.
has referee => 0;
has browser => 0;
has package => 0;

# Returns the exit status. Where the arguments of prove name tests, only these are run.
sub run ($self, @prove_arguments) {
    return 1 unless Gemclone::Prove->named(@prove_arguments) || $self->_make_check;

    my $cluster = temp_dir;
    local $ENV{GEMCLONE_CLUSTER} = Gemclone::Postgres->make_cluster("$cluster");
    # What one test has a prompt do to a key is not to fall on the prompts of another.
    # All that can be logged is, and at the end no secret may stand there, nor anywhere else.
    my $stack = Gemclone::Stack->start(fsync => 0, log_check => 0, writer => \&Gemclone::ApacheTest::configure,
        directives => ['GemcloneGeminiBreaker 0'], log_level => 'info gemclone:trace8');
    local %ENV = (%ENV, %{$stack->environment}, GEMCLONE_REFEREE => $self->referee,
        GEMCLONE_JOURNAL => Gemclone::Journal->begin($ENV{GEMCLONE_JOURNAL} // $stack->dir . '/journal'),
        GEMCLONE_SECRETS => Gemclone::Secrets->begin($stack->dir . '/secrets'),
        PERL5LIB => join ':', $stack->dir, $ENV{PERL5LIB} // ());
    my @tests = $self->_tests;
    my $is_whole = !Gemclone::Prove->named(@prove_arguments);
    my %of_kind;
    push @{$of_kind{_kind($_)}}, $_ for @tests;
    my $passed = Gemclone::Prove->run(\@prove_arguments, \@tests, [@of_kind{qw(busy shares)}], sub { _at_end($stack, $is_whole) });
    return $passed ? 0 : 1;
}

# The unit tests and the guards. As everywhere here, a skip is a failure, and so is having done nothing.
sub _make_check ($self) {
    my $log = run_dir->child('log')->make_path->child('check.log');
    print STDERR "dev: make check ...\n";
    my $failed = system sprintf q{make -j %d -C '%s' check > '%s' 2>&1 < /dev/null}, processors, build_dir, $log;
    my $said = path($log)->slurp;
    my %count = map { $_ => 0 } qw(TOTAL PASS SKIP FAIL ERROR);
    $count{$1} = $2 while $said =~ /^# ([A-Z]+): +(\d+)$/mg;
    my $good = !$failed && $count{TOTAL} && $count{PASS} == $count{TOTAL};
    my @bad = grep {/^(?:FAIL|SKIP|ERROR|XPASS|XFAIL): |\berror: |\*\*\*/} split /\n/, $said;
    print STDERR map {"$_\n"} @bad unless $good;
    print STDERR sprintf "dev: make check: %d of %d tests passed%s\n", @count{qw(PASS TOTAL)},
        $good ? '' : " (all of it: $log)";
    return $good;
}

# Every .t below t/; the referee's and the browser's only where they are wanted. The guards are part of make check. A
# sanitizer has nothing to find in those that say that they run without the module. Those that say that they take long are the
# first, so that none of them is still at it when all others are done.
sub _tests ($self) {
    my @found;
    my $look = sub {
        $File::Find::prune = 1 if -d && (/^(?:node_modules|guards)$/ || /^(?:referee|browser|package)$/ && !$self->$_);
        push @found, $File::Find::name if /\.t$/ && -f;
    };
    File::Find::find($look, 't');
    @found = grep { !_says($_, 'Runs without the module') } @found if $ENV{GEMCLONE_SANITIZE};
    my %rank = map { $_ => (_says($_, 'Takes long') ? 0 : 1) . tr{/}{} } @found;
    return sort { $rank{$a} <=> $rank{$b} || $a cmp $b } @found;
}

# There is never more than one test at a time that `shares` the stack, as all do that start none of their own: it changes what
# others would see; nor of those that say that they keep the machine busy.
sub _kind ($test) { return _says($test, 'Keeps the machine busy') ? 'busy' : path($test)->slurp !~ /->start\b/ ? 'shares' : 'alone' }

# Whether a line of a test's head says this of it.
sub _says ($test, $what) { return path($test)->slurp =~ /^# $what: see Gemclone::Suite\./m }

# Stopping is part of the test: whatever the server says while it goes counts too.
sub _at_end ($stack, $is_whole) {
    my @secrets = Gemclone::Secrets->search($stack);
    my $clean = $stack->stop;
    my @complaints = map {"unexpected in the error log: $_"} $stack->log->unexpected;
    push @complaints, map {"not as openapi.json has it: $_"} Gemclone::Journal->complaints($ENV{GEMCLONE_JOURNAL}, whole => $is_whole);
    push @complaints, map {"a secret where it does not belong: $_"} @secrets;
    push @complaints, 'a server did not stop when asked to and was killed' unless $clean;
    return @complaints;
}

1;
