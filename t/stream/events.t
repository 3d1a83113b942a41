# SPDX-License-Identifier: Apache-2.0
# Replies as events: what comes in which order, from which place, to whom; and what is answered otherwise.
use Mojo::Base -strict, -signatures;

use Gemclone::Check;
use Gemclone::Events qw(text_of);
use Gemclone::Stack;
use Mojo::JSON qw(decode_json);
use Test::More;
use Time::HiRes qw(sleep time);

plan tests => 13;

my $stack = Gemclone::Stack->start(
    fsync        => 0,
    children     => 2,
    more_modules => ['deflate', 'filter'],
    directives   => [
        'GemcloneQuota basic unlimited', 'GemcloneGeminiBackoff 50ms', 'GemcloneStreamHeartbeat 1s',
        'SetOutputFilter DEFLATE'
    ],
);
my $user = $stack->new_user;
my $room = $user->room;

sub names (@events) { return join ' ', map { $_->{event} } @events }
sub prompt ($content, %opt) { return Gemclone::Events->of_prompt($user, $room, $content, %opt) }
sub reply ($id, %opt) { return Gemclone::Events->of_reply($user, $room, $id, %opt) }

subtest 'a prompt whose reply is streamed' => sub {
    my $stream = prompt('Hello [[gap=200]]', headers => {'Accept-Encoding' => 'gzip, br'});
    is $stream->answered->status, 201, 'it is created';
    my %wanted = (
        'Content-Type'           => qr{\Atext/event-stream\z},
        'Cache-Control'          => qr{\Ano-store, no-transform\z},
        'X-Accel-Buffering'      => qr{\Ano\z},
        'X-Content-Type-Options' => qr{\Anosniff\z},
        Connection               => qr{\Aclose\z},
    );
    like $stream->header($_), $wanted{$_}, $_ for sort keys %wanted;
    is $stream->header('Content-Encoding'), undef, 'no compression, though the server compresses and the client takes it';
    my $first = $stream->next;
    my $began = time;
    is $first->{event}, 'accepted', 'accepted';
    is $first->{id}, '0-0', 'with an id';
    is $first->{data}{data}{content}, 'Hello [[gap=200]]', 'has what the answer without a stream has: the prompt';
    is $first->{data}{reply}{status}, 'pending', 'and the reply that is owed';
    my @rest = $stream->rest;
    is names(@rest), 'delta delta delta delta delta done', 'deltas, then done';
    cmp_ok time - $began, '>', 0.5, 'the first event came long before the last';
    is $stream->ended, 'whole', 'and the answer is whole';
    is_deeply $stream->retries, [2000], 'retry came once';
    my $done = pop @rest;
    my $text = text_of(@rest);
    is $text, 'You said: Hello. I remember 0 earlier turns (0 yours): [].', 'the text grew out of the deltas';
    my $stored = $user->get("/message/$room/$first->{data}{reply}{id}")->json->{data};
    is_deeply $done->{data}, $stored, 'done is the whole message, as it is stored';
    is $stored->{content}, $text, 'whose text is that of the deltas';
    is_deeply [map { $_->{id} } @rest], [map { "1-$_" } 11, 23, 34, 46, 58], 'ids tell how much a reader has by then';
    is $done->{id}, '1-end', 'the last one that it has all';
};

subtest 'without Accept it is as it was' => sub {
    my $sent = $user->send($room, 'Hello');
    is $sent->{reply}{status}, 'pending', 'JSON';
    $user->wait_reply($room, $sent->{reply}{id});
};

subtest 'refusals are problems, not streams' => sub {
    my $other = $stack->new_user;
    my $id = $user->send($room, 'Hello')->{reply}{id};
    $user->wait_reply($room, $id);
    my $get = sub ($client, $path, %headers) { $client->get($path, Accept => 'text/event-stream', %headers) };
    problem_ok $get->($other, "/message/$room/$id/events"), 404, 'of another user';
    problem_ok $get->($user, "/message/@{[random_uuid]}/$id/events"), 404, 'of another room';
    problem_ok $get->($user, "/message/$room/999999999/events"), 404, 'of no reply';
    problem_ok $get->($user, "/message/$room/@{[$id - 1]}/events"), 404, 'of a prompt';
    problem_ok $get->($stack->client, "/message/$room/$id/events"), 401, 'without a token';
    problem_ok $get->($user, "/message/$room/$id/events", 'Last-Event-ID' => $_), 400, "after '$_'"
        for 'x', '1', '1-', '-1', '1-x', '1-2-3', '1-end-', '99999999999999999999-1', '1-99999999999999999999', '1 - 2';
    problem_ok $user->post("/message/$room", {content => ''}, Accept => 'text/event-stream'), 422, 'a bad prompt';
    problem_ok $other->post("/message/$room", {content => 'x'}, Accept => 'text/event-stream'), 404,
        'to the room of another';
    problem_ok $user->post("/message/$room/$id/events", {}), 405, 'another method';
};

