# SPDX-License-Identifier: Apache-2.0
# At a million messages no statement reads a big table from end to end: not as the module runs it, not inside the
# functions that it calls, not by a plan made for any parameters.
#
# Postgres itself tells: auto_explain logs the plan of everything that runs while requests go through the server.
# Takes long: see Gemclone::Suite.
use Mojo::Base -strict, -signatures;

use Gemclone::Check;
use Gemclone::Events;
use Gemclone::Paths qw(secret_file temp_dir);
use Gemclone::Shop;
use Gemclone::SmsStandin;
use Gemclone::Statements;
use Mojo::File qw(path);
use Mojo::JSON qw(decode_json);
use Test::More;
use Time::HiRes qw(sleep);

use constant {USERS => 20_000, ROOMS => 50_000, MESSAGES => 1_000_000, BIG => 5_000};

my ($sms, $keys) = (Gemclone::SmsStandin->start, temp_dir);
my %is = %{$sms->credentials};
my @TWILIO = ('GemcloneOTPReveal Off', 'GemcloneSMSURL ' . $sms->api_url, 'GemcloneSMSCAFile ' . $sms->ca_file,
    "GemcloneSMSAccount $is{account}", 'GemcloneSMSKey file:' . secret_file("$keys/sms", $is{token}));
my @HOSTS = map { my ($host, @directives) = @$_; ('<VirtualHost *:*>', "ServerName $host", ($host =~ /main/ ? () : "GemcloneSite $host"), @directives, '</VirtualHost>') }
    ["main.test"], ['twilio.test', @TWILIO, 'GemcloneOTPDelivery twilio', "GemcloneSMSFrom $is{from}"],
    ['verify.test', @TWILIO, 'GemcloneOTPDelivery twilio-verify', "GemcloneSMSService $is{verify_service}"];

my $shop = Gemclone::Shop->start(
    children => 1,
    directives => [
        'GemcloneQuota basic unlimited',
        'GemcloneLease 1s',
        'GemcloneDatabaseTimeout 20s',
        'GemcloneGeminiBackoff 50ms',
        'GemcloneLimit password 100',
        '<Location "/admin">', 'SetHandler gemclone-admin', 'Require local', '</Location>', @HOSTS
    ],
    postgres => {
        settings => {
            shared_preload_libraries => 'auto_explain',
            'auto_explain.log_min_duration' => 0,
            'auto_explain.log_nested_statements' => 'on',
            'auto_explain.log_format' => 'json',
            'auto_explain.log_level' => 'log',
            shared_buffers => '512MB',
            max_wal_size => '8GB',
            autovacuum => 'off',
            log_line_prefix => '',
        }
    },
);
my $stack = $shop->stack;
$stack->log->expect(qr/GEM0104/, qr/GEM0007: GemcloneLease/, 'GEM0403', 'GEM0409');
my $dbh = $stack->dbh;
my %SQL = Gemclone::Statements->all;

