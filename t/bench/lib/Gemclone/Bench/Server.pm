# SPDX-License-Identifier: Apache-2.0
# What is measured: the stack of the tests, but with an Apache that also has an empty handler and a static file,
# writes no access log and starts no replies; and a second one on the same database, which has no Redis.
package Gemclone::Bench::Server;
use Mojo::Base -base, -signatures;

use Gemclone::Apache;
use Gemclone::Paths qw(need_space program run_dir top write_file);
use Gemclone::Stack;
use IO::Handle;
use Mojo::File qw(path);
use POSIX ();
use Time::HiRes qw(time);

# How many users take turns, out of how many, with how many rooms each; connections to Postgres of a child.
use constant {USERS => 2_000, READERS => 64, ALL_USERS => 10_000, ROOMS => 5, CONNECTIONS => 8, MEGABYTES => 2000};

has [qw(stack plain)];
has children => 1;
has threads  => 32;
has dir => sub { run_dir->child('bench')->to_string };

# Bearer tokens, and the rooms to send prompts to: one of each user.
has tokens => sub { [] };
has rooms  => sub { [] };

sub start ($self) {
    path($self->dir)->remove_tree->make_path;
    need_space($self->dir, MEGABYTES);
    $self->{module} = $self->_build_module;
    my $answer = path($self->dir)->child('htdocs')->make_path->child('answer.json');
    write_file($answer, '{}');
    $self->stack(Gemclone::Stack->start(
        dir        => $self->dir,
        children   => $self->children,
        threads    => $self->threads,
        log_level  => 'warn',
        log_check  => 0,
        directives => $self->_directives,
        writer     => \&configure,
    ));
    $self->_make_users;
    write_file($answer, $self->stack->client(token => $self->tokens->[0])->get('/user/me')->body);
    $self->stack->apache->restart;
    $self->_compare_answers;
    return $self->plain(
        $self->apache('plain', children => $self->children, threads => $self->threads, redis => 0)->start);
}

sub stop ($self) {
    $_->stop for grep {$_} $self->plain, $self->stack;
    path($self->dir)->remove_tree;
}

sub dbh      ($self) { return $self->stack->dbh }
sub postgres ($self) { return $self->stack->postgres }

# One more Apache for the same database, not started; redis => 0: it has none, and so no cache.
sub apache ($self, $name, %opt) {
    my $dir = path($self->dir)->child($name)->make_path;
    symlink path($self->dir)->child('keys'), $dir->child('keys') or die "$dir/keys: $!\n";
    my %value = %{$self->stack->apache->values};
    $value{REDIS} = '# No Redis.' unless delete $opt{redis} // 1;
    return Gemclone::Apache->new(dir => "$dir", log_level => 'warn', directives => $self->_directives,
        writer => \&configure, values => \%value, %opt);
}

