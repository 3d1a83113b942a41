# SPDX-License-Identifier: Apache-2.0
# Postgres that is there but in the way: connections it closed, locks that somebody holds, lists that are long.
use Mojo::Base -strict, -signatures;

use Gemclone::Check;
use Gemclone::Stack;
use Mojo::File qw(path);
use Test::More;
use Time::HiRes qw(sleep time);

use constant {TIMEOUT => 1, CONNECTIONS => 8, MEGABYTES => 20};

plan tests => 10;

my $stack = Gemclone::Stack->start(
    fsync      => 0,
    children   => 1,
    directives => ['GemcloneQuota basic unlimited', 'GemcloneDatabaseTimeout ' . TIMEOUT . 's', 'GemclonePoll 1min',
        'GemcloneDatabaseConnections ' . CONNECTIONS, 'GemcloneWorker Off'],
);
$stack->log->expect('GEM0203', 'GEM0206');
my ($user, $other) = map { $stack->new_user } 1 .. 2;
my ($room, $others_room) = ($user->room, $other->room);

sub backends () {
    return $stack->dbh->selectrow_array(q{SELECT count(*) FROM pg_stat_activity WHERE usename = 'gemclone'});
}

# Holds a lock on the user's room for as long as the handle lives.
sub lock_room () {
    my $dbh = $stack->dbh->clone;
    $dbh->begin_work;
    $dbh->selectrow_array('SELECT 1 FROM gemclone.chatrooms WHERE id = ? FOR UPDATE', undef, $room);
    return $dbh;
}

# Connections that were closed while nobody used them cost no request.
ok eventually(sub { all_at_once map({ $user->transaction(GET => "/message/$room") } 1 .. 64); backends > 1 }),
    'there is a pool of connections';
$stack->dbh->do(q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'gemclone'});
ok eventually(sub { backends() == 0 }), 'Postgres has closed them all';
my @codes = map { $user->get("/message/$room")->code } 1 .. 40;
is_deeply [grep { $_ != 200 } @codes], [], 'and no request has noticed';

# A prompt whose room is locked waits; those of others do not wait with it.
my $lock = lock_room;
my $sent = $user->ua->start_p($user->transaction(POST => "/message/$room", {content => 'It waits'}));
Mojo::IOLoop->timer(0.2 => sub { Mojo::IOLoop->stop });
Mojo::IOLoop->start;
my $start = time;
is $other->post("/message/$others_room", {content => 'It does not'})->code, 201, q{another's prompt is taken};
cmp_ok time - $start, '<', TIMEOUT / 2, 'at once';
$lock->rollback;
my $code;
$sent->then(sub ($tx) { $code = $tx->res->code })->wait;
is $code, 201, 'and that of the locked room when the lock is gone';

# Statements that ran out of time end in Postgres too: their backends do not add up.
$lock = lock_room;
my $most = 0;
for (1 .. 3) {
    my @answers = all_at_once map { $user->transaction(PATCH => "/chat/chatroom/$room", {title => 'x'}) } 1 .. 2 * CONNECTIONS;
    is_deeply [grep { $_->code != 503 } @answers], [], 'whoever waits for a lock is told to come back' if $_ == 1;
    $most = backends if backends() > $most;
}
cmp_ok $most, '<=', CONNECTIONS, 'and Postgres has no more connections than the child may use';
$lock->rollback;
is $user->patch("/chat/chatroom/$room", {title => 'y'})->code, 200, 'all is well when the lock is gone';

# A list of many megabytes is answered, and its memory comes back.
my ($child) = $stack->apache->children_pids;
my $resident = sub { (path("/proc/$child/statm")->slurp =~ /^\d+ (\d+)/)[0] * 4096 / 1e6 };
$stack->dbh->do(q{INSERT INTO gemclone.messages (room_id, sender, status, content, tokens)
    SELECT ?, 'user', 'done', repeat('x', 200), 50 FROM generate_series(1, ? * 5000)}, undef, $room, MEGABYTES);
my $before = $resident->();
$user->ua->max_response_size(0);
$user->get("/message/$room") for 1 .. 4;
# (A sanitizer keeps what was freed for a while.)
cmp_ok $resident->() - $before, '<', ($ENV{GEMCLONE_SANITIZE} ? 40 : 4) * MEGABYTES, 'a long list leaves no memory behind';