subtest 'a finished reply, from every place' => sub {
    my $id = $user->send($room, "F\x{fc}r \x{1F388} [[chunks=40]]")->{reply}{id};
    my $whole = $user->wait_reply($room, $id)->{content};
    my $bytes = Mojo::Util::encode('UTF-8', $whole);
    my @all = reply($id)->rest;
    is names(@all), 'delta done', 'all of it at once';
    is text_of(@all), $whole, 'the whole text';
    my ($fence) = $all[0]{id} =~ /\A(\d+)-/;
    my @wrong;
    for my $at (0 .. length $bytes) {
        my $had = substr $bytes, 0, $at;
        my $is_character = utf8::decode($had);
        my @rest = reply($id, last => "$fence-$at")->rest;
        my $text = text_of($had, @rest);
        my $is_reset = @rest && $rest[0]{event} eq 'reset' ? 1 : 0;
        push @wrong, $at if $text ne $whole || $rest[-1]{event} ne 'done' || $is_reset != !$is_character;
    }
    is_deeply \@wrong, [], 'the rest, from any byte; in the middle of a character, which no id names, it starts over';
    is names(reply($id, last => '0-0')->rest), 'delta done', 'after accepted: all of it';
    is names(reply($id, last => '777-5')->rest), 'reset delta done', 'what came of another try is void';
    is names(reply($id, last => "$fence-5000")->rest), 'reset delta done', 'so is a place that the text does not have';
    is names(Gemclone::Events->of_reply($user, $room, "$id/events?last_event_id=$fence-" . length $bytes,
        path => "/message/$room/$id/events?last_event_id=$fence-" . length $bytes)->rest), 'done',
        'the place may stand in the query';
    my $stream = reply($id, last => "$fence-end");
    is $stream->answered->status, 204, 'after done there is nothing: a browser comes back no more';
    my $head = $user->request(HEAD => "/message/$room/$id/events");
    is $head->code, 200, 'HEAD';
    is $head->headers->content_type, 'text/event-stream', 'tells the type';
};

subtest 'readers who come, go and come back while it is generated' => sub {
    $room = $user->room;
    my $stream = prompt('Long [[chunks=30]] [[gap=60]] [[size=600]]');
    my $id = $stream->next->{data}{reply}{id};
    my @late = map { sleep 0.15; reply($id) } 1 .. 6;
    my (@seen, $last);
    my $reader = reply($id);
    my $had = '';
    while (my $event = $reader->next) {
        push @seen, $event->{event};
        $last = $event->{id};
        last if $event->{event} eq 'done';
        $had = text_of($had, $event);
        $reader->reset;
        $reader = reply($id, last => $last);    # comes back after each event
    }
    my $whole = $user->wait_reply($room, $id)->{content};
    is length $whole, 600, 'the reply is whole';
    is $had, $whole, 'who comes back after each event, over a connection that was reset, misses nothing and gets nothing twice';
    cmp_ok scalar @seen, '>', 10, 'and came back often';
    is scalar(grep { $_ eq 'reset' } @seen), 0, 'nobody starts over';
    is text_of($_->rest), $whole, 'one who came late has the same text' for @late;
    is text_of($stream->rest), $whole, 'and so has the one who sent the prompt';
};

