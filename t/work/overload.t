# SPDX-License-Identifier: Apache-2.0
# More than can be done: prompts are refused at once and not charged, and whoever sends a thousand does not delay
# whoever sends one.
use Mojo::Base -strict, -signatures;

use Gemclone::Check;
use Gemclone::Stack;
use Mojo::JSON qw(from_json);
use Test::More;
use Time::HiRes qw(sleep time);

use constant {MOST => 60, MOST_OF_USER => 40, AT_ONCE => 4};

plan tests => 5;

my @USUAL = ('GemcloneQuota basic unlimited', 'GemcloneMaxBacklog ' . MOST, 'GemcloneMaxUserBacklog ' . MOST_OF_USER,
    'GemcloneMaxReplies ' . AT_ONCE, 'GemclonePoll 100ms');
my $stack = Gemclone::Stack->start(fsync => 0, children => 2, directives => \@USUAL);
$stack->log->expect('GEM0415');
my $standin = $stack->standin;

sub dbh () { return $stack->dbh }
sub owed ($user) { return dbh->selectrow_array('SELECT count(*) FROM gemclone.jobs WHERE user_id = ?', {}, $user->user->{id}) }
sub used ($user) {
    return dbh->selectrow_array('SELECT coalesce(sum(prompts), 0) FROM gemclone.usage WHERE user_id = ?', {}, $user->user->{id});
}

# Sends one prompt to each of so many new rooms at once; returns the answers.
sub rush ($user, $count, $prompt, @headers) {
    my @made = all_at_once map { $user->transaction(POST => '/chat/chatroom', {title => 'x'}) } 1 .. $count;
    my @rooms = map { $_->json->{chatroom}{id} } @made;
    return all_at_once map { $user->transaction(POST => "/message/$rooms[$_]", {content => "$prompt $_"}, @headers) } 0 .. $#rooms;
}

sub finish () {
    $standin->control({});
    dbh->do('DELETE FROM gemclone.chatrooms');
    eventually(sub { $standin->stats->{in_flight} == 0 }, 20) or die 'replies go on';
    sleep 1.2;    # what is owed is counted anew
    $standin->reset;
    return;
}

subtest 'a user who is owed too much' => sub {
    $standin->control({delay => 60_000});
    my ($user, $other) = map { $stack->new_user } 1 .. 2;
    my @answers = rush($user, MOST_OF_USER + 10, 'Prompt');
    is scalar(grep { $_->code == 201 } @answers), MOST_OF_USER, 'as many as may be are accepted';
    my @refused = grep { $_->code != 201 } @answers;
    problem_ok $_, 429, 'the others are refused' for @refused[0 .. 1];
    is $refused[0]->json->{type}, 'urn:gemclone:problem:too-many-pending', 'by a type of their own';
    is_deeply [map { $_->code } @refused], [(429) x 10], 'all of them';
    is used($user), MOST_OF_USER, 'and are not charged';
    is owed($user), MOST_OF_USER, 'nor stored';
    my $room = $user->room;
    my @same = map { $user->post("/message/$room", {content => 'x'}, 'Idempotency-Key' => 'again') } 1 .. 2;
    is_deeply [map { $_->code } @same], [429, 429], 'a key that was refused is not used up';
    is $other->post("/message/@{[$other->room]}", {content => 'x'})->code, 201, 'another user is not concerned';
    finish;
    is $user->post("/message/@{[$user->room]}", {content => 'x'}, 'Idempotency-Key' => 'again')->code, 201,
        'it is accepted when there is room again';
    finish;
};

subtest 'regenerating' => sub {
    my $user = $stack->new_user;
    my $room = $user->room;
    my $id = $user->send($room, 'First')->{reply}{id};
    $user->wait_reply($room, $id);
    $standin->control({delay => 60_000});
    rush($user, MOST_OF_USER, 'Prompt');
    my $before = used($user);
    problem_ok $user->post("/message/$room/$id/regenerate", ''), 429, 'is refused, too';
    is used($user), $before, 'and not charged';
    is $user->get("/message/$room/$id")->json->{data}{status}, 'done', 'the reply stays as it is';
    finish;
};