# conf/dev.conf.in without its access log, which would cost every target the same and so flatter the ratios.
sub configure ($apache) {
    my $file = $apache->configure;
    return write_file($file, path($file)->slurp =~ s/^CustomLog .*\n//mr);
}

# CPU seconds that {apache, postgres} have used so far, of all their processes.
sub cpu ($self) {
    return {
        apache   => _cpu_of($self->stack->apache->process) + _cpu_of($self->plain->process),
        postgres => _cpu_of($self->postgres->process),
    };
}

# The id of the next transaction that writes.
sub transactions ($self) {
    $self->{counter} //= $self->dbh;
    return ($self->{counter}->selectrow_array('SELECT pg_snapshot_xmax(pg_current_snapshot())'))[0];
}

# What httpd complained of, but for having too few threads, which is for the reader of the table to judge.
sub complaints ($self) { return grep { !/AH00484/ } $self->stack->log->unexpected }

# Milliseconds that writing a page durably takes where the database is.
sub fsync_time ($self) {
    my ($file, $count) = ($self->dir . '/fsync', 50);
    open my $out, '>:raw', $file or die "$file: $!\n";
    my $before = time;
    for (1 .. $count) {
        sysseek $out, 0, 0;
        syswrite $out, 'x' x 8192;
        $out->sync;
    }
    unlink $file;
    return 1e3 * (time - $before) / $count;
}

sub _directives ($self) {
    my $dir = $self->dir;
    return [
        'GemcloneWorker Off',
        'GemcloneQuota basic unlimited', 'GemcloneMaxBacklog 100000000', 'GemcloneMaxUserBacklog 100000000',
        'GemcloneTokenLifetime 1d',
        'GemcloneDatabaseConnections ' . CONNECTIONS,
        "LoadModule empty_module $self->{module}",
        "BenchAnswer $dir/htdocs/answer.json",
        "DocumentRoot $dir/htdocs",
        '<Location "/bench">', 'GemcloneEngine Off', '</Location>',
        '<Location "/bench/empty">', 'SetHandler bench-empty', '</Location>',
        '<Location "/bench/mark">', 'SetHandler bench-mark', '</Location>',
        '<Location "/answer.json">', 'GemcloneEngine Off', 'ForceType application/json', '</Location>',
    ];
}

# apxs leaves its files beside the source: that is a copy.
sub _build_module ($self) {
    my $dir = path($self->dir)->child('module')->make_path;
    top->child('t', 'bench', 'mod_empty.c')->copy_to($dir);
    my $log = $dir->child('apxs.log');
    system(sprintf "cd '%s' && '%s' -c mod_empty.c > '%s' 2>&1", $dir, program('apxs'), $log) == 0
        or die "the empty handler cannot be built: $log\n";
    return $dir->child('.libs', 'mod_empty.so')->to_string;
}

sub _compare_answers ($self) {
    my $client = $self->stack->client(token => $self->tokens->[0]);
    my ($me, @others) = map { $client->get($_)->body } qw(/user/me /bench/empty /answer.json);
    die "the answers that are to be the same are not: $_\n" for grep { $_ ne $me } @others;
}

# Ids that pgbench can compute as well, from a number; signed in as anybody would.
sub _make_users ($self) {
    my $dbh = $self->dbh;
    $dbh->do(q{
        INSERT INTO gemclone.users (id, e164, mobile_number, name, created_at)
        SELECT md5('user' || n)::uuid, '+1555' || lpad(n::text, 7, '0'), '+1555' || lpad(n::text, 7, '0'),
               'Ada Lovelace', '2026-01-01 12:00:00.123456+00'
        FROM generate_series(1, ?) n}, undef, ALL_USERS);
    $dbh->do(q{
        INSERT INTO gemclone.chatrooms (id, user_id, title)
        SELECT md5('room' || n || '/' || k)::uuid, md5('user' || n)::uuid, 'Notes on the engine, part ' || k
        FROM generate_series(1, ?) n, generate_series(1, ?) k}, undef, ALL_USERS, ROOMS);
    $self->rooms($dbh->selectcol_arrayref(
        q{SELECT md5('room' || n || '/1')::uuid FROM generate_series(1, ?) n ORDER BY n}, undef, USERS));
    $self->tokens([map { $self->stack->client->sign_in(sprintf q{+1555%07d}, $_)->token } 1 .. USERS]);
    return $self;
}

# A process' own time, that of its children, and that of children which are gone.
sub _cpu_of ($process) {
    my $ticks = 0;
    my $of = sub ($pid, @fields) {
        open my $in, '<', "/proc/$pid/stat" or return;
        my @field = split / /, (<$in> =~ /.*\) (.*)/s)[0];
        $ticks += $field[$_] for @fields;
    };
    $of->($process->pid, 11 .. 14);
    $of->($_, 11, 12) for $process->children;
    return $ticks / POSIX::sysconf(POSIX::_SC_CLK_TCK());
}

1;
