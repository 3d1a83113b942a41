# SPDX-License-Identifier: Apache-2.0
# A reader of Server-Sent Events for tests: over a socket of its own, as slow or as rude as a test wants it.
#
#   my $events = Gemclone::Events->open(url => $url, path => "/message/$room/$id/events", token => $token);
#   $events->status; $events->header('Cache-Control');
#   my $event = $events->next(5);       # {id, event, data (from JSON), raw}, or undef
#   my @all = $events->rest(10);        # until the stream ends
package Gemclone::Events;
use Mojo::Base -base, -signatures;

use Exporter qw(import);
use Errno qw(EAGAIN EINTR EWOULDBLOCK);
use Gemclone::Journal;
use IO::Socket::IP;
use IO::Socket::SSL ();
use Mojo::JSON qw(decode_json encode_json);
use Mojo::URL;
use Socket qw(SO_LINGER SOL_SOCKET SO_RCVBUF);
use Time::HiRes qw(time);

use constant PATIENCE => 20;

our @EXPORT_OK = qw(text_of);

# comments, retries: what came of these; ended: how the stream did: 'whole' (the last chunk came) or 'cut'.
has [qw(socket status head ended)];
has comments => 0;
has retries  => sub { [] };

# Options: url, path, token; method and body (a reference is JSON); headers => {}; last => a Last-Event-ID;
# version => '1.0'; receive_buffer => bytes; ca => a certificate to trust, for https.
sub open ($class, %opt) {
    my $self = $class->new(buffer => '', text => '', opt => \%opt);
    my $url = Mojo::URL->new($opt{url});
    $self->{tls} = $url->protocol eq 'https';
    my %to = (PeerHost => $url->host, PeerPort => $url->port, Timeout => PATIENCE);
    $to{Sockopts} = [[SOL_SOCKET, SO_RCVBUF, $opt{receive_buffer}]] if $opt{receive_buffer};
    my $socket = $self->{tls}
        ? IO::Socket::SSL->new(%to, SSL_ca_file => $opt{ca}, SSL_verifycn_scheme => 'none')
        : IO::Socket::IP->new(%to);
    $socket // die "$opt{url}: $@\n";
    $self->socket($socket);
    $self->_send_request($url);
    $socket->blocking(0);
    return $self;
}

# A user's, of a reply; more options as above.
sub of_reply ($class, $client, $room, $id, %opt) {
    return $class->open(url => $client->url, token => $client->token, path => "/message/$room/$id/events", %opt);
}

# Of a prompt that is sent by this.
sub of_prompt ($class, $client, $room, $content, %opt) {
    return $class->open(url => $client->url, token => $client->token, path => "/message/$room", method => 'POST',
        body => {content => $content}, %opt);
}

# Waits for the head of the answer.
sub answered ($self, $seconds = PATIENCE) {
    my $until = time + $seconds;
    until (defined $self->status) { $self->_read($until) or last }
    return $self;
}

