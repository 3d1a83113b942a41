# SPDX-License-Identifier: Apache-2.0
# What goes wrong, when, and how it is mended.
package Gemclone::Chaos::Faults;
use Mojo::Base -base, -signatures;

use List::Util qw(sum);
use Time::HiRes qw(sleep time);

# stack, hosts: Gemclone::Apache each; seed; lease, gap: seconds; only: kinds, or all; tell: is told of each fault
has [qw(stack hosts seed lease gap only tell)];
has events => sub { [] };    # [kind, when it was over]
has counts => sub { {} };    # by kind
has killed => 0;             # processes of httpd

# kind => [weight, what it is of, how]: `how` does it and returns nothing, or (seconds, how it is mended). Two faults of
# the same thing do not overlap; those of different things may.
my %KINDS = (
    'child killed'            => [30, host => \&_kill_child],
    'all children killed'     => [5,  host => \&_kill_children],
    'host killed'             => [6,  host => \&_kill_host],
    'child frozen'            => [4,  host => \&_freeze_child],
    'graceful restart'        => [6,  host => \&_restart_gracefully],
    'host stopped'            => [3,  host => \&_stop_host],
    'graceful stop'           => [2,  host => \&_stop_gracefully],
    'Postgres restarted'      => [3,  postgres => \&_restart_postgres],
    'Postgres crashed'        => [2,  postgres => \&_crash_postgres],
    'Postgres cuts all'       => [5,  postgres => \&_cut_connections],
    'Postgres read-only'      => [2,  postgres => \&_read_only],
    'Postgres full'           => [2,  postgres => \&_full],
    'Postgres locked'         => [3,  postgres => \&_locked],
    'Redis killed'            => [3,  redis => \&_kill_redis],
    'Redis hangs'             => [3,  redis => \&_hang_redis],
    'Redis full'              => [2,  redis => \&_fill_redis],
    'Redis emptied'           => [2,  redis => \&_empty_redis],
    'Gemini fails'            => [5,  gemini => \&_gemini_fails],
    'Gemini is slow'          => [3,  gemini => \&_gemini_slow],
);
my @ORDER = sort { $KINDS{$a}[1] cmp $KINDS{$b}[1] || $a cmp $b } keys %KINDS;

sub kinds ($class) { return @ORDER }

# For so many seconds; then all is mended.
sub run ($self, $seconds) {
    srand $self->seed;
    my ($until, @open) = (time + $seconds);
    my $next = time + $self->gap;
    while (time < $until) {
        $self->_mend(\@open, time);
        if (time >= $next) {
            $next = time - $self->gap * log(1 - rand);
            $self->_begin(\@open);
        }
        sleep 0.02;
    }
    $self->_mend(\@open, $until + 3600);
    return $self;
}

sub _begin ($self, $open) {
    my @kinds = $self->only ? @{$self->only} : @ORDER;
    my $point = rand sum map { $KINDS{$_}[0] } @kinds;
    my ($kind) = grep { ($point -= $KINDS{$_}[0]) < 0 } @kinds;
    my (undef, $of, $how) = @{$KINDS{$kind}};
    my $host = $self->hosts->[rand @{$self->hosts}];
    my $what = $of eq 'host' ? $host->dir : $of;
    my $chance = rand;    # drawn in any case: the schedule is the seed's alone
    return if grep { $_->{what} eq $what } @$open;
    $self->tell->("$kind ($what)");
    $self->counts->{$kind}++;
    my ($after, $mend) = $how->($self, $host, $chance);
    return push @$open, {kind => $kind, what => $what, at => time + $after, mend => $mend} if $mend;
    push @{$self->events}, [$kind, time];
    return;
}

sub _mend ($self, $open, $now) {
    my @due = grep { $_->{at} <= $now } @$open;
    @$open = grep { $_->{at} > $now } @$open;
    for my $fault (@due) {
        $fault->{mend}->();
        push @{$self->events}, [$fault->{kind}, time];
    }
    return;
}

# ---------------------------------------------------------------- the hosts ----
sub _kill ($self, @pids) {
    $self->killed($self->killed + kill KILL => @pids);
    return;
}

sub _kill_child ($self, $host, $chance) {
    my @pids = $host->children_pids;
    $self->_kill($pids[$chance * @pids]) if @pids;
    return;
}

