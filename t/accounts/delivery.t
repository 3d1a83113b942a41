# SPDX-License-Identifier: Apache-2.0
# One-time codes on their way to phones: by each gateway, through faults, kills and restarts, and never twice.
use Mojo::Base -strict, -signatures;

use Gemclone::Check;
use Gemclone::Client;
use Gemclone::Paths qw(secret_file temp_dir);
use Gemclone::Secrets;
use Gemclone::SmsStandin;
use Gemclone::Stack;
use Test::More;
use Time::HiRes qw(sleep time);

plan tests => 18;

my $sms = Gemclone::SmsStandin->start;
my %is = %{$sms->credentials};
my $keys = temp_dir;

# Virtual hosts, each with a gateway of its own.
my %TWILIO = (
    'GemcloneSMSURL' => $sms->api_url, 'GemcloneSMSAccount' => $is{account},
    'GemcloneSMSKey' => 'file:' . secret_file("$keys/token", $is{token}),
);
my %HOSTS = (
    'main.test'    => {},
    'twilio.test'  => {%TWILIO, GemcloneOTPDelivery => 'twilio', GemcloneSMSFrom => $is{from}},
    'service.test' => {
        %TWILIO,
        GemcloneOTPDelivery => 'twilio',
        GemcloneSMSFrom     => $is{messaging_service},
        GemcloneSMSKeyId    => $is{key},
        GemcloneSMSKey      => 'file:' . secret_file("$keys/secret", $is{key_secret}),
        GemcloneSMSText     => '"Ihr Schlüssel: {code} & mehr"'
    },
    'denied.test' => {
        %TWILIO,
        GemcloneOTPDelivery => 'twilio',
        GemcloneSMSFrom     => $is{from},
        GemcloneSMSKey      => 'file:' . secret_file("$keys/wrong", 'of somebody else')
    },
    'verify.test' => {%TWILIO, GemcloneOTPDelivery => 'twilio-verify', GemcloneSMSService => $is{verify_service}},
    'hook.test'   => {
        GemcloneOTPDelivery => 'webhook',
        GemcloneSMSURL      => $sms->hook_url,
        GemcloneSMSKey      => 'file:' . secret_file("$keys/whsec", $is{webhook_secret})
    },
    'away.test' => {%TWILIO, GemcloneOTPDelivery => 'twilio', GemcloneSMSFrom => $is{from}, GemcloneSMSURL => 'https://127.0.0.1:1'},
    'budget.test' => {%TWILIO, GemcloneOTPDelivery => 'twilio', GemcloneSMSFrom => $is{from}, GemcloneLimit => 'otp-budget 3'},
);

my $stack = Gemclone::Stack->start(
    fsync      => 0,
    children   => 2,
    log_level  => 'info gemclone:trace8',
    directives => [
        'GemcloneOTPReveal Off', 'GemcloneSMSTimeout 5s', 'GemclonePoll 200ms', 'GemcloneSMSCAFile ' . $sms->ca_file,
        map { my $host = $_; my $with = $HOSTS{$host};
            ('<VirtualHost *:*>', "ServerName $host", "GemcloneSite $host", (map {"$_ $with->{$_}"} sort keys %$with), '</VirtualHost>') }
            sort { $b =~ /^main/ <=> $a =~ /^main/ || $a cmp $b } keys %HOSTS
    ],
);
$stack->log->expect(qr/GEM010[4567]/, qr/GEM0007: GemcloneOTPDelivery/, qr/AH00052: child pid \d+ exit signal Killed/, qr/GEM0407/);
local $ENV{GEMCLONE_SECRETS} = Gemclone::Secrets->begin($stack->dir . '/secrets');
my ($client, $dbh) = ($stack->client, $stack->dbh);
settings();

# What the stand-in is to find in the body of a webhook.
sub settings () { $sms->reset; return $sms->control({hook => {to => '/data/mobile_number', text => '/data/text'}}) }

