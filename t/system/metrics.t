# SPDX-License-Identifier: Apache-2.0
# What the server tells of itself: exact counts by whichever child, through kills and restarts; and that dashboard and
# alerts speak of nothing else.
use Mojo::Base -strict, -signatures;

use Gemclone::Check;
use Gemclone::Children;
use Gemclone::Client;
use Gemclone::Events;
use Gemclone::Paths qw(run_dir secret_file temp_dir top write_file);
use Gemclone::Shop;
use Gemclone::SmsStandin;
use Mojo::File qw(path);
use Mojo::IOLoop;
use Mojo::JSON qw(decode_json encode_json);
use Test::More;
use Time::HiRes qw(sleep time);

use constant CHILDREN => 2;

my $WORD = qr{[a-zA-Z_:][a-zA-Z0-9_:]*};

plan tests => 17;

my $sms = Gemclone::SmsStandin->start;
my $keys = temp_dir;
my $shop = Gemclone::Shop->start(
    children     => CHILDREN,
    more_modules => ['status'],
    directives   => [
        Gemclone::Children->DIRECTIVES, 'GemcloneMetrics On', 'GemcloneGeminiTries 2', 'GemcloneGeminiBackoff 50ms',
        'GemcloneGeminiFallback none', 'GemcloneDrainTimeout 2s', 'GemclonePoll 200ms', 'GemcloneLimit sign-in-address unlimited',
        'GemcloneLimit otp-cooldown unlimited', 'GemcloneLimit password 2 15min',
        'GemcloneSMSURL ' . $sms->hook_url, 'GemcloneSMSCAFile ' . $sms->ca_file,
        '<Location "/all-counts">', '    SetHandler gemclone-metrics', '    GemcloneEngine Off', '</Location>',
        '<Location "/server-status">', '    SetHandler server-status', '    GemcloneEngine Off', '</Location>',
        '<VirtualHost *:*>', 'ServerName main.test', '</VirtualHost>',
        '<VirtualHost *:*>', 'ServerName hook.test', 'GemcloneSite "the \"other\" one"', 'GemcloneOTPDelivery webhook',
        'GemcloneSMSKey file:' . secret_file("$keys/whsec", $sms->credentials->{webhook_secret}),
        'GemcloneMetrics Off', 'GemcloneServerStatus Off', '</VirtualHost>',
    ],
);
$sms->control({hook => {to => '/data/mobile_number', text => '/data/text'}});
my $stack = $shop->stack;
my ($apache, $standin, $client) = ($stack->apache, $stack->standin, $stack->client);
$stack->log->expect(qr/AH00052: child pid \d+ exit signal Killed/, 'GEM0102', 'GEM0104', 'GEM0108', 'GEM0110', 'GEM0402', 'GEM0403', 'GEM0409', 'GEM0410', 'GEM0704',
    qr/GEM020[123]|GEM030[12]|GEM0407/, qr/AH00629|AH00639|AH02655/);

my ($SITE, $OTHER) = ('site="default"', 'site="the \"other\" one"');

# --- Reading ----------------------------------------------------------------------

# Over a connection of its own: the child that had the last one may be gone.
sub text () { return $stack->client->get('/all-counts')->body }

