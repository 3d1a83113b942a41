# SPDX-License-Identifier: Apache-2.0
# The list of chatrooms is cached and yet right after every change: in all children of a server, on other hosts, with
# Redis there, away, hung, back, and with none.
use Mojo::Base -strict, -signatures;

use Gemclone::Apache;
use Gemclone::Check;
use Gemclone::Client;
use Gemclone::ErrorLog;
use Gemclone::Paths qw(temp_dir);
use Gemclone::Stack;
use Mojo::File qw(path);
use Mojo::UserAgent;
use Test::More;
use Time::HiRes qw(sleep time);

plan tests => 10;

# So long may another host show what is past when Redis missed a change.
use constant TTL => 2;

my @DIRECTIVES = ('GemcloneCacheTTL ' . TTL . 's', 'LogFormat "%P" pid', 'CustomLog children_log pid');
my $stack = Gemclone::Stack->start(fsync => 0, children => 3, directives => \@DIRECTIVES);
$stack->log->expect('GEM0301', 'GEM0302');

# Another host on the same database: with the same Redis, or with none.
my (@dirs, @logs);
sub host ($redis) {
    push @dirs, my $dir = temp_dir;
    symlink $stack->dir . '/keys', "$dir/keys";
    push @logs, Gemclone::ErrorLog->of("$dir");
    return Gemclone::Apache->new(
        dir => "$dir", children => 3, directives => \@DIRECTIVES,
        values => {DBDPARAMS => $stack->postgres->params, REDIS => $redis, GEMINI => $stack->standin->api_url},
    )->start;
}
my $other = host('GemcloneRedis ' . $stack->redis->url);
my $alone = host('');

# The same user over several connections at once, which are kept: they lead to several children.
sub connections ($user, $apache, $count = 8) {
    my @clients = map {
        Gemclone::Client->new(
            url => $apache->url,
            token => $user->token,
            ua => Mojo::UserAgent->new(inactivity_timeout => 60)
        )
    } 1 .. $count;
    Mojo::Promise->all(map { $_->ua->start_p($_->transaction(GET => '/chat/chatroom')) } @clients)->wait;
    return @clients;
}

sub titles ($client) { return join ',', map { $_->{title} } @{$client->rooms} }

# Changes the list by one connection, and at once reads it by all; the titles must be those that we expect.
# Returns what was wrong.
sub hammer ($rounds, @clients) {
    my (@rooms, @wrong) = @{$clients[0]->rooms};
    for my $round (1 .. $rounds) {
        my $client = $clients[rand @clients];
        my $dice = @rooms ? rand 3 : 0;
        if ($dice < 1) {
            unshift @rooms, $client->post('/chat/chatroom', {title => "made-$round"})->json->{chatroom};
        }
        elsif ($dice < 2) {
            my $room = $rooms[rand @rooms];
            $client->patch("/chat/chatroom/$room->{id}", {title => $room->{title} = "renamed-$round"});
        }
        else {
            my ($room) = splice @rooms, rand @rooms, 1;
            $client->delete("/chat/chatroom/$room->{id}");
        }
        my $expected = join ',', map { $_->{title} } @rooms;
        for my $reader (0 .. $#clients) {
            my $got = titles($clients[$reader]);
            push @wrong, "round $round, connection $reader: $got, not $expected" if $got ne $expected;
        }
    }
    return \@wrong;
}

sub children ($apache) {
    my %pids = map { $_ => 1 } split /\n/, path($apache->dir)->child('children_log')->slurp;
    return scalar keys %pids;
}

subtest 'it is cached' => sub {
    my $user = $stack->new_user;
    my $room = $user->room('Before');
    $user->rooms for 1 .. 3;
    $stack->dbh->do(q{UPDATE gemclone.chatrooms SET title = 'Behind our back' WHERE id = ?}, {}, $room);
    is titles($user), 'Before', 'a change that nobody told of is not seen';
    ok eventually(sub { titles($user) eq 'Behind our back' }, TTL + 3), 'before its time is over';
};

subtest 'right after every change, in all children' => sub {
    my @clients = connections($stack->new_user, $stack->apache);
    is_deeply hammer(40, @clients), [], 'by whatever connection';
    cmp_ok children($stack->apache), '>=', 2, 'which lead to several children';
    my @wrong = map {
        my $name = "Name $_";
        $clients[rand @clients]->patch('/user/me', {name => $name});
        grep { $_ ne $name } map { $_->get('/user/me')->json->{user}{name} } @clients;
    } 1 .. 20;
    is_deeply \@wrong, [], 'the account, too';
};

subtest 'changes at once' => sub {
    my $user = $stack->new_user;
    my @clients = connections($user, $stack->apache);
    for (1 .. 5) {
        my @made = all_at_once map { $_->transaction(POST => '/chat/chatroom', {title => 'x'}) } @clients;
        is_deeply [map { scalar @{$_->rooms} } @clients], [($_ * @clients) x @clients], 'all are in every list';
    }
};

