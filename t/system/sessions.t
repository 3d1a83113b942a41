# SPDX-License-Identifier: Apache-2.0
# A session that has ended is over on every child of every host within a second, whatever Redis does, and no request
# asks anybody for that.
# Keeps the machine busy: see Gemclone::Suite.
use Mojo::Base -strict, -signatures;

use Gemclone::Check;
use Gemclone::Children;
use Gemclone::Client;
use Gemclone::Stack;
use Gemclone::Token;
use Test::More;
use Time::HiRes qw(sleep time);

# Seconds; BUSY is what a busy machine may add.
use constant {SECOND => 1, BUSY => 0.5, CONNECT => 2, WHOLE => 60, REQUESTS => 300};

plan tests => 9;

my %of_host = (
    children   => 2,
    threads    => 32,
    directives => ['GemcloneDatabaseTimeout 1s', 'GemcloneDatabaseWait 1s', 'GemcloneCacheTTL 1min', Gemclone::Children->DIRECTIVES],
);
my $stack = Gemclone::Stack->start(fsync => 0, %of_host,
    postgres => {settings => {shared_preload_libraries => 'pg_stat_statements'}});
$stack->log->expect('GEM0201', 'GEM0202', 'GEM0203', 'GEM0407', 'GEM0301', 'GEM0302', qr/\[dbd:(?:error|crit)\]/);
# The last of them has no Redis, and so no cache.
my @hosts = ($stack->apache, $stack->another_host(%of_host), $stack->another_host(%of_host, redis => 0));
my ($here, $there) = @hosts;
my @children = map { Gemclone::Children->of($_) } @hosts;
sub with_redis () { return @children[0 .. 3] }
my ($dbh, $redis) = ($stack->dbh, $stack->redis);

sub new_number () {
    my $number = Gemclone::Client->new_number;
    $stack->client->sign_up($number);
    return $number;
}

# Another session of this number, on the host that we are at.
sub session ($number = new_number) { return Gemclone::Client->new(url => $here->url)->sign_in($number) }

sub claims ($client) { return (Gemclone::Token->parts($client->token))[1] }
sub id ($client) { return claims($client)->{sid} }

# What a child says to its token: a route that asks neither Redis nor the cache.
sub takes ($child, $client) { return $child->get('/auth/sessions', Authorization => 'Bearer ' . $client->token)->code == 200 }

# What children say to whoever asks for the account of this client; it is in the cache of those with Redis.
sub me ($client, @of) { return map { $_->get('/user/me', Authorization => 'Bearer ' . $client->token)->code } @of }

sub live_ok ($what, @clients) {
    my @bad = map { my $client = $_; grep { !takes($_, $client) } @children } @clients;
    return is scalar(@bad), 0, $what;
}

# $end ends a session: how long until no child takes its access token any more?
sub ended_ok ($what, $client, $end, $within = SECOND + BUSY) {
    live_ok "$what: before, it is good everywhere", $client;
    $end->();
    my $ended = time;
    my @left = @children;
    while (@left && time - $ended < $within) {
        @left = grep { takes($_, $client) } @left;
        sleep 0.01;
    }
    note sprintf '%s: after %.3f s', $what, time - $ended;
    is scalar(@left), 0, "$what: it is over on every child of every host";
    return is scalar(grep { takes($_, $client) } @children), 0, '... for good';
}

sub logout_ok ($what, @within) {
    my $client = session;
    return ended_ok($what, $client, sub { answer_ok $client->post('/auth/logout', ''), 200, 'logout' }, @within);
}

# An end that was written an hour ago and has become visible just now, as by a transaction that took so long.
my $late = session;
$dbh->do(q{INSERT INTO gemclone.sessions_ended (id, until, ended_at) VALUES (?, now() + interval '1 h', now() - interval '1 h')}, {}, id($late));
my $late_since = time;

subtest 'however it ends' => sub {
    my @ways = (
        ['logout' => sub ($client, $other) { $client->post('/auth/logout', '') }],
        ['by another session' => sub ($client, $other) { $other->delete('/auth/sessions/' . id($client)) }],
        ['with all' => sub ($client, $other) { $other->delete('/auth/sessions') }],
        ['another password' => sub ($client, $other) { $other->post('/auth/change-password', {new_password => 'correct horse'}) }],
        ['the account' => sub ($client, $other) { $other->delete('/user/me') }],
        ['a stolen refresh token' => sub ($client, $other) {
            my $token = $client->refresh_token;
            $client->refresh->refresh;
            $other->post('/auth/refresh', {refresh_token => $token});
            return;
        }],
        ['an admin' => sub ($client, $other) { $dbh->do('DELETE FROM gemclone.sessions WHERE id = ?', {}, id($client)) }],
    );
    for my $way (@ways) {
        my ($what, $end) = @$way;
        my $number = new_number;
        my ($client, $other) = (session($number), session($number)->url($there->url));
        ended_ok $what, $client, sub { $end->($client, $other) };
    }
    my $number = new_number;
    my $reset = $stack->client;
    $reset->verify($number, $reset->otp($number, 'reset_password'), 'reset_password');
    my $client = session($number);
    ended_ok 'a forgotten password', $client, sub { answer_ok $reset->post('/auth/change-password', {new_password => 'correct horse'}), 200, 'is set' };
    is scalar(grep { $_->post('/auth/change-password', {new_password => 'x' x 8}, Authorization => 'Bearer ' . $reset->token)->code != 401 } @children), 0,
        'so is the session that set it';
};

