# SPDX-License-Identifier: Apache-2.0
# Leases: a process that is only slow is too late; one that stops in order gives its jobs away at once; a prompt that
# kills whoever answers it is not answered for ever. What is given back is given back once.
use Mojo::Base -strict, -signatures;

use Gemclone::Check;
use Gemclone::Stack;
use Mojo::UserAgent;
use Test::More;
use Time::HiRes qw(sleep time);

use constant LEASE => 2;

plan tests => 7;

my $stack = Gemclone::Stack->start(
    fsync => 0, children => 2,
    directives => ['GemcloneLease ' . LEASE . 's', 'GemcloneDatabaseTimeout 1s', 'GemclonePoll 200ms',
        'GemcloneGeminiTries 1', 'GemcloneGeminiFallback none', 'GemcloneSweep 1s'],
);
$stack->log->expect('GEM0409', 'GEM0403', qr/AH00052: child pid \d+ exit signal Killed/, qr/GEM0007: GemcloneLease/);
my ($apache, $standin) = ($stack->apache, $stack->standin);

sub dbh () { return $stack->dbh }
sub job ($id) { return dbh->selectrow_hashref('SELECT * FROM gemclone.jobs WHERE reply_id = ?', {}, $id) }
sub used ($user) {
    return dbh->selectrow_array('SELECT prompts FROM gemclone.usage WHERE user_id = ?', {}, $user->user->{id});
}

# A prompt that is being generated: (user, room, the reply's id, the pid of the process that has it).
sub begin ($prompt) {
    my $user = $stack->new_user;
    my $room = $user->room;
    $standin->reset;
    my $id = $user->send($room, $prompt)->{reply}{id};
    eventually(sub { $standin->stats->{requests} }) or die 'it is not generated';
    return ($user, $room, $id, (job($id)->{worker} =~ /:(\d+)\z/)[0]);
}

# A connection that was kept may have been to a process that is no more, or that does not move.
sub reconnected ($user) { $user->ua(Mojo::UserAgent->new(inactivity_timeout => 2)); return $user }

# As wait_reply, whichever process accepts the connection: a frozen one answers nobody.
sub wait_reply ($user, $room, $id, $seconds = 30) {
    return eventually(sub {
        my $message = eval { reconnected($user)->get("/message/$room/$id")->json->{data} } or return;
        return $message->{status} !~ /pending|generating/ && $message;
    }, $seconds);
}

subtest 'a process that is only slow' => sub {
    my ($user, $room, $id, $pid) = begin('Slow [[delay=1000]] [[chunks=2]]');
    my $fence = job($id)->{fence};
    kill STOP => $pid;
    my $since = time;
    my $taken = eventually(sub { my $job = job($id); $job && $job->{fence} > $fence && $job->{worker} !~ /:$pid\z/ }, 20);
    my $after = time - $since;
    ok $taken, 'loses its job to another';
    cmp_ok $after, '<', LEASE + 2, 'about when its lease is over';
    my $reply = wait_reply($user, $room, $id);
    is $reply->{status}, 'done', 'which ends it';
    my $finished = $reply->{finished_at};
    kill CONT => $pid;
    ok $stack->log->wait_for(qr/GEM0404: reply $id/, 10), 'what the first one reports then is refused';
    sleep 0.5;
    $reply = wait_reply($user, $room, $id);
    is $reply->{finished_at}, $finished, 'and changes nothing';
    is_deeply [map { $_->{sender} } @{$user->messages($room)}], [qw(user gemini)], 'there is one reply';
    is $standin->stats->{requests}, 2, 'Gemini was asked twice';
};

# All leases end then, of processes that are alive.
subtest 'Postgres is away for longer than a lease' => sub {
    $stack->log->expect(qr/GEM020[123]/, 'GEM0407', qr/\[dbd:(?:error|crit)\]/, 'GEM0501');
    my ($user, $room, $first) = begin('Long [[delay=8000]]');
    my @ids = ($first, map { my $other = $user->room; $room = $other; $user->send($other, "Long $_ [[delay=8000]]")->{reply}{id} } 1 .. 3);
    eventually(sub { $standin->stats->{requests} == 4 }) or die 'they are not generated';
    $stack->postgres->stop;
    sleep LEASE + 1.5;
    $stack->postgres->start;
    eventually(sub { !dbh->selectrow_array('SELECT count(*) FROM gemclone.jobs') }, 30);
    is_deeply dbh->selectcol_arrayref('SELECT status FROM gemclone.messages WHERE id = ANY (?)', {}, \@ids), [('done') x 4], 'all replies are done';
    is $standin->stats->{requests}, 4, 'each was asked for once: their leases were renewed';
    is_deeply [$stack->log->lines(qr/GEM0404: reply (?:@{[join '|', @ids]}):/)], [], 'and none was taken from anybody';
};

