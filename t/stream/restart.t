# SPDX-License-Identifier: Apache-2.0
# Streams when the server restarts, gracefully or not, or a child is killed: they end in order, and clients who come
# back lose nothing.
use Mojo::Base -strict, -signatures;

use Gemclone::Check;
use Gemclone::Events qw(text_of);
use Gemclone::Stack;
use Test::More;
use Time::HiRes qw(sleep time);

use constant DRAIN => 2;

plan tests => 5;

my $stack = Gemclone::Stack->start(
    fsync      => 0,
    children   => 2,
    directives => [
        'GemcloneQuota basic unlimited', 'GemcloneDrainTimeout ' . DRAIN . 's', 'GemcloneLease 2s',
        'GemcloneDatabaseTimeout 1s', 'ServerLimit 4'
    ],
);
$stack->log->expect('AH03490', qr/AH00052: child pid \d+ exit signal Killed/, 'GEM0007: GemcloneLease');
my ($apache, $user) = ($stack->apache, $stack->new_user);
my $room = $user->room;

sub reply ($id, %opt) { return Gemclone::Events->of_reply($user, $room, $id, %opt) }

# Follows a reply as an EventSource would: comes back with the last id whenever the stream ends. Returns all events.
sub follow ($stream, $id, @events) {
    my $until = time + 40;
    while (time < $until) {
        while (my $event = $stream->next(10)) {
            push @events, $event;
            return @events if $event->{event} =~ /done|error/;
        }
        $stream = eval { reply($id, last => $events[-1]{id})->answered } || do { sleep 0.2; redo };
    }
    die "no end\n";
}

sub graceful ($meanwhile) {
    my %old = map { $_ => 1 } $apache->children_pids;
    $apache->graceful;
    $meanwhile->();
    return eventually(sub { my @now = $apache->children_pids; @now == 2 && !grep { $old{$_} } @now }, 20);
}

subtest 'a graceful restart that a reply outlasts' => sub {
    my $stream = Gemclone::Events->of_prompt($user, $room, 'Short [[chunks=10]] [[gap=120]]');
    my $id = $stream->next->{data}{reply}{id};
    my @readers = map { reply($id)->answered } 1 .. 6;
    ok graceful(sub {
        my @events = $stream->rest;
        is $events[-1]{event}, 'done', 'its stream ends with it';
        is $stream->ended, 'whole', 'in order';
        is +($_->rest)[-1]{event}, 'done', 'so do those of other readers' for @readers;
    }), 'all children are new';
    is scalar($stack->standin->requests), 1, 'it was generated once';
};

subtest 'a graceful restart that takes longer than GemcloneDrainTimeout' => sub {
    $stack->standin->reset;
    my $stream = Gemclone::Events->of_prompt($user, $room, 'Long [[chunks=50]] [[gap=100]] [[size=500]]');
    my $id = (my $first = $stream->next)->{data}{reply}{id};
    my @come = ($first);
    push @come, $stream->next for 1 .. 5;
    my $began = time;
    ok graceful(sub {
        while (my $event = $stream->next) { push @come, $event }
        is $stream->ended, 'whole', 'the stream ends in order';
        cmp_ok time - $began, '>', DRAIN - 0.5, 'after its time';
        cmp_ok time - $began, '<', DRAIN + 10, 'and not much later';
        is $stream->retries->[-1], 500, 'with a word when to come back';
    }), 'all children are new';
    my @events = follow(reply($id, last => $come[-1]{id}), $id, @come);
    my $whole = $user->wait_reply($room, $id)->{content};
    is text_of(@events), $whole, 'who comes back has the whole text in the end';
    is $whole, $events[-1]{data}{content}, 'of the reply that is stored';
};

subtest 'a child that is killed' => sub {
    my $stream = Gemclone::Events->of_prompt($user, $room, 'Killed [[chunks=30]] [[gap=100]] [[size=300]]');
    my @come = map { $stream->next } 1 .. 4;
    my $id = $come[0]{data}{reply}{id};
    kill KILL => $apache->children_pids;
    $user->ua(Mojo::UserAgent->new);
    while (my $event = $stream->next) { push @come, $event }
    is $stream->ended, 'cut', 'the stream is cut';
    my @events = follow(reply($id, last => $come[-1]{id}), $id, @come);
    my $whole = $user->wait_reply($room, $id)->{content};
    is text_of(@events), $whole, 'who comes back starts over with the next try and has it all';
    is scalar(grep { $_->{event} eq 'reset' } @events), 1, 'after one reset';
};

subtest 'one child of two is killed' => sub {
    my $stream = Gemclone::Events->of_prompt($user, $room, 'Other [[chunks=40]] [[gap=100]] [[size=400]]');
    my $id = $stream->next->{data}{reply}{id};
    $stream->next;
    my ($worker) = map {/:(\d+)\z/} $stack->dbh->selectrow_array('SELECT worker FROM gemclone.jobs');
    my @readers = map { reply($id)->answered } 1 .. 8;
    my @first = map { [$_->next] } @readers;
    my ($other) = grep { $_ != $worker } $apache->children_pids;
    kill KILL => $other;
    $user->ua(Mojo::UserAgent->new);
    my $whole = $user->wait_reply($room, $id)->{content};
    for my $at (keys @readers) {
        is text_of(follow($readers[$at], $id, @{$first[$at]})), $whole, 'a reader, cut or not, has it all';
    }
};

subtest 'a server that is stopped' => sub {
    my $stream = Gemclone::Events->of_prompt($user, $room, 'Stop [[chunks=40]] [[gap=100]] [[size=400]]');
    my @come = map { $stream->next } 1 .. 4;
    my $id = $come[0]{data}{reply}{id};
    my $began = time;
    ok $apache->stop, 'in order';
    cmp_ok time - $began, '<', 18, 'soon';
    while (my $event = $stream->next) { push @come, $event }
    is $stream->retries->[-1], 500, 'its streams end with a word when to come back';
    $apache->start;
    my @events = follow(reply($id, last => $come[-1]{id}), $id, @come);
    is text_of(@events), $user->ua(Mojo::UserAgent->new)->wait_reply($room, $id)->{content}, 'and who does has it all';
};
