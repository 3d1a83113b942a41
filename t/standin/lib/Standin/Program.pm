# SPDX-License-Identifier: Apache-2.0
# A stand-in as a program: its options, the socket it listens on, and its end. The manual is the program's own.
package Standin::Program;
use Mojo::Base -strict, -signatures;

use File::Basename qw(basename);
use Getopt::Long   qw(GetOptions);
use Mojo::IOLoop;
use Mojo::Server::Daemon;
use Mojo::URL;
use Pod::Usage qw(pod2usage);

use constant {
    BACKLOG         => 4096,
    MAX_CONNECTIONS => 1_000_000,    # as many as there are file descriptors
    SIGNAL_TICK     => 0.1,          # seconds until a signal is noticed when nothing else goes on
};

# Serves an application of that class until it is told to stop.
sub run ($class, $application) {
    my ($name, @command) = (basename($0), $^X, $0, @ARGV);
    GetOptions(\my %option, qw(listen=s tls-cert=s tls-key=s until-eof help)) or pod2usage(2);
    pod2usage(-verbose => 2, -exitval => 0, -noperldoc => 1) if $option{help};
    pod2usage("$name: unexpected arguments") if @ARGV;
    pod2usage("$name: --tls-cert and --tls-key go together") if !$option{'tls-cert'} != !$option{'tls-key'};

    _raise_file_limit($name, @command);
    _serve($application, _listen_url(\%option), $option{'until-eof'});
}

# Thousands of streams need more descriptors than the usual 1,024: starts over with all that may be had.
sub _raise_file_limit ($name, @command) {
    return if $ENV{GEMCLONE_STANDIN_LIMIT_RAISED};
    local $ENV{GEMCLONE_STANDIN_LIMIT_RAISED} = 1;
    exec '/bin/sh', '-c', 'ulimit -n "$(ulimit -Hn)"; exec "$@"', 'sh', @command
        or die "$name: /bin/sh: $!\n";
}

sub _listen_url ($option) {
    my $url = Mojo::URL->new($option->{listen} // 'http://127.0.0.1:0');
    return $url unless $option->{'tls-cert'};
    return $url->scheme('https')->query(cert => $option->{'tls-cert'}, key => $option->{'tls-key'});
}

sub _serve ($application, $url, $until_eof) {
    my $daemon = Mojo::Server::Daemon->new(
        app                => $application->new,
        backlog            => BACKLOG,
        inactivity_timeout => 0,
        keep_alive_timeout => 0,
        listen             => [$url],
        max_clients        => MAX_CONNECTIONS,
        max_requests       => 0 + 'inf',
        silent             => 1,
    );
    $daemon->start;

    my $loop = Mojo::IOLoop->singleton;
    my $stop = sub { $loop->next_tick(sub { $loop->stop }) };
    @SIG{qw(INT TERM)} = ($stop, $stop);    # to the very end: one that comes late must not kill
    $loop->recurring(SIGNAL_TICK, sub { });
    _stop_at_eof($loop) if $until_eof;

    STDOUT->autoflush(1);
    say 'ready ', Mojo::URL->new->scheme($url->scheme)->host($url->host)->port($daemon->ports->[0]);
    $loop->start;
}

# So that a stand-in never outlives the test that holds the other end of its standard input.
sub _stop_at_eof ($loop) {
    my $read = sub { sysread(STDIN, my $ignored, 4096) or $loop->stop };
    $loop->reactor->io(\*STDIN => $read)->watch(\*STDIN, 1, 0);
}

1;