subtest 'failures are given back once' => sub {
    my ($user, $room, $id, $pid) = begin('Fails late [[delay=1500]] [[status=503]]');
    is used($user), 1, 'a prompt is charged';
    kill STOP => $pid;
    my $reply = wait_reply($user, $room, $id);
    is $reply->{status}, 'failed', 'its reply fails, in another process than the first';
    is used($user), 0, 'it is given back';
    kill CONT => $pid;
    ok $stack->log->wait_for(qr/GEM0404: reply $id/, 10), 'the first one comes with the same failure';
    sleep 0.3;
    is used($user), 0, 'and nothing is given back for it';
    $user->wait_reply($room, $user->send($room, 'Good')->{reply}{id});
    is used($user), 1, 'the next one is charged as ever';
};

subtest 'a prompt that kills its processes' => sub {
    my ($user, $room, $id, $pid) = begin('Poison [[delay=20000]]');
    my $next = $user->send($room, 'Behind it')->{reply}{id};
    for my $time (1 .. 3) {
        my $fence = job($id)->{fence};
        kill KILL => $pid;
        reconnected($user);
        last if $time == 3;
        eventually(sub { my $job = job($id); $job->{worker} && $job->{fence} > $fence && $job->{due_at} }, 20) or die;
        is job($id)->{lost}, $time, "lost $time";
        ($pid) = job($id)->{worker} =~ /:(\d+)\z/;
        eventually(sub { $standin->stats->{requests} > $time }) or die 'it is not generated again';
    }
    $stack->log->expect('GEM0412');
    my $reply = wait_reply($user, $room, $id);
    is_deeply [@$reply{qw(status error)}], ['failed', 'poison'], 'is not tried a fourth time';
    like $reply->{error_detail}, qr/\A[A-Z].{20,}\.\z/, 'people are told in a sentence';
    is scalar(my @lines = $stack->log->lines(qr/GEM0412: reply $id\b/)), 1, 'the log tells once';
    like +($stack->log->lines(qr/GEM0412/))[0], qr/:err(?:or)?\]/, 'as an error';
    is $user->wait_reply($room, $next)->{status}, 'done', 'what waits behind it is answered';
    is used($user), 1, 'it is given back';
    is $standin->stats->{requests}, 4, 'Gemini was asked three times, and once for the next';
};

subtest 'and those beside it' => sub {
    my ($user, $room, $id, $pid) = begin('Poison too [[delay=20000]]');
    # All in one process, so that they are lost together each time.
    my @beside;
    until (@beside >= 3) {
        my $other = $user->room;
        my $reply = $user->send($other, 'Beside it [[delay=3000]]')->{reply}{id};
        eventually(sub { job($reply)->{worker} });
        if (job($reply)->{worker} =~ /:$pid\z/) { push @beside, [$other, $reply] }
    }
    for my $time (1 .. 3) {
        my $fence = job($id)->{fence};
        # The other child may not take them apart: it has none of its own to give away.
        my @all = $apache->children_pids;
        kill KILL => $time < 3 ? @all : (job($id)->{worker} =~ /:(\d+)\z/)[0];
        reconnected($user);
        last if $time == 3;
        eventually(sub { my $job = job($id); $job->{worker} && $job->{fence} > $fence }, 20) or die;
    }
    is wait_reply($user, $room, $id)->{error}, 'poison', 'it fails in the end';
    is wait_reply($user, @$_)->{status}, 'done', 'whoever was lost with it does not' for @beside;
};

subtest 'a child that stops in order' => sub {
    my ($user, $room, $id, $pid) = begin('Stopped [[delay=1500]]');
    # As many connections as it takes to reach MaxConnectionsPerChild are not needed: httpd asks it to end.
    $apache->directives([@{$apache->directives}, 'GemcloneDrainTimeout 0']);
    $apache->writer->($apache);
    $apache->graceful;
    eventually(sub { !grep { $_ == $pid } $apache->children_pids }, 20) or die 'it does not end';
    my $reply = $user->ua(Mojo::UserAgent->new)->wait_reply($room, $id);
    is $reply->{status}, 'done', 'its reply is generated by another';
    ok !$stack->log->lines(qr/GEM0412: reply $id/), 'and is no poison';
    is dbh->selectrow_array('SELECT count(*) FROM gemclone.jobs'), 0, 'no job is left';
};

subtest 'jobs that were forgotten' => sub {
    my $user = $stack->new_user;
    my $room = $user->room;
    $standin->reset;
    $standin->control({delay => 700});
    my @ids = map { $user->send($room, "Prompt $_")->{reply}{id} } 1 .. 3;
    # Somebody removes the first one's job by hand: nothing makes the next one due.
    dbh->do('DELETE FROM gemclone.jobs WHERE reply_id = ?', {}, $ids[0]);
    $standin->control({});
    is $user->wait_reply($room, $_)->{status}, 'done', 'are taken up again by the sweep' for @ids[1, 2];
};
