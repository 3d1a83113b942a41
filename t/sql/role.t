# SPDX-License-Identifier: Apache-2.0
# What the module's role may do in the database: its rows, and nothing else.
use Mojo::Base -strict, -signatures;

use Apache::Test qw(-withtestmore);
use Gemclone::Stack;

my @DENIED = (
    'CREATE TABLE gemclone.x (i int)',
    'CREATE TABLE public.x (i int)',
    'CREATE TABLE x (i int)',
    'CREATE TEMPORARY TABLE x (i int)',
    'CREATE SCHEMA x',
    'CREATE VIEW gemclone.x AS SELECT 1',
    'CREATE SEQUENCE gemclone.x',
    'CREATE TYPE gemclone.x AS (i int)',
    'CREATE INDEX ON gemclone.users (name)',
    'ALTER TABLE gemclone.users ADD x int',
    'ALTER TABLE gemclone.users DISABLE TRIGGER ALL',
    'ALTER TABLE gemclone.users OWNER TO gemclone',
    'DROP TABLE gemclone.jobs',
    'DROP INDEX gemclone.jobs_waiting',
    'DROP SCHEMA gemclone CASCADE',
    'TRUNCATE gemclone.users CASCADE',
    'COMMENT ON TABLE gemclone.users IS NULL',
    q{CREATE FUNCTION gemclone.x() RETURNS int LANGUAGE sql AS 'SELECT 1'},
    q{CREATE FUNCTION public.x() RETURNS int LANGUAGE sql AS 'SELECT 1'},
    'DROP FUNCTION gemclone.job_claim',
    'CREATE TRIGGER x BEFORE INSERT ON gemclone.users EXECUTE FUNCTION suppress_redundant_updates_trigger()',
    'GRANT SELECT ON gemclone.users TO PUBLIC',
    'CREATE TABLE public.x (i uuid REFERENCES gemclone.users)',
    'CREATE ROLE x',
    'ALTER ROLE gemclone SUPERUSER',
    'SET ROLE postgres',
    'SET SESSION AUTHORIZATION postgres',
    'CREATE DATABASE x',
    'CREATE EXTENSION dblink',
    q{ALTER SYSTEM SET work_mem = '1MB'},
    q{COPY (SELECT 1) TO '/tmp/x'},
    q{COPY gemclone.users FROM PROGRAM 'true'},
    q{SELECT pg_read_file('/etc/passwd')},
    q{SELECT pg_ls_dir('/')},
    q{SELECT lo_import('/etc/passwd')},
    'SELECT * FROM pg_authid',
    'SELECT * FROM sqitch.changes',
    q{SELECT setval('gemclone.message_id', 1)},
    'SELECT pg_reload_conf()',
    'VACUUM FULL gemclone.users',
    'ANALYZE gemclone.users',
);
my %ROWS
    = map { ("gemclone.$_" => 'arwd') } qw(users sessions sessions_ended limits otps deliveries chatrooms messages usage idempotency jobs failures tickets
    customers checkouts subscriptions reversals stripe_events);

plan tests => 8 + @DENIED, need 'gemclone';

my $stack = Gemclone::Stack->shared;
my $super = $stack->dbh;
my $dbh = $stack->dbh(user => 'gemclone');

# Why a statement is denied, be it by an error or by a warning; nothing when it is not. What works is undone.
sub denied ($sql) {
    my @said;
    local $SIG{__WARN__} = sub ($text) { push @said, $text };
    local $dbh->{PrintWarn} = 1;
    my $alone = $sql =~ /^(?:CREATE DATABASE|ALTER SYSTEM|VACUUM)/;    # these run in no transaction
    $dbh->begin_work unless $alone;
    push @said, $@ unless eval { $dbh->do($sql); 1 };
    $dbh->rollback unless $alone;
    return scalar grep {
        /permission denied|must be|[Oo]nly (?:superusers|table or database owner)|no privileges were granted|skipping/
    } @said;
}

ok denied($_), $_ for @DENIED;

my ($attributes) = $super->selectrow_array(
    q{SELECT concat_ws(',', rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls)
    FROM pg_roles WHERE rolname = 'gemclone'}
);
is $attributes, 'f,f,f,f,f', 'it has no attribute that matters';

my ($owned) = $super->selectrow_array(q{SELECT count(*) FROM pg_shdepend d JOIN pg_roles r ON r.oid = d.refobjid
    WHERE r.rolname = 'gemclone' AND d.deptype = 'o'});
is $owned, 0, 'it owns nothing';

my ($member) = $super->selectrow_array(q{SELECT count(*) FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member
    WHERE r.rolname = 'gemclone'});
is $member, 0, 'it is a member of no other role';

my %may = map { $_->[0] => $_->[1] } @{$super->selectall_arrayref(q{
    SELECT n.nspname || '.' || c.relname,
           string_agg(left(p, 1), '' ORDER BY array_position(ARRAY['append', 'read', 'write', 'delete'], p))
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace,
         unnest(ARRAY['append', 'read', 'write', 'delete']) p
    WHERE c.relkind IN ('r', 'v', 'm', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
      AND has_table_privilege('gemclone', c.oid,
          CASE p WHEN 'append' THEN 'INSERT' WHEN 'read' THEN 'SELECT' WHEN 'write' THEN 'UPDATE' ELSE 'DELETE' END)
    GROUP BY 1})};
is_deeply \%may, \%ROWS, 'it may read and write the rows of these tables, and of no others';

is_deeply $super->selectcol_arrayref(q{
    SELECT c.relname || ' ' || p FROM pg_class c, unnest(ARRAY['TRUNCATE', 'REFERENCES', 'TRIGGER']) p
    WHERE c.relnamespace = 'gemclone'::regnamespace AND c.relkind = 'r' AND has_table_privilege('gemclone', c.oid, p)}), [],
    'and nothing else with them';

is_deeply $super->selectcol_arrayref(
    q{SELECT p.proname FROM pg_proc p WHERE p.pronamespace = 'gemclone'::regnamespace
    AND (p.prosecdef OR NOT has_function_privilege('gemclone', p.oid, 'EXECUTE'))}
    ),
    ['stripe_event_replay'], 'it may call every function but that for admins, and none gives it more rights';

$super->do('CREATE ROLE gemclone_stranger');
is_deeply $super->selectcol_arrayref(q{
    SELECT p.proname::text FROM pg_proc p WHERE p.pronamespace = 'gemclone'::regnamespace
        AND has_function_privilege('gemclone_stranger', p.oid, 'EXECUTE')
    UNION SELECT c.relname::text FROM pg_class c WHERE c.relnamespace = 'gemclone'::regnamespace AND c.relkind = 'r'
        AND has_table_privilege('gemclone_stranger', c.oid, 'SELECT')}),
    [], 'another role may call and read nothing';
ok !$super->selectrow_array(q{SELECT has_schema_privilege('gemclone_stranger', 'gemclone', 'USAGE')}),
    'and does not get into the schema';
$super->do('DROP ROLE gemclone_stranger');
