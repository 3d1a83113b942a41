#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# The stand-in for SMS gateways: Twilio's Messages and Verify, Standard Webhooks, what the phones get, and its faults.
# Runs without the module: see Gemclone::Suite.
use Mojo::Base -strict, -signatures;

use FindBin ();
use lib "$FindBin::Bin/lib", "$FindBin::Bin/standin/lib";

use Digest::SHA qw(hmac_sha256);
use IO::Select;
use IO::Socket::IP;
use MIME::Base64 qw(decode_base64 encode_base64);
use Mojo::JSON   qw(encode_json false true);
use Mojo::UserAgent;
use Mojo::Util qw(b64_encode);
use Test::More;
use Time::HiRes qw(sleep time);

use Gemclone::SmsStandin;
use Standin::Sms::Outbox;
use Standin::Sms::Receiver;
use Standin::Sms::Verify;

use constant {ADA => '+14155550100', BEN => '+14155550101'};

my $sms = Gemclone::SmsStandin->start;
my $ua  = Mojo::UserAgent->new(ca => $sms->ca_file, inactivity_timeout => 20, request_timeout => 20);
my %its = %{$sms->credentials};

my $MESSAGES = "/2010-04-01/Accounts/$its{account}/Messages.json";
my $VERIFY   = "/v2/Services/$its{verify_service}";

# ---------------------------------------------------------------- the client ----

sub basic ($user, $password) { (Authorization => 'Basic ' . b64_encode("$user:$password", '')) }

# A form to one of Twilio's APIs, by the account unless headers say otherwise.
sub post ($path, $form, %headers) {
    return $ua->post($sms->api_url . $path, {basic(@its{qw(account token)}), %headers}, form => $form)->res;
}

sub message ($to = ADA, %more) { post($MESSAGES, {To => $to, From => $its{from}, Body => 'Hello', %more}) }
sub verify  ($to = ADA, %more) { post("$VERIFY/Verifications",     {To => $to, Channel => 'sms', %more}) }
sub check   ($code, $to = ADA) { post("$VERIFY/VerificationCheck", {To => $to, Code    => $code}) }