subtest 'on another host within a second' => sub {
    my $user = $stack->new_user;
    my ($here, $there) = ([connections($user, $stack->apache, 4)], [connections($user, $other, 4)]);
    my @steps = (
        sub ($by) { $by->room('One') }, sub ($by) { $by->room('Two') },
        sub ($by) { $by->patch('/chat/chatroom/' . $by->rooms->[0]{id}, {title => 'Changed'}) },
        sub ($by) { $by->delete('/chat/chatroom/' . $by->rooms->[1]{id}) },
    );
    for my $pair ([$here, $there], [$there, $here]) {
        my ($writers, $readers) = @$pair;
        for my $step (@steps) {
            $_->rooms for @$readers, @$readers;
            $step->($writers->[0]);
            my $truth = titles($writers->[0]);
            ok eventually(sub { !grep { titles($_) ne $truth } @$readers }, 1), "'$truth' is seen by all";
        }
    }
};

subtest 'without Redis at all' => sub {
    my @clients = connections($stack->new_user, $alone);
    is_deeply hammer(25, @clients), [], 'it is right after every change';
    is $clients[0]->get('/readyz')->json->{redis}, 'not configured', 'and /readyz knows';
};

subtest 'Redis dies' => sub {
    $logs[0]->expect('GEM0301', 'GEM0302');
    my $user = $stack->new_user;
    my @clients = connections($user, $stack->apache);
    is_deeply hammer(10, @clients), [], 'before';
    $stack->redis->stop;
    is_deeply hammer(20, @clients), [], 'while it is away, from the first change on';
    my $ready = $clients[0]->get('/readyz');
    is $ready->code, 200, 'the server is ready without it';
    is $ready->json->{redis}, 'unreachable', 'and says that it is away';
    like $user->ask($user->room('Chat'), 'Hello'), qr/^You said: Hello/, 'replies come';
    $_->get('/user/me')->code == 200 or fail 'a user' for @clients;
    $stack->redis->start;
    is_deeply hammer(10, @clients), [], 'as soon as it is back';
    ok eventually(sub { $clients[0]->get('/readyz')->json->{redis} eq 'ok' }, 10), 'and is used again';
    sleep TTL;
    is_deeply hammer(10, @clients), [], 'and afterwards';
    my @there = connections($user, $other);
    $clients[0]->room('Far');
    ok eventually(
        sub {
            !grep { titles($_) ne titles($clients[0]) } @there;
        },
        1
        ),
        'the other host hears of changes again';
};

subtest 'Redis hangs' => sub {
    my $user = $stack->new_user;
    my @clients = connections($user, $stack->apache, 4);
    my @there = connections($user, $other, 4);
    $stack->redis->process->kill('STOP');
    my $began = time;
    is_deeply hammer(3, @clients), [], 'the list is right';
    cmp_ok time - $began, '<', 20, 'in bearable time';
    $stack->redis->process->kill('CONT');
    is_deeply hammer(10, @clients), [], 'also when it goes on';
    ok eventually(
        sub {
            !grep { titles($_) ne titles($clients[0]) } @there;
        },
        TTL + 3
        ),
        'the other host is right when values have aged';
};

subtest 'the connection for changes is lost' => sub {
    my $user = $stack->new_user;
    my ($here, $there) = map { [connections($user, $_, 4)] } $stack->apache, $other;
    for my $kind (qw(pubsub normal)) {
        $stack->redis->command(qw(CLIENT KILL TYPE), $kind);
        $here->[0]->room("After $kind");
        is titles($_), titles($here->[0]), 'the same host is right at once' for @$here;
        ok eventually(sub { !grep { titles($_) ne titles($here->[0]) } @$there }, TTL + 3), 'the other host soon';
    }
};

subtest 'Redis holds something else' => sub {
    my $user = $stack->new_user;
    my $room = $user->room('Mine');
    titles($user);
    for my $to_each ('redis.call("DEL", k)', 'redis.call("SET", k, "junk")', 'redis.call("SET", k, string.rep("x", 16))',
        'redis.call("DEL", k); redis.call("LPUSH", k, "x")') {
        $stack->redis->command(EVAL => qq{for _, k in ipairs(redis.call("KEYS", "*")) do $to_each end}, 0);
        my @clients = connections($user, $stack->apache, 4);
        is_deeply [map { titles($_) } @clients], [('Mine') x 4], 'the list is from Postgres then';
        is $clients[0]->patch("/chat/chatroom/$room", {title => 'Mine'})->code, 200, 'and changes are taken';
    }
};

$_->stop for $other, $alone;
is_deeply [map { $_->unexpected } @logs], [], 'the other hosts have logged nothing bad';
