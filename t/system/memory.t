# SPDX-License-Identifier: Apache-2.0
# The memory of a child is flat over a hundred thousand requests of all kinds. With a sanitizer it takes fewer: there
# it is the sanitizer that looks.
# Keeps the machine busy: see Gemclone::Suite.
use Mojo::Base -strict, -signatures;

use Gemclone::Check;
use Gemclone::Stack;
use IO::Socket::IP;
use Mojo::File qw(path);
use Mojo::JSON qw(encode_json);
use Test::More;

use constant SANITIZED => !!$ENV{GEMCLONE_SANITIZE};
use constant {
    CLIENTS => 4,
    PIPELINE => 50,
    WARM_UP => SANITIZED ? 2_000 : 30_000,
    REQUESTS => SANITIZED ? 8_000 : 100_000,
    GROWTH => 4096
};

plan tests => 5;

my $stack = Gemclone::Stack->start(fsync => 0, children => 1, threads => 8, log_level => 'warn',
    directives => ['GemcloneQuota basic unlimited', 'CustomLog /dev/null dev']);
my ($child) = $stack->apache->children_pids;
my $user = $stack->new_user;
my @rooms = map { $user->room("Room $_") } 1 .. 5;
my $sent = $user->send($rooms[0], 'Hello');
$user->wait_reply($rooms[0], $sent->{reply}{id});
my $etag = $user->get('/user/me')->headers->etag;

sub request ($line, $body = undef, @headers) {
    $body = encode_json($body) if ref $body;
    return join "\r\n", "$line HTTP/1.1", 'Host: x', 'Authorization: Bearer ' . $user->token,
        (defined $body ? ('Content-Type: application/json', 'Content-Length: ' . length $body) : ()), @headers, '',
        $body // '';
}

# What clients do, about as often as they do it, and what they do wrong. None of these ends the connection.
my @MIX = (
    (request('GET /user/me')) x 10,
    (request('GET /chat/chatroom')) x 10,
    (request("GET /chat/chatroom/$rooms[1]")) x 5,
    (request("GET /message/$rooms[0]")) x 8,
    request("GET /message/$rooms[0]/$sent->{reply}{id}"),
    request('GET /chat/chatroom?limit=2'),
    request("PATCH /chat/chatroom/$rooms[2]", {title => 'Changed'}),
    request('GET /user/me', undef, "If-None-Match: $etag"),
    request('GET /nothing'),
    request('GET /user/me', undef, 'Authorization: Bearer x.y.z'),
    request('GET /chat/chatroom/' . random_uuid),
    request('POST /chat/chatroom', {title => 5}),
    request('PUT /user/me'),
    request('POST /auth/send-otp', {mobile_number => '+15550000000', purpose => 'login'}),
    request('OPTIONS /user/me'),
    request('HEAD /user/me'),
    request(
        "POST /message/$rooms[3]",
        {content => 'Hello', again => 'x' x 2000},
        'Idempotency-Key: again'
    ),
    request('GET /healthz'),
    request("POST /message/$rooms[4]", {content => ''}),
);

# After these httpd closes the connection.
my @LAST = (
    request('POST /chat/chatroom', 'x'),
    request('POST /chat/chatroom', '[' x 1000),
    request("GET /message/$rooms[0]?limit=x"),
    request('POST /auth/verify-otp', {mobile_number => '+15550000000', otp => '123456', purpose => 'login'}),
    request('POST /chat/chatroom', 'x' x 300_000),
    request('GET /user/me', undef, 'X: ' . 'x' x 9000),
    "NONSENSE\r\n\r\n",
);

sub connection () {
    return IO::Socket::IP->new(
        PeerHost => '127.0.0.1',
        PeerPort => $stack->apache->port
    ) // die "no connection: $@";
}

# Sends so many requests over connections that it keeps for a while, in packets; returns how many were answered.
sub run_client ($count) {
    my ($socket, $answered, $next, $packets) = (connection, 0, 0, 0);
    while ($answered < $count) {
        my $is_last = ++$packets % 10 == 0;
        my @packet = map { $MIX[$next++ % @MIX] } 1 .. PIPELINE;
        push @packet, $LAST[$packets / 10 % @LAST] if $is_last;
        $socket->syswrite(join '', @packet);
        my ($expected, $rest) = ($answered + @packet, '');
        while ($answered < $expected) {
            $socket->sysread(my $some, 262_144) or last;
            $rest .= $some;
            $answered++ while $rest =~ s{\A.*?HTTP/1\.1 \d\d\d }{}s;
            $rest = substr $rest, -12 if length $rest > 12;    # what may be the beginning of a status line
        }
        $socket = connection if $is_last;
        die "the connection was closed after $answered answers\n" if !$is_last && $answered < $expected;
    }
    return $answered;
}

sub run_clients ($count) {
    my @pipes = map {
        my $pid = open my $out, '-|';
        defined $pid or die "fork: $!";
        if (!$pid) { print run_client($count / CLIENTS); close STDOUT; POSIX::_exit(0) }
        $out;
    } 1 .. CLIENTS;
    my $sum = 0;
    for my $out (@pipes) { $sum += <$out> // 0; close $out }
    return $sum;
}

sub resident () { return (path("/proc/$child/status")->slurp =~ /^VmRSS:\s+(\d+) kB/m)[0] }

run_clients(WARM_UP);
my $before = resident;
cmp_ok run_clients(REQUESTS), '>=', REQUESTS, 'so many requests were answered';
my $after = resident;
note sprintf '%d kB after the warm-up, %d kB after %d requests more', $before, $after, REQUESTS;
SANITIZED ? pass('a sanitizer keeps what was freed') : cmp_ok $after - $before, '<', GROWTH,
    'the child has not grown';
is_deeply [$stack->apache->children_pids], [$child], 'it is the same child';
is $user->get('/user/me')->code, 200, 'which goes on';
is $stack->dbh->selectrow_array(q{SELECT count(*) FROM gemclone.messages WHERE room_id = ?}, {}, $rooms[3]), 2,
    'a prompt under one key is one prompt';