subtest 'resume at every boundary' => sub {
    my $stream = prompt('Boundaries [[chunks=12]] [[gap=40]] [[split]]');
    my $id = $stream->next->{data}{reply}{id};
    my @events = $stream->rest;
    my $whole = $user->wait_reply($room, $id)->{content};
    like $whole, qr/\x{1F388}/, 'there is a character that was split on its way';
    is text_of(@events), $whole, 'it came whole';
    my $had = '';
    for my $event (@events[0 .. $#events - 1]) {
        $had = text_of($had, $event);
        my @rest = reply($id, last => $event->{id})->rest;
        is text_of($had, @rest), $whole, "after $event->{id}";
    }
};

subtest 'a try that fails after it began' => sub {
    my @events = prompt('Broken [[cut=3]] [[times=1]] [[gap=30]]')->rest;
    like names(@events), qr/\Aaccepted (delta )+reset (delta )+done\z/, 'reset, then the next one';
    is text_of(@events), $events[-1]{data}{content}, 'the text is that of the second';
    my ($first, $second) = ($events[1]{id}, $events[-1]{id});
    my @rest = reply($events[0]{data}{reply}{id}, last => $first)->rest;
    is names(@rest), 'reset delta done', 'who comes back with an id of the first starts over as well';
};

subtest 'a reply that fails' => sub {
    $stack->log->expect('GEM0409', 'GEM0403');
    my @events = prompt('No [[status=400]]')->rest;
    is names(@events), 'accepted error', 'an error';
    is $events[-1]{data}{status}, 'failed', 'with the message';
    is $events[-1]{data}{error}, 'upstream', 'and why';
    my @again = reply($events[0]{data}{reply}{id})->rest;
    is names(@again), 'error', 'again, later';
    is_deeply $again[0]{data}, $events[-1]{data}, 'the same';
    is names(prompt('Blocked [[finish=SAFETY]] [[gap=30]]')->rest) =~ s/(?:delta )+/delta /r, 'accepted delta reset error',
        'one that was held back in the middle: what had come is void';
};

subtest 'one that waits' => sub {
    my $first = $user->send($room, 'First [[delay=3500]]')->{reply}{id};
    my $stream = prompt('Second');
    is $stream->next->{event}, 'accepted', 'its prompt is accepted';
    my @events = $stream->rest;
    like names(@events), qr/\A(?:delta )+done\z/, 'its reply comes after the one before';
    like $events[-1]{data}{content}, qr/First/, 'which it knows';
    cmp_ok $stream->comments, '>=', 2, 'meanwhile comments kept the stream awake';
};

subtest 'a room that is deleted' => sub {
    my $gone = $user->room;
    my $stream = Gemclone::Events->of_prompt($user, $gone, 'Gone [[delay=3000]]');
    is $stream->next->{event}, 'accepted', 'while its reply is streamed';
    $user->delete("/chat/chatroom/$gone");
    my $last = ($stream->rest(10))[-1];
    is $last->{event}, 'error', 'ends the stream';
    is $last->{data}{error}, 'gone', 'and tells why';
};

subtest 'an Idempotency-Key' => sub {
    my %key = (headers => {'Idempotency-Key' => 'once'});
    my @first = prompt('Once [[gap=50]]', %key)->rest;
    my @second = prompt('Once [[gap=50]]', %key)->rest;
    is_deeply $second[0]{data}, $first[0]{data}, 'again: the same prompt';
    is_deeply $second[-1]{data}, $first[-1]{data}, 'the same reply';
    is prompt('Twice', %key)->answered->status, 422, 'with another prompt: refused';
};

subtest 'HTTP/1.0, and more on the connection' => sub {
    my $stream = prompt('Old', version => '1.0');
    is names($stream->rest), 'accepted delta delta delta delta delta done', 'a client of HTTP/1.0' or diag $stream->{raw};
    my $noisy = prompt('Noisy [[gap=100]]');
    $noisy->next;
    syswrite $noisy->socket, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
    like names($noisy->rest), qr/delta done\z/, 'what a client says while it is spoken to is not heard';
    my $body = Gemclone::Events->open(url => $user->url, token => $user->token, method => 'GET',
        path => "/message/$room/@{[$user->send($room, 'B [[delay=300]]')->{reply}{id}]}/events", body => 'x' x 1000);
    like names($body->rest), qr/done\z/, 'a GET with a body';
};

subtest 'nothing is left' => sub {
    ok eventually(sub { !grep {/CLOSE-WAIT|ESTAB/} connections() }, 10), 'no connection' or diag connections();
};

# Of clients to httpd, as the kernel has them.
sub connections () {
    my $port = sprintf '%04X', $stack->apache->port;
    $user->ua(Mojo::UserAgent->new);
    my %state = ('01' => 'ESTAB', '08' => 'CLOSE-WAIT');
    open my $in, '<', '/proc/net/tcp' or die $!;
    return map { (split)[3] =~ /(01|08)/ ? "$state{$1} $_" : () } grep {/^ *\d+: 0100007F:$port /} <$in>;
}
