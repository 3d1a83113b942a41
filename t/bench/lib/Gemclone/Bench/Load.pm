# SPDX-License-Identifier: Apache-2.0
# Puts load on one row of the table for some seconds: wrk for HTTP, pgbench for SQL.
package Gemclone::Bench::Load;
use Mojo::Base -base, -signatures;

use Gemclone::Bench::Server;
use Gemclone::Bench::Targets;
use Gemclone::Paths qw(program top write_file);
use Gemclone::Process;
use Mojo::File qw(path);
use Mojo::JSON qw(decode_json);
use Time::HiRes qw(sleep time);

# server: a Gemclone::Bench::Server
has 'server';
has dir => sub ($self) { path($self->server->dir)->child('load')->make_path->to_string };

# Returns {requests, rate, p50, p99 (ms), errors, closed, transactions, apache, postgres, client}, of which the last
# three are CPU time, in microseconds a request, and closed is how many connections httpd closed.
sub run ($self, $row, $seconds) {
    # Nobody answers here: without this, users would be owed more than they ever are.
    $self->server->dbh->do('TRUNCATE gemclone.jobs');
    my ($written, %before) = ($self->server->transactions, $self->_cpu);
    my $result = $row->{sql} ? $self->_pgbench($row, $seconds) : $self->_wrk($row, $seconds);
    my %after = $self->_cpu;
    $result->{transactions} = $self->server->transactions - $written;
    $result->{$_} = 1e6 * ($after{$_} - $before{$_}) / ($result->{requests} || 1) for keys %after;
    return $result;
}

# The client's is that of the children of ours which have ended.
sub _cpu ($self) {
    my (undef, undef, $user, $system) = times;
    return (%{$self->server->cpu}, client => $user + $system);
}

sub _wrk ($self, $row, $seconds) {
    my $file = Gemclone::Bench::Targets->write_requests($row, $self->dir);
    my $said = $self->_finish($seconds, program('wrk'), '-t1', "-c$row->{connections}", "-d${seconds}s",
        '-s', top->child('t', 'bench', 'wrk.lua'), "http://127.0.0.1:$row->{port}/", '--', $file);
    my $result = decode_json(($said =~ /^RESULT (.*)$/m)[0] // die "wrk failed: $said\n");
    $result->{rate} = $result->{requests} / $result->{seconds};
    return $result;
}

sub _pgbench ($self, $row, $seconds) {
    unlink glob $self->dir . '/pgbench.*';
    my $script = write_file("$self->{dir}/$row->{name}.sql",
        sprintf "\\set n random(1, %d)\n%s;\n", Gemclone::Bench::Server::USERS, $row->{sql});
    local %ENV = (%ENV, $self->server->postgres->libpq_environment, PGUSER => $self->server->postgres->role);
    my $said = $self->_finish($seconds, program('pgbench'), qw(-n -M prepared -j 1 -l), '--log-prefix',
        $self->dir . '/pgbench', '-c', $row->{connections}, '-T', $seconds, '-f', $script);
    my ($rate) = $said =~ /^tps = ([\d.]+)/m or die "pgbench failed: $said\n";
    my @log = map { split /\n/, path($_)->slurp } glob "$self->{dir}/pgbench.*";
    my @took = sort { $a <=> $b } map { (split / /)[2] } @log;    # microseconds, one a transaction
    return {
        requests => @took * $row->{prompts},
        rate     => $rate * $row->{prompts},
        errors   => $said =~ /aborted|failed transactions: [1-9]/ ? 1 : 0,
        closed   => 0,
        p50      => $took[@took * 0.5] / 1e3,
        p99      => $took[@took * 0.99] / 1e3,
    };
}

# What a program printed, which is to end after so many seconds.
sub _finish ($self, $seconds, @command) {
    my $log = write_file($self->dir . '/said', '');
    my $process = Gemclone::Process->start(name => $command[0], log => $log, command => \@command);
    my $until = time + $seconds + 20;
    sleep 0.02 while $process->alive && time < $until;
    die "$command[0] does not end\n" if $process->alive;
    return path($log)->slurp;
}

1;
