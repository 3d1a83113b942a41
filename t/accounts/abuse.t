# SPDX-License-Identifier: Apache-2.0
# What costs money or tells of accounts has limits, which hold without Redis too: cooldown, caps, countries, test numbers.
use Mojo::Base -strict, -signatures;

use Gemclone::Check;
use Gemclone::Client;
use Gemclone::SmsStandin;
use Gemclone::Paths qw(secret_file temp_dir);
use Gemclone::Stack;
use POSIX qw(strftime);
use Test::More;
use Time::HiRes qw(sleep time);

plan tests => 10;

my $sms = Gemclone::SmsStandin->start;
my %is = %{$sms->credentials};
my $keys = temp_dir;
my ($TODAY, $YESTERDAY) = map { strftime '%Y-%m-%d', gmtime time - $_ } 0, 86400;
my @GATEWAY = (
    'GemcloneOTPDelivery twilio', 'GemcloneSMSURL ' . $sms->api_url, "GemcloneSMSAccount $is{account}", "GemcloneSMSFrom $is{from}",
    'GemcloneSMSKey file:' . secret_file("$keys/token", $is{token}), 'GemcloneSMSCAFile ' . $sms->ca_file
);
my $stack = Gemclone::Stack->start(
    fsync        => 0,
    redis        => 0,
    more_modules => ['remoteip'],
    directives   => [
        'GemcloneOTPReveal Off', @GATEWAY, 'RemoteIPHeader X-Forwarded-For', 'RemoteIPInternalProxy 127.0.0.1',
        'GemcloneLimit otp-cooldown 1 2s', 'GemcloneLimit otp-number 4 1h', 'GemcloneLimit otp-address 6 1h',
        'GemcloneLimit signup-address 20 1h', 'GemcloneLimit sign-in-address 8 1h',
        'GemcloneOTPCountries +1 +4479',
        "GemcloneOTPTestNumber +15550001111 246810 $TODAY", "GemcloneOTPTestNumber +15550002222 13579 $YESTERDAY",
    ],
);
my ($client, $dbh) = ($stack->client, $stack->dbh);

my $next = 0;
sub address () { return '198.51.100.' . ++$next }
sub from ($address) { return ('X-Forwarded-For' => $address) }

sub sign_up ($number, $address = address) { return $client->post('/auth/signup', {mobile_number => $number}, from($address)) }
sub send_otp ($number, $address = address) { return $client->post('/auth/send-otp', {mobile_number => $number, purpose => 'login'}, from($address)) }
sub verify ($number, $otp, $address = address) {
    return $client->post('/auth/verify-otp', {mobile_number => $number, otp => $otp, purpose => 'login'}, from($address));
}
sub new_number () { my $number = Gemclone::Client->new_number; sign_up($number); return $number }

