# SPDX-License-Identifier: Apache-2.0
# ./dev check: make check, then every test below t/ under one prove, on one stack that those of one resource share.
package Gemclone::Suite;
use Mojo::Base -base, -signatures;

use File::Find ();
use Gemclone::ApacheTest;
use Gemclone::Paths qw(build_dir run_dir top write_file);
use Gemclone::Prove;
use Gemclone::Stack;
use Mojo::File qw(path);

has referee => 0;

# Returns the exit status.
sub run ($self, @prove_arguments) {
    return 1 unless $self->_make_check;

    my $stack = Gemclone::Stack->start(fsync => 0, log_check => 0, writer => \&Gemclone::ApacheTest::configure);
    local %ENV = (%ENV, %{$stack->environment}, GEMCLONE_REFEREE => $self->referee,
        PERL5LIB => join ':', $stack->dir, $ENV{PERL5LIB} // ());
    my $passed = Gemclone::Prove->run(\@prove_arguments, [$self->_tests], sub { _at_end($stack) });
    return $passed ? 0 : 1;
}

# The unit tests and the guards. As everywhere here, a skip is a failure, and so is having done nothing.
sub _make_check ($self) {
    my $log = run_dir->child('log')->make_path->child('check.log');
    print STDERR "dev: make check ...\n";
    my $failed = system sprintf q{make -C '%s' check > '%s' 2>&1 < /dev/null}, build_dir, $log;
    my $said = path($log)->slurp;
    my %count;
    $count{$1} += $2 while $said =~ /^# ([A-Z]+): +(\d+)\r?$/mg;
    print STDERR map {"$_\n"} grep {/^(?:PASS|FAIL|SKIP|ERROR|XPASS): /} split /\n/, $said;
    $failed ||= !$count{TOTAL} || $count{SKIP};
    return 1 unless $failed;
    print STDERR join("\n", (split /\n/, $said)[-40 .. -1]), "\n" if $said =~ tr/\n// > 40;
    print STDERR sprintf "dev: make check failed: %d tests, %d failed, %d skipped (all of it: %s)\n",
        $count{TOTAL} // 0, ($count{FAIL} // 0) + ($count{ERROR} // 0), $count{SKIP} // 0, $log;
    return 0;
}

# Every .t below t/, top ones first; the referee's only where it is wanted. The guards are part of make check.
sub _tests ($self) {
    my @found;
    my $look = sub {
        $File::Find::prune = 1 if -d && (/^(?:node_modules|guards)$/ || $_ eq 'referee' && !$self->referee);
        push @found, $File::Find::name if /\.t$/ && -f;
    };
    File::Find::find($look, 't');
    return sort { $a =~ tr{/}{} <=> $b =~ tr{/}{} || $a cmp $b } @found;
}

# Stopping is part of the test: whatever the server says while it goes counts too.
sub _at_end ($stack) {
    my $clean = $stack->stop;
    my @complaints = map {"unexpected in the error log: $_"} $stack->log->unexpected;
    push @complaints, 'a server did not stop when asked to and was killed' unless $clean;
    return @complaints;
}

1;