sub header ($self, $name) {
    return ($self->answered->head // '') =~ /^\Q$name\E: *(.*?)\r?$/mi ? $1 : undef;
}

# The next event; nothing when the stream has ended, or when there was none in time.
sub next ($self, $seconds = PATIENCE) {
    my $until = time + $seconds;
    while (1) {
        while ($self->{text} =~ s/\A(.*?)\n\n//s) {
            my $event = $self->_event($1);
            return $event if $event;
        }
        $self->_read($until) or return undef;
    }
}

# All that comes until the end of the stream; dies when it does not come in time.
sub rest ($self, $seconds = PATIENCE) {
    my ($until, @events) = time + $seconds;
    while (my $event = $self->next($until - time)) { push @events, $event }
    die "the stream has not ended after $seconds s\n" unless $self->ended;
    return @events;
}

# The text that a client has after these events, on top of what it had before.
sub text_of (@events) {
    my $text = ref $events[0] ? '' : shift @events;
    for my $event (@events) {
        $text = '' if $event->{event} eq 'reset';
        $text .= $event->{data}{text} if $event->{event} eq 'delta';
    }
    return $text;
}

# The events in a text, for who got it by other means.
sub parse ($class, $text) {
    my $self = $class->new(text => '');
    return grep {$_} map { $self->_event($_) } split /\n\n/, $text;
}

sub close ($self) { CORE::close $self->socket if $self->socket; return $self->socket(undef) }

# As when the client's machine goes down: a TCP reset.
sub reset ($self) {
    setsockopt $self->socket, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0;
    return $self->close;
}

sub _send_request ($self, $url) {
    my $opt = $self->{opt};
    my $method = $opt->{method} // 'GET';
    my $body = ref $opt->{body} ? encode_json($opt->{body}) : $opt->{body};
    my %headers = (Host => $url->host_port, Accept => 'text/event-stream', %{$opt->{headers} // {}});
    $headers{Authorization} //= "Bearer $opt->{token}" if $opt->{token};
    $headers{'Last-Event-ID'} = $opt->{last} if defined $opt->{last};
    if (defined $body) {
        $headers{'Content-Type'} //= 'application/json';
        $headers{'Content-Length'} = length $body;
    }
    my $path = ($url->path eq '/' ? '' : $url->path) . $opt->{path};
    my $line = "$method $path HTTP/" . ($opt->{version} // '1.1') . "\r\n";
    $self->{asked} = [$line, {headers => \%headers, body => $body}];
    print {$self->socket} $line, map({"$_: $headers{$_}\r\n"} sort keys %headers), "\r\n", $body // '';
    $self->socket->flush;
}

sub DESTROY ($self) {
    return if ${^GLOBAL_PHASE} eq 'DESTRUCT' || !defined $self->status;
    my ($line, $asked) = @{$self->{asked}};
    Gemclone::Journal->watch_raw($line, $self->{raw}, %$asked);
    return;
}

# Reads some more; false at the end of the stream, or of the time.
sub _read ($self, $until) {
    return 0 if $self->ended || !$self->socket;
    my $got = sysread $self->socket, my $bytes, 65536;
    if ($got) {
        $self->{raw} .= $bytes;
        $self->{buffer} .= $bytes;
        $self->_take_head unless defined $self->status;
        $self->_take_body if defined $self->status;
        return 1;
    }
    if (defined $got || !$!{EAGAIN} && !$!{EWOULDBLOCK} && !$!{EINTR}) {
        return $self->ended($self->{is_whole} || !$self->{chunked} && defined $got ? 'whole' : 'cut') && 0;
    }
    my $left = $until - time;
    return 0 if $left <= 0;
    vec(my $ready = '', fileno $self->socket, 1) = 1;
    select $ready, undef, undef, $left;
    return 1;
}

sub _take_head ($self) {
    $self->{buffer} =~ s/\A(.*?\r\n)\r\n//s or return;
    $self->head($1);
    $self->status(($1 =~ m{\AHTTP/\S+ (\d+)})[0]);
    $self->{chunked} = $self->head =~ /^Transfer-Encoding: chunked/mi;
    ($self->{length}) = $self->head =~ /^Content-Length: (\d+)/mi;
}

sub _take_body ($self) {
    if (!$self->{chunked}) {
        $self->{text} .= $self->{buffer};
        $self->{got} += length $self->{buffer};
        $self->{buffer} = '';
        $self->ended('whole') if defined $self->{length} && $self->{got} >= $self->{length};
        return;
    }
    while ($self->{buffer} =~ /\A([0-9a-f]+)[^\r\n]*\r\n/i) {
        my ($size, $from) = (hex $1, $+[0]);
        if (!$size) { $self->{is_whole} = 1; $self->ended('whole'); return }
        return if length $self->{buffer} < $from + $size + 2;
        $self->{text} .= substr $self->{buffer}, $from, $size;
        substr $self->{buffer}, 0, $from + $size + 2, '';
    }
}

# What a block of lines is, as the standard has it.
sub _event ($self, $block) {
    my (%event, @data);
    for my $line (split /\n/, $block) {
        if    ($line =~ /\A:/)                 { $self->comments($self->comments + 1) }
        elsif ($line =~ /\Aretry: (\d+)\z/)    { push @{$self->retries}, $1 }
        elsif ($line =~ /\Adata: ?(.*)\z/s)    { push @data, $1 }
        elsif ($line =~ /\A(id|event): ?(.*)/) { $event{$1} = $2 }
        else                                   { die "no line of an event stream: $line\n" }
    }
    return undef unless @data;
    $event{raw} = join "\n", @data;
    $event{data} = decode_json($event{raw});
    return \%event;
}

1;
