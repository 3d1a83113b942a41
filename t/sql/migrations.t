# SPDX-License-Identifier: Apache-2.0
# Each change of the schema goes there and back, by itself and by Sqitch.
# Takes long: see Gemclone::Suite.
# Runs without the module: see Gemclone::Suite.
use Mojo::Base -strict, -signatures;

use Gemclone::Paths qw(program temp_dir top);
use Gemclone::Postgres;
use Test::More;

my $dir = temp_dir;
my $postgres = Gemclone::Postgres->new(dir => "$dir", sockets => "$dir", fsync => 0)->start;
my $server = $postgres->dbh(database => 'postgres');
my @changes = map {/^(\w+)(?: \[.*?\])? \d{4}-/} split /\n/, top->child('sql', 'sqitch.plan')->slurp;

plan tests => 6 + @changes;

# (what it said, whether it failed) of a script, which stops at its first error.
sub run_script ($step, $change) {
    local %ENV = (%ENV, $postgres->libpq_environment);
    my $said = qx{@{[program 'psql']} -XqAt -v ON_ERROR_STOP=1 -f @{[top->child('sql', $step, "$change.sql")]} 2>&1};
    return ($said, $? >> 8);
}

sub step_ok ($step, $change, $what) {
    my ($said, $failed) = run_script($step, $change);
    return ok(!$failed, $what) || diag $said;
}

# Everything that is in the database, as DDL.
sub schema () {
    local %ENV = (%ENV, $postgres->libpq_environment);
    return qx{@{[program 'pg_dump']} --schema-only 2>&1} =~ s/^\\(?:un)?restrict .*\n//mgr;
}

sub roles () {
    return $server->selectcol_arrayref(q{SELECT rolname FROM pg_roles WHERE rolname !~ '^pg_' ORDER BY 1});
}

$server->do('CREATE DATABASE gemclone');
my ($empty, @before) = schema;
for my $change (@changes) {
    subtest $change => sub {
        push @before, schema;
        my (undef, $failed) = run_script(verify => $change);
        ok $failed, 'it cannot be verified before it is deployed';
        step_ok deploy => $change, 'it can be deployed';
        my $after = schema;
        isnt $after, $before[-1], 'which changes something';
        step_ok verify => $change, 'it can be verified';
        is schema, $after, 'which changes nothing';
        step_ok revert => $change, 'it can be reverted';
        is schema, $before[-1], 'and then all is as it was';
        step_ok deploy => $change, 'it can be deployed again';
        is schema, $after, 'with the same outcome';
    };
}

subtest 'back to nothing' => sub {
    for my $change (reverse @changes) {
        step_ok revert => $change, $change;
        is schema, pop @before, 'all is as it was before it';
    }
    is schema, $empty, 'nothing is left of the schema';
    is_deeply roles, ['postgres'], 'nor of the role';
};

subtest 'Sqitch' => sub {
    ok eval { $postgres->sqitch('deploy') }, 'deploys all' or diag $@;
    my $full = schema;
    like eval { $postgres->sqitch('verify') } // $@, qr/successful/i, 'and verifies it';
    ok eval { $postgres->sqitch('revert', '-y') }, 'reverts all' or diag $@;
    is_deeply $postgres->dbh->selectcol_arrayref(q{SELECT nspname FROM pg_namespace WHERE nspname = 'gemclone'}), [],
        'nothing is left';
    ok eval { $postgres->sqitch('deploy') }, 'and deploys it again' or diag $@;
    is schema, $full, 'with the same outcome';
};

subtest 'with rows in it' => sub {
    my $dbh = $postgres->dbh;
    $dbh->do(q{INSERT INTO gemclone.users (e164, mobile_number) VALUES ('+15550000001', '5550000001')});
    $dbh->do(q{INSERT INTO gemclone.chatrooms (user_id, title) SELECT id, 'x' FROM gemclone.users});
    $dbh->do(q{INSERT INTO gemclone.messages (room_id, sender, status, content, tokens)
        SELECT id, 'user', 'done', 'x', 1 FROM gemclone.chatrooms});
    $dbh->do(q{INSERT INTO gemclone.usage (user_id, day) SELECT id, now() FROM gemclone.users});
    $dbh->disconnect;
    ok eval { $postgres->sqitch('revert', '-y') }, 'all can be reverted' or diag $@;
    ok eval { $postgres->sqitch('deploy') }, 'and deployed' or diag $@;
};

subtest 'a second database of the cluster' => sub {
    $server->do('CREATE DATABASE other');
    my $other = Gemclone::Postgres->new(dir => "$dir", sockets => "$dir", database => 'other');
    ok eval { $other->sqitch('deploy') }, 'shares the role' or diag $@;
    ok eval { $other->sqitch('revert', '-y') }, 'can go' or diag $@;
    is_deeply roles, ['gemclone', 'postgres'], 'and leaves the role to the first';
    like eval { $postgres->sqitch('verify') } // $@, qr/successful/i, 'which is as it was';
    $other->dbh->disconnect;
};

subtest 'an admin who made the role first' => sub {
    eval { $postgres->sqitch('revert', '-y') };
    $server->do(q{CREATE ROLE gemclone LOGIN PASSWORD 'secret' CONNECTION LIMIT 50});
    ok eval { $postgres->sqitch('deploy') }, 'it is used' or diag $@;
    my ($limit, $password)
        = $server->selectrow_array(
        q{SELECT rolconnlimit, rolpassword IS NOT NULL FROM pg_authid WHERE rolname = 'gemclone'});
    is $limit, 50, 'as it is';
    ok $password, 'with its password';
};

ok $postgres->stop, 'Postgres ends in order';
