# SPDX-License-Identifier: Apache-2.0
# Three hosts with one database: they share the work, and what holds on one holds on all.
use Mojo::Base -strict, -signatures;

use Gemclone::Check;
use Gemclone::Client;
use Gemclone::Events qw(text_of);
use Gemclone::Stack;
use Mojo::JSON qw(from_json);
use Test::More;
use Time::HiRes qw(sleep time);

use constant {LEASE => 2, QUOTA => 12, OWED => 8, PROMPTS => 30};

plan tests => 6;

my @DIRECTIVES = ('GemcloneQuota basic ' . QUOTA, 'GemcloneMaxUserBacklog ' . OWED, 'GemcloneLease ' . LEASE . 's',
    'GemcloneDatabaseTimeout 1s', 'GemclonePoll 200ms');
my %of_host = (children => 1, threads => 32, directives => \@DIRECTIVES);
my $stack = Gemclone::Stack->start(fsync => 0, %of_host);
my @hosts = ($stack->apache, map { $stack->another_host(%of_host) } 2 .. 3);
my $standin = $stack->standin;

# The same user, on each of the hosts.
sub everywhere ($user = $stack->new_user) {
    return map { Gemclone::Client->new(url => $_->url, token => $user->token, user => $user->user) } @hosts;
}

# The workers that hold jobs, by the index of their host.
sub holders () {
    my %host = map { my $at = $_; map { $_ => $at } $hosts[$at]->children_pids } keys @hosts;
    my %held;
    for my $row (@{$stack->dbh->selectall_arrayref('SELECT worker, reply_id FROM gemclone.jobs WHERE worker IS NOT NULL')}) {
        push @{$held{$host{($row->[0] =~ /:(\d+)\z/)[0]}}}, $row->[1];
    }
    return %held;
}

sub asked () {
    my %count;
    $count{from_json($_->{body})->{contents}[-1]{parts}[0]{text} =~ s/ \[\[.*?\]\]//gr}++ for $standin->requests;
    return \%count;
}

# So many prompts of as many users, each to a host in turn; returns [user, room, reply id] of each once all are generated.
sub start_many ($directives) {
    $standin->reset;
    my @started;
    for my $number (1 .. PROMPTS) {
        my $user = (everywhere)[$number % @hosts];
        my $room = $user->room;
        push @started, [$user, $room, $user->send($room, "Prompt $number $directives")->{reply}{id}];
    }
    eventually(sub { $standin->stats->{requests} >= PROMPTS }) or die 'they are not generated';
    return @started;
}

subtest 'work spreads' => sub {
    my @started = start_many('[[delay=4000]]');
    my %held = holders;
    is_deeply [sort keys %held], [0 .. $#hosts], 'all hosts have some';
    note join ', ', map { scalar @{$held{$_}} } sort keys %held;
    is_deeply [map { $_->[0]->wait_reply(@$_[1, 2])->{status} } @started], [('done') x PROMPTS], 'all replies are done';
    is scalar(grep { $_ != 1 } values %{asked()}), 0, 'each was generated once';
};

subtest 'a host that is killed' => sub {
    my @started = start_many('[[delay=2500]]');
    my %held = holders;
    my ($gone, @others) = @hosts[2, 0, 1];
    my %lost = map { $_ => 1 } @{$held{2}};
    kill KILL => $gone->pid, $gone->children_pids;
    my $killed = time;
    # Its clients go to another one.
    my @replies = map { my ($user, $room, $id) = @$_; $user->url($others[0]->url)->wait_reply($room, $id) } @started;
    is_deeply [map { $_->{status} } @replies], [('done') x PROMPTS], 'all replies are done, by the others';
    cmp_ok time - $killed, '<', LEASE + 10, 'soon after its leases have run out';
    my @twice = grep { $_ == 2 } values %{asked()};
    is scalar(@twice), scalar(keys %lost), 'those that it was generating were generated again';
    cmp_ok scalar(@twice), '>', 0, 'of which there were some';
    is scalar(grep { $_ > 2 } values %{asked()}), 0, 'once';
    $gone->stop;
    unlink $gone->dir . '/httpd.pid';
    $gone->start;
};

subtest 'the quota' => sub {
    my @user = everywhere;
    my @rooms = map { $user[0]->room } 1 .. QUOTA * 2;
    $standin->reset;
    my @codes;
    # No more at once than a user may be owed; all together more than a day's prompts.
    while (my @some = splice @rooms, 0, OWED) {
        my $turn = 0;
        push @codes, map { $_->code } all_at_once map { $user[$turn++ % @user]->transaction(POST => "/message/$_", {content => 'x'}) } @some;
        eventually(sub { !$stack->dbh->selectrow_array('SELECT count(*) FROM gemclone.jobs') });
    }
    is scalar(grep { $_ == 201 } @codes), QUOTA, 'is one of all hosts together';
    is scalar(grep { $_ == 429 } @codes), QUOTA, 'and what is beyond it is refused on each';
};

subtest 'what a user is owed' => sub {
    my @user = everywhere;
    my @rooms = map { $user[0]->room } 1 .. OWED + 6;
    $standin->control({delay => 60_000});
    my $turn = 0;
    my @answers = map { $user[$turn++ % @user]->post("/message/$_", {content => 'x'}) } @rooms;
    is_deeply [map { $_->code } @answers], [(201) x OWED, (429) x 6], 'is counted on all hosts together';
    $user[$_ % @user]->delete("/chat/chatroom/$rooms[$_]") for keys @rooms;
    $standin->control({});
};

subtest 'one key at all hosts at once' => sub {
    my @user = everywhere;
    my $room = $user[0]->room;
    my @answers = all_at_once map { $_->transaction(POST => "/message/$room", {content => 'Once'}, 'Idempotency-Key' => 'one') } @user, @user;
    my %ids = map { ($_->json->{data}{id} // 'none') => 1 } grep { $_->code == 201 } @answers;
    is scalar(keys %ids), 1, 'is one prompt';
    is_deeply [grep { !/^(?:201|409)$/ } map { $_->code } @answers], [], 'whoever comes while it is under way is told so';
    is scalar(@{$user[1]->messages($room)}), 2, 'with one reply';
};

subtest 'a reply that is read on one host and cancelled on another' => sub {
    my @user = everywhere;
    my $room = $user[0]->room;
    my $id = $user[0]->send($room, 'Long [[chunks=100]] [[gap=100]] [[size=2000]]')->{reply}{id};
    my @readers = map { Gemclone::Events->of_reply($_, $room, $id) } @user;
    my @first = map { $_->next } @readers;
    is_deeply [map { $_->{event} } @first], [('delta') x @user], 'all hosts show it';
    my ($holder) = keys %{{holders}};
    my $canceller = ($holder + 1) % @user;
    my $began = time;
    is $user[$canceller]->post("/message/$room/$id/cancel", q{})->code, 202, 'a host that does not generate it takes the word';
    my @ends = map { ($_->rest)[-1] } @readers;
    cmp_ok time - $began, '<', 3, 'at once';
    is_deeply [map { $_->{data}{status} // '' } @ends], [('cancelled') x @user], 'the readers of all are told';
    ok eventually(sub { $standin->stats->{in_flight} == 0 }, 2), 'the transfer is closed';
    my %texts = map { $_->messages($room)->[-1]{content} => 1 } @user;
    is scalar(keys %texts), 1, 'all hosts have the same text of it';
    $user[0]->room('Another');
    ok eventually(sub { !grep { @{$_->rooms} != 2 } @user }, 2), 'and the same list of chatrooms';
};