# Rows as years of use leave them: most users idle, and a queue that another site does not work off.
my $ROWS = <<~'SQL';
    SET auto_explain.log_min_duration = -1;
    SET session_replication_role = 'replica';
    INSERT INTO gemclone.users (e164, mobile_number)
        SELECT '+1444' || lpad(i::text, 7, '0'), i FROM generate_series(1, :USERS) i;
    CREATE TEMP TABLE u AS SELECT id, row_number() OVER () - 1 AS n FROM gemclone.users;
    INSERT INTO gemclone.chatrooms (user_id, title, created_at)
        SELECT u.id, 'Room', now() - i * interval '1 min' FROM generate_series(1, :ROOMS) i JOIN u ON u.n = i % :USERS;
    CREATE TEMP TABLE r AS SELECT id, user_id, row_number() OVER () - 1 AS n FROM gemclone.chatrooms;
    INSERT INTO gemclone.messages (room_id, id, parent_id, sender, status, content, tokens)
        SELECT r.id, 2 * i + k, CASE k WHEN 1 THEN 2 * i END, CASE k WHEN 1 THEN 'gemini' ELSE 'user' END, 'done', 'x', 2
        FROM generate_series(1, :MESSAGES / 2) i JOIN r ON r.n = i % :ROOMS, generate_series(0, 1) k;
    SELECT setval('gemclone.message_id', 3 * :MESSAGES);
    INSERT INTO gemclone.sessions (id, user_id, purpose, access_until, expires_at, ends_at)
        SELECT gen_random_uuid(), id, 'login', now(), now() + interval '1 day', now() + interval '1 day'
        FROM u, generate_series(1, 3);
    INSERT INTO gemclone.sessions_ended SELECT id, now() + interval '1 day', now() - interval '1 hour' FROM u;
    INSERT INTO gemclone.deliveries (site, e164, purpose, expires_at) SELECT 'another', e164, 'login', now() + interval '1 day' FROM gemclone.users;
    INSERT INTO gemclone.otps SELECT e164, 'login', '\x00', now() FROM gemclone.users;
    INSERT INTO gemclone.limits SELECT 'otp-try', e164, 1, now() FROM gemclone.users;
    INSERT INTO gemclone.usage (user_id, day, prompts) SELECT id, current_date - i, 3 FROM u, generate_series(0, 4) i;
    INSERT INTO gemclone.idempotency SELECT id, 'key-' || i, '\x00', '{}' FROM u, generate_series(1, 3) i;
    INSERT INTO gemclone.tickets
        SELECT decode(md5(id::text), 'hex'), user_id, id, 1, now() + interval '1 day' FROM r;
    INSERT INTO gemclone.jobs (reply_id, room_id, user_id, site, due_at, charged_on)
        SELECT m.id, m.room_id, r.user_id, 'another', now(), current_date
        FROM gemclone.messages m JOIN r ON r.id = m.room_id
        WHERE m.sender = 'gemini' AND r.n < 20000 AND m.id < 200000 LIMIT 20000;
    INSERT INTO gemclone.failures (room_id, reply_id, user_id, site, tries, lost, error, refunded, charged_on, created_at)
        SELECT m.room_id, m.id, r.user_id, 'another', 1, 0, 'upstream', true, current_date, now()
        FROM gemclone.messages m JOIN r ON r.id = m.room_id
        WHERE m.sender = 'gemini' AND r.n >= 20000 AND m.id < 200000 LIMIT 20000;
    INSERT INTO gemclone.customers (id, user_id) SELECT 'cus_' || n, id FROM u;
    INSERT INTO gemclone.checkouts (user_id, price, session, subscription)
        SELECT id, 'price_x', 'cs_' || n, 'sub_' || n FROM u;
    INSERT INTO gemclone.subscriptions (id, customer, user_id, status, period_end, created_at, asked_at)
        SELECT 'sub_' || n, 'cus_' || n, id, 'canceled', now(), now(), now() FROM u;
    INSERT INTO gemclone.reversals SELECT 'ch_' || n, 'cus_' || n, 'refund', 'refunded', now() FROM u;
    INSERT INTO gemclone.stripe_events (id, type, payload, due_at, ended_at) SELECT 'evt_' || n, 'x', '', NULL, now() FROM u;
    ANALYZE;
    SET session_replication_role = 'origin';
    SQL

sub fill () {
    my %number = (USERS => USERS, ROOMS => ROOMS, MESSAGES => MESSAGES);
    $dbh->do($_, {pg_direct => 1}) for split /;\n/, $ROWS =~ s/:([A-Z]+)/$number{$1}/gr;
    return;
}

# Every plan that Postgres has logged: {text, plan}.
sub plans () {
    my $log = path($stack->postgres->log)->slurp;
    return map { my $logged = decode_json($_); {text => $logged->{'Query Text'}, plan => $logged->{Plan}} }
        $log =~ /^LOG:  duration: .*?plan:\n((?:\t.*\n|\s*[{}].*\n)+)/mg;
}

