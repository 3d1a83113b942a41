# SPDX-License-Identifier: Apache-2.0
# What answers tell browsers not to do with them, on every kind of answer, once.
use Mojo::Base -strict, -signatures;

use Gemclone::Answers;
use Gemclone::Check;
use Gemclone::Shop;
use Test::More;

plan tests => 5;

my $POLICY = q{default-src 'none'; frame-ancestors 'none'};
my $shop = Gemclone::Shop->start(
    children   => 1,
    directives => [
        @Gemclone::Answers::DIRECTIVES,
        '<Location "/healthz">', q{Header always set Content-Security-Policy "default-src 'self'"}, '</Location>',
        '<VirtualHost *:*>', 'ServerName closed.test', '</VirtualHost>',
        '<VirtualHost *:*>', 'ServerName open.test', 'GemcloneCORSOrigin https://app.example.com', '</VirtualHost>',
    ],
);

# What there is of these in an answer's head, each as often as it stands there.
sub told ($head) {
    return [sort map {s/\r//r} grep {/^(?:Content-Security|Cross-Origin|Referrer|X-Content-Type|Strict-Transport|X-Frame)/i} split /\n/, $head];
}

sub wanted ($resource) {
    return [
        "Content-Security-Policy: $POLICY", "Cross-Origin-Resource-Policy: $resource",
        'Referrer-Policy: no-referrer',     'X-Content-Type-Options: nosniff'
    ];
}

for my $case (['closed.test', 'same-origin'], ['open.test', 'cross-origin']) {
    my ($host, $resource) = @$case;
    subtest "$host: $resource" => sub {
        for my $kind (answers_of_every_kind($shop, Host => $host)) {
            my ($what, $status, $code, $head) = @$kind;
            is $code, $status, $what;
            is_deeply told($head), wanted($resource), '... has all of it';
            like $head, qr/^Cache-Control: (?:private, no-cache|no-store)/m, '... and tells caches' if $what !~ /^httpd/;
        }
    };
}

my $client = $shop->stack->client;
my $options = $client->request(OPTIONS => '/user/me');
is_deeply [$options->code, told($options->headers->to_string)], [204, wanted('same-origin')], 'so have the methods of a path';
is_deeply [grep {/Security/} @{told($client->get('/healthz')->headers->to_string)}], [q{Content-Security-Policy: default-src 'self'}],
    'an admin may put another policy in the place of ours';
is_deeply told($client->get('/healthz', Host => 'open.test')->headers->to_string)->[1], 'Cross-Origin-Resource-Policy: cross-origin',
    'the rest stays';
