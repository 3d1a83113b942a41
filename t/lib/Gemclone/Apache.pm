# SPDX-License-Identifier: Apache-2.0
# A private Apache httpd with the module in it, configured by conf/dev.conf.in.
package Gemclone::Apache;
use Mojo::Base -base, -signatures;

use Gemclone::Paths qw(apxs free_port module_file program top write_file);
use Gemclone::Process;
use IO::Socket::IP;
use Mojo::File qw(path);
use Mojo::Util qw(encode trim);

# dir: everything that it writes; children, threads: so many, all the time; values: what fills the template
# beside that; directives: lines added at the end; mpm, more_modules: others than the usual; writer: makes the configuration and returns its file;
# environment: of the process.
has [qw(dir process)];
has children    => 2;
has threads     => 96;
has port        => sub { free_port };
has template    => sub { top->child('conf', 'dev.conf.in') };
has values      => sub { {} };
has directives  => sub { [] };
has mpm         => 'event';
has more_modules => sub { [] };
has log_level   => 'info';
has daemon      => 0;
has writer      => sub { \&configure };
has environment => sub ($self) { sanitizer_environment($self->dir) };

# What dev.conf.in needs, in the order of loading. Where the distribution linked one statically, as Debian did
# with log_config and unixd, there is no file and nothing to load.
my @MODULES = qw(unixd log_config authz_core authz_host headers dbd);

# Streams need more descriptors than the usual 1,024: as many as may be had, within reason.
sub _with_files () {
    my ($hard) = qx{/bin/sh -c 'ulimit -Hn'} =~ /(\d+)/;
    my $files = !$hard || $hard > 65_536 ? 65_536 : $hard;
    return (program('prlimit'), "--nofile=$files:$files");
}

sub conf_file   ($self) { return path($self->dir)->child('dev.conf')->to_string }
sub modules     ($self) { return path($self->dir)->child('modules.conf')->to_string }
sub error_log   ($self) { return path($self->dir)->child('error_log')->to_string }
sub access_log  ($self) { return path($self->dir)->child('access_log')->to_string }
sub console_log ($self) { return path($self->dir)->child('httpd.log')->to_string }
sub url         ($self) { return 'http://127.0.0.1:' . $self->port }
sub pid         ($self) { return $self->process && $self->process->pid }

# Writes the configuration; returns the file.
sub configure ($self) {
    write_file(path($self->dir)->child('htdocs')->make_path->child('hello.txt'), "hello\n");
    write_file($self->modules, $self->_load_modules);
    my %value = (
        DIR        => $self->dir,
        PORT       => $self->port,
        MODULES    => $self->modules,
        CHILDREN   => $self->children,
        SERVERS    => 3 * $self->children + 1,
        THREADS    => $self->threads,
        WORKERS    => $self->children * $self->threads,
        MINSPARE   => ($self->children - 1) * $self->threads + 1,
        MAXSPARE   => ($self->children + 1) * $self->threads,
        LOGLEVEL   => $self->log_level,
        DIRECTIVES => encode('UTF-8', join("\n", @{$self->directives})),
        %{$self->values},
    );
    my $text = path($self->template)->slurp =~ s/\@([A-Z]+)\@/$value{$1} \/\/ die "\@$1\@ has no value\n"/ger;
    return write_file($self->conf_file, $text);
}

# The server's program, for others who call it: with a sanitizer, one that sets what that needs.
sub httpd ($self) {
    my $real = program('apache2');
    my %set = %{$self->environment} or return $real;
    my $file = write_file(path($self->dir)->child('httpd'),
        join '', "#!/bin/sh\n", map({"export $_='$set{$_}'\n"} sort keys %set), qq{exec $real "\$@"\n});
    chmod 0755, $file;
    return $file;
}

# With a port of our choice that somebody else was quicker to take, it takes another one.
sub start ($self) {
    for my $try (1 .. 5) {
        return $self if eval { $self->_start };
        die $@ unless $@ =~ /address already in use/i;
        die "port @{[$self->port]} is taken by another program\n" if $self->{fixed};
        $self->port(free_port);
    }
    die "httpd found no free port\n";
}

# A port that somebody asked for is kept to.
sub fix_port ($self, $port) { $self->{fixed} = 1; return $self->port($port) }

sub stop     ($self) { return $self->process ? $self->process->stop : 1 }
sub restart  ($self) { $self->stop; return $self->start }
sub graceful ($self) { return $self->process->kill('USR1') }
sub children_pids ($self) { return $self->process->children }

# `httpd -t`: (exit status, what it said).
sub test ($self) {
    my $file = $self->writer->($self);
    local %ENV = (%ENV, %{$self->environment});
    my $said = qx{@{[_with_files]} '@{[program 'apache2']}' -t -d '@{[$self->dir]}' -f '$file' 2>&1};
    return ($? >> 8, trim $said);
}

# It is there once it listens and has all its children.
sub _start ($self) {
    my $conf = $self->writer->($self);
    unlink $self->console_log;
    my $process = Gemclone::Process->start(
        name    => 'httpd',
        log     => $self->console_log,
        own_log => $self->error_log,
        daemon  => $self->daemon,
        env     => $self->environment,
        port    => $self->port,
        command => [_with_files, program('apache2'), '-D', 'FOREGROUND', '-d', $self->dir, '-f', $conf],
    );
    $process->wait_for(sub { -s path($self->dir)->child('httpd.pid') && $self->_listens && $process->children >= $self->children });
    return $self->process($process);
}

sub _listens ($self) { return IO::Socket::IP->new(PeerHost => '127.0.0.1', PeerPort => $self->port) }

sub _load_modules ($self) {
    my $dir = apxs('LIBEXECDIR');
    my @load = map { [$_, "$dir/mod_$_.so"] } "mpm_" . $self->mpm, @MODULES, @{$self->more_modules};
    return join "\n",
        '# The modules that conf/dev.conf.in needs. Apache::Test reads this list too, and loads them first.',
        map {"<IfModule !$_->[0]_module>\n    LoadModule $_->[0]_module $_->[1]\n</IfModule>"}
        (grep { -e $_->[1] } @load), ['gemclone', module_file];
}

# A module built with a sanitizer wants its run-time library in the process from the start. Leaks are looked
# for elsewhere: httpd itself leaves its pools to the kernel.
sub sanitizer_environment ($dir) {
    my $kind = $ENV{GEMCLONE_SANITIZE} or return {};
    my %library = (address => ['libasan.so', 'libubsan.so'], thread => ['libtsan.so']);
    chomp(my @files = map {qx{gcc -print-file-name=$_}} @{$library{$kind}});
    return {
        LD_PRELOAD    => join(' ', @files),
        ASAN_OPTIONS  => 'detect_leaks=0:abort_on_error=0:exitcode=99:handle_abort=1',
        UBSAN_OPTIONS => 'print_stacktrace=1',
        # (mod_watchdog leaves its thread to the kernel, too.)
        TSAN_OPTIONS  => "exitcode=99:report_thread_leaks=0:log_path=$dir/tsan",
    };
}

1;
