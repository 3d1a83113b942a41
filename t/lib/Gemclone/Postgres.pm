# SPDX-License-Identifier: Apache-2.0
# A private Postgres: its own cluster, a Unix socket, no TCP, our migrations applied.
package Gemclone::Postgres;
use Mojo::Base -base, -signatures;

use DBI;
use Gemclone::Paths qw(program top);
use Gemclone::Process;
use Mojo::File qw(path);
use Mojo::Util qw(url_escape);

# dir: everything but the socket; sockets: the directory of the socket, a short name;
# fsync: off makes tests faster and a crash of the machine fatal to the data;
# settings: more of postgresql.conf
has [qw(dir sockets process)];
has fsync    => 1;
has daemon   => 0;
has settings => sub { {} };
has sql      => sub { top->child('sql') };    # the migrations
has database => 'gemclone';
has owner    => 'postgres';    # the superuser, who migrates
has role     => 'gemclone';    # whom the module connects as: it can do no DDL

# A cluster at rest in $dir, with the database and the schema in it; returns its directory, of which GEMCLONE_CLUSTER
# tells those who start one with `start_migrated`: a copy takes a tenth of the time.
sub make_cluster ($class, $dir) {
    my $self = $class->new(dir => $dir, sockets => $dir, fsync => 0)->start->migrate;
    $self->stop or die "Postgres did not stop when asked to\n";
    return $self->data->to_string;
}

# With the database and the schema.
sub start_migrated ($self) {
    my $made = $ENV{GEMCLONE_CLUSTER} or return $self->start->migrate;
    system('cp', '-a', $made, $self->data) == 0 or die "cannot copy $made\n";
    return $self->start;
}

sub start ($self) {
    $self->_initialise unless -e $self->data->child('PG_VERSION');
    my %set = (
        listen_addresses        => '',
        unix_socket_directories => $self->sockets,
        unix_socket_permissions => '0700',
        fsync                   => $self->fsync ? 'on' : 'off',
        synchronous_commit      => $self->fsync ? 'on' : 'off',
        full_page_writes        => $self->fsync ? 'on' : 'off',
        max_connections         => 200,
        shared_buffers          => '128MB',
        jit                     => 'off',
        log_line_prefix         => '%m [%p] %u ',
        %{$self->settings},
    );
    $self->process(Gemclone::Process->start(
        name    => 'Postgres',
        log     => $self->log,
        signal  => 'INT',        # TERM would wait until the last client leaves
        daemon  => $self->daemon,
        command => [program('postgres'), '-D', $self->data, map { ('-c', "$_=$set{$_}") } sort keys %set],
    ));
    $self->process->wait_for(sub { $self->_answers });
    return $self;
}

# stop is true when it went without force.
sub stop    ($self) { return $self->process ? $self->process->stop : 1 }
sub restart ($self) { $self->stop; return $self->start }

sub data ($self) { return path($self->dir)->child('postgres') }
sub log  ($self) { return path($self->dir)->child('postgres.log')->to_string }

# The database, and in it the schema; the first migration makes the module's role.
sub migrate ($self) {
    $self->dbh(database => 'postgres')->do('CREATE DATABASE ' . $self->database);
    $self->sqitch('deploy');
    return $self;
}

# sqitch with arguments on our database, and with nobody's own configuration; returns what it printed.
sub sqitch ($self, @arguments) {
    local %ENV = (%ENV, $self->libpq_environment, SQITCH_USER_CONFIG => '/dev/null',
        SQITCH_SYSTEM_CONFIG => '/dev/null', SQITCH_FULLNAME => 'Gemclone', SQITCH_EMAIL => 'gemclone@localhost',
        TZ => 'UTC');
    my ($command, @rest) = @arguments;
    my @command = (program('sqitch'), '--chdir', $self->sql, $command, '--target',
        'db:pg:' . $self->database, @rest);
    open my $out, '-|', _quoted(@command) . ' 2>&1' or die "sqitch: $!\n";
    my $printed = do { local $/; <$out> } // '';
    close $out or die "sqitch $command failed: $printed\n";
    return $printed;
}

# How to connect: for libpq (without a character that a shell would take for its own), for mod_dbd, for DBI and
# as environment variables.
sub uri ($self, %opt) {
    my ($user, $database) = ($opt{user} // $self->owner, $opt{database} // $self->database);
    return "postgresql://$user@" . url_escape($self->sockets) . "/$database";
}

sub params ($self, %opt) {
    return sprintf 'host=%s dbname=%s user=%s connect_timeout=2', $self->sockets, $opt{database} // $self->database,
        $opt{user} // $self->role;
}

sub dbh ($self, %opt) {
    my $dsn = sprintf 'dbi:Pg:host=%s;dbname=%s', $self->sockets, $opt{database} // $self->database;
    return DBI->connect($dsn, $opt{user} // $self->owner, '',
        {RaiseError => 1, PrintError => 0, AutoCommit => 1, pg_enable_utf8 => 1, %{$opt{attributes} // {}}});
}

sub libpq_environment ($self) {
    return (PGHOST => $self->sockets, PGUSER => $self->owner, PGDATABASE => $self->database, PGPORT => 5432);
}

sub _initialise ($self) {
    my @command = (program('initdb'), '-D', $self->data, '-U', $self->owner,
        qw(-A trust -E UTF8 --locale=C.UTF-8 --no-sync --no-instructions));
    my $log = $self->log;
    system(_quoted(@command) . " > '$log' 2>&1") == 0 or die 'initdb failed: ' . _reason($log) . "\n";
}

sub _answers ($self) {
    return eval { $self->dbh(database => 'postgres')->ping };
}

sub _reason ($log) {
    my @lines = split /\n/, path($log)->slurp;
    return ((grep {/error|fatal/i} @lines), reverse @lines)[0] // 'no reason given';
}

sub _quoted (@words) { return join ' ', map { "'" . s/'/'\\''/gr . "'" } @words }

1;
