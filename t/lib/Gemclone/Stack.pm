# SPDX-License-Identifier: Apache-2.0
# All that Gemclone needs, started and stopped as one: Postgres, Redis, the stand-in for Gemini, Apache.
#
#   my $stack = Gemclone::Stack->start(children => 1, directives => ['GemcloneQuota basic 2']);
#   my $user  = $stack->new_user;
#   $stack->postgres->dbh->do(...); $stack->redis->stop; $stack->log->expect('GEM0042');
#   $stack->standin->control({status => 503});
#
# It ends with the variable, and with the process whatever that dies of.
package Gemclone::Stack;
use Mojo::Base -base, -signatures;

use Gemclone::Apache;
use Gemclone::Client;
use Gemclone::ErrorLog;
use Gemclone::Paths qw(need_space port_is_free program secret_file temp_dir top write_file);
use Gemclone::Postgres;
use Gemclone::Process;
use Gemclone::Redis;
use Gemclone::Standin::Attached;
use Mojo::File qw(path);
use Mojo::JSON qw(decode_json encode_json);
use Mojo::URL;
use Mojo::Util qw(url_unescape);
use Scalar::Util qw(weaken);

use constant MEGABYTES => 200;

# The parts. No redis where there is none, no standin where Google is real.
has [qw(dir postgres redis apache standin standin_process log)];

# Options of start:
#   port, children, threads, mpm, more_modules, directives, log_level   as in Gemclone::Apache
#   redis => 0                                       no Redis
#   fsync => 0                                       a Postgres for tests: faster, not crash-safe
#   postgres => {settings => {...}}                  attributes of Gemclone::Postgres
#   gemini => {url => ..., key => ...}               instead of the stand-in
#   dir                                              where all files go, instead of a directory of its own
#   writer                                           as in Gemclone::Apache
#   daemon => 1                                      lives on after us, until `stop` of Gemclone::Stack->load
#   log_check => 0                                   the error log may hold what it likes
my %KNOWN = map { $_ => 1 } qw(port children threads mpm more_modules directives log_level redis fsync postgres gemini dir writer
    daemon log_check);

sub start ($class, %opt) {
    my @unknown = grep { !$KNOWN{$_} } keys %opt;
    die "Gemclone::Stack->start does not know @unknown\n" if @unknown;
    die "port $opt{port} is taken by another program\n" if $opt{port} && !port_is_free($opt{port});

    my $self = $class->new(opt => {redis => 1, fsync => 1, log_check => 1, %opt});
    $self->_make_directories;
    unless (eval { $self->_start_postgres->_start_redis->_start_gemini->_start_apache }) {
        my $error = $@;
        $self->stop;
        die $error;
    }
    $self->_watch_log if $self->{opt}{log_check} && !$opt{daemon};
    return $self;
}

sub url    ($self) { return $self->apache->url }
sub client ($self, %opt) { return Gemclone::Client->new(url => $self->url, %opt) }
sub new_user ($self, %opt) { return Gemclone::Client->new_user(url => $self->url, %opt) }
sub dbh ($self, %opt) { return $self->postgres->dbh(%opt) }

# Where everything is, as ./dev up prints it and tests of the shared stack find it.
sub environment ($self) {
    return {
        GEMCLONE_URL     => $self->url,
        GEMCLONE_PG      => $self->postgres->uri,
        GEMCLONE_REDIS   => $self->redis ? $self->redis->url : '',
        GEMCLONE_STANDIN => $self->standin ? $self->standin->control_url : '',
        GEMCLONE_CONF    => $self->apache->conf_file,
        GEMCLONE_PID     => $self->apache->pid,
    };
}

