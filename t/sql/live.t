# SPDX-License-Identifier: Apache-2.0
# Migrations deploy while the server serves. What future ones may do (doc/howto/upgrade.md) costs no request; where a part of
# the schema is missing, requests get 503 and never anything worse, and all is well once it is there.
# Keeps the machine busy: see Gemclone::Suite.
use Mojo::Base -strict, -signatures;

use Gemclone::Check;
use Gemclone::Load;
use Gemclone::Paths qw(temp_dir top write_file);
use Gemclone::Stack;
use Mojo::File qw(path);
use Test::More;

use constant {USERS => 4, LOCK_TIMEOUT => 1, BUSY => 3, TRIES => 10};

plan tests => 9;

my $stack = Gemclone::Stack->start(fsync => 0, children => 2, threads => 32, log_level => 'warn gemclone:info',
    directives => ['GemcloneQuota basic unlimited', 'GemcloneSweep 1s', 'GemclonePoll 200ms']);
my $postgres = $stack->postgres;
my $dbh = $stack->dbh;

# Our migrations and, behind them, others that are made up: deployed by Sqitch as an upgrade would.
my $sql = temp_dir;
path(top->child('sql'))->list_tree->each(sub ($file, $) {
    my $copy = path("$sql")->child($file->to_rel(top->child('sql')));
    $copy->dirname->make_path;
    $file->copy_to($copy);
});
$postgres->sql("$sql");

sub add_change ($name, $deploy, $revert = 'SELECT 1;') {
    my $plan = path("$sql")->child('sqitch.plan');
    write_file($plan, $plan->slurp =~ s/\s*\z/\n/r . "$name 2027-01-01T00:00:00Z mod_gemclone <dev\@mod-gemclone.example> # Made up.\n");
    write_file("$sql/deploy/$name.sql", "-- Deploy mod_gemclone:$name to pg\n\n$deploy\n");
    write_file("$sql/revert/$name.sql", "$revert\n");
    write_file("$sql/verify/$name.sql", "SELECT 1;\n");
    return $name;
}

sub in_transaction (@statements) {
    return join "\n", 'BEGIN;', 'SET LOCAL lock_timeout = \'' . LOCK_TIMEOUT . 's\';', (map {"$_;"} @statements), 'COMMIT;';
}

# Runs $what under load; returns what the users saw.
sub under_load ($what) {
    my $load = Gemclone::Load->start(users => [map { $stack->new_user } 1 .. USERS]);
    my $good = eval { $what->(); 1 };
    my $error = $@;
    my $seen = $load->stop;
    ok $good, 'it is done' or diag $error;
    note "$seen->{answers} answers, the slowest took $seen->{slowest} s";
    return $seen;
}

# Nobody noticed.
sub unnoticed_ok ($seen) {
    is_deeply $seen->{faults}, [], 'no request failed';
    return;
}

sub tables () {
    return @{$dbh->selectcol_arrayref(q{SELECT tablename FROM pg_tables WHERE schemaname = 'gemclone' ORDER BY 1})};
}

# What gave up for a lock is tried again, as doc/howto/upgrade.md has it.
sub sqitch (@arguments) {
    for my $try (1 .. TRIES) {
        return if eval { $postgres->sqitch(@arguments); 1 };
        die $@ unless $@ =~ /lock timeout|deadlock/ && $try < TRIES;
    }
}

sub deploys_unnoticed ($what, $deploy, @revert) {
    subtest $what => sub {
        my $change = add_change($what =~ s/\W+/_/gr, $deploy, @revert);
        unnoticed_ok(under_load(sub { sqitch('deploy', '--to', $change) }));
    };
    return;
}

# What expands the schema. The server of before neither knows nor minds.
deploys_unnoticed 'a column with a default in each table' =>
    join "\n", map { in_transaction("ALTER TABLE gemclone.$_ ADD COLUMN IF NOT EXISTS extra integer NOT NULL DEFAULT 1") } tables;
