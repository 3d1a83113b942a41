# SPDX-License-Identifier: Apache-2.0
# Starts the stand-in for Gemini for a test, talks to its control API, and stops it when it goes out of scope. Other
# stand-ins are subclasses.
package Gemclone::Standin;
use strict;
use warnings;
use feature qw(signatures);
no warnings qw(experimental::signatures);

use Carp           qw(croak);
use Cwd            qw(abs_path);
use File::Basename qw(dirname);
use File::Temp     ();
use Gemclone::Certificate ();
use HTTP::Tiny     ();
use IO::Select     ();
use Mojo::JSON     qw(decode_json encode_json);
use POSIX          qw(WNOHANG);
use Time::HiRes    qw(sleep time);

use constant {READY_WAIT => 20, STOP_WAIT => 5};

my $PROGRAMS = abs_path(dirname(__FILE__) . '/../../standin');

# What a subclass has of its own: the name of its program, the part of its URL that the API's paths follow, and how many
# seconds its control API may take.
sub program  ($class) { 'gemini' }
sub api_path ($class) { '/v1beta' }
sub patience ($class) { 10 }

# Options: port, any free one if not given; tls => 1 for https with a certificate made for 127.0.0.1 and
# localhost; quiet => 1 to throw away what it writes to standard error. Dies when it is not ready in time.
sub start ($class, %opt) {
    my $self = bless {owner => $$}, $class;
    my @args = ('--until-eof', '--listen', 'http://127.0.0.1:' . ($opt{port} // 0));
    push @args, '--tls-cert', $self->_make_certificate, '--tls-key', "$self->{dir}/key.pem" if $opt{tls};
    $self->_spawn($opt{quiet}, $^X, "$PROGRAMS/" . $self->program, @args);
    $self->_await_ready;
    return $self;
}

# One that somebody else has started, and ends. $url is that of the control API, or the base above it.
sub attach ($class, $url) { bless {url => $url =~ s{/control\z}{}r, owner => 0}, $class }

sub url ($self) { $self->{url} }
sub pid ($self) { $self->{pid} }

# The base that clients of the API take, as GemcloneGeminiURL does.
sub api_url     ($self) { $self->{url} . $self->api_path }
sub control_url ($self) { "$self->{url}/control" }

# The certificate to trust, with tls.
sub ca_file ($self) { "$self->{dir}/cert.pem" }

# Settings in place of those before, as the manual has them: for Gemini, directives of all following prompts.
sub control ($self, $settings) { $self->_ask(PUT => '/control', $settings) }

# As newly started: no settings, no tries, counters at zero, no requests.
sub reset ($self) {
    $self->_ask(DELETE => $_) for qw(/control /control/stats /control/requests);
    return;
}

sub stats ($self) { $self->_ask(GET => '/control/stats') }

# The last requests, all that are kept if no number is given; oldest first. The bodies are texts.
sub requests ($self, $last = undef) {
    return @{$self->_ask(GET => '/control/requests' . (defined $last ? "?last=$last" : ''))};
}

my $ANSWER = qr/
    \A You[ ]said:[ ] (?<said>.*) \.
    [ ]I[ ]remember[ ] (?<turns>\d+) [ ]earlier[ ]turns[ ]\((?<count>\d+)[ ]yours\):[ ]\[(?<yours>.*)\]\.
    (?:[ ]System:[ ] (?<system>.*) \.)? \z
/xs;

# An answer of the stand-in taken apart: {said, turns, yours => [...], system}; undef if it is none.
sub parse_answer ($class, $text) {
    return undef unless $text =~ $ANSWER;
    my %answer = map { $_ => $+{$_} } qw(said turns system);
    $answer{yours} = [split / \| /, $+{yours}, $+{count}];
    return \%answer;
}

# How many tokens the stand-in counts in a text of characters.
sub tokens ($class, $text) {
    utf8::encode($text);
    return int((length($text) + 3) / 4);
}

# TERM, then KILL when that did not help in time. Returns the exit status, as $?.
sub stop ($self) {
    my $pid = delete $self->{pid} or return $self->{status};
    local $?;
    my $alive = delete $self->{alive};    # held until it has ended: the end of it is a word to stop, too
    for my $signal (qw(TERM KILL)) {
        kill $signal => $pid;
        my $until = time + STOP_WAIT;
        while (time < $until) {
            return $self->{status} = $? if waitpid($pid, WNOHANG) == $pid;
            sleep 0.02;
        }
    }
    croak "the stand-in (pid $pid) does not end";
}

# A child that was forked from the test has this object too, but the stand-in is not its own.
sub DESTROY ($self) {
    return unless $self->{owner} == $$;
    local ($@, $!, $?);
    eval { $self->stop; 1 } or warn $@;
}

sub _spawn ($self, $quiet, @command) {
    pipe my $ready, my $out   or croak "pipe: $!";
    pipe my $in,    my $alive or croak "pipe: $!";
    my $pid = fork // croak "fork: $!";
    if (!$pid) {
        open STDIN,  '<&', $in  or POSIX::_exit(126);
        open STDOUT, '>&', $out or POSIX::_exit(126);
        open STDERR, '>',  '/dev/null' if $quiet;
        no warnings 'exec';
        exec {$command[0]} @command;
        POSIX::_exit(127);
    }
    @$self{qw(pid alive ready)} = ($pid, $alive, $ready);
    return;
}

sub _await_ready ($self) {
    my ($ready, $until, $line) = (delete $self->{ready}, time + READY_WAIT, '');
    while ($line !~ /\n/) {
        IO::Select->new($ready)->can_read($until - time) or croak 'the stand-in is not ready in time';
        sysread $ready, $line, 4096, length $line or croak 'the stand-in ended before it was ready';
    }
    ($self->{url}) = $line =~ /\Aready (\S+)\n/ or croak "the stand-in said: $line";
    return;
}

sub _make_certificate ($self) {
    my $dir = $self->{dir} = File::Temp->newdir('gemclone-standin-XXXXXX', TMPDIR => 1);
    return (Gemclone::Certificate->make("$dir"))[0];
}

sub _ask ($self, $method, $path, $body = undef) {
    my %options = $body ? (content => encode_json($body)) : ();
    my $answer  = $self->_http->request($method, $self->{url} . $path, \%options);
    croak "$method $path: $answer->{status} $answer->{content}" unless $answer->{success};
    return length $answer->{content} ? decode_json($answer->{content}) : undef;
}

# On a connection that is kept, the second of a request's two writes would wait 40 ms for the first to be acknowledged.
sub _http ($self) {
    return $self->{http} //= HTTP::Tiny->new(
        keep_alive  => 0,
        timeout     => $self->patience,
        max_size    => undef,
        verify_SSL  => 1,
        SSL_options => $self->{dir} ? {SSL_ca_file => $self->ca_file} : {}
    );
}

1;
