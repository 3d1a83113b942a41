# SPDX-License-Identifier: Apache-2.0
# HTTP as it comes over the wire: bodies in pieces, old versions, connections that go on, requests that lie.
use Mojo::Base -strict, -signatures;

use Apache::Test qw(-withtestmore);
use Gemclone::Check;
use Gemclone::Raw;
use Gemclone::Stack;
use Mojo::JSON qw(decode_json);

plan tests => 8, need 'gemclone';

my $stack = Gemclone::Stack->shared;
my $user = $stack->new_user;
my $BODY = '{"title":"Raw"}';

# One request's bytes.
sub request ($line, $body = '', @headers) {
    return join "\r\n", "$line HTTP/1.1", 'Host: x', 'Authorization: Bearer ' . $user->token, @headers, '', $body;
}

sub post ($body, @headers) {
    return request('POST /chat/chatroom', $body, 'Content-Type: application/json', @headers);
}

sub chunked (@pieces) {
    return join '', map { sprintf "%x\r\n%s\r\n", length, $_ } @pieces, '';
}

# (status, body) of each answer on one connection, which the last request asks to close.
sub answers ($bytes, $seconds = 10) {
    my $all = Gemclone::Raw->new->send($bytes)->read($seconds);
    my @found;
    while ($all =~ s{\AHTTP/1\.1 (\d+) .*?\r\n\r\n}{}s) {
        my ($code, $head) = ($1, $&);
        my ($length) = $head =~ /^Content-Length: (\d+)/mi;
        push @found, [$code, substr $all, 0, $length // 0, ''];
    }
    return @found;
}

subtest 'a body in chunks' => sub {
    my ($code, undef, $body) = Gemclone::Raw->request(
        post(chunked(split //, $BODY), 'Transfer-Encoding: chunked', 'Connection: close'));
    is $code, 201, 'of one byte each' or diag $body;
    ($code) = Gemclone::Raw->request(
        post(chunked(('x' x 8192) x 40), 'Transfer-Encoding: chunked', 'Connection: close'));
    is $code, 413, 'that are too many in all';
    ($code, undef, $body)
        = Gemclone::Raw->request(post("zz\r\n$BODY\r\n0\r\n\r\n", 'Transfer-Encoding: chunked', 'Connection: close'));
    is $code, 400, 'that are none';
    is eval { decode_json($body)->{status} }, 400, 'get one problem' or diag $body;
    ($code) = Gemclone::Raw->request(post(chunked(''), 'Transfer-Encoding: chunked', 'Connection: close'));
    is $code, 400, 'that are empty';
};

subtest 'connections go on' => sub {
    my $close = 'Connection: close';
    my @got = answers(request('GET /user/me') x 4 . request('GET /user/me', '', $close));
    is_deeply [map { $_->[0] } @got], [(200) x 5], 'five requests in one packet';
    my $length = 'Content-Length: ' . length $BODY;
    @got
        = answers(post('{}', 'Content-Length: 2')
            . request('GET /nothing', $BODY, $length)
            . request('PUT /user/me', $BODY, $length)
            . request('POST /chat/chatroom', $BODY, $length, 'Content-Type: text/plain')
            . request('GET /user/me', $BODY, $length)
            . post($BODY, $length, $close));
    is_deeply [map { $_->[0] } @got], [422, 404, 405, 415, 200, 201],
        'also after errors and bodies that nobody wanted';
    ok !(
        grep {
            !eval { decode_json($_->[1]) }
        } @got
        ),
        'every one has a body of JSON';
};

subtest 'a body that nobody waits for' => sub {
    my $big = 'x' x 10_000_000;
    my ($code, undef, $body)
        = Gemclone::Raw->request(post($big, 'Content-Length: 10000000', 'Connection: close'), seconds => 30);
    is $code, 413, 'ten megabytes are refused, and the client gets to know';
    is eval { decode_json($body)->{status} }, 413, 'by a problem';
    ($code)
        = Gemclone::Raw->request(post('', 'Content-Length: 10000000', 'Expect: 100-continue', 'Connection: close'));
    is $code, 413, 'who asks first need not send them';
    ($code) = Gemclone::Raw->request(post('', 'Content-Length: 99999999999999999999', 'Connection: close'));
    like $code, qr/^4\d\d$/, 'a length beyond all numbers';
    my ($continue)
        = answers(post($BODY, 'Content-Length: ' . length $BODY, 'Expect: 100-continue', 'Connection: close'));
    is $continue->[0], 100, 'who asks first and may send is told so';
};

subtest 'a body that stops' => sub {
    my $raw = Gemclone::Raw->new->send(post('{"title":', 'Content-Length: 100'));
    $raw->socket->shutdown(1);
    my ($code) = $raw->read(5) =~ m{^HTTP/1\.1 (\d+)};
    is $code // 400, 400, 'gets 400, or nothing';
    is_deeply [grep { $_->{title} ne 'Raw' } @{$user->rooms}], [], 'and leaves nothing';
};

subtest 'old and strange' => sub {
    my ($code, $head) = Gemclone::Raw->request("GET /healthz HTTP/1.0\r\n\r\n");
    is $code, 200, 'HTTP/1.0 without a Host';
    ($code)
        = Gemclone::Raw->request(
        "GET http://example.org/healthz HTTP/1.1\r\nHost: example.org\r\nConnection: close\r\n\r\n");
    is $code, 200, 'a whole URL';
    for my $case (
        ["GET /healthz HTTP/1.1\r\n\r\n", 400, 'no Host'],
        ["GET /healthz HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400, 'two Hosts'],
        ["GET /healthz HTTP/1.1\r\nHost: x\r\nBad Header: x\r\n\r\n", 400, 'a header with a space in its name'],
        [   "GET /healthz HTTP/1.1\r\nHost: x\r\n folded: x\r\nConnection: close\r\n\r\n",
            qr/200|400/, 'a header that is folded'
        ],
        ["GET /health\0z HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 400, 'a NUL in the path'],
        ["GET /healthz%00 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 404, 'a NUL in the path, encoded'],
        ["GET /healthz%zz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 400, 'an encoding that is none'],
        ["GET /" . 'x' x 9000 . " HTTP/1.1\r\nHost: x\r\n\r\n", 414, 'a path too long'],
        ["GET /healthz HTTP/1.1\r\nHost: x\r\nX: " . 'x' x 9000 . "\r\n\r\n", 400, 'a header too long'],
        ["GET /healthz HTTP/1.1\r\nHost: x\r\n" . "X: y\r\n" x 200 . "\r\n", 400, 'too many headers'],
    ) {
        my ($bytes, $expected, $what) = @$case;
        my ($code, $head, $body) = Gemclone::Raw->request($bytes);
        ref $expected ? like $code, $expected, $what : is $code, $expected, $what;
        next if $code == 200;
        is eval { decode_json($body)->{status} }, $code, 'with a problem' or diag $head, $body;
        like $head, qr{^Content-Type: application/problem\+json\r?$}m, 'by its type too';
    }
};

subtest 'two lengths' => sub {
    my $length = length $BODY;
    my ($code)
        = Gemclone::Raw->request(post($BODY, "Content-Length: $length", 'Content-Length: 3', 'Connection: close'));
    is $code, 400, 'that differ';
    my @got
        = answers(post("0\r\n\r\n" . request('GET /user/me'), 'Transfer-Encoding: chunked', 'Content-Length: 5'), 2);
    cmp_ok scalar(grep { $_->[0] == 200 } @got), '==', 0, 'nothing is smuggled behind a body with both';
    ($code) = Gemclone::Raw->request(post($BODY, "Content-Length: -1", 'Connection: close'));
    is $code, 400, 'less than none';
    ($code) = Gemclone::Raw->request(post($BODY, "Content-Length: ${length}x", 'Connection: close'));
    is $code, 400, 'no number';
    ($code) = Gemclone::Raw->request(post($BODY, 'Transfer-Encoding: gzip, chunked', 'Connection: close'));
    like $code, qr/^(?:400|501)$/, 'an encoding that we do not have';
};

subtest 'paths that mean another' => sub {
    my %code = (
        '/user/../healthz' => 200,
        '/./healthz' => 200,
        '//healthz' => qr/200|404/,
        '/healthz//' => qr/200|404/,
        '/%68ealthz' => 200,
        '/healthz?x=1' => 200,
        '/healthz?' => 200,
        '/healthz;x=1' => 404,
        '/healthz/.' => 200,
        '/../healthz' => qr/400/,
        '/user/me/..%2f..%2fhealthz' => 404,
        '/\\healthz' => 404,
        '/healthz%20' => 404,
        '*' => qr/4\d\d/
    );
    $stack->log->expect('AH10244');
    for my $path (sort keys %code) {
        my ($code) = Gemclone::Raw->request("GET $path HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        ref $code{$path} ? like $code, $code{$path}, $path : is $code, $code{$path}, $path;
    }
};

subtest 'methods that are none' => sub {
    for my $method (qw(get TRACE CONNECT GETT PRI X-Y), 'A' x 100) {
        my ($code, $head)
            = Gemclone::Raw->request("$method /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        like $code, qr/^(?:405|400|501)$/, "$method is refused" or diag $head;
    }
    my ($code, $head) = Gemclone::Raw->request("OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    like $code, qr/^[24]\d\d$/, 'OPTIONS * is answered';
};
