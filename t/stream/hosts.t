# SPDX-License-Identifier: Apache-2.0
# A reply is read on any host, whoever generates it: over Redis, without Redis, and when Redis dies meanwhile.
use Mojo::Base -strict, -signatures;

use Gemclone::Check;
use Gemclone::Client;
use Gemclone::Events qw(text_of);
use Gemclone::Stack;
use Test::More;
use Time::HiRes qw(sleep time);

plan tests => 7;

my @COMMON = ('GemcloneQuota basic unlimited', 'GemcloneLease 2s', 'GemcloneDatabaseTimeout 1s');
# The first host generates; the others have readers only, so that every text must come to them.
my $stack = Gemclone::Stack->start(fsync => 0, children => 1, directives => [@COMMON]);
my $other = $stack->another_host(children => 2, directives => [@COMMON, 'GemcloneWorker Off']);
my $plain = $stack->another_host(children => 1, redis => 0, directives => [@COMMON, 'GemcloneWorker Off']);
my $user = $stack->new_user;
my $room = $user->room;

sub on ($host) { return Gemclone::Client->new(url => $host->url, token => $user->token, user => $user->user) }
sub prompt ($content, %opt) { return Gemclone::Events->of_prompt($user, $room, $content, %opt) }
sub reply ($host, $id, %opt) { return Gemclone::Events->of_reply(on($host), $room, $id, %opt) }
sub names (@events) { return join ' ', map { $_->{event} } @events }
sub whole ($id) { return $user->wait_reply($room, $id)->{content} }

subtest 'over Redis' => sub {
    my $stream = prompt('Far [[chunks=20]] [[gap=60]] [[size=2000]] [[split]]');
    my $id = $stream->next->{data}{reply}{id};
    my @early = map { reply($other, $id) } 1 .. 6;
    sleep 0.5;
    my @late = map { reply($other, $id) } 1 .. 6;
    my @texts;
    my $began = time;
    for my $reader (@early, @late) {
        my @events = $reader->rest;
        cmp_ok scalar(grep { $_->{event} eq 'delta' } @events), '>', 3, 'the text came in pieces, live';
        push @texts, text_of(@events);
    }
    is_deeply [grep { $_ ne whole($id) } @texts], [], 'all readers on both children have the same text';
    is text_of($stream->rest), whole($id), 'that of the host which generates it';
    my $stored = $stack->redis->command('--raw', 'KEYS', '*') =~ s/^gemclone:(?:v|u|c)\w*:.*\n?//mgr;
    is $stored, '', 'no text is kept in Redis';
};

subtest 'another installation on the same Redis' => sub {
    my $stream = prompt('Ours [[chunks=10]] [[gap=150]]');
    my $id = $stream->next->{data}{reply}{id};
    my $reader = reply($other, $id)->answered;
    my $foreign = random_uuid =~ s/-//gr;
    for (1 .. 5) {
        sleep 0.1;
        for my $channel (split /\n/, $stack->redis->command('PUBSUB', 'CHANNELS', 'gemclone:to:*')) {
            $stack->redis->command('PUBLISH', $channel, $_)
                for "T $id $foreign 1 0 theirs",
                "T $id $foreign 9 0 theirs", "E $id $foreign", "T $id", 'T', 'E x', "T $id x 1 0 y";
        }
        $stack->redis->command('PUBLISH', 'gemclone:replies', $_) for "W $id $foreign 0 0 " . 'f' x 32, 'W', 'W 1 2 3', 'U x';
    }
    is text_of($reader->rest), whole($id), 'which has a reply of the same number: nothing of it is shown';
    is text_of($stream->rest), whole($id), 'nor here';
};

subtest 'back and forth between hosts' => sub {
    my $stream = prompt('Wander [[chunks=25]] [[gap=60]] [[size=500]]');
    my $id = $stream->next->{data}{reply}{id};
    my ($had, $last, $resets, $turns) = ('', '0-0', 0, 0);
    my @hosts = ($other, $stack->apache);
    while (1) {
        my $reader = reply($hosts[$turns++ % 2], $id, last => $last);
        my $event = $reader->next or die 'no event';
        last if $event->{event} eq 'done';
        $resets++ if $event->{event} eq 'reset';
        $had = text_of($had, $event);
        $last = $event->{id};
        $reader->reset;
    }
    is $had, whole($id), 'a reader who changes the host after each event misses nothing and gets nothing twice';
    is $resets, 0, 'and never starts over';
    cmp_ok $turns, '>', 6, 'often';
};

subtest 'without Redis' => sub {
    my $stream = prompt('Plain [[gap=100]]');
    my $id = $stream->next->{data}{reply}{id};
    my @events = reply($plain, $id)->rest;
    is names(@events), 'delta done', 'more coarsely: all of it, when it is whole';
    is text_of(@events), whole($id), 'the same text';
    my @sent = Gemclone::Events->of_prompt(on($plain), $room, 'From there')->rest;
    like names(@sent), qr/\Aaccepted (?:delta )+done\z/, 'a prompt that was sent there';
};

subtest 'a prompt sent to a host that generates nothing' => sub {
    my @events = Gemclone::Events->of_prompt(on($other), $room, 'Elsewhere [[gap=200]]')->rest;
    like names(@events), qr/\Aaccepted (?:delta ){2,}done\z/, 'is streamed there while it is generated here';
};

subtest 'a try that fails' => sub {
    $stack->standin->reset;
    my $stream = prompt('Broken far [[delay=400]] [[cut=3]] [[times=1]] [[gap=100]]');
    my $id = $stream->next->{data}{reply}{id};
    my @events = reply($other, $id)->rest;
    like names(@events), qr/\A(?:delta )+reset (?:delta )+done\z/, 'is told on the other host, too';
    is text_of(@events), whole($id), 'the text is that of the second try';
};

subtest 'Redis dies in the middle' => sub {
    $stack->log->expect('GEM0301', 'GEM0302');
    my $stream = prompt('Alone [[chunks=30]] [[gap=100]] [[size=600]]');
    my $id = $stream->next->{data}{reply}{id};
    my $reader = reply($other, $id);
    my @events = ($reader->next);
    $stack->redis->stop;
    push @events, $reader->rest;
    is text_of(@events), whole($id), 'a reader elsewhere gets it all the same';
    is text_of($stream->rest), whole($id), 'so does one here';
    $stack->redis->start;
    ok eventually(sub {
        my $again = prompt('Back [[chunks=10]] [[gap=150]]');
        my $next = $again->next->{data}{reply}{id};
        my $count = grep { $_->{event} eq 'delta' } reply($other, $next)->rest;
        $count > 3;
    }), 'when it is back, text comes live again';
};