subtest 'a reset is refused once it was used' => sub {
    my $number = new_number;
    my $reset = $stack->client;
    $reset->verify($number, $reset->otp($number, 'reset_password'), 'reset_password');
    answer_ok $reset->post('/auth/change-password', {new_password => 'correct horse'}), 200, 'a new password';
    sleep SECOND;
    my @codes = map { $_->post('/auth/change-password', {new_password => 'another one'}, Authorization => 'Bearer ' . $reset->token)->code } @children;
    is_deeply \@codes, [(401) x @children], 'is set once';
};

subtest 'Redis hangs' => sub {
    $redis->process->kill('STOP');
    logout_ok 'at once';
    sleep 4;    # by now all have noticed
    logout_ok 'later';
    $redis->process->kill('CONT');
    logout_ok 'it goes on';
};

subtest 'Redis is killed' => sub {
    $redis->process->kill('KILL');
    $redis->stop;
    logout_ok 'while it is away';
    $redis->start;
    logout_ok 'it is back';
    sleep 3;
    logout_ok 'and heard again';
};

subtest 'what was said by Redis is known at once' => sub {
    my @seconds;
    for (1 .. 5) {
        my $client = session;
        $client->post('/auth/logout', '');
        my $ended = time;
        sleep 0.005 while time - $ended < SECOND && grep { takes($_, $client) } with_redis;
        push @seconds, time - $ended;
    }
    my ($best) = sort { $a <=> $b } @seconds;
    cmp_ok $best, '<', 0.2, 'sooner than by looking twice a second';
};

# Asks a host for as long as $while goes, each time over a new connection: how often was it taken?
sub taken_during ($host, $client, $while) {
    my ($taken, $asked) = (0, 0);
    while ($while->()) {
        $taken += takes(Gemclone::Client->new(url => $host->url), $client);
        $asked++;
    }
    return ($taken, $asked);
}

subtest 'children that start later' => sub {
    my ($client, $other) = (session, session);
    $client->post('/auth/logout', '');
    sleep SECOND;
    for my $round (1 .. 5) {
        my %old = map { $_ => 1 } $there->children_pids;
        $there->graceful;
        my ($until, $seen);
        my ($taken, $asked) = taken_during($there, $client, sub {
            $seen //= time if !grep { $old{$_} } $there->children_pids;
            return !$seen || time - $seen < 0.3;
        });
        is $taken, 0, "know of it from their first request on ($asked were made)";
    }
    @children = map { Gemclone::Children->of($_) } @hosts;
    is scalar(grep { takes($_, $client) } @children), 0, 'every one of them';
    live_ok 'others live', $other;
    logout_ok 'and they hear of what ends then';
};

subtest 'no request asks Postgres' => sub {
    $dbh->do('CREATE EXTENSION IF NOT EXISTS pg_stat_statements');
    my $client = session;
    is_deeply [grep { $_ != 200 } me($client, with_redis)], [], 'the account is in the cache';
    $dbh->do('SELECT pg_stat_statements_reset()');
    my @refused = map { grep { $_ != 200 } me($client, with_redis) } 1 .. REQUESTS;
    is_deeply \@refused, [], 'and comes out of it';
    my %calls = map { @$_ } @{$dbh->selectall_arrayref(q{SELECT query, calls FROM pg_stat_statements s
        JOIN pg_roles r ON r.oid = s.userid WHERE r.rolname = 'gemclone'})};
    ok scalar(grep {/gemclone\.sessions_ended/} keys %calls), 'which sessions have ended is asked meanwhile';
    is_deeply [grep { $calls{$_} >= REQUESTS / 2 } keys %calls], [], 'by no request' or note explain \%calls;
    my ($of_users) = grep {/FROM gemclone\.users/} keys %calls;
    is $of_users, undef, 'nor is anything else';
};

subtest 'Postgres is away' => sub {
    my ($client, $other, $gone) = map { session } 1 .. 3;
    me($_, with_redis) for $client, $other, $gone;
    $gone->post('/auth/logout', '');
    sleep SECOND;
    $dbh->do('ALTER ROLE gemclone CONNECTION LIMIT 0');
    $dbh->do(q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'gemclone'});
    $dbh->do('DELETE FROM gemclone.sessions WHERE id = ?', {}, id($client));
    sleep SECOND + BUSY;
    is_deeply [grep { $_ != 200 } me($other, with_redis)], [], 'what is in the cache is served';
    is_deeply [grep { $_ != 401 } me($gone, @children)], [], 'but to nobody whose session had ended before';
    is_deeply [grep { $_ != 200 } me($client, with_redis)], [], 'that another has ended meanwhile, nobody can know';
    $dbh->do('ALTER ROLE gemclone CONNECTION LIMIT -1');
    ok eventually(sub { !grep { $_ != 401 } me($client, @children) }, SECOND + CONNECT + BUSY), 'until it is back';
    ok eventually(sub { !grep { $_ != 200 } me($other, @children) }), 'others live';
    logout_ok 'and all is as before';

    my $last = session;
    $last->post('/auth/logout', '');
    $stack->postgres->restart;
    $dbh = $stack->dbh;
    ok eventually(sub { !grep { $_ != 401 } me($last, @children) }, SECOND + CONNECT + BUSY), 'one that ended just before a restart';
    eventually(sub { !grep { !takes($_, $other) } @children });
    logout_ok 'or after it';
};

# (The children of the second host have looked when they started.)
ok eventually(sub { !grep { takes($_, $late) } @children }, WHOLE + SECOND + BUSY - (time - $late_since)),
    'an end that was not visible in time is found within a minute';
