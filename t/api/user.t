# SPDX-License-Identifier: Apache-2.0
# GET /user/me.
use Mojo::Base -strict, -signatures;

use Apache::Test qw(-withtestmore);
use Gemclone::Check;
use Gemclone::Stack;
use utf8;

plan tests => 4, need 'gemclone';

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

subtest 'an account that is gone' => sub {
    my $user = $stack->new_user;
    $stack->dbh->do('DELETE FROM gemclone.users WHERE id = ?', {}, $user->user->{id});
    problem_ok $user->get('/user/me'), 401, 'its token is of no use';
    my $res = $user->post('/chat/chatroom', {title => 'x'});
    problem_ok $res, 401, 'nor for a room';
    is_deeply $user->rooms, [], 'and it has none';
};

subtest 'what a client has need not come again' => sub {
    my $user = $stack->new_user;
    my $etag = $user->get('/user/me')->headers->etag;
    is $user->get('/user/me', 'If-None-Match' => $etag)->code, 304, 'the ETag matches';
    is $stack->new_user->get('/user/me', 'If-None-Match' => $etag)->code, 200, 'not another user\'s';
};
