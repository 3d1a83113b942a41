# SPDX-License-Identifier: Apache-2.0
# What ./dev demo shows: a conversation played and checked, or a server kept up with lines to paste.
package Gemclone::Demo;
use Mojo::Base -base, -signatures;

use Gemclone::Client;
use JSON::PP ();
use Mojo::JSON qw(decode_json);

has 'stack';
has client => sub ($self) { $self->stack->client(trace => \&_show) };

my $PROMPT    = 'My favourite number is 41. Please say hello.';
my $FOLLOW_UP = 'Which number did I say is my favourite one?';

# ------------------------------------------------------------------- played ----
# Each step: what it is, and what does it; what it returns is shown as what was found out. They hold what the
# next ones need in $self.
my @STEPS = (
    ['Sign up', sub ($self) {
        $self->{number} = Gemclone::Client->new_number;
        my $user = $self->client->sign_up($self->{number}, 'Ada')->user;
        _must($user->{mobile_number} eq $self->{number} && $user->{id}, 'the account has an id and its number');
    }],
    ['Ask for a one-time code', sub ($self) {
        $self->{otp} = $self->client->otp($self->{number});
        _must($self->{otp} =~ /^\d{4,8}$/, 'the code is shown, as GemcloneOTPReveal is on here');
    }],
    ['Exchange it for a token', sub ($self) {
        $self->client->verify($self->{number}, $self->{otp});
        my $me = $self->client->get('/user/me');
        _must($me->code == 200 && $me->json->{user}{name} eq 'Ada', 'the token is good for /user/me');
    }],
    ['Open a chatroom', sub ($self) {
        $self->{room} = $self->client->room('Numbers');
        _must($self->{room} =~ /^[0-9a-f-]{36}$/, 'the room has an id');
    }],
    ['Send a prompt', sub ($self) {
        my $sent = $self->client->send($self->{room}, $PROMPT);
        $self->{reply} = $sent->{reply}{id};
        _must($sent->{reply}{status} eq 'pending', 'the prompt is durable, the reply is on its way');
    }],
    ['Wait for the reply', sub ($self) {
        my $reply = $self->_wait;
        _must($reply->{sender} eq 'gemini' && length $reply->{content}, 'Gemini has answered');
    }],
    ['Send a follow-up that only the history answers', sub ($self) {
        $self->{reply} = $self->client->send($self->{room}, $FOLLOW_UP)->{reply}{id};
        my $reply = $self->_wait;
        _must($reply->{content} =~ /41/, 'the answer knows the first prompt');
        _must($reply->{content} =~ /I remember 2 earlier turns/, 'and the stand-in was sent both earlier turns')
            if $self->stack->standin;
    }],
    ['List the rooms', sub ($self) {
        my @ours = grep { $_->{id} eq $self->{room} } @{$self->client->rooms};
        _must(@ours == 1 && $ours[0]{title} eq 'Numbers', 'the room is in the list');
    }],
    ['Read the whole conversation', sub ($self) {
        my $messages = $self->client->messages($self->{room});
        my $senders = join ' ', map { $_->{sender} } @$messages;
        _must($senders eq 'user gemini user gemini', 'two prompts and two replies, in order');
        _must($messages->[0]{content} eq $PROMPT && $messages->[2]{content} eq $FOLLOW_UP, 'word for word');
    }],
);

# Returns the exit status.
sub play ($self) {
    say $self->_who;
    my $number = 0;
    for my $step (@STEPS) {
        my ($title, $does) = @$step;
        say sprintf "\n== %d. %s", ++$number, $title;
        next if eval { $does->($self); 1 };
        chomp(my $error = $@);
        say "\nFAILED: $error";
        say "The error log: $_" for $self->stack->log->unexpected;
        print STDERR "dev: the demo failed at step $number ($title): $error\n";
        return 1;
    }
    $self->stack->stop or die "something had to be killed\n";
    say "\nEvery one of the $number steps held.";
    return 0;
}

# Polls without a word, then shows how the message ended.
sub _wait ($self) {
    my $quiet = $self->stack->client(token => $self->client->token);
    my $reply = $quiet->wait_reply($self->{room}, $self->{reply}, $self->stack->standin ? 30 : 120);
    $self->client->get("/message/$self->{room}/$self->{reply}");
    _must($reply->{status} eq 'done', 'the reply is done');
    return $reply;
}

sub _must ($holds, $what) {
    die "it does not hold that $what\n" unless $holds;
    say "   ok: $what";
}

sub _show ($req, $res) {
    my $token = $req->headers->authorization;
    say sprintf '%s %s', $req->method, $req->url->path_query;
    say 'Authorization: ', substr($token, 0, 18), '...' if $token;
    say _pretty($req->body) if length $req->body;
    say sprintf '   -> %s %s', $res->code, $res->message // '';
    say _pretty($res->body) =~ s/^/   /gmr;
}

sub _pretty ($body) {
    my $data = eval { decode_json $body } // return $body;
    my $text = JSON::PP->new->utf8->canonical->pretty->indent_length(2)->encode($data);
    return $text =~ s/"\w+_token" : "[^"]{12}\K[^"]+/.../gr =~ s/\s+\z//r;
}

# --------------------------------------------------------------------- held ----
sub hold ($self) {
    say $self->_who, "\n";
    say $self->_lines_to_paste;
    say 'Ctrl-C stops everything.';
    local $SIG{INT} = local $SIG{TERM} = sub { $self->{end} = 1 };
    until ($self->{end}) {
        sleep 1;
        next if $self->{end} || $self->stack->apache->process->alive;
        die 'Apache has ended: ' . $self->stack->apache->process->last_words . "\n";
    }
    say STDERR "\ndev: stopping ...";
    $self->stack->stop or die "something had to be killed\n";
    return 0;
}

sub _who ($self) {
    my $who = $self->stack->standin ? 'the stand-in in t/standin (GEMINI_API_KEY is not set)' : "Google's Gemini";
    return sprintf "Gemclone is up at %s\nA page to chat on is at %s/\nReplies come from %s.", ($self->stack->url) x 2, $who;
}

sub _lines_to_paste ($self) {
    my ($url, $number) = ($self->stack->url, Gemclone::Client->new_number);
    return <<"END" . <<'END';
Paste these, in order:

URL=$url NUMBER=$number
END
JSON='Content-Type: application/json'
get() { perl -MJSON::PP -e '$v = decode_json(join "", <STDIN>); $v = $v->{$_} for @ARGV; print $v' "$@"; }
post() { curl -sS "$URL$1" -H "$JSON" -H "Authorization: Bearer $TOKEN" -d "$2"; }
curl -sS $URL/auth/signup -H "$JSON" -d '{"mobile_number":"'$NUMBER'","name":"Ada"}'
OTP=$(curl -sS $URL/auth/send-otp -H "$JSON" -d '{"mobile_number":"'$NUMBER'","purpose":"login"}' | get otp)
CODE='{"mobile_number":"'$NUMBER'","purpose":"login","otp":"'$OTP'"}'
TOKEN=$(curl -sS $URL/auth/verify-otp -H "$JSON" -d "$CODE" | get access_token)
ROOM=$(post /chat/chatroom '{"title":"My first room"}' | get chatroom id)
REPLY=$(post /message/$ROOM '{"content":"Hello, Gemini!"}' | get reply id)
sleep 1; curl -sS $URL/message/$ROOM/$REPLY -H "Authorization: Bearer $TOKEN"
curl -sS $URL/message/$ROOM -H "Authorization: Bearer $TOKEN"
END
}

1;
