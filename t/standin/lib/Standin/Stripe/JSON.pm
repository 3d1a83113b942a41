# SPDX-License-Identifier: Apache-2.0
# JSON as Stripe writes it: over several lines, id and object first, the other members by name.
package Standin::Stripe::JSON;
use Mojo::Base -strict, -signatures;

use Exporter qw(import);
use JSON::PP ();

our @EXPORT_OK = qw(stripe_json);

my %FIRST = (id => 0, object => 1);

sub stripe_json ($tree) {
    state $printer = JSON::PP->new->utf8->indent->space_after->indent_length(2)->sort_by(\&_by_name);
    return $printer->encode($tree) =~ s/\n\z//r;
}

sub _by_name {
    no warnings 'once';
    my ($one, $other) = ($JSON::PP::a, $JSON::PP::b);
    return ($FIRST{$one} // 2) <=> ($FIRST{$other} // 2) || $one cmp $other;
}

1;
