# SPDX-License-Identifier: Apache-2.0
# Readers that do not read, or vanish, and too many of them: none of it is anybody else's concern, and nothing is left.
use Mojo::Base -strict, -signatures;

use Gemclone::Check;
use Gemclone::Events qw(text_of);
use Gemclone::Stack;
use Mojo::File qw(path);
use Test::More;
use Time::HiRes qw(sleep time);

use constant MOST => 40;

plan tests => 7;

my $stack = Gemclone::Stack->start(
    fsync      => 0,
    children   => 1,
    directives => [
        'GemcloneQuota basic unlimited', 'GemcloneStreamBuffer 16K', 'GemcloneMaxStreams ' . MOST,
        'GemcloneStreamHeartbeat 1s', 'GemcloneMaxReply 4M'
    ],
);
my $user = $stack->new_user;
my ($child) = $stack->apache->children_pids;

sub reply ($room, $id, %opt) { return Gemclone::Events->of_reply($user, $room, $id, %opt) }

# All that is open but connections to Postgres and Redis: those are kept in pools, which grow with the first rush and
# have bounds of their own.
sub descriptors () {
    my %pooled = map { my @f = split; ($f[6] // '') =~ m{^\d+$} ? ($f[6] => 1) : () } path('/proc/net/unix')->slurp =~ /^(.*)$/mg;
    return scalar grep { my $to = readlink $_ // ''; $to && !($to =~ /^socket:\[(\d+)\]/ && $pooled{$1}) } glob "/proc/$child/fd/*";
}

# Sockets of clients that the child still has, by the kernel's table.
sub sockets () {
    my %mine = map { (readlink($_) // '') =~ /socket:\[(\d+)\]/ ? ($1 => 1) : () } glob "/proc/$child/fd/*";
    my $port = sprintf '%04X', $stack->apache->port;
    open my $in, '<', '/proc/net/tcp' or die $!;
    return grep { my @f = split; ($f[1] // '') eq "0100007F:$port" && $f[3] ne '0A' && $mine{$f[9]} } <$in>;
}

my $room = $user->room;
$user->ask($room, 'Warm');
all_at_once map { $user->transaction(GET => "/message/$room") } 1 .. 40;    # all pools are full
$user->ua(Mojo::UserAgent->new);
eventually(sub { !sockets() }, 20);
my $before = descriptors;

subtest 'a reader that does not read, among others that do' => sub {
    my $stream = Gemclone::Events->of_prompt($user, $room, 'Large [[chunks=300]] [[gap=10]] [[size=1500000]]');
    my $id = $stream->next->{data}{reply}{id};
    my $slow = reply($room, $id, receive_buffer => 4096);
    my @quick = map { reply($room, $id) } 1 .. 3;
    my ($longest, $last, %text) = (0, time);
    while (my $event = $quick[0]->next) {
        $longest = time - $last if time - $last > $longest;
        $last = time;
        $_->next(0) for @quick[1, 2], $stream;
    }
    cmp_ok $longest, '<', 10, 'the others get their events all the time';
    ok $stack->log->wait_for(qr/GEM0602: reply $id: a reader was dropped: too slow/, 5), 'the slow one is dropped';
    my @had;
    while (my $event = $slow->next(2)) { push @had, $event }
    is $slow->ended, 'cut', 'it sees that the stream was cut' or diag explain [map { $_->{id} } @had[-3..-1]];
    my $whole = $user->wait_reply($room, $id)->{content};
    my @rest = reply($room, $id, last => $had[-1]{id})->rest;
    is text_of(@had, @rest), $whole, 'and loses nothing when it comes back';
};

subtest 'a reader that reads slowly, of a reply that is finished' => sub {
    my $id = $user->send($room, 'Also large [[size=400000]]')->{reply}{id};
    my $whole = $user->wait_reply($room, $id)->{content};
    my $stream = reply($room, $id, receive_buffer => 4096);
    my @events;
    while (my $event = $stream->next) { push @events, $event; sleep 0.02 }
    is text_of(@events), $whole, 'gets all of it';
};

subtest 'clients that vanish' => sub {
    my $id = $user->send($room, 'Long [[delay=8000]]')->{reply}{id};
    my @readers = map { reply($room, $id)->answered } 1 .. 12;
    cmp_ok scalar(sockets), '>=', 12, 'they are there';
    $readers[$_]->close for 0 .. 3;
    $readers[$_]->reset for 4 .. 7;
    ok eventually(sub { $user->ua(Mojo::UserAgent->new); sockets() <= 4 }, 5), 'those who hung up, in whatever way, are noticed within the heartbeat';
    is $user->post("/message/$room/$id/cancel", '')->code, 202, 'the reply goes on until it is cancelled';
    like +($readers[$_]->rest(5))[-1]{event}, qr/done/, 'the others are told' for 8 .. 11;
};

subtest 'clients that are gone before the first byte' => sub {
    my $id = $user->send($user->room, 'Nobody [[delay=3000]]')->{reply}{id};
    my $place = $user->room;
    for my $round (1 .. 60) {
        # The handler waits for the row, so that it writes to a client that has gone.
        my $dbh = $stack->dbh(attributes => {AutoCommit => 0});
        $dbh->do('SELECT FROM gemclone.chatrooms WHERE id = ? FOR UPDATE', {}, $place);
        my @gone = map { Gemclone::Events->of_prompt($user, $place, "Gone $round") } 1 .. 2;
        push @gone, reply($room, $id) for 1 .. 2;
        sleep 0.02;
        $_->reset for @gone;
        $dbh->rollback;
    }
    is_deeply [$stack->apache->children_pids], [$child], 'the child lives';
    is $user->ua(Mojo::UserAgent->new)->get('/healthz')->code, 200, 'and answers';
    ok eventually(sub { $user->ua(Mojo::UserAgent->new); !sockets() }, 20), 'no connection is left';
    eventually(sub { !$stack->dbh->selectrow_array('SELECT count(*) FROM gemclone.jobs') }, 30);
};

subtest 'streams that come and go' => sub {
    my $id = $user->send($user->room, 'Hello')->{reply}{id};
    my $where = $stack->dbh->selectrow_array('SELECT room_id FROM gemclone.messages WHERE id = ?', {}, $id);
    my $round = sub {
        sleep 0.2;
        my $long = $user->send($where, 'Round [[delay=300]]')->{reply}{id};
        my @readers = map { reply($where, $long) } 1 .. 20;
        $_->rest for @readers;
        $_->close for @readers;
        return (path("/proc/$child/status")->slurp =~ /^VmRSS:\s+(\d+)/m)[0];
    };
    my $first = (map { $round->() } 1 .. 5)[-1];
    my $last = (map { $round->() } 1 .. 15)[-1];
    cmp_ok $last - $first, '<', 2048, 'leave no memory behind' or diag "$first KiB, then $last";
} if !$ENV{GEMCLONE_SANITIZE};
pass 'a sanitizer has its own idea of memory' if $ENV{GEMCLONE_SANITIZE};

subtest 'no more than there may be' => sub {
    my $id = $user->send($room, 'Many [[delay=60000]]')->{reply}{id};
    my @readers = map { reply($room, $id)->answered } 1 .. MOST;
    is scalar(grep { $_->status == 200 } @readers), MOST, 'as many as there may be';
    problem_ok $user->get("/message/$room/$id/events"), 503, 'one more';
    problem_ok $user->post("/message/$room", {content => 'x'}, Accept => 'text/event-stream'), 503,
        'a prompt that wants a stream';
    is scalar(grep { $_->{content} eq 'x' } @{$user->messages($room)}), 0, 'which is not accepted then';
    is $user->post("/message/@{[$user->room]}", {content => 'x'})->code, 201, 'one that does not is';
    my $large = $user->send($user->room, 'x')->{reply}{id};
    $_->close for @readers[0 .. 9];
    ok eventually(sub { my $again = reply($room, $id)->answered; $again->status == 200 }, 10), 'there is room again';
    $user->post("/message/$room/$id/cancel", '');
    ok 1, 'all others end';
};

subtest 'nothing is left' => sub {
    $user->ua(Mojo::UserAgent->new);
    ok eventually(sub { !sockets() }, 20), 'no connection' or diag sockets;
    ok eventually(sub { descriptors() <= $before + 2 }, 10), 'no descriptor' or diag "$before before, @{[descriptors]} after";
};
