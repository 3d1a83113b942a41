# SPDX-License-Identifier: Apache-2.0
# A bare socket to the server, for bytes that no decent client would send.
package Gemclone::Raw;
use Mojo::Base -base, -signatures;

use Gemclone::Journal;
use IO::Socket::IP;
use Mojo::URL;
use Time::HiRes qw(time);

has url => sub { $ENV{GEMCLONE_URL} // die "GEMCLONE_URL is not set: run it through ./dev check\n" };
has socket => sub ($self) {
    my $url = Mojo::URL->new($self->url);
    IO::Socket::IP->new(PeerHost => $url->host, PeerPort => $url->port // 80) // die "@{[$self->url]}: $@\n";
};

sub send ($self, $bytes) {
    local $SIG{PIPE} = 'IGNORE';
    while (length $bytes) {
        my $written = syswrite($self->socket, $bytes) // return $self;    # the server hung up: its right
        substr $bytes, 0, $written, '';
    }
    return $self;
}

# All that comes until the server closes or so many seconds have passed.
sub read ($self, $seconds = 10) {
    my ($all, $until) = ('', time + $seconds);
    while ((my $left = $until - time) > 0) {
        vec(my $ready = '', fileno $self->socket, 1) = 1;
        next unless select $ready, undef, undef, $left;
        last unless sysread $self->socket, my $some, 65536;
        $all .= $some;
    }
    return $all;
}

# (status, head, body) of one request that asks for the connection to be closed; status is 0 when the server
# closed it without an answer.
sub request ($class, $bytes, %opt) {
    my $self = $class->new(map { $_ => $opt{$_} } grep { defined $opt{$_} } 'url');
    my $answer = $self->send($bytes)->read($opt{seconds} // 10);
    Gemclone::Journal->watch_raw($bytes, $answer);
    my ($head, $body) = split /\r\n\r\n/, $answer, 2;
    my ($code) = ($head // '') =~ m{^HTTP/1\.[01] (\d{3})};
    return ($code // 0, $head // '', $body // '');
}

1;