# That the answer is Twilio's error with this code.
sub error_ok ($res, $code, $status, $what, $like = qr/./) {
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my %got = (http => $res->code, %{$res->json // {}});
    my $message = delete $got{message};
    my $docs = "https://www.twilio.com/docs/errors/$code";
    is_deeply \%got, {http => $status, code => $code, status => $status, more_info => $docs}, $what or diag $res->body;
    like $message, $like, "$what: the message";
}

# ------------------------------------------------------------ who is allowed to ----

subtest 'credentials' => sub {
    for my $path ($MESSAGES, "$VERIFY/Verifications", "$VERIFY/VerificationCheck") {
        error_ok $ua->post($sms->url . $path)->res, 20003, 401, "$path: none", qr/\AAuthenticate\z/;
        error_ok post($path, {}, basic($its{account}, 'x')), 20003, 401, 'a wrong token';
        error_ok post($path, {}, basic($its{key}, $its{token})), 20003, 401, 'those of two';
        error_ok post($path, {}, Authorization => "Bearer $its{token}"), 20003, 401, 'another scheme';
    }
    like message(ADA)->headers->content_type, qr{\Aapplication/json\b}, 'the account is known';
    is post($MESSAGES, {To => ADA, From => $its{from}, Body => 'x'}, basic(@its{qw(key key_secret)}))->code, 201,
        'and its key';
    is post($MESSAGES, {}, basic('', ''))->headers->www_authenticate, 'Basic realm="Twilio API"', 'WWW-Authenticate';
};

subtest 'other paths' => sub {
    my $other = 'AC' . '1' x 32;
    for my $path ("/2010-04-01/Accounts/$other/Messages.json", "/v2/Services/VA$other/Verifications", '/x', '/') {
        error_ok post($path, {To => ADA}), 20404, 404, $path, qr/\AThe requested resource \Q$path\E was not found\z/;
    }
    is $ua->get($sms->url . $MESSAGES, {basic(@its{qw(account token)})})->res->code, 404, 'another method';
    is $ua->get($sms->url . '/healthz')->res->code, 200, 'healthz';
};

# ------------------------------------------------------------------- messages ----

subtest 'a message' => sub {
    my $text = "Zo\x{EB}, your code is 123456.";
    my $res  = message(ADA, Body => $text);
    is $res->code, 201, 'is made';
    my $made = $res->json;
    like $made->{sid},          qr/\ASM[0-9a-f]{32}\z/,                                  'sid';
    like $made->{date_created}, qr/\A\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d \+0000\z/, 'a date as mail has it';
    is_deeply [@$made{qw(account_sid to from body status direction num_segments error_code messaging_service_sid)}],
        [$its{account}, ADA, $its{from}, $text, 'queued', 'outbound-api', '1', undef, undef], 'the rest';
    is $made->{uri}, $MESSAGES =~ s{\.json}{/$made->{sid}.json}r, 'uri';
    like $res->headers->header('Twilio-Request-Id'), qr/\ARQ[0-9a-f]{32}\z/, 'Twilio-Request-Id';

    my $by = message(ADA, From => '', MessagingServiceSid => $its{messaging_service})->json;
    is_deeply [@$by{qw(status from num_segments messaging_service_sid)}],
        ['accepted', undef, '0', $its{messaging_service}], 'by a Messaging Service';
    is message(ADA, Body => 'x' x 160)->json->{num_segments},        '1', '160 characters of ASCII';
    is message(ADA, Body => 'x' x 307)->json->{num_segments},        '3', '307 characters';
    is message(ADA, Body => "\x{20AC}" x 71)->json->{num_segments}, '2', '71 of others';
    is message(ADA, From => $_)->code, 201, "from $_" for BEN, '12345', 'Gemclone';
    is message(ADA, Body => "\x{20AC}" x 1600, ValidityPeriod => 60, Colour => 'red')->code, 201, 'other parameters';
};

subtest 'messages that are refused' => sub {
    error_ok post($MESSAGES, {}), 21604, 400, 'no To';
    error_ok message($_), 21211, 400, "to '$_'" for 'x', '4155550100', '+0155550100', '+1', '+1415555010012345';
    error_ok message(ADA, From => ''), 21603, 400, 'no From';
    error_ok message(ADA, Body => ''), 21602, 400, 'no Body';
    error_ok message(ADA, Body => "\x{20AC}" x 1601), 21617, 400, 'a Body that is too long';
    error_ok message(ADA, From => $_), 21212, 400, "from '$_'" for '+1', '123456789', 'a name too long';
    error_ok message(ADA, MessagingServiceSid => 'MG1'), 21701, 400, 'another Messaging Service';
    my %fate = (1 => 21211, 2 => 21612, 3 => 21408, 4 => 21610, 9 => 21614);
    error_ok message("+1500555000$_"), $fate{$_}, 400, "to +1500555000$_" for sort keys %fate;
    my %from = (1 => [21212, 400], 7 => [21606, 400], 8 => [21611, 429]);
    error_ok message(ADA, From => "+1500555000$_"), @{$from{$_}}, "from +1500555000$_" for sort keys %from;
    my $json = $ua->post($sms->url . $MESSAGES, {basic(@its{qw(account token)})}, json => {To => ADA})->res;
    error_ok $json, 21604, 400, 'JSON in place of a form';
};

# --------------------------------------------------------------------- Verify ----

subtest 'a verification' => sub {
    $sms->reset;
    my $res = verify(ADA, Locale => 'pt-BR');
    is $res->code, 201, 'is made';
    my $made = $res->json;
    like $made->{sid},          qr/\AVE[0-9a-f]{32}\z/,              'sid';
    like $made->{date_created}, qr/\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\z/, 'a date as ISO has it';
    is_deeply [@$made{qw(account_sid service_sid to channel status valid)}],
        [@its{qw(account verify_service)}, ADA, 'sms', 'pending', false], 'the rest';
    unlike $res->body, qr/\Q@{[$sms->code_for(ADA)]}\E/, 'the code is not in it';
    my ($sent) = $sms->outbox(ADA);
    is_deeply [@$sent{qw(via id locale)}], ['verify', $made->{sid}, 'pt-BR'], 'it has been sent';
    like $sent->{text}, qr/code is: $sent->{code}\z/, 'with its code';

    my $code  = $sms->code_for(ADA);
    my $wrong = check($code eq '123456' ? '654321' : '123456');
    is_deeply [$wrong->code, @{$wrong->json}{qw(status valid sid)}], [200, 'pending', false, $made->{sid}], 'wrong';
    my $right = check($code);
    is_deeply [$right->code, @{$right->json}{qw(status valid sid)}], [200, 'approved', true, $made->{sid}], 'right';
    error_ok check($code), 20404, 404, 'and then it is over', qr{/VerificationCheck was not found};
};

subtest 'codes' => sub {
    $sms->reset;
    my $sid = verify(ADA)->json->{sid};
    verify(BEN);
    my $code = $sms->code_for(ADA);
    is_deeply [map { scalar @{$_->{send_code_attempts}} } map { verify(ADA)->json } 2 .. 5], [2 .. 5], 'sent again';
    is_deeply [map { $_->{code} } $sms->outbox(ADA)], [($code) x 5], 'the same code';
    error_ok verify(ADA), 60203, 429, 'five times at most';
    is check($code)->json->{sid}, $sid, 'it is one verification';
    isnt verify(ADA)->json->{sid}, $sid, 'the next is another';

    verify(ADA, CustomCode => 'k8fd12');
    is $sms->code_for(ADA), 'k8fd12', 'a code that was given';
    is check($sms->code_for(BEN))->json->{status}, 'pending', 'the code of somebody else';
    is check('k8fd12')->json->{status}, 'approved', 'one\'s own';
};

subtest 'codes are good for a while' => sub {
    $sms->reset;
    verify(ADA, CustomCode => '4711');
    is check('0815')->json->{status}, 'pending', 'wrong' for 1 .. 5;
    error_ok check('4711'), 60202, 429, 'right, but too late';
    error_ok verify(ADA),   60202, 429, 'no other is sent';
    $sms->expire(ADA);
    error_ok check('4711'), 20404, 404, 'until it has expired';
    is verify(ADA, CustomCode => '1147')->code, 201, 'then one is';
    is check('1147')->json->{status}, 'approved', 'and is good';
    ok !eval { $sms->expire(ADA); 1 }, 'what is not there does not expire';

    $sms->control({lifetime => 1});
    verify(ADA, CustomCode => '4711');
    sleep 1.1;
    error_ok check('4711'), 20404, 404, 'one that lasts a second only';
};

subtest 'what Verify refuses' => sub {
    $sms->reset;
    error_ok post("$VERIFY/Verifications", {Channel => 'sms'}), 20001, 400, 'no To', qr/parameter To in the post body/;
    error_ok post("$VERIFY/Verifications", {To => ADA}), 20001, 400, 'no Channel', qr/Channel/;
    error_ok verify('0815'), 60200, 400, 'no number', qr/\AInvalid parameter: To\z/;
    error_ok verify(ADA, Channel    => 'pigeon'),  60200, 400, 'another channel', qr/Channel/;
    error_ok verify(ADA, Locale     => 'Klingon'), 60200, 400, 'no locale', qr/Locale/;
    error_ok verify(ADA, CustomCode => $_), 60200, 400, "the code $_", qr/CustomCode/ for '123', '1234567890x', '12 45';
    error_ok check('123456'), 20404, 404, 'nothing to check';
    verify(ADA);
    error_ok check($_), 60200, 400, "'$_' is no code", qr/Code/ for '', '123', '12345678901';
    my %fate = (1 => [60200, 400], 3 => [60605, 403], 4 => [60410, 403], 9 => [60205, 403]);
    error_ok verify("+1500555000$_"), @{$fate{$_}}, "+1500555000$_" for sort keys %fate;
    is scalar(@{$ua->get($sms->control_url . '/verifications')->res->json}), 1, 'one is under way';
};

# ------------------------------------------------------------------- webhooks ----

# Signs as https://www.standardwebhooks.com says.
sub signature ($id, $time, $body, $secret = $its{webhook_secret}) {
    my $key = decode_base64($secret =~ s/\Awhsec_//r);
    return 'v1,' . encode_base64(hmac_sha256("$id.$time.$body", $key), '');
}

sub deliver ($id, $body, %how) {
    my $time = $how{time} // int time;
    my %headers = (
        'Content-Type'      => 'application/json',
        'webhook-id'        => $id,
        'webhook-timestamp' => $time,
        'webhook-signature' => signature($id, $time, $body),
        %{$how{headers} // {}},
    );
    delete @headers{grep { !defined $headers{$_} } keys %headers};
    return $ua->post($sms->hook_url, \%headers, $how{sent} // $body)->res;
}

sub hook ($text, $to = ADA) { encode_json({to => $to, text => $text}) }

subtest 'a webhook' => sub {
    $sms->reset;
    is deliver('msg_1', hook("Zo\x{EB}: 123456"))->code, 200, 'one that is signed is taken';
    my @got = $sms->outbox(ADA);
    is_deeply [map { [@$_{qw(via id text)}] } @got], [['hook', 'msg_1', "Zo\x{EB}: 123456"]], 'and sent';
    is $sms->code_for(ADA), '123456', 'with a code';
    is deliver('msg_1', hook("Zo\x{EB}: 123456"))->code, 200, 'the same again is taken';
    is scalar $sms->outbox(ADA), 1, 'but not sent again';

    my ($first, $second) = $sms->requests;
    is_deeply $first->{json}, {to => ADA, text => "Zo\x{EB}: 123456"}, 'the record has what was said';
    is_deeply [map { $_->{repeated} } $first, $second], [undef, true], 'and that it was said twice';
    is $first->{headers}{'webhook-id'}, 'msg_1', 'and the headers';

    is deliver('msg_2', '{"user": {"phone": "+1"}, "sms": {"otp": "1234"}}')->code, 200, 'of any shape';
    my %at = (to => '/user/phone', text => '/sms/otp');
    $sms->control({hook => \%at});
    deliver('msg_3', encode_json({user => {phone => BEN}, sms => {otp => '987654'}}));
    is $sms->code_for(BEN), '987654', 'where the number and the text are can be told';
};

subtest 'webhooks that are refused' => sub {
    $sms->reset;
    my ($body, $now) = (hook('123456'), int time);
    my $signature = signature('msg_1', $now, $body);
    my @cases = (
        ['another body',       {sent => "$body\n"}],
        ['another id',         {headers => {'webhook-id' => 'msg_2'}}],
        ['another time',       {headers => {'webhook-timestamp' => $now + 1}}],
        ['another secret',     {headers => {'webhook-signature' => signature('msg_1', $now, $body, 'whsec_YWJj')}}],
        ['another scheme',     {headers => {'webhook-signature' => $signature =~ s/v1/v1a/r}}],
        ['no scheme',          {headers => {'webhook-signature' => $signature =~ s/v1,//r}}],
        ['six minutes old',    {time    => $now - 360}],
        ['in six minutes',     {time    => $now + 360}],
        ['a time that is none', {time   => "$now.5"}],
        map { ["no webhook-$_", {headers => {"webhook-$_" => undef}}] } qw(id timestamp signature),
    );
    for my $case (@cases) {
        my ($what, $how) = @$case;
        is deliver('msg_1', $body, time => $now, %$how)->code, 401, $what;
        ok +($sms->requests(1))[0]{refused}, "$what: why";
    }
    is deliver('msg_1', $_)->code, 400, "'$_' is no JSON object" for 'hello', '[]', '1';
    is_deeply [$sms->outbox], [], 'nothing is sent';

    is deliver('msg_1', $body, time => $now + $_)->code, 200, "$_ s from now" for -290, 290;
    my $several = join ' ', 'v1,eA==', 'v1a,eA==', $signature;
    is deliver('msg_1', $body, time => $now, headers => {'webhook-signature' => $several})->code, 200, 'one of several';
};

subtest 'the example of Standard Webhooks' => sub {
    $sms->reset;
    my %signed = ('webhook-signature' => 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=');
    my @hook   = ('msg_p5jXN8AQM9LWM0D4loKWxJek', '{"test": 2432232314}', time => 1614265330, headers => \%signed);
    my %ever   = (tolerance => 999_999_999);
    $sms->control({hook => {%ever, secrets => ['whsec_YWJj', 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw']}});
    is deliver(@hook)->code, 200, 'with its secret';
    $sms->control({hook => \%ever});
    is deliver(@hook)->code, 401, 'without';
};

# --------------------------------------------------------------------- phones ----

subtest 'phones' => sub {
    $sms->reset;
    is $sms->code_for(ADA), undef, 'nothing yet';
    message(ADA, Body => 'Your code is 123456. It is good for 10 minutes.');
    is $sms->code_for(ADA), '123456', 'the code in a text';
    message(BEN, Body => 'No code.');
    is $sms->code_for(BEN), undef, 'in one without';
    verify(ADA, CustomCode => 'abcd');
    is $sms->code_for(ADA), 'abcd', 'that of Verify';
    deliver('msg_1', hook('And now 4711'));
    is $sms->code_for(ADA), '4711', 'that of a webhook';
    is_deeply [map { "$_->{via} $_->{to}" } $sms->outbox],
        ['messages ' . ADA, 'messages ' . BEN, 'verify ' . ADA, 'hook ' . ADA], 'all of them, in their order';
    my ($first) = $sms->outbox(ADA);
    is_deeply [@$first{qw(from text)}], [$its{from}, 'Your code is 123456. It is good for 10 minutes.'], 'in detail';
    cmp_ok abs($first->{time} - time), '<', 10, 'now';
    message('+15005550003');
    is scalar $sms->outbox, 4, 'what is refused does not come';
    $sms->reset;
    is_deeply [$sms->outbox], [], 'reset: phones are empty';
    error_ok check('abcd'), 20404, 404, 'and nothing is under way';
};

subtest 'bounds' => sub {
    my $outbox = Standin::Sms::Outbox->new;
    $outbox->add(text => $_) for 1 .. 1001;
    is_deeply [map { $_->{text} } @{$outbox->messages}], [2 .. 1001], 'phones keep the last 1,000';
    my $verify = Standin::Sms::Verify->new;
    $verify->create({To => "+1415555$_", Channel => 'sms'}) for 1000 .. 2000;
    is scalar @{$verify->all}, 1000, 'as many verifications are under way';
    ok !$verify->find('+14155551000') && $verify->find('+14155551001'), 'the oldest is forgotten';
    my $receiver = Standin::Sms::Receiver->new;
    $receiver->is_known($_) for 1 .. 1001;
    ok $receiver->is_known(2) && !$receiver->is_known(1), 'as many webhooks are known';
    ok !eval { $sms->go_wrong(map { {status => 500} } 1 .. 1001) }, 'as many faults may wait';
};

# --------------------------------------------------------------------- faults ----

subtest 'errors on demand' => sub {
    $sms->reset;
    $sms->go_wrong({status => 429, retry_after => 2}, {status => 500}, {status => 503, times => 2});
    my $busy = message();
    error_ok $busy, 20429, 429, 'too many requests', qr/\AToo Many Requests\z/;
    is $busy->headers->header('Retry-After'), 2, 'come back';
    error_ok verify(),      20500, 500, 'an error of Twilio\'s';
    error_ok check('1234'), 20503, 503, 'twice' for 1, 2;
    is message()->code, 201, 'and then no more';

    $sms->go_wrong({code => 21610, path => '/2010-04-01/', times => 0}, {code => 60410, path => '/v2/'});
    error_ok verify(),  60410, 403, 'only for a path';
    error_ok message(), 21610, 400, 'again and again' for 1 .. 3;
    is verify()->code, 201, 'the other is over';
    is +($sms->faults)[0]{code}, 21610, 'it is still there';
    $sms->end_faults;
    is message()->code, 201, 'until it is taken away';

    $sms->go_wrong({status => 400, code => 30450, message => 'Pumping'}, {status => 418}, {status => 403});
    error_ok message(), 30450, 400, 'an error of one\'s own', qr/\APumping\z/;
    error_ok message(), 20418, 418, 'any status';
    is deliver('msg_1', hook('x'))->code, 403, 'webhooks, too';
    $sms->go_wrong({status => 502, body => '<html>Bad Gateway</html>'});
    my $proxy = message();
    is_deeply [$proxy->code, $proxy->headers->content_type, $proxy->body],
        [502, 'text/html', '<html>Bad Gateway</html>'], 'what a proxy says';

    my @wrong = (
        {status => 200},
        {how    => 'so'},
        {colour => 'red'},
        {code   => 30450},
        {status => 500, how => 'reset'},
        {failed => 30450, code => 21610}
    );
    ok !eval { $sms->go_wrong($_); 1 }, 'refused: ' . encode_json($_) for @wrong;
    is_deeply [$sms->faults], [], 'nothing of it';
};

subtest 'a message that fails' => sub {
    $sms->reset;
    $sms->go_wrong({failed => 30450});
    my $res = message();
    is_deeply [$res->code, @{$res->json}{qw(status error_code)}], [201, 'failed', 30450], 'is a 201, but has failed';
    is_deeply [$sms->outbox], [], 'nobody has got it';
    is +($sms->requests)[0]{fault}, 'failed 30450', 'the record says so';
};

# A message of which the answer is read as it comes: {raw, end => 'closed', 'reset' or 'open'}.
sub raw_message ($plain, $patience = 2) {
    my ($port) = $plain->url =~ /:(\d+)\z/;
    my $socket = IO::Socket::IP->new(PeerHost => '127.0.0.1', PeerPort => $port) or die "connect: $@";
    my $form   = 'To=%2B14155550100&From=Gemclone&Body=Hello';
    my ($name, $value) = basic(@its{qw(account token)});
    my @head = ("POST $MESSAGES HTTP/1.1", 'Host: x', "$name: $value", 'Content-Length: ' . length $form,
        'Content-Type: application/x-www-form-urlencoded');
    syswrite $socket, join "\r\n", @head, '', $form;
    my %answer = (raw => '', end => 'open');
    my $until  = time + $patience;
    while ((my $left = $until - time) > 0) {
        next unless IO::Select->new($socket)->can_read($left);
        my $got = sysread $socket, $answer{raw}, 65_536, length $answer{raw};
        $answer{end} = defined $got ? 'closed' : 'reset' unless $got;
        last if !$got || length $answer{raw} > 300_000;
    }
    return \%answer;
}

subtest 'answers that break' => sub {
    my $plain = Gemclone::SmsStandin->start(tls => 0);
    like $plain->url, qr{\Ahttp://}, 'without TLS, if need be';
    $plain->go_wrong({how => 'close'}, {how => 'reset'}, {how => 'hang'});
    is_deeply raw_message($plain), {raw => '', end => 'closed'}, 'close';
    is_deeply raw_message($plain), {raw => '', end => 'reset'}, 'reset';
    is_deeply raw_message($plain, 0.3), {raw => '', end => 'open'}, 'hang';
    is_deeply [$plain->outbox], [], 'nothing was sent';

    $plain->go_wrong(map { {how => $_, after => true} } qw(close reset));
    raw_message($plain) for 1, 2;
    is scalar $plain->outbox, 2, 'after: it was, and nobody knows';
    $plain->go_wrong({how => 'cut'}, {how => 'torn'}, {how => 'garbage'}, {how => 'endless'});
    my $cut = raw_message($plain);
    is $cut->{end}, 'closed', 'cut: the connection is closed';
    like $cut->{raw}, qr/"account_sid"(?!.*\r\n0\r\n)/s, 'in the middle of the answer';
    like raw_message($plain, 0.3)->{raw}, qr/"account_sid".*[^\}]\r\n0\r\n\r\n\z/s, 'torn: half of it, and a good end';
    like raw_message($plain, 0.3)->{raw}, qr/oops \xFF\xFE\r\n/, 'garbage';
    cmp_ok length raw_message($plain)->{raw}, '>', 300_000, 'endless';
    is scalar $plain->outbox, 4, 'cut and torn ones were sent';

    $sms->reset;
    $sms->go_wrong({delay => 300});
    my $start = time;
    is message()->code, 201, 'late';
    cmp_ok time - $start, '>=', 0.29, 'as late as it was told';
};

# -------------------------------------------------------------------- control ----

subtest 'settings' => sub {
    $sms->control({lifetime => 5, hook => {tolerance => 3}});
    is_deeply $ua->get($sms->control_url)->res->json, {lifetime => 5, hook => {tolerance => 3}}, 'what is set';
    my @wrong = (
        {colour   => 'red'},
        {lifetime => 'long'},
        {hook     => {secrets => []}},
        {hook     => {secrets => 'x'}},
        {hook     => {to      => 'to'}},
        {hook     => 'x'}
    );
    for my $wrong (@wrong, []) {
        ok !eval { $sms->control($wrong); 1 }, 'refused: ' . encode_json($wrong);
        like $@, qr/ 400 .*stand-in: /, 'with a reason';
    }
    is $ua->put($sms->control_url, '{')->res->code, 400, 'what is not JSON is refused, too';
    $sms->reset;
    is_deeply $ua->get($sms->control_url)->res->json, {}, 'reset: nothing is set';
};

subtest 'the record of requests' => sub {
    $sms->reset;
    $sms->go_wrong({status => 500, path => '/v2/'});
    message(ADA, Body => "Zo\x{EB}");
    verify();
    post('/x', {}, basic('somebody', 'secret-of-somebody'));
    deliver('msg_1', hook('x'));
    my @requests = $sms->requests;
    my ($first, $second, $third, $fourth) = @requests;
    is_deeply [@$first{qw(method path call key status outcome)}],
        ['POST', $MESSAGES, 'messages.create', $its{account}, 201, 'done'], 'what was asked';
    is_deeply $first->{params}, {To => ADA, From => $its{from}, Body => "Zo\x{EB}"}, 'the form';
    is $first->{headers}{authorization}, "Basic $its{account}:***", 'and who has asked';
    cmp_ok abs($first->{time} - time), '<', 10, 'and when';
    unlike encode_json(\@requests), qr/\Q$its{token}\E|secret-of-somebody/, 'passwords are nowhere';
    is_deeply [@$second{qw(call fault status)}], ['verifications.create', 'status 500', 500], 'one that went wrong';
    is_deeply [@$third{qw(path call status)}], ['/x', undef, 404], 'one that there is no call for';
    is_deeply [@$fourth{qw(path call status)}], ['/hook', 'hook', 200], 'a webhook';
    is_deeply $sms->stats->{call}, {'messages.create' => 1, 'verifications.create' => 1, hook => 1}, 'counted';
    is $sms->stats->{requests}, 4, 'in all';
    $sms->reset;
    is_deeply [$sms->requests], [], 'reset: nothing is kept';
};

# --------------------------------------------------------------- start and stop ----

subtest 'as a program' => sub {
    like $sms->url, qr{\Ahttps://127\.0\.0\.1:\d+\z}, 'https';
    my $stranger = Mojo::UserAgent->new->get($sms->url . '/healthz');
    ok $stranger->error && !$stranger->res->code, 'whoever does not trust it does not talk to it';
    my $pid = $sms->pid;
    is $sms->stop, 0, 'it stops when it is told to';
    ok !kill(0 => $pid), 'and is gone';

    my $program = "$FindBin::Bin/standin/sms";
    like qx{$^X $program --help}, qr/sms - a stand-in for SMS gateways/, 'the manual';
    like qx{$^X $program --tls-cert x 2>&1}, qr/--tls-cert and --tls-key go together/, 'a mistake';
};

done_testing;