# {series => value}, as it stands there.
sub counts ($text = text) { return {map { /^($WORD(?:\{.*\})?) (\S+)$/ ? ($1 => $2) : () } grep { !/^#/ } split /\n/, $text} }

# One of the usual site, or of another: name, labels.
sub at ($counts, $name, $labels = '', $site = $SITE) { return $counts->{"gemclone_$name\{" . join(',', $site, $labels || ()) . '}'} }

# What became more since then: {'name{labels}' => how much}, of series whose name is like that.
sub growth ($before, $like, $now = counts) {
    my %more;
    for my $series (grep {/^gemclone_(?:$like)\{/} keys %$now) {
        my $by = $now->{$series} - ($before->{$series} // 0);
        $more{$series =~ s/^gemclone_//r =~ s/\Q$SITE\E,?//r} = $by if $by;
    }
    return \%more;
}

# Counts are there a moment after the answer is.
sub grows_ok ($before, $like, $by, $what) {
    my $got;
    eventually(sub { $got = growth($before, $like); encode_json([%$got{sort keys %$got}]) eq encode_json([%$by{sort keys %$by}]) }, 10);
    return is_deeply $got, $by, $what;
}

sub becomes_ok ($name, $labels, $wanted, $what, $seconds = 15) {
    my $got;
    eventually(sub { $got = at(counts, $name, $labels); $got == $wanted }, $seconds);
    return is $got, $wanted, $what;
}

sub promtool ($input, @arguments) {
    my $program = run_dir->child('bin', 'promtool');
    $program = 'promtool' unless -x $program;
    my $file = write_file("$keys/input", $input);
    my $said = qx{'$program' @arguments < '$file' 2>&1};
    return $? ? "status $?: $said" : $said;
}

# Which child has the other end of a stream.
sub child_of ($events) {
    my $ports = sprintf '0100007F:%04X 0100007F:%04X', $apache->port, $events->socket->sockport;
    my ($inode) = join('', map { path($_)->slurp } grep { -e $_ } '/proc/net/tcp') =~ /\Q$ports\E(?:\s+\S+){6}\s+(\d+)/
        or die "no connection $ports\n";
    for my $pid ($apache->children_pids) {
        return $pid if grep { (readlink($_) // '') eq "socket:[$inode]" } glob "/proc/$pid/fd/*";
    }
    die "nobody has connection $ports\n";
}

# --- The text ------------------------------------------------------------------------

subtest 'requests' => sub {
    my @children = Gemclone::Children->of($apache);
    my $user = $stack->new_user;
    my %as_user = (Authorization => 'Bearer ' . $user->token);
    ok eventually(sub { at(counts, 'requests_total', 'route="/auth/verify-otp",method="POST",status="200"') }), 'are counted';
    my $before = counts;
    for my $child (@children) {
        $child->get('/user/me', %as_user) for 1 .. 7;
        $child->get('/user/me') for 1 .. 3;
        $child->request(HEAD => '/user/me', undef, %as_user);
        $child->request(PUT => '/user/me');
        $child->request(OPTIONS => '/user/me');
        $child->request(BREW => '/');
        $child->get('/nothing/of/the/kind') for 1 .. 2;
        $child->get('/chat/chatroom/00000000-0000-4000-8000-000000000000', %as_user);
        $child->get("/chatroom/$_", %as_user) for '00000000-0000-4000-8000-000000000000', 'x';
        $child->get('/a%2Fb');
    }
    grows_ok $before, 'requests_total', {
        map { ("requests_total{$_->[0]}" => CHILDREN * $_->[1]) }
            ['route="/user/me",method="GET",status="200"', 7], ['route="/user/me",method="GET",status="401"', 3],
        ['route="/user/me",method="HEAD",status="200"', 1], ['route="other",method="PUT",status="405"', 1],
        ['route="other",method="OPTIONS",status="204"', 1], ['route="other",method="other",status="405"', 1],
        ['route="other",method="GET",status="404"', 4], ['route="/chat/chatroom/{room}",method="GET",status="404"', 1],
        ['route="/chatroom/{room}",method="GET",status="404"', 1]
    }, 'exactly, by whichever child';
    my $times = growth($before, 'request_duration_seconds_count');
    is $times->{'request_duration_seconds_count{route="/user/me",method="GET"}'}, CHILDREN * 10, 'and so are their times';
    my $sums = growth($before, 'request_duration_seconds_sum');
    cmp_ok $sums->{'request_duration_seconds_sum{route="/user/me",method="GET"}'}, '>', 0, 'which add up';
    is at(counts, 'requests_in_flight'), 0, 'none is left in flight';
};

subtest 'the text' => sub {
    my $res = $client->get('/all-counts');
    is $res->headers->content_type, 'text/plain; version=0.0.4; charset=utf-8', 'has its type';
    is $res->headers->cache_control, 'no-store', 'and is not kept';
    is promtool($res->body, 'check metrics'), '', 'promtool has nothing to say about it';
    my $label = qr/$WORD="(?:[^"\\\n]|\\["\\n])*"/;
    is_deeply [grep { !/^# (?:HELP|TYPE) / && !/^$WORD(?:\{$label(?:,$label)*\})? -?\d+(?:\.\d+)?$/ } split /\n/, $res->body], [],
        'every line is one';
    my @listed = top->child('mod_gemclone', 'core', 'metric_list.h')->slurp =~ /"(gemclone_\w+)"/g;
    is_deeply [grep { $res->body !~ /^# TYPE $_ /m } @listed], [], 'every metric of the list is there';
    like $res->body, qr/^gemclone_build_info\{version="[0-9.]+"\} 1$/m, 'and the version';
    cmp_ok abs(counts()->{gemclone_start_time_seconds} - time), '<', 600, 'and since when it is counted';
    my %with = map { $_ => 1 } $res->body =~ /site="((?:[^"\\]|\\.)*)"/g;
    is_deeply [sort keys %with], ['default', 'the \"other\" one'], 'all sites are there';
    is $client->request(HEAD => '/all-counts')->body, '', 'HEAD has no body';
    is $client->post('/all-counts', '')->code, 405, 'nothing else can be done with it';
};

subtest 'the route' => sub {
    my $res = $client->get('/metrics');
    is $res->code, 200, 'is there by GemcloneMetrics';
    is $res->headers->content_type, 'text/plain; version=0.0.4; charset=utf-8', 'of the same type';
    is promtool($res->body, 'check metrics'), '', 'and as good';
    like $res->body, qr/\Q$SITE\E/, 'with its own site';
    unlike $res->body, qr/other\\/, 'and no other';
    problem_ok $client->get('/metrics', Host => 'hook.test'), 404, 'and nowhere else';
};

# --- What is counted -----------------------------------------------------------------

subtest 'accounts' => sub {
    my $before = counts;
    my $user = $stack->new_user;
    my $number = $user->user->{mobile_number};
    $client->post('/auth/verify-otp', {mobile_number => $number, purpose => 'login', otp => '000000'});
    $user->post('/auth/change-password', {new_password => 'correct horse'});
    $stack->client->log_in($number, 'correct horse');
    $client->post('/auth/login', {mobile_number => $number, password => 'wrong'}) for 1 .. 3;
    my $reset = $stack->client;
    $reset->verify($number, $reset->otp($number, 'reset_password'), 'reset_password');
    $client->post('/auth/refresh', {refresh_token => 'x'});
    my $other = $stack->client->sign_in($number);
    $other->post('/auth/logout', '');
    $user->delete('/auth/sessions');
    grows_ok $before, 'signups_total|sessions_\w+_total|sign_ins_refused_total|limited_total', {
        'signups_total{}' => 1, 'sessions_opened_total{by="otp"}' => 2, 'sessions_opened_total{by="password"}' => 1,
        'sessions_opened_total{by="reset"}' => 1, 'sign_ins_refused_total{by="otp"}' => 1, 'sign_ins_refused_total{by="password"}' => 3,
        'sign_ins_refused_total{by="refresh"}' => 1, 'sessions_ended_total{why="one"}' => 1, 'sessions_ended_total{why="all"}' => 1,
        'limited_total{limit="password"}' => 1
    }, 'what becomes of them is counted';
};

subtest 'codes' => sub {
    my $before = counts;
    my $number = Gemclone::Client->new_number;
    my $send = sub () {
        $client->post('/auth/send-otp', {mobile_number => $number, purpose => 'login'}, Host => 'hook.test');
        eventually(sub { !$stack->dbh->selectrow_array('SELECT count(*) FROM gemclone.deliveries') }) or die 'a code is on its way still';
    };
    $client->sign_up($number);
    $send->();
    ok eventually(sub { $sms->code_for($number) }), 'one is sent';
    my $kinds = sub (%is) { return {map { (qq(otp_deliveries_total{$OTHER,delivery="webhook",outcome="$_"}) => $is{$_}) } keys %is} };
    grows_ok $before, 'otp_deliveries_total', $kinds->(sent => 1), 'and counted, for its site and its way';
    $sms->go_wrong({status => 400});
    $send->();
    $sms->go_wrong({status => 503});
    $send->();
    eventually(sub { @{[grep {/failed/} keys %{growth($before, 'otp_deliveries_total')}]} });
    my $is = growth($before, 'otp_deliveries_total');
    my $failed = $is->{qq(otp_deliveries_total{$OTHER,delivery="webhook",outcome="failed"})};
    is $failed, 1, 'one is refused';
    is $is->{qq(otp_deliveries_total{$OTHER,delivery="webhook",outcome="again"})}, 1, 'one is tried again';
    is $is->{qq(otp_deliveries_total{$OTHER,delivery="webhook",outcome="sent"})}, 2, 'and sent then';
};

subtest 'replies' => sub {
    my $before = counts;
    my $user = $stack->new_user;
    my $room = $user->room;
    my $ask = sub ($prompt) { return $user->wait_reply($room, $user->send($room, $prompt)->{reply}{id}) };
    my @done = map { $ask->($_) } 'Hello', '[[thoughts=1]] [[status=503]] [[times=1]] And again';
    is $ask->('[[block=SAFETY]]')->{error}, 'blocked', 'one is blocked';
    is $ask->('[[status=400]]')->{error}, 'upstream', 'one fails';
    $standin->control({delay => 60_000});
    my $id = $user->send($room, 'Wait')->{reply}{id};
    becomes_ok 'gemini_calls_in_flight', '', 1, 'a call is in flight';
    is at(counts, 'replies_running'), 1, 'and its reply in hand';
    $user->post("/message/$room/$id/cancel", '');
    $user->wait_reply($room, $id);
    $standin->control({});
    is $user->post("/message/$room", {content => 'One more'})->code, 201, 'what failed by no fault of the user was given back' for 1 .. 2;
    eventually(sub { !grep { $_->{status} =~ /pending|generating/ } @{$user->messages($room)} });
    is $user->post("/message/$room", {content => 'Too many'})->code, 429, 'the quota is used up';
    grows_ok $before, 'prompts_total|prompts_refused_total|replies_total|reply_retries_total', {
        'prompts_total{}' => 7, 'prompts_refused_total{reason="quota"}' => 1, 'replies_total{state="done",error=""}' => 4,
        'replies_total{state="cancelled",error=""}' => 1, 'replies_total{state="failed",error="blocked"}' => 1,
        'replies_total{state="failed",error="upstream"}' => 1, 'reply_retries_total{error="upstream"}' => 1
    }, 'each end is counted once';
    my %tokens = (prompt => 'prompt_tokens', cached => 'cached_tokens', thought => 'thought_tokens', reply => 'tokens');
    my @ended = grep { $_->{sender} eq 'gemini' && ($_->{status} eq 'done') } map { $user->get("/message/$room/$_->{id}")->json->{data} } @{$user->messages($room)};
    my $is = growth($before, 'tokens_total');
    for my $kind (sort keys %tokens) {
        my $sum = 0;
        $sum += $_->{$tokens{$kind}} // 0 for @ended;
        cmp_ok $is->{qq(tokens_total{kind="$kind"})} // 0, $kind eq 'prompt' ? '>=' : '==', $sum, "tokens: $kind";
    }
    is growth($before, 'gemini_calls_total')->{'gemini_calls_total{outcome="failed"}'}, 2, 'calls that failed';
    is growth($before, 'reply_first_token_seconds_count')->{'reply_first_token_seconds_count{}'}, 4, 'first texts';
    is growth($before, 'reply_duration_seconds_count')->{'reply_duration_seconds_count{}'}, 4, 'whole replies';
    is at(counts, $_), 0, "$_: none is left" for qw(gemini_calls_in_flight replies_running replies_unstored);
    becomes_ok 'queue_owed', '', 0, 'queue_owed: none is left, at the next count';
};

subtest 'circuits' => sub {
    my $before = counts;
    my $user = $stack->new_user;
    my $room = $user->room;
    $user->wait_reply($room, $user->send($room, '[[status=429]] [[retry=1s]] [[times=1]] Slowly')->{reply}{id});
    is growth($before, 'gemini_circuit_openings_total')->{'gemini_circuit_openings_total{reason="rate-limit"}'}, 1, 'one was opened';
    is growth($before, 'reply_retries_total')->{'reply_retries_total{error="rate_limited"}'}, 1, 'a reply waited for it';
};

subtest 'webhooks' => sub {
    my $before = counts;
    my $payload = encode_json {id => 'evt_1', object => 'event', type => 'something.happened', livemode => \0,
        api_version => '2026-07-29.dahlia', created => int time, data => {object => {id => 'th_1', object => 'thing'}}};
    my $deliver = sub ($secret) {
        $client->post('/webhook/stripe', $payload, 'Content-Type' => 'application/json',
            'Stripe-Signature' => Gemclone::StripeStandin->signature($payload, [$secret], int time));
    };
    $deliver->($_) for (Gemclone::Shop::SECRET) x 3, ('whsec_x') x 2;
    grows_ok $before, 'webhooks_total|stripe_events_total', {
        'webhooks_total{result="accepted"}' => 1, 'webhooks_total{result="repeated"}' => 2, 'webhooks_total{result="refused"}' => 2,
        'stripe_events_total{result="ignored"}' => 1
    }, 'are counted, and what becomes of them';
    becomes_ok 'stripe_events_waiting', '', 0, 'none waits';
};

subtest 'the cache' => sub {
    my $user = $stack->new_user;
    my @children = Gemclone::Children->of($apache);
    $user->get('/user/me');
    my $before = counts;
    $_->get('/user/me', Authorization => 'Bearer ' . $user->token) for map { ($_) x 5 } @children;
    ok eventually(sub { my $is = growth($before, 'cache_lookups_total'); ($is->{'cache_lookups_total{result="near"}'} // 0) >= 8 }), 'answers are found in the child';
    cmp_ok at(counts, 'cache_near_entries'), '>=', CHILDREN, 'which keeps them';
    cmp_ok at(counts, 'cache_near_bytes'), '>', 0, 'in some memory';
    cmp_ok growth($before, 'redis_commands_total')->{'redis_commands_total{outcome="ok"}'} // 0, '<=', CHILDREN, 'Redis is hardly asked';
};

# --- Children come and go --------------------------------------------------------------

# Readers of replies that do not end, at least one in each child.
sub open_streams ($user) {
    my (@streams, %in);
    for (1 .. 200) {
        my $room = $user->room;
        my $events = Gemclone::Events->of_reply($user, $room, $user->send($room, 'Wait')->{reply}{id});
        $events->answered;
        push @streams, $events;
        $in{child_of($events)}++;
        return (\@streams, \%in) if @streams >= 4 && keys %in == CHILDREN;
    }
    die "one child takes all connections\n";
}

# A user who may send as much as they like.
sub pro () {
    my $user = $stack->new_user;
    $stack->dbh->do(q{UPDATE gemclone.users SET tier = 'pro' WHERE id = ?}, {}, $user->user->{id});
    return $user;
}

subtest 'streams, and a child that is killed' => sub {
    $standin->control({delay => 60_000});
    my $before = counts;
    my ($streams, $in) = open_streams(pro);
    becomes_ok 'streams_open', '', scalar @$streams, 'streams are counted while they are open';
    is at(counts, 'streams_limit'), CHILDREN * 1000, 'so is how many may be';
    is at(counts, 'requests_in_flight'), 0, 'they are no requests in flight';
    my $route = 'route="/message/{room}/{id}/events",method="GET"';
    is at(counts, 'requests_total', "$route,status=\"200\"") // 0, 0, 'nor have they ended';
    my @settled = map { at(counts, $_) } qw(signups_total prompts_total streams_opened_total);
    my ($victim) = sort keys %$in;
    my $kept = counts;
    kill KILL => $victim;
    becomes_ok 'streams_open', '', @$streams - $in->{$victim}, 'those of a child that was killed are no more';
    becomes_ok 'streams_limit', '', CHILDREN * 1000, 'another child has taken its place';
    my $now = counts;
    is_deeply [grep { /_total\{|_count\{|_bucket\{/ && $now->{$_} < $kept->{$_} } keys %$kept], [], 'nothing that was counted is lost';
    is growth($before, 'streams_opened_total')->{'streams_opened_total{kind="new"}'}, scalar @$streams, 'all were opened';
    is $now->{gemclone_children}, CHILDREN, 'as many children as before';

    $_->close for @$streams;
    becomes_ok 'streams_open', '', 0, 'the others end when their readers leave';
    my $ended = @$streams - $in->{$victim};
    grows_ok $before, 'stream_duration_seconds_count', {'stream_duration_seconds_count{}' => $ended}, 'and are counted then, once';
    is at(counts, 'requests_total', "$route,status=\"200\""), $ended, 'as requests, too';
    is at(counts, 'request_duration_seconds_count', $route), 0, 'but not among their times';
    $standin->control({});
};

subtest 'streams that are resumed, replayed, refused' => sub {
    my $user = pro;
    my $room = $user->room;
    eventually(sub { at(counts, 'queue_owed') == 0 }, 40);
    my $before = counts;
    my $id = $user->send($room, '[[chunks=40]] [[gap=50]] Count')->{reply}{id};
    my $events = Gemclone::Events->of_reply($user, $room, $id);
    my $last = $events->next->{id};
    $events->close;
    Gemclone::Events->of_reply($user, $room, $id, last => $last)->rest;
    Gemclone::Events->of_reply($user, $room, $id)->rest;
    grows_ok $before, 'streams_\w+_total', {'streams_opened_total{kind="new"}' => 1, 'streams_opened_total{kind="resumed"}' => 1,
        'streams_replayed_total{}' => 1}, 'are told apart';
};

sub tick () { Mojo::IOLoop->timer(0.05 => sub {}); return Mojo::IOLoop->one_tick }

subtest 'requests that wait' => sub {
    my $user = $stack->new_user;
    my ($answer, $seen);
    kill STOP => $shop->stripe->pid;
    $user->ua->start_p($user->transaction(POST => '/subscribe/pro', ''))->then(sub ($tx) { $answer = $tx->res });
    eventually(sub {
        tick();
        my $now = counts;
        return $seen = !$answer && at($now, 'requests_waiting') == 1 && at($now, 'requests_in_flight') == 1;
    }, 4);
    kill CONT => $shop->stripe->pid;
    ok $seen, 'are counted while Stripe takes its time';
    eventually(sub { tick(); $answer });
    is $answer && $answer->code, 200, 'then they are answered';
    becomes_ok $_, '', 0, "$_: none is left" for qw(requests_waiting requests_in_flight);
};

subtest 'a graceful restart' => sub {
    my ($before, %old) = (counts, map { $_ => 1 } $apache->children_pids);
    $apache->graceful;
    ok eventually(sub { my @pids = $apache->children_pids; @pids == CHILDREN && !grep { $old{$_} } @pids }), 'all children are others';
    ok eventually(sub { counts()->{gemclone_children} == CHILDREN }), 'which is known';
    my $now = counts;
    is_deeply [grep { /_total\{|_count\{|_bucket\{/ && ($now->{$_} // -1) < $before->{$_} } keys %$before], [], 'nothing that was counted is lost';
    is $now->{gemclone_start_time_seconds}, $before->{gemclone_start_time_seconds}, 'counting goes on';
    $stack->client->get('/user/me') for 1 .. 3;
    grows_ok $before, 'requests_total', {'requests_total{route="/user/me",method="GET",status="401"}' => 3}, 'from there';
};

subtest 'what is needed is away' => sub {
    becomes_ok 'redis_connected', '', CHILDREN, 'all children hear of Redis';
    $stack->redis->stop;
    becomes_ok 'redis_connected', '', 0, 'none does when it is gone';
    is at(counts, 'redis_wanted'), CHILDREN, 'though all want to';
    $stack->redis->start;
    becomes_ok 'redis_connected', '', CHILDREN, 'until it is back';
    is at(counts, 'database_unreachable'), 0, 'all children reach Postgres';
    $stack->postgres->stop;
    becomes_ok 'database_unreachable', '', CHILDREN, 'none does when it is gone';
    $stack->postgres->start;
    becomes_ok 'database_unreachable', '', 0, 'until it is back';
    becomes_ok 'database_connections_in_use', '', 0, 'no connection is left in use';
};

# --- What is made of it ------------------------------------------------------------------

subtest 'the status page' => sub {
    my $page = $stack->client->get('/server-status')->body;
    like $page, qr{Gemclone: site default.*<tr><td>Requests</td><td>\d+</td></tr>.*<td>Tokens of replies</td>}s, 'has a section';
    unlike $page, qr{Gemclone: site the}, 'but not for a site that does not want one';
    my %is = $stack->client->get('/server-status?auto')->body =~ /^Gemclone(\w+): (-?\d+)$/mg;
    my $counts = counts;
    is $is{RepliesDone}, at($counts, 'replies_total', 'state="done",error=""'), 'and tells the same to programs';
    is $is{CacheNear}, at($counts, 'cache_lookups_total', 'result="near"'), '... of the cache';
    cmp_ok $is{Requests}, '>', 100, '... of requests';
    cmp_ok $is{RepliesFailed}, '==', 2, '... of replies that failed';
};

# Names of metrics in a text, as a scrape has them in its TYPE lines.
sub names_in ($text) {
    my %seen = map { s/_(?:bucket|sum|count)$//r => 1 } $text =~ /\b(gemclone_[a-z_]+)\b/g;
    return sort keys %seen;
}

subtest 'the dashboard' => sub {
    my $dashboard = decode_json top->child('conf', 'grafana.json')->slurp;
    my $all = text;
    my @panels = grep { $_->{type} ne 'row' } @{$dashboard->{panels}};
    my @exprs = map { $_->{expr} } map { @{$_->{targets}} } @panels;
    cmp_ok @exprs, '>', 50, 'shows a lot';
    is_deeply [grep { $all !~ /^# TYPE $_ /m } names_in(join ' ', @exprs, encode_json $dashboard->{templating}, encode_json $dashboard->{annotations})], [],
        'and nothing that there is not';
    my %shown = map { $_ => 1 } names_in("@exprs");
    note 'not shown: ', join ' ', grep { !$shown{$_} } $all =~ /^# TYPE (\S+)/mg;
    my %ids;
    is_deeply [grep { $ids{$_->{id}}++ } @{$dashboard->{panels}}], [], 'each panel has an id of its own';
    my (@over, %taken);
    for my $panel (@{$dashboard->{panels}}) {
        my ($x, $y, $w, $h) = @{$panel->{gridPos}}{qw(x y w h)};
        push @over, $panel->{title} if $x + $w > 24;
        for my $at (map { my $column = $_; map {"$column,$_"} $y .. $y + $h - 1 } $x .. $x + $w - 1) { push @over, $panel->{title} if $taken{$at}++ }
    }
    is_deeply \@over, [], 'none lies over another';
    my $number = 0;
    my @rules = map { "  - record: x:x@{[$number++]}\n    expr: |\n      " . s/\$__rate_interval/5m/gr =~ s/\$\w+/.*/gr . "\n" } @exprs;
    my $file = write_file("$keys/rules.yml", join '', "groups:\n- name: x\n  rules:\n", @rules);
    like promtool('', "check rules '$file'"), qr/SUCCESS: @{[scalar @exprs]} rules/, 'each expression can be read';
};

subtest 'the alerts' => sub {
    my $file = top->child('conf', 'prometheus-alerts.yml');
    my $all = text;
    like promtool('', "check rules '$file'"), qr/SUCCESS: \d+ rules/, 'are rules';
    is_deeply [grep { $all !~ /^# TYPE $_ /m } names_in(join "\n", grep { !/^#/ } split /\n/, $file->slurp)], [], 'speak of what there is';
    my $tests = top->child('t', 'system', 'alerts.yml');
    like promtool('', "test rules '$tests'"), qr/SUCCESS/, 'and go off when they are to';
    my @names = $file->slurp =~ /- alert: (\w+)/g;
    my $tested = $tests->slurp;
    is_deeply [grep { $tested !~ /alertname: $_\b/ } @names], [], 'each of them';
};
