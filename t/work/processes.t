# SPDX-License-Identifier: Apache-2.0
# Replies outlive the processes that generate them: stopped, killed, cut off from Postgres; and rooms that go away.
use Mojo::Base -strict, -signatures;

use Gemclone::Check;
use Gemclone::Stack;
use Mojo::JSON qw(from_json);
use Mojo::UserAgent;
use Test::More;
use Time::HiRes qw(sleep time);

use constant LEASE => 2;

plan tests => 7;

my $stack = Gemclone::Stack->start(
    fsync => 0,
    children => 3,
    directives => [
        'GemcloneQuota basic unlimited',
        'GemcloneLease ' . LEASE . 's',
        'GemcloneDatabaseTimeout 1s',
        'GemclonePoll 200ms',
        'GemcloneGeminiBackoff 50ms'
    ],
);
my ($apache, $standin, $user) = ($stack->apache, $stack->standin, $stack->new_user);

sub dbh () { return $stack->dbh }
sub jobs () { return @{dbh->selectall_arrayref('SELECT * FROM gemclone.jobs ORDER BY reply_id', {Slice => {}})} }

# Sends one prompt to each of so many rooms; returns [room, reply id]s once all of them are generated.
sub start ($count, $prompt) {
    $standin->reset;
    my @started = map { my $room = $user->room; [$room, $user->send($room, "$prompt $_")->{reply}{id}] } 1 .. $count;
    eventually(sub { $standin->stats->{requests} >= $count }) or die 'they are not generated';
    return @started;
}

# A connection that was kept may have been to a process that is no more.
sub reconnect () { return $user->ua(Mojo::UserAgent->new) }

