# SPDX-License-Identifier: Apache-2.0
# Medians over the rounds, and how they are shown.
package Gemclone::Bench::Table;
use Mojo::Base -base, -signatures;

use Gemclone::Bench::Targets;
use List::Util qw(max sum0);

# rows: as in Gemclone::Bench::Targets, each with rounds, the results of its runs, and instructions or none.
has rows => sub { [] };

my @SPREAD = qw(rate p50 p99 apache postgres client);
my @SUMS   = qw(errors closed requests transactions);

# What is shown: [title, text of a summary's row].
my @RATES = (
    ['target',     sub ($of) { $of->{label} }],
    ['clients',    sub ($of) { $of->{connections} }],
    ['requests/s', sub ($of) { _median('%.0f', $of->{rate}) }],
    ['least-most', sub ($of) { _extremes('%.0f', $of->{rate}) }],
    ['ratio',      sub ($of) { _median('%.2f', $of->{ratio}) }],
    ['least-most', sub ($of) { _extremes('%.2f', $of->{ratio}) }],
    ['bar',        \&_bar],
    ['of SQL',     sub ($of) { _median('%.2f', $of->{of_sql}) }],
    ['p50 ms',     sub ($of) { _median('%.2f', $of->{p50}) }],
    ['p99 ms',     sub ($of) { _median('%.2f', $of->{p99}) }],
    ['errors',     sub ($of) { $of->{errors} }],
    ['closed',     sub ($of) { $of->{closed} }],
);
my @COSTS = (
    ['a request of',       sub ($of) { $of->{label} }],
    ['httpd instructions', sub ($of) { defined $of->{instructions} ? sprintf '%.0f', $of->{instructions} : '' }],
    ['httpd us',           sub ($of) { _median('%.1f', $of->{apache}) }],
    ['Postgres us',        sub ($of) { _median('%.1f', $of->{postgres}) }],
    ['client us',          sub ($of) { _median('%.1f', $of->{client}) }],
);

# [{name, label, connections, bar, instructions, rate, p50, ..., ratio, of_sql => [least, median, most], errors,
# closed, ...}]: ratio is to the empty handler in the same round, of_sql to the row of SQL that does the same.
sub summary ($self) {
    my %row = map { $_->{name} => $_ } @{$self->rows};
    return [map { _summary_of($_, \%row) } @{$self->rows}];
}

sub text ($self) {
    my $summary = $self->summary;
    return join "\n", map { _table($_, $summary) } \@RATES, \@COSTS;
}

sub _summary_of ($row, $all) {
    my %of = map { $_ => $row->{$_} } qw(name label connections bar instructions);
    my $rounds = $row->{rounds};
    my $sql = $all->{$row->{beside} // ''};
    for my $what (@SPREAD) { $of{$what} = _spread(map { $_->{$what} } @$rounds) }
    for my $what (@SUMS)   { $of{$what} = sum0 map { $_->{$what} } @$rounds }
    $of{ratio}  = _ratios($rounds, $all->{+Gemclone::Bench::Targets::BASELINE}{rounds});
    $of{of_sql} = _ratios($rounds, $sql->{rounds}) if $sql;
    return \%of;
}

sub _ratios ($rounds, $others) {
    return _spread(map { $rounds->[$_]{rate} / $others->[$_]{rate} } keys @$rounds);
}

sub _spread (@values) {
    my @sorted = sort { $a <=> $b } @values;
    my $middle = @sorted / 2;
    return [$sorted[0], ($sorted[$middle - 0.5] + $sorted[$middle]) / 2, $sorted[-1]];
}

sub _median ($format, $spread)   { return $spread ? sprintf $format, $spread->[1] : '' }
sub _extremes ($format, $spread) { return sprintf "$format-$format", @$spread[0, 2] }

sub _bar ($of) {
    return '' unless $of->{bar};
    return sprintf '%.2f %s', $of->{bar}, $of->{ratio}[1] >= $of->{bar} ? 'met' : 'missed';
}

sub _table ($columns, $summary) {
    my @lines = ([map { $_->[0] } @$columns]);
    for my $of (@$summary) { push @lines, [map { $_->[1]->($of) } @$columns] }
    my @width = map { my $at = $_; max map { length $_->[$at] } @lines } keys @$columns;
    my $format = join('  ', "%-$width[0]s", map {"%${_}s"} @width[1 .. $#width]) . "\n";
    return join '', map { sprintf $format, @$_ } @lines;
}

1;
