# SPDX-License-Identifier: Apache-2.0
# Bodies that come slowly, never, or never to their end: mod_reqtimeout bounds them, whatever the route; others are served
# meanwhile, and every thread comes back.
use Mojo::Base -strict, -signatures;

use Gemclone::Check;
use Gemclone::Raw;
use Gemclone::Routes;
use Gemclone::Shop;
use Mojo::JSON qw(decode_json);
use Test::More;
use Time::HiRes qw(sleep time);

# Seconds: what mod_reqtimeout gives a request at least and at most, and what a busy machine may add.
use constant {LEAST => 2, MOST => 4, BUSY => 3, THREADS => 64, TICK => 0.2};

plan tests => 7;

my $shop = Gemclone::Shop->start(
    children     => 1,
    threads      => THREADS,
    more_modules => [qw(reqtimeout status)],
    directives   => [
        sprintf('RequestReadTimeout header=%d-%d,MinRate=500 body=%d-%d,MinRate=500', (LEAST, MOST) x 2),
        '<Location "/server-status">', 'SetHandler server-status', 'GemcloneEngine Off', '</Location>',
    ],
);
my $stack = $shop->stack;
$stack->log->expect('GEM0704');
my $guest = Gemclone::Routes->guest($shop);
my ($user, @routes) = ($guest->{user}, Gemclone::Routes->all);
my @children = $stack->apache->children_pids;

sub head ($line, @headers) {
    return join "\r\n", "$line HTTP/1.1", 'Host: localhost', 'Authorization: Bearer ' . $user->token, 'Content-Type: application/json',
        @headers, '', '';
}

my $POST = 'POST /chat/chatroom';

# what => [what is sent at once, what is sent each tick, how it ends: status, or 0 for none]
my %ATTACK = (
    'a body that does not come'           => [head($POST, 'Content-Length: 100'), '', 408],
    'half a body'                         => [head($POST, 'Content-Length: 100') . '{"title":', '', 408],
    'a body byte by byte'                 => [head($POST, 'Content-Length: 100000'), 'x', 408],
    'asked first, then nothing'           => [head($POST, 'Content-Length: 100', 'Expect: 100-continue'), '', 408],
    'asked first, then byte by byte'      => [head($POST, 'Content-Length: 100', 'Expect: 100-continue'), 'x', 408],
    'chunks that do not come'             => [head($POST, 'Transfer-Encoding: chunked'), '', 408],
    'chunks byte by byte'                 => [head($POST, 'Transfer-Encoding: chunked'), "1\r\nx\r\n", 408],
    'a chunk that is not sent'            => [head($POST, 'Transfer-Encoding: chunked') . "100\r\n", '', 408],
    'the largest chunk'                   => [head($POST, 'Transfer-Encoding: chunked') . "7fffffffffffffff\r\n", 'x', 408],
    'a chunk beyond all numbers'          => [head($POST, 'Transfer-Encoding: chunked') . "fffffffffffffffff\r\n", 'x', 413],
    'a chunk of less than nothing'        => [head($POST, 'Transfer-Encoding: chunked') . "-1\r\n", 'x', 400],
    'the size of a chunk, digit by digit' => [head($POST, 'Transfer-Encoding: chunked'), '0', qr/40[08]/],
    'what may follow a size, and follows' => [head($POST, 'Transfer-Encoding: chunked') . '1;', 'x', 408],
    'trailers'                            => [head($POST, 'Transfer-Encoding: chunked') . "0\r\n", "X: y\r\n", qr/40[08]/],
    'a body for nobody signed in'         => ["POST /auth/signup HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n", '', 408],
    'a body too long, announced'          => [head($POST, 'Content-Length: 999999999999'), 'x', 413],
    'a body too long, in chunks'          => [head($POST, 'Transfer-Encoding: chunked') . ("10000\r\n" . 'x' x 65_536 . "\r\n") x 5, "1\r\nx\r\n", 413],
    'a body of another type'              => [head($POST, 'Content-Length: 100') =~ s/json/xml/r, 'x', 415],
    'a body without a right to it'        => [head($POST, 'Content-Length: 100') =~ s/Bearer/Basic/r, 'x', 401],
    'a body for no address'               => [head('POST /nothing', 'Content-Length: 100'), 'x', 404],
    'a body for another method'           => [head('PUT /user/me', 'Content-Length: 100'), 'x', 405],
    'a head line by line'                 => ["$POST HTTP/1.1\r\nHost: x\r\n", "X: y\r\n", qr/408|0/],
    'a head byte by byte'                 => ["$POST HTTP/1.1\r\nHost: x\r\nX: ", 'x', qr/408|0/],
    'a request line byte by byte'         => ['GET /', 'x', qr/408|0/],
);

