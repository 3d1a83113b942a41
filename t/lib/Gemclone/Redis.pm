# SPDX-License-Identifier: Apache-2.0
# A private Redis on a Unix socket, and on the loopback where asked for; it keeps nothing on disk.
package Gemclone::Redis;
use Mojo::Base -base, -signatures;

use Gemclone::Paths qw(free_port program);
use Gemclone::Process;
use IO::Socket::UNIX;
use Mojo::File qw(path);

has [qw(dir sockets process)];
has daemon   => 0;
has port     => 0;             # none; the first one that is free, from `with_port` on
has settings => sub { [] };    # more arguments of redis-server

sub with_port ($self) { return $self->port(free_port) }

sub start ($self) {
    for my $try (1 .. 5) {
        return $self if eval { $self->_start };
        die $@ unless $self->port && $@ =~ /address already in use/i;
        $self->with_port;
    }
    die "Redis found no free port\n";
}

sub _start ($self) {
    unlink $self->socket;
    $self->process(Gemclone::Process->start(
        name    => 'Redis',
        log     => $self->log,
        daemon  => $self->daemon,
        command => [
            $self->_server,
            qw(--bind 127.0.0.1 --port), $self->port, '--unixsocket', $self->socket, qw(--unixsocketperm 700),
            '--dir', $self->dir, '--save', '', qw(--appendonly no --daemonize no), @{$self->settings},
        ],
    ));
    $self->process->wait_for(sub { $self->_answers });
    return $self;
}

# stop is true when it went without force.
sub stop    ($self) { return $self->process ? $self->process->stop : 1 }
sub restart ($self) { $self->stop; return $self->start }

sub socket ($self) { return $self->sockets . '/redis.sock' }
sub log    ($self) { return path($self->dir)->child('redis.log')->to_string }

# For the module, which takes the shorter way, and for everybody else.
sub socket_url ($self) { return 'unix:' . $self->socket }
sub url ($self) { return $self->port ? 'redis://127.0.0.1:' . $self->port . '/0' : $self->socket_url }

# One command over a connection of its own, in text that redis-cli makes.
sub command ($self, @words) {
    open my $out, '-|', program('redis-cli'), '-s', $self->socket, @words or die "redis-cli: $!\n";
    chomp(my $answer = do { local $/; <$out> } // '');
    close $out;
    return $answer;
}

# The server is a service of package redis-server, but the program is in redis-tools as well, which starts
# nothing when it is installed: it goes by the name that it is called by.
sub _server ($self) {
    my $program = path($self->dir)->child('redis-server')->to_string;
    symlink program('redis-check-rdb'), $program unless -l $program;
    return $program;
}

sub _answers ($self) {
    my $socket = IO::Socket::UNIX->new(Peer => $self->socket) or return 0;
    $socket->syswrite("PING\r\n");
    $socket->sysread(my $answer, 16);
    return ($answer // '') =~ /PONG/;
}

1;
