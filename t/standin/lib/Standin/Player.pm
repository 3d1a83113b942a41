# SPDX-License-Identifier: Apache-2.0
# Plays a script to one client, and stops when the client goes away.
#
# A script is a list of steps:
#   [pause => MS] [head => STATUS, TYPE] [write => BYTES] [repeat => MS, BYTES] and one of the ends
#   ['end'] ['close'] ['reset'] ['hang'] that it stops at.
package Standin::Player;
use Mojo::Base -base, -signatures;

use Mojo::IOLoop;
use Socket qw(SOL_SOCKET SO_LINGER);

# ms for the client to read what was sent before a reset throws away what it has not
use constant RESET_PAUSE => 50;

# c: the controller, kept with its transaction until the end; record: the request's entry in the ledger.
has [qw(c record steps tx)];

my %STEP = (
    pause  => sub ($self, $ms) { $self->_after($ms) },
    head   => sub ($self, $status, $type) { $self->_head($status, $type)->_next },
    write  => sub ($self, $bytes) { $self->_write($bytes) },
    repeat => sub ($self, $ms, $bytes) { $self->_repeat($ms, $bytes) },
    end    => sub ($self) { $self->_end },
    close  => sub ($self) { $self->_drop('cut',   0) },
    reset  => sub ($self) { $self->_drop('reset', 1) },
    hang   => sub ($self) { },
);

sub play ($class, $c, $record, $steps) {
    my $tx   = $c->render_later->tx;
    my $self = $class->new(c => $c, record => $record, steps => [@$steps], tx => $tx);
    $tx->on(finish => sub ($tx) { $self->_gone });
    $self->_next;
}

sub _next ($self) {
    my ($name, @args) = @{shift @{$self->steps // return}};
    $STEP{$name}->($self, @args);
}

sub _after ($self, $ms) {
    return $self->_next unless $ms;
    $self->{timer} = Mojo::IOLoop->timer($ms / 1000 => sub { delete $self->{timer}; $self->_next });
}

sub _head ($self, $status, $type) {
    $self->c->res->code($status)->headers->content_type($type);
    return $self;
}

# The next step comes when the kernel has taken these bytes: writes never run together.
sub _write ($self, $bytes) {
    $self->record->{writes}++;
    $self->record->{bytes} += length $bytes;
    $self->c->write_chunk($bytes => sub { $self->_next });
}

sub _repeat ($self, $ms, $bytes) {
    unshift @{$self->steps}, [write => $bytes], [pause => $ms], [repeat => $ms, $bytes];
    $self->_next;
}

sub _end ($self) {
    $self->record->{outcome} = 'done';
    $self->c->finish;
}

# Not at once: the server is still busy with the write that led here.
sub _drop ($self, $outcome, $hard) {
    $self->record->{outcome} = $outcome;
    my $stream = Mojo::IOLoop->stream($self->tx->connection) or return;
    return Mojo::IOLoop->next_tick(sub { $stream->close }) unless $hard;
    $self->{timer} = Mojo::IOLoop->timer(
        RESET_PAUSE / 1000 => sub {
            setsockopt $stream->handle, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0;
            $stream->close;
        }
    );
}

# The transaction is over, by whoever's doing. Lets go of all that would keep it alive.
sub _gone ($self) {
    Mojo::IOLoop->remove(delete $self->{timer}) if $self->{timer};
    delete @$self{qw(c steps tx)};
}

1;
