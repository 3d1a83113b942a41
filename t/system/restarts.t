# SPDX-License-Identifier: Apache-2.0
# Restarts of every kind under load: nothing is lost, nothing is doubled, and nothing is left behind.
# Keeps the machine busy: see Gemclone::Suite.
use Mojo::Base -strict, -signatures;

use FindBin ();
use lib "$FindBin::RealBin/../chaos/lib";

use Gemclone::Chaos::Load;
use Gemclone::Chaos::Verdict;
use Gemclone::Check;
use Gemclone::Stack;
use List::Util qw(sum0);
use Mojo::File qw(path);
use Test::More;
use Time::HiRes qw(sleep time);

use constant {CYCLES => 50, WARM_UP => 10, CHILDREN => 2, THREADS => 16, STOPS => 3, SEED => 1, ROOMS => 12, PATIENCE => 60};

plan tests => 6;

my @DIRECTIVES = ('GemcloneQuota basic unlimited', 'GemcloneDrainTimeout 1s', 'GemcloneLease 4s',
    'GemcloneDatabaseTimeout 2s', 'GemclonePoll 200ms', 'GemcloneGeminiBackoff 50ms', 'GracefulShutdownTimeout 5');
my %of_host = (children => CHILDREN, threads => THREADS);
my $stack = Gemclone::Stack->start(%of_host, fsync => 0, directives => \@DIRECTIVES);
# Its children end by themselves, one after the other: each request is a connection of its own.
my $mortal = $stack->another_host(%of_host, directives => [@DIRECTIVES, 'MaxConnectionsPerChild 20', 'KeepAlive Off',
        'LogFormat "%P" pid', 'CustomLog children_log pid']);
$stack->log->expect('AH03490', qr/GEM040[39]/);    # what some prompts do by themselves
my $apache = $stack->apache;
my $load = Gemclone::Chaos::Load->new(urls => [map { $_->url } $apache, $mortal], seed => SEED, rooms => ROOMS,
    file => $stack->dir . '/accepted')->launch;

sub status ($pid, $what) { return (eval { path("/proc/$pid/status")->slurp } // '') =~ /^$what:\s+(\d+)/m ? $1 : 0 }
sub files ($pid) { return scalar(() = glob "/proc/$pid/fd/*") }
sub backends () {
    return $stack->dbh->selectrow_array(q{SELECT count(*) FROM pg_stat_activity WHERE usename = 'gemclone'});
}
sub redis_clients () { return scalar(() = $stack->redis->command('CLIENT', 'LIST') =~ /^id=/mg) }

# What the host holds, once nobody is left of those who were to go, and the new ones have all their threads.
sub held () {
    my $is_settled = sub {
        my @now = $apache->children_pids;
        return @now == CHILDREN && !grep { status($_, 'Threads') <= THREADS } @now;
    };
    eventually($is_settled, 15) or die 'children are left';
    sleep 0.5;
    my @children = $apache->children_pids;
    return {
        'memory of the parent, KiB' => status($apache->pid, 'VmRSS'),
        'descriptors of the parent' => files($apache->pid),
        'threads of the children' => sum0(map { status($_, 'Threads') } @children),
        'descriptors of the children' => sum0(map { files($_) } @children),
        'memory of the children, KiB' => sum0(map { status($_, 'VmRSS') } @children),
        'connections of Postgres' => backends(),
        'connections of Redis' => redis_clients(),
    };
}

# True when all children are new.
sub restart_gracefully () {
    my %old = map { $_ => 1 } $apache->children_pids;
    $apache->graceful;
    my $are_new = eventually(sub { my @now = $apache->children_pids; @now == CHILDREN && !grep { $old{$_} } @now }, 20);
    $apache->process->alive or die "httpd has died\n";
    return $are_new;
}

subtest 'graceful restarts' => sub {
    my ($done, $before, $began) = (0, undef, time);
    for my $cycle (1 .. CYCLES) {
        $done += !!restart_gracefully;
        $before = held if $cycle == WARM_UP;
    }
    my $after = held;
    is $done, CYCLES, 'as many as that, each with new children';
    note sprintf '%d in %.0f s', CYCLES, time - $began;
    for my $what (sort keys %$after) {
        my ($is, $was) = ($after->{$what}, $before->{$what});
        # Connections come and go with the load; a sanitizer keeps what was freed for a while.
        my $may = $what =~ /KiB/ ? ($ENV{GEMCLONE_SANITIZE} ? 65_536 : 2048) : $what =~ /parent|threads/ ? 2 : 16;
        cmp_ok $is - $was, '<=', $may, "$what: flat";
        note "$what: $was after @{[WARM_UP]}, $is after @{[CYCLES]}";
    }
};

subtest 'stop and start' => sub {
    for (1 .. STOPS) {
        sleep 0.5;
        ok $apache->stop, 'it stops in order';
        $apache->start;
    }
};

subtest 'graceful-stop and start' => sub {
    for (1 .. STOPS) {
        sleep 0.5;
        $apache->process->kill('WINCH');
        ok eventually(sub { !$apache->process->alive }, 10), 'it ends by itself';
        $apache->stop;
        $apache->start;
    }
};

subtest 'children that end after MaxConnectionsPerChild' => sub {
    my %pids = map { $_ => 1 } split /\n/, path($mortal->dir)->child('children_log')->slurp;
    cmp_ok scalar(keys %pids), '>', 3 * CHILDREN, 'many have come and gone';
    note scalar(keys %pids) . ' children';
    ok eventually(sub { $mortal->children_pids <= CHILDREN + 1 }, 10), 'and are gone';
};

subtest 'every prompt' => sub {
    my $ended = $load->end(PATIENCE);
    eventually(sub { !$stack->dbh->selectrow_array('SELECT count(*) FROM gemclone.jobs') }, PATIENCE);
    my $verdict = Gemclone::Chaos::Verdict->new(load_ended => $ended)->read_accepted($load->file)->read_database($stack->dbh);
    my %is = %{$verdict->count};
    cmp_ok $is{accepted}, '>=', 100, 'many were accepted';
    note "$is{accepted} accepted";
    is $is{lost}, 0, 'none was lost';
    is $is{doubled}, 0, 'none was answered twice';
    is $is{poison}, 0, 'none is blamed for a restart';
    is_deeply $verdict->complaints, [], 'there is nothing else to complain of';
};

ok $stack->stop, 'all servers stop in order';