sub send_otp ($host, $number, $purpose = 'login') {
    return $client->post('/auth/send-otp', {mobile_number => $number, purpose => $purpose}, Host => $host);
}

sub verify ($host, $number, $otp, $purpose = 'login') {
    return $client->post('/auth/verify-otp', {mobile_number => $number, otp => $otp, purpose => $purpose}, Host => $host);
}

sub new_number () {
    my $number = Gemclone::Client->new_number;
    $client->sign_up($number);
    return $number;
}

sub on_their_way () { return $dbh->selectrow_array('SELECT count(*) FROM gemclone.deliveries') }
sub settled ($seconds = 20) { return eventually(sub { !on_their_way }, $seconds) }
sub code_for ($number) { return eventually(sub { $sms->code_for($number) }, 10) }
sub wrong ($otp) { return sprintf '%06d', ($otp + 1) % 1_000_000 }

for my $host (qw(twilio.test service.test hook.test verify.test)) {
    subtest "$host brings a code" => sub {
        my $number = new_number;
        my $json = answer_ok(send_otp($host, $number), 200, 'it is asked for');
        is_deeply [keys %$json], ['message'], 'and not shown';
        my $otp = code_for($number);
        like $otp, qr/\A\d{6}\z/, 'it comes';
        problem_ok verify($host, $number, wrong($otp)), 400, 'a wrong one is wrong';
        problem_ok verify($host, $number, $otp, 'reset_password'), 400, 'the purpose counts';
        answer_ok verify($host, $number, $otp), 200, 'the right one is right';
        problem_ok verify($host, $number, $otp), 400, 'once';
        ok settled, 'nothing is left of it';
        is scalar(my @got = $sms->outbox($number)), 1, 'one message came';
        my $unknown = Gemclone::Client->new_number;
        same_answer send_otp($host, $unknown), send_otp($host, new_number), 'a number without an account is answered alike';
        ok settled, 'it goes no further';
        is scalar(@got = $sms->outbox($unknown)), 0, 'nothing is sent to it';
    };
}

subtest 'what is sent' => sub {
    my ($plain) = grep { $_->{text} && $_->{text} =~ /\A\d{6} is your code\.\z/ } $sms->outbox;
    ok $plain, 'the default text';
    my ($other) = grep { $_->{text} && $_->{text} =~ /\AIhr Schlüssel: \d{6} & mehr\z/ } $sms->outbox;
    ok $other, 'one of the configuration';
    my ($hook) = grep { $_->{path} eq '/hook' } $sms->requests;
    is_deeply [sort keys %{$hook->{json}{data}}], [qw(code expires_at mobile_number purpose text)], 'the data of a webhook'
        or diag explain $hook;
    is $hook->{json}{type}, 'otp.requested', 'its type';
};

subtest 'the log of codes' => sub {
    ok !scalar(grep { /\+1\d{10}/ } $stack->log->lines), 'no whole number stands in the error log';
};

subtest 'Twilio says no' => sub {
    settings();
    my $number = new_number;
    for my $fault ({code => 21610}, {code => 21211}, {failed => 30450}) {
        $sms->go_wrong($fault);
        answer_ok send_otp('twilio.test', $number), 200, 'the client is told nothing: ' . join ' ', %$fault;
        ok settled(5), 'it is given up';
    }
    is scalar(grep { $_->{path} =~ /Messages/ } $sms->requests), 3, 'and never tried again';
    is scalar(my @got = $sms->outbox($number)), 0, 'nothing came';
    $stack->log->expect(qr/GEM0104.*it is given up/);
};

