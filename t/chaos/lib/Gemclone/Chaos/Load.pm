# SPDX-License-Identifier: Apache-2.0
# Users who send prompts: in each room one after the other, each until it is accepted.
package Gemclone::Chaos::Load;
use Mojo::Base -base, -signatures;

use Gemclone::Client;
use Mojo::IOLoop;
use Mojo::JSON qw(encode_json);
use Mojo::UserAgent;
use POSIX qw(WNOHANG);
use Time::HiRes qw(sleep time);

use constant {ROOMS_PER_USER => 3, PAUSE => 0.8, RETRY => 0.25, PATIENCE => 8, TURNS => 40};

# urls: of the hosts; rooms: how many; file: what was accepted is written to it, a JSON object a line
has [qw(urls rooms seed file)];
has pid => undef;    # once it is launched
has ua => sub { Mojo::UserAgent->new(max_connections => 20, connect_timeout => 2, inactivity_timeout => PATIENCE,
    request_timeout => PATIENCE) };

# What some prompts do to Gemini by themselves; the others are answered.
my @ODD = ('[[status=503]] [[times=1]]', '[[cut=2]] [[times=1]]', '[[reset=1]] [[times=1]]', '[[status=400]]');

# Runs it in a process of its own, once there are users and rooms: it goes on while the caller waits for servers.
sub launch ($self) {
    srand $self->seed;
    my @users = map { Gemclone::Client->new_user(url => $self->urls->[0]) } 1 .. $self->rooms / ROOMS_PER_USER;
    my @rooms = map { my $user = $_; map { {user => $user, id => $user->room, sent => 0} } 1 .. ROOMS_PER_USER } @users;
    my $pid = fork // die "cannot fork: $!\n";
    return $self->pid($pid) if $pid;
    my $ok = eval { $self->_run(@rooms); 1 };
    print STDERR $@ unless $ok;
    POSIX::_exit($ok ? 0 : 1);
}

# Has it end: each room's last prompt is sent until it is accepted. True when it did within so many seconds.
sub end ($self, $patience) {
    my ($pid, $until) = ($self->pid, time + $patience);
    kill TERM => $pid;
    while (time < $until) {
        return $? == 0 if waitpid($pid, WNOHANG) == $pid;
        sleep 0.05;
    }
    kill KILL => $pid;
    waitpid $pid, 0;
    return 0;
}

# Until SIGTERM, and then until all that was begun is accepted.
sub _run ($self, @rooms) {
    open $self->{out}, '>:utf8', $self->file or die $self->file . ": $!\n";
    $self->{out}->autoflush(1);
    local $SIG{TERM} = sub { $self->{ends} = 1 };
    my $tick = Mojo::IOLoop->recurring(0.1 => sub { });    # a signal is noticed in time
    $self->{open} = @rooms;
    $self->_next($_) for @rooms;
    Mojo::IOLoop->start;
    close $self->{out} or die $self->file . ": $!\n";
    return $self;
}

# The next prompt of a room, after a while; or none.
sub _next ($self, $room) {
    if ($self->{ends}) {
        Mojo::IOLoop->stop unless --$self->{open};
        return;
    }
    return $self->_new_room($room) if $room->{sent} >= TURNS;
    my $odd = rand() < 0.08 ? ' ' . $ODD[rand @ODD] : '';
    my $number = ++$room->{sent};
    $room->{content} = sprintf 'Prompt %d of %s%s [[chunks=3]] [[gap=%d]]', $number, substr($room->{id}, 0, 8), $odd, rand 150;
    $room->{key} = "$room->{id}-$number";
    Mojo::IOLoop->timer(rand(PAUSE) => sub { $self->_send($room) });
    return;
}

# Gemini is shown a whole room each time: it goes on in another one.
sub _new_room ($self, $room) {
    my $url = $self->urls->[rand @{$self->urls}] . '/chat/chatroom';
    my %headers = (Authorization => 'Bearer ' . $room->{user}->token);
    $self->ua->post($url => \%headers => json => {title => 'Another'} => sub ($ua, $tx) {
        my $answer = $tx->res->code ? $tx->res->json : undef;
        if (($tx->res->code // 0) == 201 && $answer) {
            @$room{qw(id sent)} = ($answer->{chatroom}{id}, 0);
            return $self->_next($room);
        }
        $self->_refused($tx);
        Mojo::IOLoop->timer(RETRY() => sub { $self->_next($room) });
    });
    return;
}

sub _send ($self, $room) {
    my $url = $self->urls->[rand @{$self->urls}] . "/message/$room->{id}";
    my %headers = (Authorization => 'Bearer ' . $room->{user}->token, 'Idempotency-Key' => $room->{key});
    $self->ua->post($url => \%headers => json => {content => $room->{content}} => sub ($ua, $tx) {
        my $answer = $tx->res->code ? $tx->res->json : undef;
        if (($tx->res->code // 0) == 201 && $answer) {
            $self->_accepted($room, $answer);
            return $self->_next($room);
        }
        $self->_refused($tx);
        Mojo::IOLoop->timer(RETRY() => sub { $self->_send($room) });
    });
    return;
}

sub _accepted ($self, $room, $answer) {
    print {$self->{out}} encode_json({
        user => $room->{user}->user->{id}, room => $room->{id}, content => $room->{content},
        prompt => $answer->{data}{id}, reply => $answer->{reply}{id}, at => time,
    }), "\n";
    return;
}

# What is not 201 is 503, or nothing at all where the process died or was frozen; anything else is a fault of ours.
sub _refused ($self, $tx) {
    my $code = $tx->res->code // 0;
    my $kind = $code == 503 && $tx->res->headers->header('Retry-After') ? 'refused' : $code ? "answered $code" : 'cut';
    print {$self->{out}} encode_json({kind => $kind, body => $kind =~ /answered/ ? $tx->res->body : undef}), "\n";
    return;
}

1;
