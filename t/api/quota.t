# SPDX-License-Identifier: Apache-2.0
# The quota: five prompts a UTC day for basic, none for pro, whatever comes at once, and what is given back.
use Mojo::Base -strict, -signatures;

use Apache::Test qw(-withtestmore);
use Gemclone::Check;
use Gemclone::Stack;
use Time::HiRes qw(sleep);

plan tests => 7, need 'gemclone';

my $stack = Gemclone::Stack->shared;
my $dbh = $stack->dbh;

sub post ($user, $room, $content = 'Hello') { return $user->post("/message/$room", {content => $content}) }
sub make_pro ($user) { $dbh->do(q{UPDATE gemclone.users SET tier = 'pro' WHERE id = ?}, {}, $user->user->{id}) }

sub used ($user) {
    return ($dbh->selectrow_array(q{SELECT coalesce(sum(prompts), 0) FROM gemclone.usage
        WHERE user_id = ? AND day = (now() AT TIME ZONE 'UTC')::date}, {}, $user->user->{id}))[0];
}

# Seconds from now until the UTC day is over.
sub left_of_day () { return 86_400 - time % 86_400 }

sub fields ($res) { return map { $res->headers->header($_) } qw(RateLimit-Policy RateLimit Retry-After) }

subtest 'five prompts a day' => sub {
    my $user = $stack->new_user;
    my $room = $user->room;
    for my $left (4, 3, 2, 1, 0) {
        my $res = post($user, $room);
        answer_ok $res, 201, "with $left left";
        my ($policy, $limit, $retry) = fields($res);
        is $policy, '"prompts";q=5;w=86400', 'the policy';
        like $limit, qr/\A"prompts";r=$left;t=\d+\z/, 'what is left of it';
        my ($reset) = $limit =~ /t=(\d+)/;
        cmp_ok abs($reset - left_of_day), '<', 5, 'until the day is over';
        is $retry, undef, 'no need to wait';
    }
    my $res = post($user, $room);
    my $problem = problem_ok($res, 429, 'the sixth is refused');
    isnt $problem->{type}, 'about:blank', 'by a problem with a type of its own';
    my ($policy, $limit, $retry) = fields($res);
    is $policy, '"prompts";q=5;w=86400', 'the policy';
    like $limit, qr/\A"prompts";r=0;t=\d+\z/, 'nothing is left';
    cmp_ok abs($retry - left_of_day), '<', 5, 'Retry-After is when the day is over';
    is @{$user->messages($room)}, 10, 'it leaves no message';
    is used($user), 5, 'and is not charged';
    problem_ok post($user, $user->room), 429, 'another room is no way around';
    problem_ok $user->post("/chatroom/$room/message", {content => 'x'}), 429, 'nor is the other path';
    answer_ok $user->get($_), 200, "GET $_ goes on" for '/chat/chatroom', "/message/$room", '/user/me';
};

subtest 'what is refused for another reason costs nothing' => sub {
    my $user = $stack->new_user;
    my $room = $user->room;
    problem_ok post($user, $room, ''), 422, 'an empty prompt', errors => ['/content'];
    problem_ok post($user, random_uuid), 404, 'a prompt for no room';
    problem_ok $user->post("/message/$room", '{'), 415, 'no JSON';
    is used($user), 0, 'are not charged';
    is_deeply [grep {defined} fields(post($user, random_uuid))], [], 'and tell nothing of limits';
};

subtest 'prompts at once cannot overshoot' => sub {
    my $user = $stack->new_user;
    my @rooms = map { $user->room } 1 .. 5;
    my @answers
        = all_at_once map { $user->transaction(POST => "/message/$rooms[$_ % 5]", {content => "Prompt $_"}) } 1 .. 50;
    my %count;
    $count{$_->code // 0}++ for @answers;
    is_deeply \%count, {201 => 5, 429 => 45}, 'of fifty, five are taken';
    is used($user), 5, 'five are charged';
    my @prompts = grep { $_->{sender} eq 'user' } map { @{$user->messages($_)} } @rooms;
    is @prompts, 5, 'five are kept';
    is_deeply [sort { $a <=> $b }
        map { ($_->headers->header('RateLimit') // '') =~ /r=(\d)/ } grep { $_->code == 201 } @answers],
        [0 .. 4], 'and each of them was told another rest';
};

subtest 'pro has no limit' => sub {
    my $user = $stack->new_user;
    my $room = $user->room;
    post($user, $room) for 1 .. 5;
    problem_ok post($user, $room), 429, 'basic is at its end';
    make_pro($user);
    my @answers = map { post($user, $room) } 1 .. 4;
    is_deeply [map { $_->code } @answers], [(201) x 4], 'pro goes on';
    is_deeply [grep {defined} map { fields($_) } @answers], [], 'without a word of limits';
    is used($user), 9, 'but is counted';
};

subtest 'a new day' => sub {
    my $user = $stack->new_user;
    my $room = $user->room;
    post($user, $room) for 1 .. 5;
    problem_ok post($user, $room), 429, 'today is used up';
    $dbh->do('UPDATE gemclone.usage SET day = day - 1 WHERE user_id = ?', {}, $user->user->{id});
    like post($user, $room)->headers->header('RateLimit'), qr/r=4;/, 'the next day begins anew';
    is used($user), 1, 'with a count of its own';
};

subtest 'what fails through no fault of the user\'s is given back' => sub {
    my %back = (
        'a request that Gemini does not take'  => ['[[status=400]]', 1],
        'a key that is refused'                => ['[[error=leaked]]', 1],
        'a region that is refused'             => ['[[error=region]]', 1],
        'a prompt that Gemini blocks'          => ['[[block=SAFETY]]', 1],
        'an answer that is blocked'            => ['[[finish=SAFETY]]', 0],
        'an answer that is done'               => ['', 0],
        'an answer that was cut at its length' => ['[[finish=MAX_TOKENS]]', 0],
    );
    $stack->log->expect('GEM0403', 'GEM0409');
    for my $what (sort keys %back) {
        my ($directive, $is_back) = @{$back{$what}};
        my $user = $stack->new_user;
        my $room = $user->room;
        my $sent = $user->send($room, "Hello $directive");
        $user->wait_reply($room, $sent->{reply}{id});
        is used($user), 1 - $is_back, "$what is " . ($is_back ? 'given back' : 'charged');
    }
};

subtest 'what is given back can be used' => sub {
    my $user = $stack->new_user;
    my $room = $user->room;
    my @sent = map { $user->send($room, 'Hello [[status=400]]') } 1 .. 5;
    $user->wait_reply($room, $sent[-1]{reply}{id});
    is used($user), 0, 'all five are given back';
    is_deeply [map { post($user, $room)->code } 1 .. 6], [(201) x 5, 429], 'and can be sent again';

    my $yesterday = $stack->new_user;
    $room = $yesterday->room;
    my $sent = $yesterday->send($room, 'Hello [[delay=700]] [[status=400]]');
    $dbh->do('UPDATE gemclone.usage SET day = day - 1 WHERE user_id = ?', {}, $yesterday->user->{id});
    $dbh->do('UPDATE gemclone.jobs SET charged_on = charged_on - 1 WHERE user_id = ?', {}, $yesterday->user->{id});
    $yesterday->send($room, 'Hello [[delay=700]]');
    $yesterday->wait_reply($room, $sent->{reply}{id});
    is_deeply $dbh->selectcol_arrayref('SELECT prompts FROM gemclone.usage WHERE user_id = ? ORDER BY day', {},
        $yesterday->user->{id}), [0, 1], 'to the day that it was charged on';
};
