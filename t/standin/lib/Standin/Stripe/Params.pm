# SPDX-License-Identifier: Apache-2.0
# Parameters as Stripe takes them: forms with brackets, read by what each call allows.
package Standin::Stripe::Params;
use Mojo::Base -strict, -signatures;

use Exporter   qw(import);
use List::Util qw(any);
use Mojo::JSON qw(false true);
use Mojo::Parameters;

use Standin::Stripe::Error;

our @EXPORT_OK = (
    qw(form_tree json_tree read_params required one_of list_of),
    qw(BOOLEAN EMAIL ID INTEGER METADATA TEXT TIME URL)
);

use constant {
    MAX_KEYS  => 50,      # of metadata
    MAX_NAME  => 40,      # characters of a key of metadata
    MAX_VALUE => 500,     # characters of its value
    MAX_TEXT  => 5000,    # characters of a parameter that has no other limit
};

# ------------------------------------------------------------------- specs ----
# What a call allows is a hash of names and specs. A spec is one of these, such a hash, or made by the functions below.
use constant {
    BOOLEAN  => {read => \&_boolean},
    EMAIL    => {read => \&_email},
    ID       => {read => \&_text},
    INTEGER  => {read => \&_integer},
    METADATA => {read => \&_metadata, may_be_empty => 1},
    TEXT     => {read => \&_text},
    TIME     => {read => \&_time},
    URL      => {read => \&_url},
};

sub required ($spec) { return {%{_spec($spec)}, required => 1} }

