# SPDX-License-Identifier: Apache-2.0
# That Apache::Test sees the shared server as it is: our modules and no others, on the loopback.
use Mojo::Base -strict;

use Apache::Test qw(-withtestmore);
use Apache::TestRequest qw(GET);
use Gemclone::Raw;
use Gemclone::Stack;
use Gemclone::Test;

plan tests => 11, need 'gemclone', need_lwp;

my $stack = Gemclone::Stack->shared;
my $vars = Apache::Test::vars();

is "http://$vars->{servername}:$vars->{port}", $ENV{GEMCLONE_URL}, 'Apache::Test has the address of the stack';
like GET('/healthz')->code, qr/^[24]\d\d$/, 'and Apache::TestRequest gets an answer';
is $vars->{httpd_conf}, $stack->apache->modules, 'the list of modules that it inherits is ours';
ok Apache::Test::need_module('mod_dbd'), 'a module of ours is there';
ok !Apache::Test::need_module('mod_status.c'), 'one that we do not load is not';
@Apache::Test::SkipReasons = ();

my ($version) = $stack->dbh->selectrow_array('SHOW server_version');
ok $version, 'the shared Postgres answers';
is $stack->redis->command('PING'), 'PONG', 'the shared Redis answers';
ok exists $stack->standin->stats->{requests}, 'the shared stand-in answers';

problem_ok $stack->client->get('/user/me'), 401, 'the client reads a problem';
is $stack->new_user->get('/user/me')->code, 200, 'and signs up';
my ($status) = Gemclone::Raw->request("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n");
is $status, 400, 'a bare socket may say what it likes';
