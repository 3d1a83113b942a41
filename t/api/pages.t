# SPDX-License-Identifier: Apache-2.0
# Pages for people, before a browser sees them: where they are, what they may do, and what they load.
use Mojo::Base -strict, -signatures;

use Gemclone::Check;
use Gemclone::Client;
use Gemclone::Paths qw(top);
use Gemclone::Stack;
use Test::More;

my @WWW = top->child('mod_gemclone', 'www')->list->grep(qr/\.(?:html|css|js|svg)$/)->each;
my $POLICY = q{default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; }
    . q{base-uri 'none'; form-action 'none'; frame-ancestors 'none'};
my %TYPE = (html => 'text/html; charset=utf-8', css => 'text/css; charset=utf-8', js => 'text/javascript; charset=utf-8', svg => 'image/svg+xml');

plan tests => 4;

my $stack = Gemclone::Stack->start(fsync => 0, children => 1, threads => 32, redis => 0,
    directives => ['<Location "/api">', 'GemcloneEngine On', 'Require all granted', '</Location>']);
my ($there, $below) = ($stack->client, Gemclone::Client->new(url => $stack->url . '/api'));

subtest 'the page about the API' => sub {
    for my $client ($there, $below) {
        my $res = $client->get('/docs');
        is $res->code, 200, 'is there for everybody: ' . $client->url;
        is $res->headers->content_type, 'text/html; charset=utf-8', 'as a page';
        is $res->headers->header('Content-Security-Policy'), $POLICY, 'that may do no more than it needs';
        is $res->headers->header('X-Content-Type-Options'), 'nosniff', 'and is nothing else';
        is_deeply [grep {m{^(?:\w+:)?/}} $res->body =~ /(?:src|href)="([^"]*)"/g], [], 'what it loads is named from where it is';
        $res = $client->get('/docs/');
        is $res->code, 308, 'with a slash it is elsewhere';
        is $res->headers->location, '../docs', 'and from there it is there';
    }
};

subtest 'what pages load' => sub {
    for my $file (@WWW) {
        my ($ending) = $file =~ /\.(\w+)$/;
        my $res = $there->get('/assets/' . $file->basename);
        is $res->body, $file->slurp, $file->basename;
        is $res->headers->content_type, $TYPE{$ending}, 'as what it is';
        is $res->headers->header('Content-Security-Policy'), q{default-src 'none'; frame-ancestors 'none'}, 'and no page there may do anything';
    }
    problem_ok $there->get("/assets/$_"), 404, "$_ is none" for qw(nothing.css docs %2e%2e/docs.css www.c openapi.yaml);
};

subtest 'where there is to be no such page' => sub {
    my $silent = Gemclone::Stack->start(fsync => 0, children => 1, threads => 32, redis => 0, directives => ['GemcloneDocs Off']);
    problem_ok $silent->client->get($_), 404, $_ for '/docs', '/docs/';
    answer_ok $silent->client->get('/openapi.json'), 200, 'the description is there still';
};

subtest 'the address of the chat page' => sub {
    my $chat = Gemclone::Stack->start(fsync => 0, children => 1, threads => 32, redis => 0,
        directives => ['GemcloneDemoPage On', '<Location "/api">', 'GemcloneEngine On', 'Require all granted', '</Location>']);
    my $client = Gemclone::Client->new(url => $chat->url . '/api');
    my $res = $client->get('', Accept => 'text/html,*/*');
    is $res->code, 308, 'wants a slash';
    is $res->headers->location, 'api/', 'from where it is';
    is $client->get('/', Accept => 'text/html,*/*')->headers->header('Content-Security-Policy'), $POLICY, 'with one it is the page';
    answer_ok $client->get($_, Accept => '*/*'), 200, "name and version for whoever wants no page: '$_'" for '', '/';
};