# The stack that somebody else has started: ./dev check for the tests that share one, or ./dev up.
sub shared ($class) {
    my %is = map { $_ => $ENV{"GEMCLONE_$_"} } qw(URL PG REDIS STANDIN CONF PID);
    $is{URL} && $is{CONF} or die "this test shares the stack that ./dev check starts: ./dev check $0\n";
    my $dir = path($is{CONF})->dirname->to_string;
    my $sockets = url_unescape(($is{PG} =~ m{@([^/]+)/})[0]);
    return $class->new(
        dir      => $dir,
        postgres => Gemclone::Postgres->new(dir => $dir, sockets => $sockets),
        redis    => $is{REDIS} ? Gemclone::Redis->new(dir => $dir, sockets => $sockets) : undef,
        standin  => $is{STANDIN} ? Gemclone::Standin::Attached->new($is{STANDIN}) : undef,
        apache   => Gemclone::Apache->new(dir => $dir, port => Mojo::URL->new($is{URL})->port),
        log      => Gemclone::ErrorLog->of($dir, from_now => 1),
    )->_watch_log;
}

# Stops everything, the servers before what they need; true when nothing had to be forced.
sub stop ($self) {
    my $clean = 1;
    $clean = $_->stop && $clean
        for grep {$_} $self->apache, map({ $_->{apache} } @{$self->{hosts} // []}), $self->standin_process, $self->redis, $self->postgres;
    return $clean;
}

# ------------------------------------------------------- a stack that stays ----
# What `load` needs to find and end a daemon's parts.
sub save ($self, $file) {
    my @parts = ($self->apache->process, $self->standin_process);
    push @parts, map { $_->process } grep {$_} $self->redis, $self->postgres;
    my $temporary = "$file.new";
    write_file($temporary, encode_json {
        environment => $self->environment,
        sockets     => $self->{sockets},
        parts       => [map { $_->record } grep {$_} @parts],
    });
    return rename $temporary, $file;
}

# {environment, parts} of a saved stack of which something still runs; nothing when there is none.
sub load ($class, $file) {
    my $saved = -e $file ? decode_json(path($file)->slurp) : return undef;
    $saved->{parts} = [grep {$_} map { Gemclone::Process->adopt($_) } @{$saved->{parts}}];
    return @{$saved->{parts}} ? $saved : undef;
}

# Ends the parts of a loaded stack; returns the names of those that had to be killed.
sub stop_loaded ($class, $saved) {
    my @forced = grep { !$_->stop } @{$saved->{parts}};
    path($saved->{sockets})->remove_tree if $saved->{sockets};
    return map { $_->name } @forced;
}

my (@watched, $owner);    # see below

# ------------------------------------------------------------------- parts ----
sub _make_directories ($self) {
    my $opt = $self->{opt};
    $self->{temporary} = temp_dir unless $opt->{dir};
    my $dir = path($opt->{dir} // "$self->{temporary}")->make_path;
    chmod 0700, $dir;
    need_space($dir, MEGABYTES);
    $self->dir($dir->to_string);
    $self->_short_directory;
    my $keys = $dir->child('keys')->make_path;
    secret_file($keys->child("$_.key")) for qw(token otp);
    secret_file($keys->child('gemini.key'), $opt->{gemini}{key} // 'stand-in');
    return $self;
}

# Sockets stand in $dir, or in a directory of their own where the name of $dir is too long for one.
sub _short_directory ($self) {
    return $self->{sockets_dir} = $self->dir if length $self->dir < 60;
    my $short = temp_dir;
    $short->unlink_on_destroy(0) if $self->{opt}{daemon};
    $self->{short} = $short;
    return $self->{sockets_dir} = $self->{sockets} = "$short";
}

sub _common ($self) {
    return (dir => $self->dir, sockets => $self->{sockets_dir}, daemon => $self->{opt}{daemon} // 0);
}

sub _start_postgres ($self) {
    my $opt = $self->{opt};
    return $self->postgres(
        Gemclone::Postgres->new($self->_common, fsync => $opt->{fsync}, %{$opt->{postgres} // {}})->start_migrated);
}

sub _start_redis ($self) {
    return $self unless $self->{opt}{redis};
    my $redis = Gemclone::Redis->new($self->_common);
    $redis->with_port if $self->{opt}{daemon};    # for whoever reads GEMCLONE_REDIS: few can do with a socket
    return $self->redis($redis->start);
}

sub _start_gemini ($self) {
    return $self if $self->{opt}{gemini}{url};
    my $log = path(write_file(path($self->dir)->child('standin.log'), ''));
    my $process = Gemclone::Process->start(
        name    => 'stand-in for Gemini',
        log     => $log->to_string,
        daemon  => $self->{opt}{daemon},
        command => [$^X, top->child('t', 'standin', 'gemini')],
    );
    my $url;
    $process->wait_for(sub { ($url) = $log->slurp =~ m{^ready (\S+?)/?$}m });
    return $self->standin_process($process)->standin(Gemclone::Standin::Attached->new($url));
}

sub _start_apache ($self) {
    my $opt = $self->{opt};
    my $apache = $self->_apache($self->dir, %$opt);
    $apache->fix_port($opt->{port}) if $opt->{port};
    $self->log(Gemclone::ErrorLog->of($self->dir));
    return $self->apache($apache->start);
}

sub _apache ($self, $dir, %opt) {
    return Gemclone::Apache->new(
        dir    => $dir,
        daemon => $opt{daemon} // 0,
        values => {
            DBDPARAMS => $self->postgres->params,
            REDIS     => $self->redis && ($opt{redis} // 1)
                ? 'GemcloneRedis     ' . $self->redis->socket_url : '# no Redis',
            GEMINI    => $opt{gemini}{url} // $self->standin->api_url,
        },
        map { $_ => $opt{$_} }
            grep { defined $opt{$_} } qw(children threads directives log_level writer mpm more_modules),
    );
}

# Another Apache on the same database, Redis and keys, as another host would be; it ends with the stack.
# Options: children, threads, directives, log_level, writer, mpm, more_modules as in Gemclone::Apache; redis => 0.
sub another_host ($self, %opt) {
    my $dir = path($self->dir)->child('host' . (2 + @{$self->{hosts} //= []}))->make_path;
    symlink path($self->dir)->child('keys'), $dir->child('keys') or die "$dir/keys: $!\n";
    my $apache = $self->_apache("$dir", %opt);
    my $log = Gemclone::ErrorLog->of("$dir");
    $log->announced($self->log->announced);
    push @watched, [$log, $self];
    weaken $watched[-1][1];
    push @{$self->{hosts}}, {apache => $apache, log => $log};
    return $apache->start;
}

# ------------------------------------------------------------- the error log ----
# Lines that no test announced make the test program fail at its end, whatever its tests said.

sub _watch_log ($self) {
    push @watched, [$self->log, $self];
    weaken $watched[-1][1];
    $owner = $$;
    return $self;
}

# Checked while the files are still there: when the stack goes, or at the end for one that is shared.
sub check_log ($self) {
    my @logs = ($self->log, map { $_->{log} } @{$self->{hosts} // []});
    my %mine = map { $_ => 1 } @logs;
    @watched = grep { !$mine{$_->[0]} } @watched;
    return !grep { !_report($_) } @logs;
}

sub _report ($log) {
    my @bad = $log->unexpected or return 1;
    print STDERR map {"# unexpected in the error log: $_\n"} @bad;
    $Gemclone::Stack::failed = 1;
    return 0;
}

sub DESTROY ($self) {
    return if ${^GLOBAL_PHASE} eq 'DESTRUCT' || !$owner || $owner != $$ || !$self->{opt};
    local ($?, $!, $@);
    $self->stop unless $self->{opt}{daemon};
    $self->check_log if grep { $_->[0] == $self->log } @watched;
}

END {
    if ($owner && $owner == $$) {
        my $status = $?;
        for my $watch (@watched) {
            $watch->[1]->stop if $watch->[1] && $watch->[1]{opt};
            _report($watch->[0]);
        }
        $? = $status || ($Gemclone::Stack::failed ? 1 : 0);
    }
}

1;
