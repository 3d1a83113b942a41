# SPDX-License-Identifier: Apache-2.0
# A client of the API for tests and the demo: one kept-alive connection, JSON, and a user's usual steps.
package Gemclone::Client;
use Mojo::Base -base, -signatures;

use Gemclone::Journal;
use Gemclone::Secrets;
use Mojo::JSON qw(encode_json);
use Mojo::UserAgent;
use Time::HiRes qw(sleep time);

# url: the API's base; token: sent with every request once there is one; refresh_token: what came with it; trace:
# called with each (request, response), for whoever wants to see them.
has url   => sub { $ENV{GEMCLONE_URL} // die "GEMCLONE_URL is not set: run it through ./dev check\n" };
has token => undef;
has refresh_token => undef;
has user  => undef;
has trace => undef;
has ua    => sub { Mojo::UserAgent->new(max_redirects => 0, inactivity_timeout => 60, request_timeout => 120) };

# A user who has just signed up, under a number that nobody has, and is signed in.
sub new_user ($class, %opt) {
    my $self = $class->new(map { $_ => $opt{$_} } grep { defined $opt{$_} } qw(url trace));
    my $number = $opt{number} // new_number();
    $self->sign_up($number, $opt{name})->sign_in($number);
    return $self;
}

# Numbers of any area of +1: so many that two are hardly ever alike. Nobody is called.
sub new_number { return sprintf '+1%010d', 2_000_000_000 + int rand 8_000_000_000 }

# Requests. Headers come as a list; a body that is a reference is sent as JSON, another as it is.
# They return a Mojo::Message::Response and die only when there was no answer at all.
sub get    ($self, $path, %headers)        { return $self->request(GET    => $path, undef, %headers) }
sub delete ($self, $path, %headers)        { return $self->request(DELETE => $path, undef, %headers) }
sub post   ($self, $path, $body, %headers) { return $self->request(POST   => $path, $body, %headers) }
sub patch  ($self, $path, $body, %headers) { return $self->request(PATCH  => $path, $body, %headers) }

sub request ($self, $method, $path, $body = undef, %headers) {
    my $tx = $self->ua->start($self->transaction($method, $path, $body, %headers));
    die "$method $path: " . $tx->error->{message} . "\n" if $tx->error && !$tx->error->{code};
    $self->trace->($tx->req, $tx->res) if $self->trace;
    return $tx->res;
}

# The same, not yet sent: for `ua->start_p`, when many are to be under way at once.
sub transaction ($self, $method, $path, $body = undef, %headers) {
    $headers{Authorization} //= 'Bearer ' . $self->token if $self->token;
    delete $headers{$_} for grep { !defined $headers{$_} } keys %headers;
    if (ref $body) {
        $headers{'Content-Type'} //= 'application/json';
        $body = encode_json($body);
    }
    my $tx = $self->ua->build_tx($method => $self->url . $path => \%headers => defined $body ? $body : ());
    return Gemclone::Journal->watch(Gemclone::Secrets->watch($tx), $path);
}

# A user's steps. Each dies with the server's answer when that is not the one of success.
sub sign_up ($self, $number, $name = undef) {
    my $res = $self->post('/auth/signup', {mobile_number => $number, defined $name ? (name => $name) : ()});
    return $self->user(_want(201, $res)->{user});
}

sub otp ($self, $number, $purpose = 'login') {
    my $res = $self->post('/auth/send-otp', {mobile_number => $number, purpose => $purpose});
    return _want(200, $res)->{otp} // die "send-otp showed no code: is GemcloneOTPReveal on?\n";
}

sub verify ($self, $number, $otp, $purpose = 'login') {
    my $res = $self->post('/auth/verify-otp', {mobile_number => $number, otp => $otp, purpose => $purpose});
    return $self->_keep(_want(200, $res));
}

sub _keep ($self, $pair) { return $self->token($pair->{access_token})->refresh_token($pair->{refresh_token}) }

sub sign_in ($self, $number) { return $self->verify($number, $self->otp($number)) }

sub log_in ($self, $number, $password) {
    return $self->_keep(_want(200, $self->post('/auth/login', {mobile_number => $number, password => $password})));
}

# Trades the refresh token for another pair.
sub refresh ($self) { return $self->_keep(_want(200, $self->post('/auth/refresh', {refresh_token => $self->refresh_token}))) }

# Returns the id of a new room.
sub room ($self, $title = 'A room') {
    return _want(201, $self->post('/chat/chatroom', {title => $title}))->{chatroom}{id};
}

sub rooms ($self) { return _want(200, $self->get('/chat/chatroom'))->{chatrooms} }

# Sends a prompt; returns the answer's JSON, in which reply.id is what to wait for.
sub send ($self, $room, $content, %headers) {
    return _want(201, $self->post("/message/$room", {content => $content}, %headers));
}

sub messages ($self, $room) { return _want(200, $self->get("/message/$room")) }

# The message $id once its reply has ended, one way or the other; dies after so many seconds.
sub wait_reply ($self, $room, $id, $seconds = 30) {
    my ($until, $pause) = (time + $seconds, 0.02);
    while (1) {
        my $answer = _want(200, $self->get("/message/$room/$id"));
        my $message = $answer->{data} // $answer;
        return $message if $message->{status} !~ /^(?:pending|generating)$/;
        die "reply $id is still $message->{status} after $seconds s\n" if time > $until;
        sleep $pause;
        $pause = $pause * 1.5 > 0.5 ? 0.5 : $pause * 1.5;
    }
}

# A prompt and its whole reply, as text.
sub ask ($self, $room, $content, $seconds = 30) {
    my $reply = $self->wait_reply($room, $self->send($room, $content)->{reply}{id}, $seconds);
    die "the reply is $reply->{status}\n" unless $reply->{status} eq 'done';
    return $reply->{content};
}

sub _want ($code, $res) {
    return $res->json // die "no JSON in: " . $res->body . "\n" if $res->code == $code;
    die sprintf "expected %d, got %d: %s\n", $code, $res->code, $res->body;
}

1;
