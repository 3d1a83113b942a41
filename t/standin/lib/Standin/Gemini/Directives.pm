# SPDX-License-Identifier: Apache-2.0
# Directives: how they are read from prompts and from the control API, and which of them are in force.
package Standin::Gemini::Directives;
use Mojo::Base -base, -signatures;

use Digest::SHA  qw(sha1);
use Mojo::Util   qw(encode);
use Scalar::Util qw(blessed);

use Standin::Gemini::Error;

# More prompts than this are not counted at once for [[times=N]]; the oldest are forgotten.
use constant MAX_TRIES_KEPT => 20_000;

# How a value is written, and the value of a directive without one. A position says after how many events a
# fault comes.
my %TYPE = (
    count    => {like => qr/\A\d{1,9}\z/},
    flag     => {like => qr/\A1\z/,            bare => 1},
    position => {like => qr/\A\d{1,9}\z/,      bare => 1},
    reason   => {like => qr/\A[A-Z][A-Z_]*\z/, bare => 'SAFETY'},
    duration => {like => qr/\A(?:\d+(?:\.\d+)?m?s|none)\z/},
    status   => {like => qr/\A[45]\d\d\z/},
    text     => {like => qr/\A.+\z/s},
);

sub _one_of (@words) {
    my $words = join '|', @words;
    return {like => qr/\A(?:$words)\z/};
}

# fault: makes the answer late, wrong or missing, and stops doing so after [[times=N]] tries.
my %DIRECTIVE = (
    say      => {type => $TYPE{text}},
    chunks   => {type => $TYPE{count}, usual => 5},
    gap      => {type => $TYPE{count}, usual => 0},
    size     => {type => $TYPE{count}},
    thoughts => {type => $TYPE{position}},
    split    => {type => $TYPE{flag}},
    dribble  => {type => $TYPE{count}},
    ascii    => {type => $TYPE{flag}},
    lf       => {type => $TYPE{flag}},
    cr       => {type => $TYPE{flag}},
    times    => {type => $TYPE{count}},

    delay  => {fault => 1, type => $TYPE{count}, usual => 0},
    hang   => {fault => 1, type => $TYPE{flag}},
    status => {fault => 1, type => $TYPE{status}},
    error  => {fault => 1, type => _one_of(Standin::Gemini::Error->reasons)},
    quota  => {fault => 1, type => _one_of(Standin::Gemini::Error->quotas)},
    retry  => {fault => 1, type => $TYPE{duration}},
    hint   => {fault => 1, type => _one_of(qw(both details message)), usual => 'both'},
    body   => {fault => 1, type => _one_of(Standin::Gemini::Error->forms)},

    block    => {fault => 1, type => $TYPE{reason}},
    finish   => {fault => 1, type => $TYPE{reason}},
    empty    => {fault => 1, type => $TYPE{flag}},
    nofinish => {fault => 1, type => $TYPE{flag}},

    cut      => {fault => 1, type => $TYPE{position}},
    reset    => {fault => 1, type => $TYPE{position}},
    torn     => {fault => 1, type => $TYPE{position}},
    stall    => {fault => 1, type => $TYPE{position}},
    garbage  => {fault => 1, type => $TYPE{position}},
    miderror => {fault => 1, type => $TYPE{position}},
    code     => {fault => 1, type => $TYPE{status}, usual => 503},
    endless  => {fault => 1, type => {%{_one_of(qw(events line))}, bare => 'events'}},
);
my %USUAL = map { $_ => $DIRECTIVE{$_}{usual} } grep { defined $DIRECTIVE{$_}{usual} } keys %DIRECTIVE;

my $IN_TEXT = qr/\[\[([a-z]+)(?:=([^\[\]]*))?\]\]/;

# What PUT /control set: directives, and directives for one model or one key.
has control => sub { {all => {}, models => {}, keys => {}} };

# A text without its directives.
sub strip ($class, $text) { $text =~ s/\s*$IN_TEXT//gr =~ s/\A\s+|\s+\z//gr }

# Replaces the control settings; throws a 400 that tells what is wrong in them.
sub set_control ($self, $tree) {
    _refuse('control settings must be a JSON object') if ref $tree ne 'HASH';
    my %given   = %$tree;
    my %control = (models => {}, keys => {});
    for my $scope (qw(models keys)) {
        my $each = delete $given{$scope} // {};
        _refuse("$scope must be a JSON object") if ref $each ne 'HASH';
        $control{$scope}{$_} = _read_tree($each->{$_}) for keys %$each;
    }
    $control{all} = _read_tree(\%given);
    return $self->control(\%control);
}

sub reset ($self) {
    delete @$self{qw(control tries order)};
    return $self;
}

# The directives in force for a prompt, and which try of this prompt it is.
sub in_force ($self, $prompt, $model, $key) {
    my $control = $self->control;
    my %force   = (
        %{$control->{all}},
        %{$control->{models}{$model} // {}},
        %{$control->{keys}{$key}     // {}},
        %{_read_text($prompt)}
    );
    delete @force{grep { $force{$_} eq 'off' } keys %force};
    %force = (%USUAL, %force);
    my $try = $self->_count_try($prompt);
    _succeed(\%force) if defined $force{times} && $try > $force{times};
    return (\%force, $try);
}

sub _succeed ($force) {
    delete @$force{grep { $DIRECTIVE{$_}{fault} } keys %$force};
    %$force = (%USUAL, %$force);
}

sub _count_try ($self, $prompt) {
    my $tries = $self->{tries} //= {};
    my $order = $self->{order} //= [];
    my $name  = sha1(encode 'UTF-8', $prompt);
    push @$order, $name unless $tries->{$name};
    delete $tries->{shift @$order} if @$order > MAX_TRIES_KEPT;
    return ++$tries->{$name};
}

sub _read_text ($text) {
    my %read;
    while ($text =~ /$IN_TEXT/g) { $read{$1} = _read($1, $2) }
    return \%read;
}

# From JSON: true is a directive without a value, false or null is off.
sub _read_tree ($tree) {
    _refuse('directives must be a JSON object') if ref $tree ne 'HASH';
    return {map { ($_ => _read($_, _from_json($tree->{$_}))) } keys %$tree};
}

sub _from_json ($value) {
    return 'off'                  if !defined $value;
    return $value                 if !ref $value;
    return $value ? undef : 'off' if blessed $value;
    _refuse('a directive must be a string, a number, true, false or null');
}

sub _read ($name, $value) {
    my $directive = $DIRECTIVE{$name} or _refuse("there is no directive [[$name]]");
    return 'off' if defined $value && $value eq 'off';
    $value //= $directive->{type}{bare} // _refuse("[[$name]] needs a value");
    return $value if $value =~ $directive->{type}{like};
    return _refuse("[[$name=$value]] is not understood");
}

# Told as Google would, so that a mistake in a test comes up in that test.
sub _refuse ($what) { Standin::Gemini::Error->by_code(400, "stand-in: $what")->throw }

1;