# A 429 that tells when, and of which limit.
sub limited_ok ($res, $name, $most, $window, $what) {
    problem_ok $res, 429, $what;
    my $headers = $res->headers;
    is $headers->header('RateLimit-Policy'), qq{"$name";q=$most;w=$window}, '... names the limit';
    my ($left) = ($headers->header('RateLimit') // '') =~ /\A"\Q$name\E";r=0;t=(\d+)\z/;
    is $headers->header('Retry-After'), $left, '... and when it ends';
    ok $left && $left <= $window, '... which is within its time';
    return;
}

subtest 'the cooldown' => sub {
    my $number = new_number;
    answer_ok send_otp($number), 200, 'a code';
    limited_ok send_otp($number), 'otp-cooldown', 1, 2, 'another one at once';
    sleep 2.1;
    answer_ok send_otp($number), 200, 'later';
    my $unknown = Gemclone::Client->new_number;
    send_otp($unknown);
    limited_ok send_otp($unknown), 'otp-cooldown', 1, 2, 'a number without an account is no other';
};

subtest 'a number\'s codes' => sub {
    my $number = new_number;
    my $forget = sub { $dbh->do(q{DELETE FROM gemclone.limits WHERE kind = 'otp-cooldown'}) };
    for (1 .. 4) { $forget->(); answer_ok send_otp($number), 200, "code $_" }
    $forget->();
    limited_ok send_otp($number), 'otp-number', 4, 3600, 'then no more';
    my $written = $number =~ s/^\+1(...)/+1 ($1) /r;
    limited_ok send_otp($written), 'otp-number', 4, 3600, 'whatever way it is written';
    is $client->post('/auth/forgot-password', {mobile_number => $number}, from(address))->code, 429, 'for whatever purpose';
    ok eventually(sub { !$dbh->selectrow_array('SELECT count(*) FROM gemclone.deliveries') }), 'what was asked for is sent';
    is scalar(my @got = $sms->outbox($number)), 4, 'and no more';
};

subtest 'an address\' codes' => sub {
    my $address = address;
    answer_ok send_otp(Gemclone::Client->new_number, $address), 200, "code $_" for 1 .. 6;
    limited_ok send_otp(new_number, $address), 'otp-address', 6, 3600, 'then no more';
    answer_ok send_otp(new_number), 200, 'another address has its own';
    my $near = '2001:db8:7:7::';
    answer_ok send_otp(Gemclone::Client->new_number, "$near$_"), 200, "of IPv6, $_" for 1 .. 6;
    is send_otp(new_number, "${near}ffff:1")->code, 429, 'the network counts';
    answer_ok send_otp(new_number, '2001:db8:7:8::1'), 200, 'and the next network has its own';
};

subtest 'only a trusted proxy tells the address' => sub {
    is $dbh->selectrow_array(q{SELECT count(*) FROM gemclone.limits WHERE subject = '127.0.0.1'}), 0, 'the proxy\'s own counts for nobody';
    ok $dbh->selectrow_array(q{SELECT count(*) FROM gemclone.limits WHERE subject = '198.51.100.1'}), 'the client\'s does';
};

subtest 'tries of an address' => sub {
    my $address = address;
    problem_ok verify(Gemclone::Client->new_number, '123456', $address), 400, "try $_" for 1 .. 8;
    limited_ok verify(new_number, '123456', $address), 'sign-in-address', 8, 3600, 'then no more';
    is $client->post('/auth/login', {mobile_number => new_number, password => 'x'}, from($address))->code, 429, 'nor at passwords';
    my $number = new_number;
    send_otp($number);
    my $otp = eventually(sub { $sms->code_for($number) });
    is verify($number, $otp, $address)->code, 429, 'not even the right one';
    answer_ok verify($number, $otp), 200, 'which is good elsewhere';
};

subtest 'right tries do not count' => sub {
    my $address = address;
    for (1 .. 10) {
        my $number = new_number;
        send_otp($number);
        answer_ok verify($number, eventually(sub { $sms->code_for($number) }), $address), 200, "user $_ of an office";
    }
};

subtest 'accounts of an address' => sub {
    my $address = address;
    answer_ok sign_up(Gemclone::Client->new_number, $address), 201, "account $_" for 1 .. 20;
    limited_ok sign_up(Gemclone::Client->new_number, $address), 'signup-address', 20, 3600, 'then no more';
    my %again = (from(address), 'Idempotency-Key' => 'one');
    my $body = {mobile_number => Gemclone::Client->new_number};
    answer_ok $client->post('/auth/signup', $body, %again), 201, "a request that is repeated, $_" for 1 .. 25;
};

subtest 'countries' => sub {
    for my $number (qw(+447900123456 +15552223333)) { answer_ok sign_up($number), 201, "$number is served" }
    for my $number (qw(+4478001234567 +2250102030405 +88216123456)) {
        problem_ok sign_up($number), 422, "$number is not", errors => ['/mobile_number'];
        problem_ok send_otp($number), 422, 'nor is it sent anything', errors => ['/mobile_number'];
    }
};

subtest 'numbers to test with' => sub {
    sign_up('+15550001111');
    my $before = scalar(my @all = $sms->outbox);
    for (1 .. 10) {
        answer_ok send_otp('+15550001111', '198.51.100.99'), 200, "asked for, $_";
        answer_ok verify('+15550001111', '246810'), 200, 'the code is always this one';
    }
    problem_ok verify('+15550001111', '246810'), 400, 'once each time';
    send_otp('+15550001111');
    problem_ok verify('+15550001111', "24681$_"), 400, 'guessing counts' for 1 .. 4;
    problem_ok verify('+15550001111', '246810'), 400, 'as ever';
    sign_up('+15550002222');
    answer_ok send_otp('+15550002222'), 200, 'one whose last day is over';
    problem_ok verify('+15550002222', '13579'), 400, 'is a number as any other';
    ok eventually(sub { !$dbh->selectrow_array('SELECT count(*) FROM gemclone.deliveries') });
    is scalar(@all = $sms->outbox('+15550001111')), 0, 'nothing was sent to it';
    is scalar(@all = $sms->outbox('+15550002222')), 1, 'and to that one a code';
};

subtest 'what is counted goes by itself' => sub {
    ok !$dbh->selectrow_array(q{SELECT count(*) FROM gemclone.limits WHERE window_ends > now() + interval '1 day'}), 'no window is longer than configured';
    is $dbh->selectrow_array(q{SELECT count(*) FROM gemclone.limits WHERE count < 0}), 0, 'nothing was given back twice';
};
