# SPDX-License-Identifier: Apache-2.0
# What is past goes by itself, by one process at a time, and the server's status page tells.
use Mojo::Base -strict, -signatures;

use Gemclone::Check;
use Gemclone::Stack;
use Test::More;
use Time::HiRes qw(sleep time);

use constant MANY => 12_000;

plan tests => 7;

my $stack = Gemclone::Stack->start(
    fsync => 0, children => 2, more_modules => ['status'],
    directives => ['GemcloneSweep 1s', 'GemcloneQuota basic unlimited', '<Location "/server-status">', '    SetHandler server-status',
        '    GemcloneEngine Off', '    Require local', '</Location>'],
);
$stack->log->expect(qr/AH00052: child pid \d+ exit signal Killed/);
my $dbh = $stack->dbh;
my $user = $stack->new_user;
my $id = $user->user->{id};

sub count ($table) { return $dbh->selectrow_array("SELECT count(*) FROM gemclone.$table") }

# {name => number} of ours in ?auto.
sub status () { return {$stack->client->get('/server-status?auto')->body =~ /^Gemclone(\w+): (-?\d+)$/mg} }

subtest 'codes, limits, keys and tickets' => sub {
    my $room = $user->room;
    $user->send($room, 'Hello', 'Idempotency-Key' => 'mine');
    my $reply = $user->messages($room)->[-1]{id};
    $user->wait_reply($room, $reply);
    $user->post('/auth/stream-ticket', {message_id => $reply});
    $user->otp($user->user->{mobile_number});
    my @kept = map { count($_) } qw(otps limits idempotency tickets);
    $dbh->do(q{INSERT INTO gemclone.otps SELECT '+1999' || i, 'login', '\x00', now() - interval '1 s' FROM generate_series(1, ?) i}, {}, MANY);
    $dbh->do(q{INSERT INTO gemclone.limits SELECT 'otp-try', '+1999' || i, 1, now() - interval '1 s' FROM generate_series(1, ?) i}, {}, MANY);
    $dbh->do(q{INSERT INTO gemclone.idempotency SELECT ?, 'k' || i, '\x00', '{}', now() - interval '24 h 1 s' FROM generate_series(1, ?) i}, {}, $id, MANY);
    $dbh->do(q{INSERT INTO gemclone.tickets SELECT decode(md5(i::text), 'hex'), ?, ?, ?, now() - interval '1 s' FROM generate_series(1, ?) i}, {}, $id, $room, $reply, MANY);
    ok eventually(sub { !grep { count($_) > 100 } qw(otps limits idempotency tickets) }, 30), 'what is past goes';
    sleep 1.5;
    is_deeply [map { count($_) } qw(otps limits idempotency tickets)], \@kept, 'what is not stays';
    my $is = status;
    is_deeply [map { $is->{"Swept$_"} >= MANY } qw(Codes Limits Keys Tickets)], [1, 1, 1, 1], 'the status page counts them';
    is $user->post("/message/$room", {content => 'Hello'}, 'Idempotency-Key' => 'mine')->json->{reply}{id}, $reply,
        'a key of today is honoured as ever';
};

subtest 'what there is to look back on' => sub {
    my $room = $user->room;
    my @replies = map { my $reply = $user->send($room, 'Hello')->{reply}{id}; $user->wait_reply($room, $reply); $reply } 1 .. 2;
    my @ages = (['old' => '90 d 1 s'], ['young' => '89 d']);
    $dbh->do(q{INSERT INTO gemclone.failures (room_id, reply_id, user_id, site, tries, lost, error, refunded, charged_on, created_at, failed_at)
        SELECT ?, ?, ?, 'default', 1, 0, 'upstream', true, current_date, t, t FROM (SELECT now() - ?::interval AS t) x},
        {}, $room, $replies[$_], $id, $ages[$_][1]) for 0, 1;
    $dbh->do(q{INSERT INTO gemclone.stripe_events (id, type, payload, received_at, due_at, ended_at)
        SELECT 'evt_' || ?, 'x', '', t, NULL, t FROM (SELECT now() - ?::interval AS t) x}, {}, @$_) for @ages;
    $dbh->do(q{INSERT INTO gemclone.stripe_events (id, type, payload, received_at, due_at)
        VALUES ('evt_owed', 'x', '', now() - interval '1 year', now())});
    ok eventually(sub { count('failures') == 1 && count('stripe_events') == 2 }, 10), 'goes, too, but much later';
    sleep 1.5;
    is_deeply $dbh->selectcol_arrayref('SELECT reply_id FROM gemclone.failures'), [$replies[1]], 'failures of late stay';
    is_deeply $dbh->selectcol_arrayref('SELECT id FROM gemclone.stripe_events ORDER BY id'), ['evt_owed', 'evt_young'],
        'and events, and however old those that are not worked off';
    is scalar(@{$user->messages($room)}), 4, 'the replies themselves are not concerned';
};

