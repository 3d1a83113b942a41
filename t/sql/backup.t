# SPDX-License-Identifier: Apache-2.0
# A dump is restored as doc/howto/backup.md has it, and what that says of having gone back in time is so.
use Mojo::Base -strict, -signatures;

use Gemclone::Check;
use Gemclone::Paths qw(program top);
use Gemclone::Stack;
use Mojo::File qw(path);
use Test::More;

plan tests => 13;

my $stack = Gemclone::Stack->start(fsync => 0, children => 1, threads => 16, directives => ['GemcloneQuota basic unlimited']);
my $dump = path($stack->dir)->child('gemclone.dump')->to_string;

# The document's own statements, by a word in each.
my @statements = path(top->child('doc', 'howto', 'backup.md'))->slurp =~ /^```sql\n(.*?)^```/msg;

sub as_documented ($word) {
    my ($statement) = grep {/\b\Q$word\E\b/} @statements or die "backup.md says nothing of $word\n";
    return $stack->dbh->do($statement);
}

sub run ($program, @arguments) {
    local %ENV = (%ENV, $stack->postgres->libpq_environment);
    return system(program($program), @arguments) == 0 || die "$program failed\n";
}

my $early = $stack->new_user;
my $room = $early->room;
$early->ask($room, 'Before');
my $owed = $early->send($room, 'Owed [[delay=4000]]')->{reply}{id};
eventually(sub { $stack->standin->stats->{requests} == 2 }) or die 'it is not generated';
ok run(pg_dump => '-Fc', '-f', $dump), 'a dump, while a reply is generated';

my $late = $stack->new_user;
my $lost = $early->send($room, 'After')->{reply}{id};
$early->wait_reply($room, $lost);
ok $stack->apache->stop, 'httpd stops';

my $server = $stack->dbh(database => 'postgres');
$server->do('DROP DATABASE gemclone WITH (FORCE)');
$server->do('CREATE DATABASE gemclone');
ok run(pg_restore => '-d', 'gemclone', '--exit-on-error', $dump), 'the dump is restored';
$stack->redis->command('FLUSHDB');
as_documented('message_id');
$stack->standin->reset;
$stack->apache->start;

$_->ua(Mojo::UserAgent->new) for $early, $late;
is $early->get('/readyz')->code, 200, 'the schema is whole';
is_deeply [map { $_->{content} } grep { $_->{sender} eq 'user' } @{$early->messages($room)}], ['Before', 'Owed [[delay=4000]]'],
    'what there was is there, what came later is not';
is $early->wait_reply($room, $owed)->{status}, 'done', 'a reply that was owed is owed again';
is $stack->standin->stats->{requests}, 1, 'and was generated once more';
ok $early->refresh, 'sessions of before go on';
is $late->post('/auth/refresh', {refresh_token => $late->refresh_token})->code, 401, 'those of after are not known';
cmp_ok $early->send($room, 'New')->{reply}{id}, '>', $lost + 1_000_000, 'no id is given again';

my $endless = $early->send($room, 'Endless [[delay=60000]]')->{reply}{id};
eventually(sub { $stack->standin->stats->{requests} == 3 }) or die 'it is not generated';
as_documented('jobs');
is $early->wait_reply($room, $endless)->{status}, 'cancelled', 'what is owed can be cancelled';
as_documented('gemclone.sessions');
is $early->post('/auth/refresh', {refresh_token => $early->refresh_token})->code, 401, 'all can be signed out';
is $early->get('/healthz')->code, 200, 'and the server serves';
