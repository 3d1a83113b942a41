# SPDX-License-Identifier: Apache-2.0
# Twilio Verify: the verifications that are under way, one for a number, with codes of its own making.
package Standin::Sms::Verify;
use Mojo::Base -base, -signatures;

use List::Util qw(first);
use Mojo::JSON qw(false true);
use POSIX      qw(strftime);

use Standin::Sms::Account qw(ACCOUNT VERIFY_SERVICE is_number new_sid);
use Standin::Sms::Error;

use constant {
    LIFETIME => 600,     # seconds that a code is good for
    SENDS    => 5,       # of one code
    CHECKS   => 5,       # that may be wrong
    MOST     => 1000,    # verifications
    URL      => 'https://verify.twilio.com/v2/Services/' . VERIFY_SERVICE . '/Verifications',
};

# Numbers of Twilio's own tests, and the error that a verification of them ends with.
my %FATE = (
    '+15005550001' => 60200,
    '+15005550003' => 60605,
    '+15005550004' => 60410,
    '+15005550009' => 60205,
);

has lifetime => LIFETIME;

# {sid, to, code, locale, status, checks (that were wrong), created, sends => [{sid, time}]}, oldest first.
has all => sub { [] };

# Starts the verification of a number, or sends its code once more; returns it. Throws Twilio's errors.
sub create ($self, $given) {
    my ($to, $channel) = map { $given->{$_} // _throw(20001, $_) } qw(To Channel);
    _throw(60200, 'To')         unless is_number($to);
    _throw(60200, 'Channel')    unless $channel eq 'sms';
    _throw(60200, 'Locale')     if ($given->{Locale}     // 'en') !~ /\A[a-z]{2}(?:-[A-Z]{2})?\z/;
    _throw(60200, 'CustomCode') if ($given->{CustomCode} // '1234') !~ /\A\w{4,10}\z/a;
    _throw($FATE{$to}, 'To') if $FATE{$to};

    my $verification = $self->find($to) // $self->_begin($to);
    _throw(60202) if $verification->{checks} == CHECKS;
    _throw(60203) if @{$verification->{sends}} == SENDS;
    $verification->{code}   = $given->{CustomCode} if defined $given->{CustomCode};
    $verification->{locale} = $given->{Locale} // 'en';
    push @{$verification->{sends}}, {sid => new_sid('VL'), time => time};
    return $verification;
}

# Checks a code; returns the verification, approved or not. Throws Twilio's errors, 20404 for the path if there is
# nothing to check.
sub check ($self, $given, $path) {
    my ($to, $code) = map { $given->{$_} // '' } qw(To Code);
    _throw(60200, 'To')   unless is_number($to);
    _throw(60200, 'Code') unless $code =~ /\A\w{4,10}\z/a;
    my $verification = $self->find($to) // _throw(20404, $path);
    _throw(60202) if $verification->{checks} == CHECKS;
    if ($code eq $verification->{code}) {
        $verification->{status} = 'approved';
        $self->end($to);
        return $verification;
    }
    $verification->{checks}++;
    return $verification;
}

# The one of this number, if it is still there.
sub find ($self, $to) {
    my $since = time - $self->lifetime;
    $self->all([grep { $_->{created} > $since } @{$self->all}]);
    return first { $_->{to} eq $to } @{$self->all};
}

# Forgets the one of this number, as Twilio does once it is approved or has expired; false if there is none.
sub end ($self, $to) {
    my $verification = $self->find($to) or return 0;
    $self->all([grep { $_ != $verification } @{$self->all}]);
    return 1;
}

sub _begin ($self, $to) {
    my $verification = {
        sid     => new_sid('VE'),
        to      => $to,
        code    => sprintf('%06d', rand 1_000_000),
        status  => 'pending',
        checks  => 0,
        created => time,
        sends   => [],
    };
    push @{$self->all}, $verification;
    shift @{$self->all} if @{$self->all} > MOST;
    return $verification;
}

# As the answer to its start has it.
sub resource ($class, $verification) {
    my $sends = $verification->{sends};
    return {
        _common($verification),
        lookup             => {},
        send_code_attempts => [map { {attempt_sid => $_->{sid}, channel => 'SMS', time => _iso($_->{time})} } @$sends],
        sna                => undef,
        url                => URL . "/$verification->{sid}",
    };
}

# As the answer to a check has it.
sub check_resource ($class, $verification) { return {_common($verification), sna_attempts_error_codes => []} }

sub _common ($verification) {
    return (
        account_sid  => ACCOUNT,
        amount       => undef,
        channel      => 'sms',
        date_created => _iso($verification->{created}),
        date_updated => _iso(time),
        payee        => undef,
        service_sid  => VERIFY_SERVICE,
        sid          => $verification->{sid},
        status       => $verification->{status},
        to           => $verification->{to},
        valid        => $verification->{status} eq 'approved' ? true : false,
    );
}

sub _iso ($time) { strftime('%Y-%m-%dT%H:%M:%SZ', gmtime $time) }

sub _throw ($code, @about) { Standin::Sms::Error->by_code($code, @about)->throw }

1;