# Begins an attack; it goes on by `tick` until the server ends it.
sub attack ($what, $first, $more, $expected) {
    my $raw = Gemclone::Raw->new(url => $stack->url);
    $raw->socket->blocking(0);
    my $self = {what => $what, raw => $raw, more => $more, expected => $expected, began => time, got => ''};
    $raw->send($first);
    return $self;
}

# Goes on with it, but for those that have ended: what was got and how long it took is noted down.
sub tick ($attack) {
    return if $attack->{seconds};
    local $SIG{PIPE} = 'IGNORE';
    my $socket = $attack->{raw}->socket;
    my $got = sysread $socket, my $bytes, 65_536;
    $attack->{got} .= $bytes if $got;
    if (defined $got && !$got || !defined $got && !$!{EAGAIN}) { $attack->{seconds} = time - $attack->{began} }
    else { syswrite $socket, $attack->{more} if length $attack->{more} }
    return;
}

# Carries on with all of them until they have ended, or are not going to. Returns how long others waited at most for an answer.
sub withstand ($seconds, @attacks) {
    my ($until, $longest) = (time + $seconds, 0);
    while (time < $until && grep { !$_->{seconds} } @attacks) {
        tick($_) for @attacks;
        my $began = time;
        my $code = $user->get('/user/me', Connection => 'close')->code;    # one that is kept is closed where threads are short
        my $took = time - $began;
        $longest = $took if $took > $longest;
        return 'inf' unless $code == 200;
        sleep TICK - $took if $took < TICK;
    }
    return $longest;
}

# What is wrong with how an attack has ended, or nothing.
sub fault ($attack, $most) {
    return "$attack->{what}: it has not ended" unless $attack->{seconds};
    return sprintf '%s: it took %.1f s', @$attack{qw(what seconds)} if $attack->{seconds} > $most;
    my @codes = grep { $_ != 100 } $attack->{got} =~ m{^HTTP/1\.1 (\d+)}mg;
    my $code = $codes[0] // 0;
    return "$attack->{what}: status $code" unless ref $attack->{expected} ? $code =~ $attack->{expected} : $code == $attack->{expected};
    return "$attack->{what}: a second answer" if @codes > 1;
    return if $code < 400;
    my ($body) = $attack->{got} =~ /\r\n\r\n(\{.*)\z/s;
    my $problem = eval { decode_json($body) };
    return "$attack->{what}: no problem" unless ref $problem eq 'HASH' && $problem->{status} == $code;
    return;
}

sub begin_all () { return map { attack($_, @{$ATTACK{$_}}) } sort keys %ATTACK }

# So many are busy, but for the one who tells.
sub busy_threads () { return ($stack->client->get('/server-status?auto')->body =~ /^BusyWorkers: (\d+)/m)[0] - 1 }

subtest 'all kinds at once' => sub {
    my @attacks = begin_all;
    my $longest = withstand(MOST + 2 * BUSY, @attacks);
    cmp_ok $longest, '<', LEAST, 'others are served meanwhile, without waiting for one of them';
    is_deeply [map { fault($_, MOST + BUSY) } @attacks], [], scalar(@attacks) . ' kinds have ended in time';
};

subtest 'every route' => sub {
    # What was not asked to have a body is answered with or without it.
    my @attacks = map { attack($_->title, head($_->method . ' ' . $_->path($guest), 'Content-Length: 100'), 'x', qr/^[24]/) }
        grep { !$_->ends } @routes;
    my $longest = withstand(MOST + 2 * BUSY, @attacks);
    cmp_ok $longest, '<', LEAST, 'others are served meanwhile, without waiting for one of them';
    is_deeply [map { fault($_, MOST + BUSY) } @attacks], [], scalar(@attacks) . ' have ended in time';
};

ok eventually(sub { busy_threads == 0 }, 5), 'no thread is left behind' or diag busy_threads;

subtest 'more than there are threads' => sub {
    my @attacks = map {begin_all} 1 .. 1 + THREADS / keys %ATTACK;
    cmp_ok scalar(@attacks), '>', THREADS, 'attackers';
    my $longest = withstand(2 * (MOST + BUSY), @attacks);
    cmp_ok $longest, '<', MOST + BUSY, 'others wait, but are served';
    is_deeply [map { fault($_, 2 * (MOST + BUSY)) } @attacks], [], 'all have ended';
};

subtest 'afterwards' => sub {
    ok eventually(sub { busy_threads == 0 }, 5), 'no thread is left behind' or diag busy_threads;
    my $began = time;
    my @codes = map { $_->code // 0 } all_at_once map { $user->transaction(GET => '/user/me') } 1 .. 2 * THREADS;
    is_deeply \@codes, [(200) x (2 * THREADS)], 'twice as many requests as threads are answered';
    cmp_ok time - $began, '<', BUSY, 'at once';
};

is_deeply [$stack->apache->children_pids], \@children, 'by the same process';
is_deeply [map { $_->{title} } @{$user->rooms}], ['A room'], 'and no half of a body has become a room';