subtest 'what is owed' => sub {
    $stack->standin->control({delay => 60_000});
    my $room = $user->room;
    $user->send($room, "Prompt $_") for 1 .. 3;
    ok eventually(sub { my $is = status; $is->{Owed} == 3 && $is->{Generating} == 1 }, 5), 'is counted';
    my $page = $stack->client->get('/server-status')->body;
    like $page, qr{Gemclone: site default.*<tr><td>Replies that are owed</td><td>3</td></tr>}s, 'and shown to people';
    $user->delete("/chat/chatroom/$room");
    ok eventually(sub { status->{Owed} == 0 }, 5), 'a room that is deleted counts no more';
    $stack->standin->control({});
};

subtest 'nobody works' => sub {
    my $room = $user->room;
    my $reply = $user->send($room, 'Hello')->{reply}{id};
    $user->wait_reply($room, $reply);
    # As a host of another site would leave it that is gone.
    $dbh->do(q{UPDATE gemclone.messages SET status = 'pending' WHERE id = ?}, {}, $reply);
    $dbh->do(q{INSERT INTO gemclone.jobs (room_id, reply_id, user_id, site, due_at, worker, charged_on, created_at)
        VALUES (?, ?, ?, 'gone', now() - interval '2 min', 'gone:1', current_date, now())}, {}, $room, $reply, $id);
    ok eventually(sub { $dbh->selectrow_array('SELECT worker IS NULL FROM gemclone.jobs WHERE reply_id = ?', {}, $reply) }, 10),
        'a job whose process is gone waits again, whosever it is';
    $stack->log->expect('GEM0413');
    $dbh->do(q{UPDATE gemclone.jobs SET site = 'default', due_at = now() - interval '5 min' WHERE reply_id = ?}, {}, $reply);
    is $user->wait_reply($room, $reply)->{status}, 'done', 'and is done when there is somebody';
};

subtest 'one process at a time' => sub {
    my $lock = $stack->dbh(attributes => {AutoCommit => 0});
    $lock->selectrow_array('SELECT pg_advisory_xact_lock(7164893321)');
    my $before = status->{Swept};
    $dbh->do(q{INSERT INTO gemclone.otps VALUES ('+19990', 'login', '\x00', now() - interval '1 s')});
    sleep 3;
    is count('otps WHERE e164 = \'+19990\''), 1, 'while another host is at it, nothing is removed';
    cmp_ok status->{Swept}, '>=', 2, 'the status page tells when it was done last';
    $lock->rollback;
    ok eventually(sub { !count('otps WHERE e164 = \'+19990\'') }, 5), 'afterwards it is';
};

subtest 'its process dies' => sub {
    for my $round (1 .. 2) {
        kill KILL => $stack->apache->children_pids;
        eventually(sub { $stack->apache->children_pids == 2 });
        $dbh->do(q{INSERT INTO gemclone.otps VALUES ('+19991', 'login', '\x00', now() - interval '1 s')});
        ok eventually(sub { !count('otps WHERE e164 = \'+19991\'') }, 10), 'another one goes on';
    }
};

subtest 'Postgres is away' => sub {
    $stack->log->expect(qr/GEM020[123]/, qr/\[dbd:error\]/, 'GEM0407');
    $stack->postgres->stop;
    sleep 1.5;
    is $stack->client->get('/healthz')->code, 200, 'the server goes on';
    $stack->postgres->start;
    $dbh = $stack->dbh;
    $dbh->do(q{INSERT INTO gemclone.otps VALUES ('+19992', 'login', '\x00', now() - interval '1 s')});
    ok eventually(sub { !count('otps WHERE e164 = \'+19992\'') }, 10), 'and so does the sweep afterwards';
};
