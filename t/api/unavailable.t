# SPDX-License-Identifier: Apache-2.0
# Without Postgres every route that needs it says so; and whoever may not read events is told why.
use Mojo::Base -strict, -signatures;

use Gemclone::Check;
use Gemclone::Client;
use Gemclone::Paths qw(top);
use Gemclone::Routes;
use Gemclone::Shop;
use Mojo::JSON qw(decode_json);
use Test::More;

my $shop = Gemclone::Shop->start(children => 1, threads => 32, redis => 0);
my $stack = $shop->stack;
my $guest = Gemclone::Routes->guest($shop);
my $document = decode_json(top->child('mod_gemclone', 'www', 'openapi.json')->slurp);

# What is asked for beforehand, since it takes Postgres: codes and tokens.
my %content = map { ($_->title => [$_->content($guest)]) } Gemclone::Routes->all;
my @routes = grep { $document->{paths}{$_->pattern}{lc $_->method}{responses}{503} } Gemclone::Routes->all;

plan tests => 2 + @routes;

subtest 'a token that sets a password' => sub {
    my ($user, $number) = @$guest{qw(user number)};
    my $reset = Gemclone::Client->new(url => $user->url)->verify($number, $user->otp($number, 'reset_password'), 'reset_password');
    problem_ok $reset->get("/message/$guest->{room}/$guest->{id}/events"), 403, 'reads no events';
};

$stack->log->expect('GEM0201', 'GEM0202', 'GEM0407', qr/\[dbd:error\]/);
$stack->postgres->stop;

for my $route (@routes) {
    my ($bytes, %headers) = @{$content{$route->title}};
    my $res = $guest->{user}->request($route->method => $route->path($guest), $bytes, %headers);
    $route->name eq 'readyz' ? is($res->code, 503, $route->title) : problem_ok $res, 503, $route->title;
}

$stack->postgres->start;
ok eventually(sub { $stack->client->get('/readyz')->code == 200 }), 'it comes back';