subtest 'what surely was not sent is tried again' => sub {
    settings();
    my $number = new_number;
    $sms->go_wrong({status => 429}, {status => 429});
    send_otp('twilio.test', $number);
    my $otp = code_for($number);
    answer_ok verify('twilio.test', $number, $otp), 200, 'after two refusals for being too many it comes';
    is scalar(my @got = $sms->outbox($number)), 1, 'once';
    send_otp('away.test', $number);
    sleep 1.5;
    cmp_ok $dbh->selectrow_array(q{SELECT tries FROM gemclone.deliveries WHERE site = 'away.test'}) // 0, '>=', 2,
        'a gateway that is not there is looked for again';
    $dbh->do(q{DELETE FROM gemclone.deliveries WHERE site = 'away.test'});
};

subtest 'a code that is void before it was sent goes no further' => sub {
    settings();
    my $number = new_number;
    $sms->go_wrong(({status => 503}) x 5);
    for my $time (1 .. 4) {
        send_otp('hook.test', $number);
        ok eventually(sub { $time <= grep { $_->{path} eq '/hook' } $sms->requests }), "the gateway refuses code $time";
    }
    ok settled, 'it is mended';
    is scalar(my @got = $sms->outbox($number)), 1, 'one message comes of four codes';
    answer_ok verify('hook.test', $number, $sms->code_for($number)), 200, 'that of the last one';

    my $user = Gemclone::Client->new(url => $client->url);
    $number = new_number;
    send_otp('twilio.test', $number);
    $user->verify($number, code_for($number));
    send_otp('away.test', $number, 'reset_password');
    answer_ok $user->post('/auth/change-password', {new_password => 'correct horse'}), 200, 'so is that of before a new password';
    is on_their_way, 0, 'and is not on its way any more';
};