subtest 'all users together' => sub {
    $standin->control({delay => 60_000});
    my @users = map { $stack->new_user } 1 .. 3;
    my @answers = map { rush($_, 30, 'Prompt') } @users;
    # Those on their way while Postgres counts may be counted twice, until it counts again.
    sleep 1.2;
    do { push @answers, $users[2]->post("/message/@{[$users[2]->room]}", {content => 'x'}) } while $answers[-1]->code == 201;
    my $accepted = grep { $_->code == 201 } @answers;
    cmp_ok $accepted, '>=', MOST, 'as many as may be are accepted';
    cmp_ok $accepted, '<=', MOST + 30, 'and not many more';
    my ($refused) = grep { $_->code != 201 } @answers;
    problem_ok $refused, 503, 'the others are refused';
    is $refused->json->{type}, 'urn:gemclone:problem:overloaded', 'by a type of their own';
    is_deeply [grep { $_ != 201 && $_ != 503 } map { $_->code } @answers], [], 'nothing else is said';
    my $charged = 0;
    $charged += used($_) for @users;
    is $charged, $accepted, 'and not charged';
    my $room = $users[2]->room;
    $stack->postgres->process->kill('STOP');
    my $began = time;
    problem_ok $users[2]->post("/message/$room", {content => 'x'}), 503, 'at once,';
    cmp_ok time - $began, '<', 1, 'without asking a database that is busy';
    $stack->postgres->process->kill('CONT');
    problem_ok $users[2]->post("/message/$room", {content => 'x'}, Accept => 'text/event-stream'), 503, 'streams as well';
    is $users[2]->get('/chat/chatroom')->code, 200, 'everything else goes on';
    finish;
    ok eventually(sub { $users[2]->post("/message/@{[$users[2]->room]}", {content => 'x'})->code == 201 }, 5),
        'prompts are accepted again when there is room';
    is scalar(my @lines = $stack->log->lines(qr/GEM0415/)) <= 2, 1, 'the log is told now and then, not each time';
    finish;
};

subtest 'fairness' => sub {
    $stack->apache->directives([@USUAL, 'GemcloneMaxBacklog 5000', 'GemcloneMaxUserBacklog 5000']);
    $stack->apache->restart;
    $standin->reset;
    $standin->control({delay => 200});
    my ($greedy, $modest, $third) = map { $stack->new_user } 1 .. 3;
    my $count = 1000;
    my @made = all_at_once map { $greedy->transaction(POST => '/chat/chatroom', {title => 'x'}) } 1 .. $count;
    my @answers = all_at_once map { $greedy->transaction(POST => "/message/$_", {content => 'One of many'}) }
        map { $_->json->{chatroom}{id} } @made;
    is scalar(grep { $_->code == 201 } @answers), $count, 'one sends a thousand prompts';
    cmp_ok owed($greedy), '>', $count / 2, 'which take a while';
    my $began = time;
    for my $user ($modest, $third) {
        my $room = $user->room;
        is $user->wait_reply($room, $user->send($room, 'One')->{reply}{id})->{status}, 'done', 'another one sends one';
    }
    my $took = time - $began;
    note sprintf 'answered after %.1f s each', $took / 2;
    cmp_ok owed($greedy), '>', $count / 4, 'which is answered before most of the thousand';
    my $place = grep { from_json($_->{body})->{contents}[-1]{parts}[0]{text} eq 'One' } $standin->requests(500);
    is $place, 2, 'Gemini was asked for both';
    $standin->control({});
    ok eventually(sub { !owed($greedy) }, 60), 'and the thousand are all answered in the end';
    is dbh->selectrow_array(q{SELECT count(*) FROM gemclone.messages m JOIN gemclone.chatrooms r ON r.id = m.room_id
        WHERE r.user_id = ? AND m.sender = 'gemini' AND m.status = 'done'}, {}, $greedy->user->{id}), $count, 'each once';
};

subtest 'more requests than connections' => sub {
    $stack->apache->directives([@USUAL, 'GemcloneDatabaseConnections 1', 'GemcloneDatabaseWait 300ms', 'GemcloneWorker Off']);
    $stack->apache->restart;
    $stack->log->expect('GEM0206', 'GEM0203');
    my $user = $stack->new_user;
    my $room = $user->room;
    my $lock = $stack->dbh(attributes => {AutoCommit => 0});
    $lock->do('LOCK TABLE gemclone.chatrooms IN ACCESS EXCLUSIVE MODE');
    my $began = time;
    my @answers = all_at_once map { $user->transaction(GET => "/chat/chatroom/$room") } 1 .. 40;
    $lock->rollback;
    my @refused = grep { $_->code == 503 } @answers;
    cmp_ok scalar(@refused), '>=', 36, 'those that find none are refused';
    problem_ok $refused[0], 503, 'in words';
    is $user->get("/chat/chatroom/$room")->code, 200, 'and all is well afterwards';
};
