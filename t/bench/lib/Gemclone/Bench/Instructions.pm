# SPDX-License-Identifier: Apache-2.0
# Instructions that httpd executes for one request, counted by callgrind in a process of its own, over connections
# that are kept alive. What it costs to be there at all cancels out: of an account of N requests and one of 2N it
# takes the difference. The kernel's instructions, Postgres' and Redis' are not in it.
package Gemclone::Bench::Instructions;
use Mojo::Base -base, -signatures;

use Gemclone::Paths qw(program);
use Gemclone::Process;
use IO::Socket::INET;
use Mojo::File qw(path);

# So many requests are on their way at once; N.
use constant {CONNECTIONS => 8, REQUESTS => 160, PATIENCE => 60};

# server: a Gemclone::Bench::Server
has 'server';

# Returns {name of row => instructions}; rows without Redis have a server of their own.
sub count ($self, @rows) {
    my %count;
    for my $plain (0, 1) {
        my @of_server = grep { !$_->{sql} && ($_->{plain} // 0) == $plain } @rows or next;
        my $valgrind = $self->_start($plain);
        $count{$_->{name}} = $self->_count($_) for @of_server;
        $valgrind->stop;
    }
    return \%count;
}

sub _start ($self, $plain) {
    my $apache = $self->server->apache($plain ? 'callgrind-plain' : 'callgrind', redis => !$plain, children => 1);
    my $conf = $apache->writer->($apache);
    $self->{accounts} = path($apache->dir)->child('account');
    my $process = Gemclone::Process->start(
        name    => 'httpd under valgrind',
        log     => $apache->console_log,
        own_log => $apache->error_log,
        command => [
            program('valgrind'), '--tool=callgrind', "--callgrind-out-file=$self->{accounts}",
            '--dump-before=bench_mark', program('apache2'), '-X', '-d', $apache->dir, '-f', $conf
        ],
    );
    $self->{port} = $apache->port;
    $process->wait_for(sub { eval { $self->_connect } }, PATIENCE);
    $self->{marks} = 0;
    return $process;
}

sub _count ($self, $row) {
    my @connections = map { $self->_connect } 1 .. CONNECTIONS;
    $self->_send($row, REQUESTS, @connections);
    $self->_mark;
    $self->_send($row, REQUESTS, @connections);
    my $once = $self->_mark;
    $self->_send($row, 2 * REQUESTS, @connections);
    return ($self->_mark - $once) / REQUESTS;
}

# Ends an account; returns what it came to.
sub _mark ($self) {
    my $socket = $self->_connect;
    print {$socket} "GET /bench/mark HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
    _read_answer($socket, 204);
    my $file = $self->{accounts} . '.' . ++$self->{marks};
    return (path($file)->slurp =~ /^(?:totals|summary): (\d+)/m)[0] // die "callgrind wrote no total into $file\n";
}

sub _connect ($self) {
    return IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $self->{port})
        // die "httpd under valgrind: $@\n";
}

# One request on each connection, then all their answers, until there were so many.
sub _send ($self, $row, $count, @connections) {
    my $next = 0;
    while ($next < $count) {
        print {$_} $row->{requests}[$next++ % @{$row->{requests}}] for @connections;
        _read_answer($_, $row->{status}) for @connections;
    }
}

sub _read_answer ($socket, $status) {
    my $answer = '';
    local $SIG{ALRM} = sub { die "no answer\n" };
    alarm PATIENCE;
    while ($answer !~ /\r\n\r\n/ || length $' < ($answer =~ /^Content-Length: (\d+)/mi ? $1 : 0)) {
        sysread $socket, $answer, 65536, length $answer or die "the connection was closed, after: $answer\n";
    }
    alarm 0;
    die "expected $status, got: $answer\n" unless $answer =~ m{^HTTP/1\.1 $status };
}

1;