# The tables that a plan reads from end to end.
sub scanned ($node) {
    return (($node->{'Node Type'} eq 'Seq Scan' ? $node->{'Relation Name'} : ()),
        map { scanned($_) } @{$node->{Plans} // []});
}

# A subscription, and all that can become of one.
sub buy_and_regret ($user) {
    my $paid = $shop->buy($user);
    $user->post('/subscribe/portal', '');
    $shop->stripe->act($paid->{charge} => 'refund');
    $shop->stripe->act($paid->{subscription} => 'end');
    $shop->stripe->make_event('customer.subscription.updated', data => {id => 'sub_unknown', object => 'subscription', customer => $paid->{customer}});
    $shop->stripe->act($paid->{customer} => 'delete');
    $shop->settle;
    return $shop->status($user);
}

# All ways in, and out again.
sub sign_in_and_out ($user) {
    my $number = $user->user->{mobile_number};
    for my $host (qw(twilio.test verify.test)) {
        my %to = (Host => $host);
        $sms->go_wrong({status => 429}) if $host eq 'twilio.test';
        $user->post('/auth/send-otp', {mobile_number => $number, purpose => 'login'}, %to);
        my $otp = eventually(sub { ($sms->outbox($number))[-1] && $sms->code_for($number) });
        $user->post('/auth/verify-otp', {mobile_number => $number, otp => $otp, purpose => 'login'}, %to);
    }
    $user->post('/auth/change-password', {new_password => 'correct horse'});
    my $tokens = $user->post('/auth/login', {mobile_number => $number, password => 'correct horse'})->json;
    $tokens = $user->post('/auth/refresh', {refresh_token => $tokens->{refresh_token}})->json;
    my $other = $stack->client(token => $tokens->{access_token});
    my ($one) = grep { !$_->{current} } @{$other->get('/auth/sessions')->json->{sessions}};
    $other->delete("/auth/sessions/$one->{id}");
    $other->delete('/auth/sessions');
    return $user->sign_in($number);
}

# The admin page, about a user and one of their rooms.
sub look_after ($user, $room) {
    local $ENV{GEMCLONE_JOURNAL};    # openapi.json does not describe it
    my $admin = $stack->client(url => $stack->url . '/admin');
    $admin->get($_) for '/status', map({"/jobs?state=$_&limit=1"} qw(running waiting failed)), '/users?number=' . $user->user->{mobile_number},
        map {"/webhooks?state=$_&limit=1"} qw(waiting failing done);
    my $path = '/users/' . $user->user->{id};
    $admin->get($path);
    $admin->patch($path, {tier => 'basic'});
    my ($failed) = @{$admin->get('/jobs?state=failed')->json->{jobs}};
    $admin->post("/jobs/$failed->{chatroom_id}/$failed->{id}/retry", {});
    my $slow = $user->send($room, 'Slow [[delay=3000]]')->{reply}{id};
    $admin->post("/jobs/$room/$slow/drop", {});
    $user->wait_reply($room, $slow);
    my ($event) = @{$admin->get('/webhooks?state=done&limit=1')->json->{webhooks}};
    $admin->get("/webhooks/$event->{id}");
    $admin->post("/webhooks/$event->{id}/replay", {});
    return $shop->settle;
}

# Requests that make the module run everything that it has.
sub use_everything () {
    my $user = sign_in_and_out($stack->new_user);
    $user->get($_) for '/readyz', '/user/me', '/user/me/usage';
    $user->patch('/user/me', {name => 'x'});
    my %once = (mobile_number => $user->new_number);
    $stack->client->post('/auth/signup', \%once, 'Idempotency-Key' => 'once') for 1 .. 2;
    $user->post('/chat/chatroom', {title => 'x'}, 'Idempotency-Key' => 'room') for 1 .. 2;
    my @rooms = map { $user->room } 1 .. 3;
    $user->rooms;
    my $page = $user->get('/chat/chatroom?limit=1')->json;
    $user->get("/chat/chatroom?limit=1&cursor=$page->{next_cursor}");
    $user->get("/chat/chatroom/$rooms[0]");
    $user->patch("/chat/chatroom/$rooms[0]", {title => 'x'});
    $user->delete("/chat/chatroom/$rooms[2]");
    my @replies;
    for my $prompt ('Hello', 'And [[delay=1500]]', '[[status=503]] [[times=1]]', '[[status=400]]') {
        push @replies, $user->send($rooms[0], $prompt, 'Idempotency-Key' => "key $prompt" =~ s/\W/_/gr)->{reply}{id};
    }
    all_at_once map { $user->transaction(POST => "/message/$rooms[1]", {content => "Prompt $_"}) } 1 .. 10;
    $user->post("/message/$rooms[0]", {content => 'Hello'}, 'Idempotency-Key' => 'key_Hello');
    $user->wait_reply($rooms[0], $_) for @replies;
    $user->messages($rooms[0]);
    $page = $user->get("/message/$rooms[0]?limit=2")->json;
    $user->get("/message/$rooms[0]?limit=2&cursor=$page->{next_cursor}");
    eventually(sub { !grep { $_->{status} =~ /pending|generating/ } @{$user->messages($rooms[1])} });
    my ($room, $last) = ($rooms[1], $user->messages($rooms[1])->[-1]{id});
    my $ticket = $user->post('/auth/stream-ticket', {message_id => $last})->json->{ticket};
    $stack->client->get("/message/$room/$last/events?ticket=$ticket");
    my @events = Gemclone::Events->of_prompt($user, $room, 'Streamed [[delay=300]]')->rest;
    $user->post("/message/$room/$events[0]{data}{reply}{id}/regenerate", '', 'Idempotency-Key' => 'regenerate');
    my $slow = $user->send($room, 'Slow [[delay=3000]]')->{reply}{id};
    sleep 0.7;
    $user->post("/message/$room/$slow/cancel", '');
    $user->wait_reply($room, $slow);
    $user->get($_) for "/chat/chatroom/$room/export", '/user/me/export';
    buy_and_regret($user);
    look_after($user, $room);
    $stack->new_user->delete('/user/me');
    return $user->get('/chat/chatroom')->code;
}

fill;
my %BIG = map { $_->[0] => $_->[1] } @{$dbh->selectall_arrayref(q{SELECT relname, reltuples FROM pg_class
    WHERE relnamespace = 'gemclone'::regnamespace AND relkind = 'r' AND reltuples > } . BIG)};
cmp_ok $BIG{messages} // 0, '>=', MESSAGES, 'there are a million messages';
is_deeply [sort keys %BIG], [qw(chatrooms checkouts customers deliveries failures idempotency jobs limits messages otps reversals sessions sessions_ended stripe_events subscriptions
    tickets usage users)],
    'and every table is big';

is use_everything(), 200, 'a user has used everything';
sleep 0.5;
my @plans = plans;
cmp_ok scalar @plans, '>', 100, 'Postgres has told its plans';
for my $name (sort keys %SQL) {
    ok scalar(grep { index($_->{text}, $SQL{$name}) >= 0 } @plans), "$name has run";
}
my @nested = grep {
    my $plan = $_;
    !grep { index($plan->{text}, $_) >= 0 } values %SQL
} @plans;
cmp_ok scalar(grep { $_->{text} =~ /INSERT INTO gemclone\.messages/ } @nested), '>', 0,
    'so has what functions hold inside';

my %bad;
for my $plan (@plans) {
    $bad{"$_ by: " . $plan->{text} =~ s/\s+/ /gr} = 1 for grep { $BIG{$_} } scanned($plan->{plan});
}
is_deeply [sort keys %bad], [], 'no big table was read from end to end';

# And as Postgres would plan it once and for all, which it may do for what it has prepared.
$dbh->do('SET plan_cache_mode = force_generic_plan');
for my $name (sort keys %SQL) {
    my $count = Gemclone::Statements->parameters($SQL{$name});
    $dbh->do("PREPARE generic_\L$name\E AS $SQL{$name}", {pg_direct => 1});
    my $arguments = $count ? '(' . join(', ', ('NULL') x $count) . ')' : '';
    my ($json) = $dbh->selectrow_array("EXPLAIN (FORMAT json) EXECUTE generic_\L$name\E$arguments");
    is_deeply [grep { $BIG{$_} } scanned(decode_json($json)->[0]{Plan})], [],
        "$name needs none either when planned for any parameters";
}
done_testing;
