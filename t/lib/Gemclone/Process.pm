# SPDX-License-Identifier: Apache-2.0
# A process that we started and that we end: by its pid, within a bound, whatever happens to us.
package Gemclone::Process;
use Mojo::Base -base, -signatures;

use Fcntl        qw(F_SETFD FD_CLOEXEC);
use Mojo::File   qw(path);
use POSIX        qw(WNOHANG setsid);
use Scalar::Util qw(weaken);
use Time::HiRes  qw(sleep time);

# name: for people; log: where its output goes; own_log: where it says more; signal: the one that it takes as a
# wish to end; patience: seconds from that wish to SIGKILL; born: its start time, without which a pid says nothing;
# port: of httpd, see _comes_to_rest.
has [qw(name pid log own_log born port)];
has signal   => 'TERM';
has patience => 20;

# Everything that runs and is ours, in the order of its start.
my @running;

# Gemclone::Process->start(name => ..., command => [...], log => $file,
#     env => {}, signal => 'TERM', daemon => 0, port => 8080)
# Each process leads a session of its own, so that Ctrl-C reaches us alone and we end things in order. It dies
# with us even when we are killed outright, unless it is a daemon.
sub start ($class, %opt) {
    my $self = $class->new(%opt{grep { exists $opt{$_} } qw(name log own_log signal patience port)});
    my @command = @{$opt{command}};
    unshift @command, 'setpriv', '--pdeathsig', $self->signal, '--' unless $opt{daemon};

    pipe my $failed, my $report or die "pipe: $!\n";
    my $pid = fork // die "cannot fork: $!\n";
    _become($report, $self->log, $opt{env} // {}, @command) unless $pid;
    close $report;
    if (defined(my $error = <$failed>)) {
        waitpid $pid, 0;
        die "cannot start @{[$self->name]}: $error\n";
    }
    $self->pid($pid)->born(_born($pid));
    $self->{owner} = $opt{daemon} ? 0 : $$;
    $self->{child} = 1;
    push @running, $self;
    weaken $running[-1];
    return $self;
}

# Takes up a process that another program of ours has started and written down with `record`.
sub adopt ($class, $record) {
    my $self = $class->new($record);
    return $self->alive ? $self : undef;
}

sub record ($self) { return {map { $_ => $self->$_ } qw(name pid log born signal patience port)} }

# Its state, without waiting.
sub alive ($self) {
    return 0 unless $self->pid;
    waitpid $self->pid, WNOHANG if $self->{child};
    my $born = _born($self->pid);
    return defined $born && $born eq $self->born;
}

# Runs $ready until it is true; dies with the end of the log when the process ends first.
sub wait_for ($self, $ready, $seconds = 30) {
    my $until = time + $seconds;
    while (time < $until) {
        return $self if $ready->();
        last unless $self->alive;
        sleep 0.02;
    }
    my $what = $self->alive ? "is not ready after $seconds s" : 'ended at once';
    die sprintf "%s %s: %s\n", $self->name, $what, $self->last_words;
}

sub last_words ($self) {
    my @lines = grep {/\S/} map { split /\n/, path($_)->slurp } grep { $_ && -e } $self->own_log, $self->log;
    return join ' | ', map {s/^\s+|\s+$//gr} @lines > 3 ? @lines[-3 .. -1] : @lines;
}

sub kill ($self, $signal) { return $self->alive && CORE::kill $signal, $self->pid }

# Ends it: a wish, then force, and force for whatever is left of its group. True when the wish was enough.
sub stop ($self) {
    my $pid = $self->pid or return 1;
    $self->_comes_to_rest if $self->port;
    if ($self->kill($self->signal)) {
        my $until = time + $self->patience;
        sleep 0.02 while $self->alive && time < $until;
        $self->{forced} = 1 if $self->alive;
    }
    CORE::kill KILL => -$pid;
    sleep 0.02 while $self->alive;
    $self->pid(undef);
    return !$self->{forced};
}

# httpd 2.4.71's event MPM, told to stop, resets the sockets that its threads are at, without a lock: where a thread is just
# closing one, the child may crash on memory that is no longer there. It does so without any module of ours, too. So
# what clients have just closed (08: CLOSE_WAIT) is waited for.
sub _comes_to_rest ($self) {
    my $closed_by_client = sprintf '0100007F:%04X [0-9A-F]+:[0-9A-F]+ 08 ', $self->port;
    my $until = time + 2;
    do { sleep 0.01 } while path('/proc/net/tcp')->slurp =~ /$closed_by_client/ && time < $until;
    return;
}

sub children ($self) {
    my $ours = $self->pid or return;
    return grep { (_stat($_))[1] == $ours } map {m{/(\d+)/}} glob '/proc/[0-9]*/stat';
}

# The pids of all processes, of whoever, with $text in their command line.
sub with_text ($class, $text) {
    my $names = sub ($pid) {
        open my $in, '<', "/proc/$pid/cmdline" or return 0;    # it may have gone
        return (<$in> // '') =~ /\Q$text\E/;
    };
    return grep { $names->($_) } map {m{/(\d+)/}} glob '/proc/[0-9]*/cmdline';
}

sub DESTROY ($self) {
    return unless $self->{owner} && $self->{owner} == $$;
    local ($?, $!, $@);
    $self->stop;
}

END {
    local ($?, $!, $@);
    $_->stop for reverse grep { $_ && $_->{owner} && $_->{owner} == $$ } @running;
}

# An ordinary end runs the END block above; the default of these signals would not.
for my $signal (qw(INT TERM HUP)) {
    $SIG{$signal} = sub { exit 128 + {INT => 2, TERM => 15, HUP => 1}->{$signal} } unless $SIG{$signal};
}

# The child's half of start; does not return.
sub _become ($report, $log, $env, @command) {
    $SIG{$_} = 'DEFAULT' for qw(INT TERM HUP PIPE CHLD);
    setsid;
    fcntl $report, F_SETFD, FD_CLOEXEC;
    my $ok = open(STDIN, '<', '/dev/null') && open(STDOUT, '>>', $log) && open(STDERR, '>&', \*STDOUT);
    local @ENV{keys %$env} = values %$env;
    if ($ok) { no warnings 'exec'; exec { $command[0] } @command }
    print {$report} "$command[-1] ($log): $!";
    close $report;
    POSIX::_exit(127);
}

# (state, parent, start time) of a pid; nothing when there is none, or only its zombie.
sub _stat ($pid) {
    open my $in, '<', "/proc/$pid/stat" or return (0, 0);
    my ($rest) = (<$in> // '') =~ /.*\) (.*)/s or return (0, 0);
    my @field = split / /, $rest;
    return @field[0, 1, 19];
}

sub _born ($pid) {
    my ($state, undef, $time) = _stat($pid);
    return !$state || $state eq 'Z' ? undef : $time;
}

1;
