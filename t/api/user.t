# SPDX-License-Identifier: Apache-2.0
# The account: GET and PATCH /user/me, GET /user/me/usage.
use Mojo::Base -strict, -signatures;

use Apache::Test qw(-withtestmore);
use Gemclone::Check;
use Gemclone::Stack;
use POSIX qw(strftime);
use utf8;

plan tests => 9, need 'gemclone';

my $stack = Gemclone::Stack->shared;

subtest 'the shape of the answer' => sub {
    my $user = $stack->new_user(name => 'Ada');
    my $json = answer_ok($user->get('/user/me'), 200, 'an account');
    is_deeply [sort keys %$json], [qw(message user)], 'its members';
    my %is = %{$json->{user}};
    is_deeply {map { $_ => $is{$_} } qw(id name mobile_number)}, $user->user, 'what signup said';
    is $is{tier}, 'basic', 'the tier';
    like $is{created_at}, qr/\A$TIME\z/, 'the time of the signup';
};

subtest 'names of all kinds' => sub {
    for my $name ('Zoë', '李雷', "\x{1F469}\x{200D}\x{1F680}", "\x{202E}evil", '<b>&amp;"\\', 'a' x 100) {
        is($stack->new_user(name => $name)->get('/user/me')->json->{user}{name}, $name, 'comes back as it was sent');
    }
    is $stack->new_user->get('/user/me')->json->{user}{name}, undef, 'none is null';
};

subtest 'another name' => sub {
    my $user = $stack->new_user(name => 'Ada');
    my $before = $user->get('/user/me')->json->{user};
    for my $name ('Zoë', "\x{1F469}\x{200D}\x{1F680}" x 33, undef, 'Ada again') {
        my $json = answer_ok($user->patch('/user/me', {name => $name}), 200, 'it is changed');
        is_deeply [sort keys %$json], [qw(message user)], 'the members of the answer';
        is_deeply $json->{user}, {%$before, name => $name}, 'the account, with nothing else changed';
        is_deeply $user->get('/user/me')->json->{user}, $json->{user}, 'is what comes from now on' for 1 .. 4;
    }
    for my $body ({}, {tier => 'pro', mobile_number => '+15550000000', id => random_uuid, created_at => undef}) {
        is_deeply answer_ok($user->patch('/user/me', $body), 200, 'what else is sent')->{user},
            {%$before, name => 'Ada again'}, 'changes nothing';
    }
    problem_ok $user->patch('/user/me', {name => $_}), 422, 'a name that is none', errors => ['/name']
        for '', "\t ", 'x' x 101, 7, [], {}, "a\0b";
    is $user->get('/user/me')->json->{user}{name}, 'Ada again', 'leaves the one before';
};

# What stands there of a user's days, as [day, prompts, input, output].
sub used ($user, @days) {
    $stack->dbh->do('INSERT INTO gemclone.usage (user_id, day, prompts, input_tokens, output_tokens) VALUES (?, ?, ?, ?, ?)',
        {}, $user->user->{id}, @$_) for @days;
    return $user;
}

sub usage ($user) { return answer_ok($user->get('/user/me/usage'), 200, 'the usage')->{usage} }
sub counts ($prompts, $input, $output) {
    return {prompts => $prompts, input_tokens => $input, output_tokens => $output};
}

subtest 'nothing used yet' => sub {
    my $user = $stack->new_user;
    my $json = answer_ok($user->get('/user/me/usage'), 200, 'the usage');
    is_deeply [sort keys %$json], [qw(message usage)], 'the members of the answer';
    my $resets = delete $json->{usage}{resets_at};
    is_deeply $json->{usage},
        {tier => 'basic', today => counts(0, 0, 0), month => counts(0, 0, 0), limit => 5, remaining => 5},
        'all of the limit is left';
    my $now = time;
    my @midnights = map { strftime('%FT00:00:00.000000Z', gmtime $_ + 86_400) } $now - 5, $now;
    ok scalar(grep { $_ eq $resets } @midnights), 'until midnight, UTC' or diag $resets;
};

subtest 'what was used' => sub {
    my $user = $stack->new_user;
    my ($today, $first, $month_before, $year_before) = $stack->dbh->selectrow_array(q{
        SELECT d, date_trunc('month', d)::date, date_trunc('month', d)::date - 1, d - 366
        FROM (SELECT (now() AT TIME ZONE 'UTC')::timestamp) AS t (at), LATERAL (SELECT at::date) AS u (d)});
    my @earlier = $today eq $first ? () : [$first, 40, 400, 3_000_000_000];
    used($user, [$today, 3, 30, 6_000_000_000], @earlier, [$month_before, 7, 7, 7], [$year_before, 9, 9, 9]);
    my $usage = usage($user);
    is_deeply $usage->{today}, counts(3, 30, 6_000_000_000), 'today';
    is_deeply $usage->{month}, @earlier ? counts(43, 430, 9_000_000_000) : $usage->{today},
        'this month, and nothing of others';
    is_deeply [@$usage{qw(limit remaining)}], [5, 2], 'what is left';
    $stack->dbh->do('UPDATE gemclone.usage SET prompts = 8 WHERE user_id = ? AND day = ?', {}, $user->user->{id}, $today);
    is usage($user)->{remaining}, 0, 'never less than nothing: a limit may have been lowered';
    is_deeply usage($stack->new_user)->{month}, counts(0, 0, 0), 'none of it is another user\'s';
};

subtest 'what is used is counted' => sub {
    my $user = $stack->new_user;
    my $room = $user->room;
    my $reply = $user->wait_reply($room, $user->send($room, 'Count me')->{reply}{id});
    my $usage = usage($user);
    is_deeply $usage->{today}, counts(1, @$reply{qw(prompt_tokens tokens)}), 'a prompt, and the tokens of its reply';
    is_deeply $usage->{month}, $usage->{today}, 'the month as well';
    is $usage->{remaining}, 4, 'four are left';
};

subtest 'who has no limit' => sub {
    my $user = $stack->new_user;
    $stack->dbh->do(q{UPDATE gemclone.users SET tier = 'pro' WHERE id = ?}, {}, $user->user->{id});
    is_deeply [@{usage($user)}{qw(tier limit remaining)}], ['pro', undef, undef], 'has null for it';
};

subtest 'an account that is gone' => sub {
    my $user = $stack->new_user;
    $stack->dbh->do('DELETE FROM gemclone.users WHERE id = ?', {}, $user->user->{id});
    problem_ok $user->get($_), 401, "its token is of no use for $_" for '/user/me', '/user/me/usage';
    problem_ok $user->patch('/user/me', {name => 'x'}), 401, 'nor to change it';
    my $res = $user->post('/chat/chatroom', {title => 'x'});
    problem_ok $res, 401, 'nor for a room';
};

subtest 'what a client has need not come again' => sub {
    my $user = $stack->new_user;
    my $etag = $user->get('/user/me')->headers->etag;
    is $user->get('/user/me', 'If-None-Match' => $etag)->code, 304, 'the ETag matches';
    is $stack->new_user->get('/user/me', 'If-None-Match' => $etag)->code, 200, 'not another user\'s';
};
