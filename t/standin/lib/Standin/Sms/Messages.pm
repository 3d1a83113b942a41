# SPDX-License-Identifier: Apache-2.0
# Twilio's Messages: what is wrong with the form of one, and the resource that it becomes.
package Standin::Sms::Messages;
use Mojo::Base -strict, -signatures;

use Mojo::Date;
use POSIX qw(ceil);

use Standin::Sms::Account qw(ACCOUNT MESSAGING_SERVICE is_number new_sid);
use Standin::Sms::Error;

use constant {API => '2010-04-01', LONGEST => 1600};

# Numbers of Twilio's own tests, and the error that a message to them, or from them, ends with.
my %FATE_TO = (
    '+15005550001' => 21211,
    '+15005550002' => 21612,
    '+15005550003' => 21408,
    '+15005550004' => 21610,
    '+15005550009' => 21614,
);
my %FATE_FROM = (
    '+15005550001' => 21212,
    '+15005550007' => 21606,
    '+15005550008' => 21611,
);

# The message that these parameters make. Throws Twilio's error if they do not.
sub create ($class, $given) {
    my ($to, $from, $service, $text) = map { $given->{$_} // '' } qw(To From MessagingServiceSid Body);
    _throw(21604) if $to eq '';
    _throw(21211, $to) unless is_number($to);
    _throw(21603) if $from eq '' && $service eq '';
    _throw(21602) if $text eq '';
    _throw(21617) if length $text > LONGEST;
    _throw(21701, $service) if $service ne '' && $service ne MESSAGING_SERVICE;
    _throw(21212, $from)    if $from ne ''    && !_is_sender($from);
    _throw($FATE_FROM{$from}, $from) if $FATE_FROM{$from};
    _throw($FATE_TO{$to}, $to)       if $FATE_TO{$to};
    return _resource($to, $from, $service, $text);
}

# The same, of which nobody has got anything for a reason that has this code.
sub failed ($class, $message, $code) {
    return {%$message, status => 'failed', error_code => 0 + $code, error_message => 'The message was not delivered'};
}

# A number, a short code, or a name.
sub _is_sender ($from) {
    return is_number($from) || $from =~ /\A\d{3,8}\z/a || $from =~ /\A(?=.*[a-z])[\w &+-]{1,11}\z/ai;
}

sub _resource ($to, $from, $service, $text) {
    my $sid = new_sid('SM');
    my $uri = '/' . API . '/Accounts/' . ACCOUNT . "/Messages/$sid";
    my $now = Mojo::Date->new =~ s/GMT\z/+0000/r;
    return {
        account_sid           => ACCOUNT,
        api_version           => API,
        body                  => $text,
        date_created          => $now,
        date_sent             => undef,
        date_updated          => $now,
        direction             => 'outbound-api',
        error_code            => undef,
        error_message         => undef,
        from                  => length $from ? $from : undef,
        messaging_service_sid => $service ? $service : undef,
        num_media             => '0',
        num_segments          => $service ? '0' : _segments($text),
        price                 => undef,
        price_unit            => $service ? undef : 'USD',
        sid                   => $sid,
        status                => $service ? 'accepted' : 'queued',
        subresource_uris      => {media => "$uri/Media.json"},
        to                    => $to,
        uri                   => "$uri.json",
    };
}

# How many short messages the text takes, as text; ASCII stands for all of what GSM writes in seven bits.
sub _segments ($text) {
    my ($alone, $of_several) = $text =~ /\A[[:ascii:]]*\z/ ? (160, 153) : (70, 67);
    return length $text <= $alone ? '1' : '' . ceil(length($text) / $of_several);
}

sub _throw ($code, @about) { Standin::Sms::Error->by_code($code, @about)->throw }

1;