deploys_unnoticed 'a table that refers to others', in_transaction(
    'CREATE TABLE gemclone.notes (id bigint GENERATED ALWAYS AS IDENTITY, user_id uuid REFERENCES gemclone.users ON DELETE CASCADE,'
        . ' room_id uuid REFERENCES gemclone.chatrooms ON DELETE CASCADE)',
    'GRANT SELECT, INSERT ON gemclone.notes TO gemclone',
), 'DROP TABLE gemclone.notes;';
deploys_unnoticed 'an index on a table in use' =>
    "SET lock_timeout = '1s';\nDROP INDEX CONCURRENTLY IF EXISTS gemclone.extra;\nCREATE INDEX CONCURRENTLY extra ON gemclone.messages (created_at);";
deploys_unnoticed 'a rule that rows keep' => in_transaction(
    'ALTER TABLE gemclone.users DROP CONSTRAINT IF EXISTS extra_rule, ADD CONSTRAINT extra_rule CHECK (extra > 0) NOT VALID')
    . "\n" . in_transaction('ALTER TABLE gemclone.users VALIDATE CONSTRAINT extra_rule');
deploys_unnoticed 'all functions anew' => in_transaction(map {s/;\s*\z//r} @{$dbh->selectcol_arrayref(q{
    SELECT pg_get_functiondef(p.oid) FROM pg_proc p WHERE p.pronamespace = 'gemclone'::regnamespace ORDER BY p.oid})});

# Not in the rules, since it rewrites the table; but who does it all the same is to lose no request for good.
subtest 'a column of another type' => sub {
    my $seen = under_load(sub {
        $dbh->do("ALTER TABLE gemclone.$_->[0] ALTER COLUMN $_->[1] TYPE $_->[2]")
            for ['users', 'name', 'varchar'], ['chatrooms', 'title', 'varchar'];
    });
    is_deeply [grep { !/ 503 / } @{$seen->{faults}}], [], 'no answer is worse than 503';
    my $user = $stack->new_user;
    is $user->get('/user/me')->code, 200, 'what was prepared before is prepared anew' for 1 .. 20;
};

# Somebody has a table and does not let go: the change gives up, and those who queued behind it go on.
subtest 'a lock that is not to be had' => sub {
    my $change = add_change('blocked', in_transaction('ALTER TABLE gemclone.users ADD COLUMN blocked integer'));
    my $holder = $stack->dbh;
    $holder->begin_work;
    $holder->do('SELECT FROM gemclone.users');
    my $seen = under_load(sub {
        ok !eval { $postgres->sqitch('deploy', '--to', $change); 1 }, 'it is not deployed';
        like $@, qr/lock timeout/, 'and says why';
    });
    unnoticed_ok($seen);
    cmp_ok $seen->{slowest}, '<', LOCK_TIMEOUT + BUSY, 'nor waited for longer than the change did';
    $holder->rollback;
    ok eval { $postgres->sqitch('deploy', '--to', $change) }, 'once it is free, it is deployed' or diag $@;
};

# The whole schema goes, and comes again in steps, under a server that has sessions from before and wants all of it.
subtest 'a schema that is not whole' => sub {
    $stack->log->expect('GEM0203', 'GEM0204', 'GEM0405', 'GEM0407');
    my $seen = under_load(sub {
        sqitch('revert', '-y', '--to', 'schema');
        sqitch('deploy');
    });
    my @worse = grep { !/ (?:401|404|503) / } @{$seen->{faults}};    # the users of before are nobody any more
    is_deeply \@worse, [], 'no answer is worse than 503';
    my $user = $stack->new_user;
    is $user->get('/readyz')->code, 200, 'and in the end all is ready, without a restart';
    like $user->ask($user->room, 'Hello'), qr/You said: Hello/, 'and at work';
    is_deeply [$stack->log->lines(qr/GEM0205/)], [], 'each refusal was known for what it was';
};

ok $stack->stop, 'all ends in order';