subtest 'what may have been sent is not sent again' => sub {
    settings();
    my @faults = ({status => 500}, {status => 503}, {how => 'close', after => \1}, {how => 'reset'}, {how => 'hang'},
        {how => 'garbage'}, {how => 'cut'});
    for my $fault (@faults) {
        my $number = new_number;
        $sms->go_wrong($fault);
        send_otp('twilio.test', $number);
        ok settled(20), 'over: ' . join ' ', map { ref $fault->{$_} ? $_ : "$_ $fault->{$_}" } sort keys %$fault;
        cmp_ok scalar(my @got = $sms->outbox($number)), '<=', 1, 'at most one message';
        is scalar(grep { ($_->{params}{To} // '') eq $number } $sms->requests), 1, 'of one request';
    }
    $sms->end_faults;
};

subtest 'a webhook is repeated by its id' => sub {
    settings();
    my $number = new_number;
    $sms->go_wrong({status => 500}, {how => 'close', after => \1}, {status => 503});
    send_otp('hook.test', $number);
    ok settled(20), 'until it is taken';
    my @asked = grep { $_->{path} eq '/hook' } $sms->requests;
    is scalar @asked, 4, 'four requests';
    is scalar(keys %{{map { ($_->{headers}{'webhook-id'} => 1) } @asked}}), 1, 'of one id' or diag explain $asked[0]{headers};
    is scalar(my @got = $sms->outbox($number)), 1, 'one message';
    answer_ok verify('hook.test', $number, $sms->code_for($number)), 200, 'which is good';
};

subtest 'a key that is refused' => sub {
    settings();
    my $number = new_number;
    send_otp('denied.test', $number) for 1 .. 2;
    ok eventually(sub { grep {/GEM0105/} $stack->log->lines }, 10), 'is told of';
    sleep 1.5;
    cmp_ok scalar(grep {/GEM0105/} $stack->log->lines), '<=', 2, 'once in each process';
    $dbh->do(q{DELETE FROM gemclone.deliveries WHERE site = 'denied.test'});
};

subtest 'Verify is away' => sub {
    settings();
    my $number = new_number;
    send_otp('verify.test', $number);
    my $otp = code_for($number);
    $sms->go_wrong({status => 500, path => '/v2/'});
    problem_ok verify('verify.test', $number, $otp), 503, 'the client is told to try again';
    $sms->go_wrong({how => 'hang', path => '/v2/'});
    my $began = time;
    problem_ok verify('verify.test', $number, $otp), 503, 'also when it hangs';
    cmp_ok time - $began, '<', 20, 'within the bound';
    answer_ok verify('verify.test', $number, $otp), 200, 'then the code is good still';
    send_otp('verify.test', $number);
    $otp = eventually(sub { my $is = $sms->code_for($number); $is ne $otp && $is });
    problem_ok verify('verify.test', $number, wrong($otp)), 400, 'wrong' for 1 .. 3;
    problem_ok verify('verify.test', $number, $otp), 400, 'the tries while it was away were tries';
};

subtest 'Verify knows one code of a number' => sub {
    settings();
    my $number = new_number;
    send_otp('verify.test', $number, $_) for qw(reset_password login);
    ok settled, 'a code for either purpose was asked for';
    my $otp = code_for($number);
    problem_ok verify('verify.test', $number, $otp, 'reset_password'), 400, 'it is for the purpose of the last';
    answer_ok verify('verify.test', $number, $otp), 200, 'alone';
};

subtest 'killed while it sends' => sub {
    settings();
    my ($twilio, $hook) = (new_number, new_number);
    $sms->go_wrong({delay => 1500, path => '/2010-04-01/'}, {delay => 1500, path => '/hook'});
    send_otp('twilio.test', $twilio);
    send_otp('hook.test', $hook);
    ok eventually(sub { 2 <= scalar(my @all = $sms->requests) }, 10), 'both are under way';
    kill KILL => $stack->apache->children_pids;
    sleep 2;
    ok eventually(sub { $client->get('/healthz')->code == 200 }), 'other processes take over';
    $dbh->do('UPDATE gemclone.deliveries SET due_at = now()');    # the lease of two minutes is over
    ok settled, 'nothing is left under way';
    is scalar(my @got = $sms->outbox($twilio)), 1, 'what Twilio had is not sent again';
    is scalar(@got = $sms->outbox($hook)), 1, 'nor is it by the webhook, which was asked again';
    cmp_ok scalar(grep { $_->{path} eq '/hook' } $sms->requests), '>=', 2, 'by the same id';
};

subtest 'a graceful restart loses no code' => sub {
    settings();
    $sms->control({hook => {to => '/data/mobile_number', text => '/data/text'}});
    my @numbers = map { new_number } 1 .. 10;
    $sms->go_wrong(map { {delay => 300} } @numbers);
    send_otp('twilio.test', $_) for @numbers;
    $stack->apache->graceful;
    ok settled, 'all are worked off';
    is_deeply [map { scalar(my @got = $sms->outbox($_)) } @numbers], [(1) x @numbers], 'each came once';
};

subtest 'the budget of a day' => sub {
    settings();
    $dbh->do(q{DELETE FROM gemclone.limits WHERE kind = 'otp-budget'});
    my @numbers = map { new_number } 1 .. 6;
    my @answers = map { $client->post('/auth/send-otp', {mobile_number => $_, purpose => 'login'}, Host => 'budget.test') } @numbers;
    ok settled, 'all are worked off';
    is scalar(grep { scalar(my @got = $sms->outbox($_)) } @numbers), 3, 'three are sent, whatever was asked for at once';
    my $unknown = Gemclone::Client->new_number;
    my $refused = problem_ok send_otp('budget.test', new_number), 503, 'then the day is over';
    same_answer send_otp('budget.test', $unknown), send_otp('budget.test', new_number), 'for all numbers alike';
    $dbh->do(q{UPDATE gemclone.limits SET window_ends = now() WHERE kind = 'otp-budget'});
    answer_ok send_otp('budget.test', new_number), 200, 'the next one begins anew';
};

subtest 'no code and no number stands where it does not belong' => sub {
    my $count = Gemclone::Secrets->counts;
    cmp_ok $count->{$_}, '>', 5, "$count->{$_} of kind $_ were used" for qw(number otp token);
    is_deeply [Gemclone::Secrets->search($stack)], [], 'neither in a log, nor in the database, nor in Redis';
};