sub one_of (@words) {
    my $which = @words > 2 ? join ', ', @words[0 .. $#words - 1], "or $words[-1]" : join ' or ', @words;
    return {
        read => sub ($value, $name) {
            return $value if !ref $value && any { $_ eq $value } @words;
            _refuse($name, "Invalid $name: must be one of $which");
        }
    };
}

# A list, of at most so many.
sub list_of ($spec, $most = 100) {
    return {
        read => sub ($value, $name) {
            _refuse($name, 'Invalid array') if ref $value ne 'ARRAY';
            _refuse($name, "Array $name exceeded maximum $most allowed elements.") if @$value > $most;
            return [map { _read(_spec($spec), $value->[$_], "${name}[$_]") } 0 .. $#$value];
        },
        names => sub ($value, $name) {
            return () if ref $value ne 'ARRAY';
            return map { _unknown(_spec($spec), $value->[$_], "${name}[$_]") } 0 .. $#$value;
        },
    };
}

# A hash of specs is a spec too.
sub _spec ($spec) {
    return $spec if ref $spec->{read} eq 'CODE';
    return {
        read => sub ($value, $name) {
            _refuse($name, 'Invalid object') if ref $value ne 'HASH';
            return _read_all($value, $spec, $name);
        },
        names => sub ($value, $name) { ref $value eq 'HASH' ? _unknown_in($value, $spec, $name) : () },
    };
}

# ------------------------------------------------------------------- trees ----
# The tree of a form: a[b]=c is {a => {b => 'c'}}; indices from 0 on, or empty brackets, make a list.
sub form_tree ($form) {
    my %tree;
    my @pairs = @{Mojo::Parameters->new($form)->pairs};
    while (my ($name, $value) = splice @pairs, 0, 2) {
        my ($first, $rest) = $name =~ /\A([^\[\]]+)((?:\[[^\[\]]*\])*)\z/
            or Standin::Stripe::Error->unknown($name)->throw;
        my $at = \$tree{$first};
        for my $key ($rest =~ /\[([^\[\]]*)\]/g) {
            $$at = {} if ref $$at ne 'HASH';
            $key = keys %$$at if $key eq '';
            $at  = \$$at->{$key};
        }
        $$at = $value;
    }
    return {map { ($_ => _with_lists($tree{$_})) } keys %tree};
}

sub _with_lists ($tree) {
    return $tree if ref $tree ne 'HASH';
    my %tree = map { ($_ => _with_lists($tree->{$_})) } keys %$tree;
    my $last = keys(%tree) - 1;
    return \%tree if any { !exists $tree{$_} } 0 .. $last;
    return [@tree{0 .. $last}];
}

# The same of what came as JSON, so that the control API reads as the API does.
sub json_tree ($tree) {
    return {map { ($_ => json_tree($tree->{$_})) } grep { defined $tree->{$_} } keys %$tree} if ref $tree eq 'HASH';
    return [map { json_tree($_) } @$tree] if ref $tree eq 'ARRAY';
    return ref $tree ? ($tree ? 'true' : 'false') : $tree;
}

# ----------------------------------------------------------------- reading ----
# The values of a tree, as numbers, booleans and texts. Throws what Stripe would say of the first thing that is wrong.
sub read_params ($tree, $specs) {
    my @unknown = _unknown_in($tree, $specs, undef);
    Standin::Stripe::Error->unknown(@unknown)->throw if @unknown;
    return _read_all($tree, $specs, undef);
}

sub _inner ($outer, $name) { defined $outer ? "${outer}[$name]" : $name }

sub _unknown_in ($tree, $specs, $outer) {
    return map {
        my $name = _inner($outer, $_);
        $specs->{$_} ? _unknown(_spec($specs->{$_}), $tree->{$_}, $name) : $name
    } sort keys %$tree;
}

sub _unknown ($spec, $value, $name) { $spec->{names} ? $spec->{names}->($value, $name) : () }

sub _read_all ($tree, $specs, $outer) {
    my %read;
    for my $name (sort keys %$specs) {
        my ($spec, $called) = (_spec($specs->{$name}), _inner($outer, $name));
        if    (exists $tree->{$name}) { $read{$name} = _read($spec, $tree->{$name}, $called) }
        elsif ($spec->{required})     { Standin::Stripe::Error->missing($called)->throw }
    }
    return \%read;
}

sub _read ($spec, $value, $name) {
    Standin::Stripe::Error->empty($name)->throw if !ref $value && $value eq '' && !$spec->{may_be_empty};
    return $spec->{read}->($value, $name);
}

sub _refuse ($name, $message, $code = undef) { Standin::Stripe::Error->invalid($name, $message, $code)->throw }

sub _text ($value, $name) {
    _refuse($name, 'Invalid string') if ref $value;
    _refuse($name, 'Invalid string: must be at most ' . MAX_TEXT . ' characters') if length $value > MAX_TEXT;
    return "$value";
}

sub _boolean ($value, $name) {
    return $value eq 'true' ? true : false if !ref $value && $value =~ /\A(?:true|false)\z/;
    _refuse($name, "Invalid boolean: $value");
}

sub _integer ($value, $name) {
    return 0 + $value if !ref $value && $value =~ /\A-?\d{1,15}\z/;
    _refuse($name, "Invalid integer: $value", 'parameter_invalid_integer');
}

sub _time ($value, $name) {
    return 0 + $value if !ref $value && $value =~ /\A\d{1,12}\z/;
    _refuse($name, 'Invalid timestamp: must be an integer Unix timestamp');
}

sub _url ($value, $name) {
    return $value if !ref $value && $value =~ m{\Ahttps?://[^\s/?#]+\S*\z};
    _refuse($name, 'Not a valid URL', 'url_invalid');
}

sub _email ($value, $name) {
    return $value if !ref $value && $value =~ /\A[^\s@]+@[^\s@]+\z/;
    _refuse($name, "Invalid email address: $value", 'email_invalid');
}

# A value that is empty, or an empty metadata, is a wish to be rid of it.
sub _metadata ($value, $name) {
    return {} if !ref $value && $value eq '';
    _refuse($name, 'Invalid object') if !ref $value;
    my %metadata = ref $value eq 'ARRAY' ? map { ($_ => $value->[$_]) } 0 .. $#$value : %$value;
    for my $key (sort keys %metadata) {
        my $called = _inner($name, $key);
        _refuse($called, 'Metadata values can only be strings') if ref $metadata{$key};
        _check_length($called, key   => $key,            MAX_NAME);
        _check_length($called, value => $metadata{$key}, MAX_VALUE);
    }
    _refuse($name, 'You can have up to ' . MAX_KEYS . ' metadata keys') if keys %metadata > MAX_KEYS;
    return \%metadata;
}

sub _check_length ($name, $what, $text, $most) {
    my $length = length $text;
    _refuse($name, "Metadata ${what}s can have up to $most characters, but you passed in a $what that is $length"
            . " characters. Invalid $what: $text")
        if $length > $most;
}

1;
