# SPDX-License-Identifier: Apache-2.0
# What operators ask: /, /healthz, /readyz. What they say while something is down stands in t/system.
use Mojo::Base -strict, -signatures;

use Apache::Test qw(-withtestmore);
use Gemclone::Check;
use Gemclone::Stack;
use Mojo::File qw(path);

plan tests => 4, need 'gemclone';

my $stack = Gemclone::Stack->shared;
my $client = $stack->client;

subtest 'the root' => sub {
    my $json = answer_ok($client->get('/'), 200, 'tells who is here');
    is $json->{name}, 'mod_gemclone', 'the name';
    like $json->{version}, qr/\A\d+\.\d+\.\d+\S*\z/, 'the version';
};

subtest 'health' => sub {
    is answer_ok($client->get('/healthz'), 200, 'the process')->{status}, 'ok', 'is well';
};

subtest 'readiness' => sub {
    my $json = answer_ok($client->get('/readyz'), 200, 'the server');
    is_deeply $json, {status => 'ok', postgres => 'ok', redis => 'ok'}, 'names what it needs';
};

subtest 'the access log' => sub {
    my $user = $stack->new_user;
    $user->get('/user/me');
    my $room = $user->room;
    $user->get("/message/$room");
    my $log = path($stack->apache->access_log);
    my $id = $user->user->{id};
    ok eventually(sub { $log->slurp =~ m{"GET /user/me HTTP/1\.1" 200 .*user=$id route=user_me$}m }, 5),
        'names user and route';
    ok eventually(sub { $log->slurp =~ m{"GET /message/$room HTTP/1\.1" 200 .*user=$id route=message_list$}m }, 5),
        'by its name, not its path';
    ok eventually(sub { $log->slurp =~ m{"GET /healthz HTTP/1\.1" 200 .*user=- route=healthz$}m }, 5), 'or nobody';
};
