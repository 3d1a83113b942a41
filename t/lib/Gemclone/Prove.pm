# SPDX-License-Identifier: Apache-2.0
# prove, but strict: a test that is skipped and a run of nothing are failures, and so is what `at_end` finds.
package Gemclone::Prove;
use Mojo::Base 'TAP::Harness', -signatures;

use App::Prove;

use Gemclone::Paths qw(processors);

# Most tests wait more than they compute.
sub JOBS () { return 1 + processors }

my ($at_end, $rules);

# The tests that these arguments of prove name; none is all of them.
sub named ($class, @arguments) { return @{$class->_prove(@arguments)->argv} }

# Runs prove in this process with its own arguments, on @$files where these name none, JOBS of them at a time, in their order. Each of
# @$queues is a list of files of which there is never more than one at a time; they begin first. $check is called after the
# last test and returns complaints. True when all is well.
sub run ($class, $arguments, $files, $queues, $check) {
    $at_end = $check;
    # (The scheduler takes what stands alone before what is in a group: so all is in groups.)
    $rules = {par => [map({ +{seq => $_} } grep {@$_} @$queues), {par => '**'}]};
    my $prove = $class->_prove('--jobs', JOBS, @$arguments);
    $prove->argv([@$files]) unless @{$prove->argv};
    return _nothing() unless @{$prove->argv};    # of which prove makes everything below t/
    # An event loop may have set a handler. TAP::Parser takes a select that a signal has interrupted for the end of a
    # test's output: with several at a time, one that ends would cut the others off.
    local $SIG{CHLD} = 'DEFAULT';
    return $prove->run;
}

sub _prove ($class, @arguments) {
    my $prove = App::Prove->new;
    $prove->process_args('--norc', '--harness', $class, @arguments);
    return $prove;
}

sub _nothing () {
    print "not all is well: no test was run\nResult: NOTESTS\n";
    return 0;
}

sub _initialize ($self, $arguments) {
    return $self->SUPER::_initialize({%$arguments, rules => $rules, aggregator_class => 'Gemclone::Prove::Tally'});
}

sub aggregate_tests ($self, $tally, @tests) {
    $self->SUPER::aggregate_tests($tally, @tests);
    $tally->complain($at_end->()) if $at_end;
}

sub summary ($self, $tally, @arguments) {
    $tally->complain('no test was run') unless $tally->total;
    print "not all is well: $_\n" for $tally->complaints;
    return $self->SUPER::summary($tally, @arguments);
}

package Gemclone::Prove::Tally;
use Mojo::Base 'TAP::Parser::Aggregator', -signatures;

sub add ($self, $test, $parser) {
    my $reason = $parser->skip_all;
    $self->complain("$test was skipped: $reason") if $reason;
    $self->complain("$test skipped " . $parser->skipped . ' of its tests') if !$reason && $parser->skipped;
    return $self->SUPER::add($test, $parser);
}

sub complain   ($self, @what) { push @{$self->{complaints}}, @what }
sub complaints ($self)        { return @{$self->{complaints} // []} }
sub has_errors ($self)        { return $self->SUPER::has_errors || $self->complaints }

1;
