# SPDX-License-Identifier: Apache-2.0
# Reads what the control API is given, by rules: a pattern for a value, a list of one rule, or a hash of rules by name.
package Standin::Sms::Given;
use Mojo::Base -strict, -signatures;

use Exporter qw(import);

use Standin::Sms::Error;

our @EXPORT_OK = qw(read_given BOOLEAN INTEGER POINTER TEXT);

use constant {
    BOOLEAN => qr/\A[01]\z/,
    INTEGER => qr/\A\d{1,9}\z/a,
    POINTER => qr{\A(?:/[^/]+)+\z},
    TEXT    => qr/\A.{1,5000}\z/s,
};

use constant MOST => 1000;    # values in a list

# The value, which fits the rule; throws what is wrong with it otherwise.
sub read_given ($value, $rule, $name = 'this') {
    return _read_object($value, $rule, $name) if ref $rule eq 'HASH';
    return _read_list($value, @$rule, $name)  if ref $rule eq 'ARRAY';
    _refuse("$name cannot have that value") if ref $value =~ /HASH|ARRAY/ || ($value // '') !~ $rule;
    return $value;
}

sub _read_object ($value, $rules, $name) {
    _refuse("$name must be a JSON object") if ref $value ne 'HASH';
    my ($unknown) = grep { !$rules->{$_} } sort keys %$value;
    _refuse("there is no $unknown") if defined $unknown;
    return {map { ($_ => read_given($value->{$_}, $rules->{$_}, $_)) } sort keys %$value};
}

sub _read_list ($value, $rule, $name) {
    _refuse("$name must be a list of 1 to " . MOST) if ref $value ne 'ARRAY' || !@$value || @$value > MOST;
    return [map { read_given($_, $rule, $name) } @$value];
}

sub _refuse ($why) { Standin::Sms::Error->refused($why)->throw }

1;