# How often each prompt was asked of Gemini.
sub asked () {
    my %count;
    $count{from_json($_->{body})->{contents}[-1]{parts}[0]{text} =~ s/ \[\[.*?\]\]//r}++ for $standin->requests;
    return \%count;
}

subtest 'a child that is killed' => sub {
    $stack->log->expect(qr/AH00052: child pid \d+ exit signal Killed/);
    my @started = start(12, 'Killed [[delay=1200]]');
    my %by;
    push @{$by{($_->{worker} =~ /:(\d+)\z/)[0]}}, $_->{reply_id} for jobs;
    my ($pid) = sort { @{$by{$b}} <=> @{$by{$a}} } keys %by;
    ok scalar(grep { $_ == $pid } $apache->children_pids), 'the one that generates most of them';
    kill KILL => $pid;
    my $killed = time;
    reconnect;
    my @replies = map { $user->wait_reply(@$_, 30) } @started;
    is_deeply [map { $_->{status} } @replies], [('done') x 12], 'all replies are done';
    cmp_ok time - $killed, '<', LEASE + 8, 'soon after the lease has run out';
    my %tries = %{asked()};
    is scalar(grep { $_ == 2 } values %tries), scalar @{$by{$pid}}, 'those of the killed one were asked for twice';
    is scalar(grep { $_ > 2 } values %tries), 0, 'and none more often';
    is scalar(jobs), 0, 'no job is left';
    is_deeply [map { scalar @{$user->messages($_->[0])} } @started], [(2) x 12],
        'each room has one prompt and one reply';
    ok eventually(sub { $apache->children_pids == 3 }), 'there is another child in its place';
};

subtest 'a lease that is renewed' => sub {
    my @started = start(3, 'Long [[delay=5000]]');
    my @replies = map { $user->wait_reply(@$_, 30) } @started;
    is_deeply [map { $_->{status} } @replies], [('done') x 3], 'replies that take longer than a lease are done';
    is_deeply [sort { $a <=> $b } values %{asked()}], [1, 1, 1], 'and were asked for once: nobody took them over';
};

subtest 'a room that is deleted' => sub {
    my @started = start(2, 'Deleted [[delay=800]]');
    is $user->delete("/chat/chatroom/$started[0][0]")->code, 200, 'while its reply is generated';
    is $user->wait_reply(@{$started[1]})->{status}, 'done', 'the other one is done';
    sleep 0.5;
    problem_ok $user->get("/message/$started[0][0]/$started[0][1]"), 404, 'the reply does not come back';
    is dbh->selectrow_array('SELECT count(*) FROM gemclone.messages WHERE room_id = ?', {}, $started[0][0]), 0,
        'nothing is stored';
    is scalar(jobs), 0, 'no job is left';
    my @queued = start(1, 'Queued [[delay=500]]');
    $user->send($queued[0][0], "Behind $_") for 1 .. 3;
    is $user->delete("/chat/chatroom/$queued[0][0]")->code, 200, 'a room with more prompts that wait';
    is scalar(jobs), 0, 'leaves none either';
};

subtest 'an account that is deleted' => sub {
    my $other = $stack->new_user;
    my $room = $other->room;
    $standin->reset;
    $other->send($room, 'Gone [[delay=600]]');
    eventually(sub { $standin->stats->{requests} });
    dbh->do('DELETE FROM gemclone.users WHERE id = ?', {}, $other->user->{id});
    is scalar(jobs), 0, 'takes its jobs along';
    problem_ok $other->post("/message/$room", {content => 'x'}), 404, 'its token sends nothing more';
    sleep 0.8;
};

subtest 'a server that is stopped' => sub {
    my @started = start(6, 'Stopped [[delay=3000]]');
    ok $apache->stop, 'in order';
    my @jobs = jobs;
    is @jobs, 6, 'its jobs stay';
    is_deeply [grep {defined} map { $_->{worker} } @jobs], [], 'were given back';
    is_deeply [map { $_->{tries} } @jobs], [(0) x 6], 'the try that was broken off does not count';
    $apache->start;
    reconnect;
    my $restarted = time;
    my @replies = map { $user->wait_reply(@$_, 30) } @started;
    is_deeply [map { $_->{status} } @replies], [('done') x 6], 'and are done by the next server';
    cmp_ok time - $restarted, '<', 10, 'which takes them at once';
    is_deeply [$stack->log->lines(qr/exit signal (?!Killed)/)], [], 'no child has crashed on the way';
};

subtest 'a server that is killed' => sub {
    my @started = start(6, 'Crashed [[delay=1500]]');
    my @pids = ($apache->pid, $apache->children_pids);
    kill KILL => @pids;
    $apache->stop;
    unlink $apache->dir . '/httpd.pid';
    is scalar(jobs), 6, 'its jobs stay';
    is scalar(grep { $_->{worker} } jobs), 6, 'as they were';
    $apache->start;
    reconnect;
    is_deeply [map { $user->wait_reply(@$_, 30)->{status} } @started], [('done') x 6],
        'and are done when the leases have run out';
};

subtest 'Postgres goes and comes back' => sub {
    $stack->log->expect(qr/GEM020[12356]/, qr/GEM040[567]/, qr/\[dbd:error\]/, qr/GEM0501/);
    my @started = start(6, 'Unstored [[delay=700]]');
    $stack->postgres->stop;
    problem_ok $user->get('/chat/chatroom/' . $started[0][0]), 503, 'meanwhile requests get 503';
    is $user->get('/readyz')->json->{postgres}, 'unreachable', 'and /readyz tells why';
    answer_ok $user->get('/healthz'), 200, 'the process is well';
    problem_ok $user->get('/user/me', Authorization => 'Bearer x'), 401, 'tokens are looked at without a database';
    problem_ok $user->post('/chat/chatroom', {}), 422, 'so are bodies';
    sleep 1;    # the replies are there now, and cannot be stored
    $stack->postgres->start;
    my @replies = map {
        my $reply = $_;
        eventually(
            sub {
                my $got = eval { $user->wait_reply(@$reply, 0) };
                $got;
            },
            30
        )
    } @started;
    is_deeply [map { $_->{status} } @replies], [('done') x 6], 'all replies are stored in the end';
    ok eventually(sub { jobs == 0 }), 'no job is left';
};