sub _kill_children ($self, $host, $chance) { $self->_kill($host->children_pids); return }

sub _kill_host ($self, $host, $chance) {
    $self->_kill($host->pid, $host->children_pids);
    return (0.3 + $chance, sub { _start_again($host) });
}

# The rest of a group that was killed must be gone before the port is free again.
sub _start_again ($host) {
    $host->stop;
    unlink $host->dir . '/httpd.pid';
    return $host->start;
}

sub _freeze_child ($self, $host, $chance) {
    my @pids = $host->children_pids or return;
    my $pid = $pids[$chance * @pids];
    kill STOP => $pid;
    return ($self->lease * (1 + $chance), sub { kill CONT => $pid });
}

sub _restart_gracefully ($self, $host, $chance) { $host->graceful; return }

sub _stop_host ($self, $host, $chance) {
    $host->stop;
    return (0.3 + $chance, sub { _start_again($host) });
}

sub _stop_gracefully ($self, $host, $chance) {
    $host->process->kill('WINCH');
    return (1 + 2 * $chance, sub { _start_again($host) });
}

# ----------------------------------------------------------------- Postgres ----
sub _restart_postgres ($self, $host, $chance) {
    my $postgres = $self->stack->postgres;
    $postgres->stop;
    return ($chance * 1.5, sub { $postgres->start });
}

# As after a crash: it reads its log when it starts again.
sub _crash_postgres ($self, $host, $chance) {
    my $postgres = $self->stack->postgres;
    $postgres->process->kill('QUIT');
    $postgres->stop;
    return ($chance * 1.5, sub { $postgres->start });
}

sub _sql ($self, @statements) {
    my $dbh = $self->stack->dbh;
    $dbh->do($_) for @statements;
    return $dbh;
}

my $CUT = q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'gemclone'};

sub _cut_connections ($self, $host, $chance) { $self->_sql($CUT); return }

sub _read_only ($self, $host, $chance) {
    $self->_sql('ALTER ROLE gemclone SET default_transaction_read_only = on', $CUT);
    return (0.5 + $chance, sub { $self->_sql('ALTER ROLE gemclone RESET default_transaction_read_only') });
}

sub _full ($self, $host, $chance) {
    $self->_sql('ALTER ROLE gemclone CONNECTION LIMIT 5', $CUT);
    return (1 + $chance, sub { $self->_sql('ALTER ROLE gemclone CONNECTION LIMIT -1') });
}

sub _locked ($self, $host, $chance) {
    my $dbh = $self->stack->dbh(attributes => {AutoCommit => 0});
    $dbh->do('LOCK TABLE gemclone.jobs IN ACCESS EXCLUSIVE MODE');
    return (0.3 + $chance, sub { $dbh->rollback; $dbh->disconnect });
}

# -------------------------------------------------------------------- Redis ----
sub _kill_redis ($self, $host, $chance) {
    my $redis = $self->stack->redis;
    $redis->process->kill('KILL');
    $redis->stop;
    return ($chance * 2, sub { $redis->start });
}

sub _hang_redis ($self, $host, $chance) {
    my $process = $self->stack->redis->process;
    $process->kill('STOP');
    return (0.5 + 2 * $chance, sub { $process->kill('CONT') });
}

sub _fill_redis ($self, $host, $chance) {
    my $redis = $self->stack->redis;
    $redis->command(qw(CONFIG SET maxmemory 1));
    return (0.5 + $chance, sub { $redis->command(qw(CONFIG SET maxmemory 0)) });
}

sub _empty_redis ($self, $host, $chance) { $self->stack->redis->command('FLUSHALL'); return }

# ------------------------------------------------------------------- Gemini ----
my @FAILURES = ({status => 503}, {status => 500}, {reset => 1}, {cut => 2}, {garbage => 1}, {torn => 1}, {empty => \1},
    {quota => 'minute', retry => '1s'});

sub _gemini_fails ($self, $host, $chance) {
    $self->stack->standin->control($FAILURES[$chance * @FAILURES]);
    return (0.3 + $chance, sub { $self->stack->standin->control({}) });
}

sub _gemini_slow ($self, $host, $chance) {
    $self->stack->standin->control($chance < 0.5 ? {delay => 2000} : {stall => 1});
    return (0.3 + $chance, sub { $self->stack->standin->control({}) });
}

1;
