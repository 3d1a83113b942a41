# SPDX-License-Identifier: Apache-2.0
# Users who do, in a process of their own and one thing after the other, what clients do: for what is to hold meanwhile.
#
#   my $load = Gemclone::Load->start(url => $stack->url, users => [map { $stack->new_user } 1 .. 4]);
#   ...
#   my $seen = $load->stop;    # {answers => number, codes => {200 => number, ...}, slowest => seconds, faults => [...]}
package Gemclone::Load;
use Mojo::Base -base, -signatures;

use IO::Select;
use Mojo::IOLoop;
use Mojo::JSON qw(decode_json encode_json);
use POSIX ();
use Time::HiRes qw(time);

# users: Gemclone::Client, signed in, with a room each.
has users => sub { [] };

use constant PATIENCE => 60;

# Returns once the first round of each user was answered.
sub start ($class, %opt) {
    my $self = $class->new(%opt);
    pipe my $end, $self->{end}   or die "pipe: $!\n";
    pipe $self->{told}, my $tell or die "pipe: $!\n";
    $self->{pid} = fork // die "fork: $!\n";
    if (!$self->{pid}) {
        close $self->{end};
        eval { _run($end, $tell, @{$self->users}); 1 } or print STDERR "load: $@";
        POSIX::_exit(0);
    }
    close $tell;
    $self->_line;
    return $self;
}

sub stop ($self) {
    close delete $self->{end};
    my $seen = decode_json($self->_line);
    waitpid delete $self->{pid}, 0;
    return $seen;
}

sub _line ($self) {
    my ($line, $until) = ('', time + PATIENCE);
    while ($line !~ /\n/) {
        IO::Select->new($self->{told})->can_read($until - time) or die "the load says nothing\n";
        sysread $self->{told}, $line, 65_536, length $line or die "the load has ended\n";
    }
    return $line;
}

# --- The other process -----------------------------------------------------------
sub _run ($end, $tell, @users) {
    Mojo::IOLoop->reset;
    my %seen = (answers => 0, slowest => 0, codes => {}, faults => []);
    my ($ends, $open, $rounds) = (0, scalar @users, 0);
    Mojo::IOLoop->recurring(0.02 => sub { $ends = 1 if IO::Select->new($end)->can_read(0) });
    for my $user (@users) {
        my $client = $user->new(url => $user->url, token => $user->token);
        my @steps = _steps($client);
        my ($next, $step);
        $next = sub {
            $step = ($step // -1) + 1;
            if ($step == @steps) {
                $step = 0;
                syswrite $tell, "go\n" if ++$rounds == @users;
            }
            if ($ends && $rounds >= @users) {
                Mojo::IOLoop->stop unless --$open;
                return;
            }
            my ($tx, $began) = ($steps[$step]->(), time);
            $client->ua->start($tx => sub ($, $tx) { _note(\%seen, $tx, time - $began); $next->() });
        };
        $next->();
    }
    Mojo::IOLoop->start;
    syswrite $tell, encode_json(\%seen) . "\n";
    return;
}

# One round: rooms are made and left, prompts are sent and answered, and all of it is read.
sub _steps ($client) {
    my $room;
    my $in = sub ($path) { return defined $room ? "$path/$room" : '/chat/chatroom' };
    return (
        sub { $client->transaction(GET => '/user/me') },
        sub {
            my $tx = $client->transaction(POST => '/chat/chatroom', {title => 'a room'});
            $tx->once(finish => sub ($tx) { $room = eval { $tx->res->json->{chatroom}{id} } // $room });
            return $tx;
        },
        sub { $client->transaction(GET => '/chat/chatroom?limit=5') },
        sub { $client->transaction(POST => $in->('/message'), {content => 'a prompt', title => 'or a room'}) },
        sub { $client->transaction(PATCH => '/user/me', {name => 'another name'}) },
        sub { $client->transaction(GET => $in->('/message')) },
        sub { $client->transaction(GET => '/user/me/usage') },
        sub { $client->transaction(GET => '/readyz') },
        sub { $client->transaction(GET => '/auth/sessions') },
    );
}

sub _note ($seen, $tx, $seconds) {
    my $code = $tx->res->code // 0;
    $seen->{answers}++;
    $seen->{codes}{$code}++;
    $seen->{slowest} = $seconds if $seconds > $seen->{slowest};
    push @{$seen->{faults}}, join ' ', $tx->req->method, $tx->req->url->path, $code, $tx->res->body
        if $code !~ /^[23]/ && @{$seen->{faults}} < 20;
    return;
}

1;
