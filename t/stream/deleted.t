# SPDX-License-Identifier: Apache-2.0
# A chatroom or an account goes while its replies are generated: they stop at once, wherever that is, and whoever reads
# along is told.
use Mojo::Base -strict, -signatures;

use Gemclone::Check;
use Gemclone::Client;
use Gemclone::Events;
use Gemclone::Stack;
use Test::More;
use Time::HiRes qw(time);

plan tests => 6;

my @COMMON = ('GemcloneLease 60s');
# The first host generates; the others have readers only, and take the word.
my $stack = Gemclone::Stack->start(fsync => 0, children => 2, directives => [@COMMON]);
my $other = $stack->another_host(children => 1, directives => [@COMMON, 'GemcloneWorker Off']);
my $plain = $stack->another_host(children => 1, redis => 0, directives => [@COMMON, 'GemcloneWorker Off']);
my $standin = $stack->standin;

my $SLOW = '[[chunks=200]] [[gap=50]] [[size=2000]]';

sub on ($host, $user) { return Gemclone::Client->new(url => $host->url, token => $user->token, user => $user->user) }
sub jobs () { return $stack->dbh->selectrow_array('SELECT count(*) FROM gemclone.jobs') }

# (user, room, [readers of a reply that is being generated], [those of one that waits for it]), on each of the hosts.
sub started () {
    $standin->reset;
    my $user = $stack->new_user;
    my $room = $user->room;
    my $running = Gemclone::Events->of_prompt($user, $room, "First $SLOW");
    my $first = $running->next->{data}{reply}{id};
    my $waiting = Gemclone::Events->of_prompt($user, $room, "Second $SLOW");
    my $second = $waiting->next->{data}{reply}{id};
    my ($firsts, $seconds) = map {
        my $id = $_;
        [map { Gemclone::Events->of_reply(on($_, $user), $room, $id)->answered } $other, $plain];
    } $first, $second;
    $_->next for ($running) x 5, $firsts->[0];    # without Redis, text comes when it is whole
    return ($user, $room, [$running, @$firsts], [$waiting, @$seconds]);
}

# $patience: with those who read what nobody generates yet, in seconds.
sub stops_ok ($delete, $patience) {
    my ($user, $room, $running, $waiting) = started;
    my $began = time;
    answer_ok $delete->($user, $room), 200, 'it is deleted';
    ok eventually(sub { $standin->stats->{in_flight} == 0 }, 3), 'the transfer from Gemini is closed';
    cmp_ok time - $began, '<', 3, 'within a second, but for a busy machine';
    is +($standin->requests)[-1]{outcome}, 'gone', 'by us';
    for my $case ([$running, 4], [$waiting, $patience]) {
        my ($readers, $seconds) = @$case;
        my @ends = map { ($_->rest)[-1] } @$readers;
        cmp_ok time - $began, '<', $seconds, 'soon';
        is_deeply [map { "$_->{event} $_->{data}{error}" } @ends], [('error gone') x @ends], 'all readers are told';
        is_deeply [map { $_->ended } @$readers], [('whole') x @ends], 'and their streams end';
    }
    is $standin->stats->{requests}, 1, 'what waited is never asked';
    is jobs, 0, 'no job is left';
}

my %delete = (
    'a chatroom' => sub ($client, $room) { $client->delete("/chat/chatroom/$room") },
    'an account' => sub ($client, $room) { $client->delete('/user/me') },
);
for my $what (sort keys %delete) {
    # By a host without Redis the others are not told: they look by themselves, after a while.
    for my $case (['here', $stack->apache, 4], ['on another host', $other, 4], ['on one without Redis', $plain, 9]) {
        my ($where, $host, $patience) = @$case;
        subtest "$what, deleted $where" => sub {
            stops_ok sub ($user, $room) { $delete{$what}->(on($host, $user), $room) }, $patience;
        };
    }
}
