# SPDX-License-Identifier: Apache-2.0
# Postgres and Redis away, slow, hung, full: whoever asks meanwhile is told in time, and all is well when they are back.
# Keeps the machine busy: see Gemclone::Suite.
use Mojo::Base -strict, -signatures;

use Gemclone::Check;
use Gemclone::Process;
use Gemclone::Stack;
use Mojo::JSON qw(from_json);
use Mojo::Promise;
use Mojo::UserAgent;
use Test::More;
use Time::HiRes qw(sleep time);

# Seconds. What a request may take at most while Postgres is of no use: GemcloneDatabaseWait for its turn, the
# connect_timeout of DBDParams and GemcloneDatabaseTimeout; BUSY is what a busy machine may add to that.
use constant {WAIT => 1, CONNECT => 2, TIMEOUT => 1, BUSY => 2, SOON => 1, CONNECTIONS => 8};

plan tests => 13;

my $stack = Gemclone::Stack->start(
    fsync      => 0,
    children   => 2,
    threads    => 32,
    directives => [
        'GemcloneQuota basic unlimited', 'GemcloneDatabaseTimeout ' . TIMEOUT . 's', 'GemcloneDatabaseWait ' . WAIT . 's',
        'GemcloneDatabaseConnections ' . CONNECTIONS, 'GemclonePoll 200ms', 'GemcloneLease 5s', 'GemcloneMaxUnstored 128K',
        'GemcloneGeminiBackoff 50ms',
    ],
);
$stack->log->expect(qr/GEM020[12356]/, qr/GEM030[12]/, qr/GEM040[567]/, qr/GEM0501/, qr/\[dbd:(?:error|crit)\]/);
my ($postgres, $redis, $standin) = ($stack->postgres, $stack->redis, $stack->standin);
my $user = $stack->new_user;
my $room = $user->room;

# What clients do, each as [reads only, transaction].
my @KINDS = (
    sub { [1, $user->transaction(GET => '/user/me')] },
    sub { [1, $user->transaction(GET => '/chat/chatroom')] },
    sub { [1, $user->transaction(GET => "/message/$room?limit=10")] },
    sub { [0, $user->transaction(POST => '/chat/chatroom', {title => 'x'})] },
    sub { [0, $user->transaction(POST => "/message/$room", {content => 'x'})] },
    sub { [0, $user->transaction(PATCH => "/chat/chatroom/$room", {title => 'y'})] },
);

# So many of each, at once; each answer as {reads, code, seconds, res}.
sub ask_all ($times = 4) {
    my $ua = Mojo::UserAgent->new(max_connections => 0, inactivity_timeout => 60, request_timeout => 120);
    my (@answers, @promises);
    for my $kind ((@KINDS) x $times) {
        my ($reads, $tx) = @{$kind->()};
        my $began = time;
        my $note = sub (@) { push @answers, {reads => $reads, code => $tx->res->code // 0, seconds => time - $began, res => $tx->res} };
        push @promises, $ua->start_p($tx)->then($note, $note);
    }
    Mojo::Promise->all(@promises)->wait;
    return @answers;
}

sub good    (@answers) { return grep { $_->{code} =~ /^2/ } @answers }
sub refused (@answers) { return grep { $_->{code} == 503 && ($_->{res}->headers->header('Retry-After') // '') =~ /^\d+$/ } @answers }

# Of each what went, what was refused, what else there was, as text; and the longest time.
sub verdict (@answers) {
    my ($good, $refused) = (scalar good(@answers), scalar refused(@answers));
    my ($longest) = sort { $b <=> $a } map { $_->{seconds} } @answers;
    return ($good, $refused, @answers - $good - $refused, $longest);
}

# While it lasts: nothing but answers and 503 with Retry-After, in time. Three rounds; returns all answers.
sub told_in_time ($what, $rounds = 3) {
    my @answers = map { ask_all() } 1 .. $rounds;
    my ($good, $refused, $other, $longest) = verdict(@answers);
    is $other, 0, "$what: answers, or 503 with Retry-After" or diag join ' ', sort map { $_->{code} } @answers;
    cmp_ok $longest, '<', WAIT + CONNECT + TIMEOUT + BUSY, 'within the bound';
    note sprintf '%s: %d good, %d refused, longest %.2f s', $what, $good, $refused, $longest;
    problem_ok +(refused(@answers))[0]{res}, 503, 'which is a problem as any other' if $refused;
    return @answers;
}

# Afterwards all requests are answered again, on every connection of both children. A child that has not been asked
# meanwhile finds out when it looks for jobs; until then it refuses.
sub well_again ($since) {
    ok eventually(sub { my @all = ask_all(1); good(@all) == @all }, SOON + BUSY), 'soon after that it is well again';
    note sprintf 'after %.2f s', time - $since;
    sleep SOON;
    my @answers = map { ask_all(6) } 1 .. 2;
    is scalar(good(@answers)), scalar @answers, 'on every connection'
        or diag join ' ', sort map { $_->{code} } @answers;
    return;
}

my $CUT = q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'gemclone'};
sub sql (@statements) { $stack->dbh->do($_) for @statements; return }

subtest 'Postgres is restarted' => sub {
    ask_all;
    $postgres->stop;
    my @answers = told_in_time('while it is away');
    is scalar(grep { !$_->{reads} } good(@answers)), 0, 'nothing is accepted';
    $postgres->start;
    well_again(time);
};

subtest 'Postgres crashes' => sub {
    $postgres->process->kill('QUIT');
    $postgres->stop;
    told_in_time('while it is away', 1);
    $postgres->start;
    well_again(time);
};

subtest 'connections are cut' => sub {
    sql $CUT;
    well_again(time);
    my $cutter = fork // die "cannot fork: $!\n";
    if (!$cutter) {
        my $dbh = $postgres->dbh;
        for (1 .. 20) { $dbh->do($CUT); sleep 0.1 }
        POSIX::_exit(0);
    }
    my @answers = told_in_time('again and again');
    waitpid $cutter, 0;
    cmp_ok scalar(good(@answers)), '>', 0, 'some get through';
    well_again(time);
};

# Its processes stand still; their connections stay open, and new ones are taken by the kernel alone.
subtest 'Postgres hangs' => sub {
    my @pids = ($postgres->process->pid, $postgres->process->children);
    kill STOP => @pids;
    my @answers = told_in_time('while it hangs');
    is scalar(grep { !$_->{reads} } good(@answers)), 0, 'nothing is accepted';
    kill CONT => @pids;
    well_again(time);
};

subtest 'Postgres is slow' => sub {
    my $slow = sub ($seconds) {
        return qq{CREATE OR REPLACE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
            'BEGIN PERFORM pg_sleep($seconds); RETURN NEW; END'};
    };
    sql $slow->(0.05), 'CREATE TRIGGER slow BEFORE INSERT ON gemclone.chatrooms FOR EACH ROW EXECUTE FUNCTION slow()';
    my @answers = told_in_time('a little', 1);
    is scalar(good(@answers)), scalar @answers, 'all is done';
    sql $slow->(4 * TIMEOUT);
    told_in_time('too much', 1);
    sql 'DROP TRIGGER slow ON gemclone.chatrooms', 'DROP FUNCTION slow';
    well_again(time);
};

subtest 'Postgres is read-only' => sub {
    sql 'ALTER ROLE gemclone SET default_transaction_read_only = on', $CUT;
    ask_all;
    my @answers = told_in_time('while it is');
    is scalar(grep { $_->{reads} } refused(@answers)), 0, 'whoever reads is served';
    is scalar(grep { !$_->{reads} } good(@answers)), 0, 'whoever writes is told to come back';
    sql 'ALTER ROLE gemclone RESET default_transaction_read_only';
    well_again(time);
};

subtest 'Postgres has no more connections' => sub {
    sql 'ALTER ROLE gemclone CONNECTION LIMIT 3', $CUT;
    told_in_time('but three', 2);
    sql 'ALTER ROLE gemclone CONNECTION LIMIT 0', $CUT;
    my @answers = told_in_time('at all', 2);
    is scalar(grep { !$_->{reads} } good(@answers)), 0, 'nothing is accepted';
    sql 'ALTER ROLE gemclone CONNECTION LIMIT -1';
    well_again(time);
};

# --- Replies that are done, and cannot be stored ------------------------------

my $rooms = 0;

sub given_up () { return scalar(() = $stack->log->lines('GEM0406')) }

# Prompts to so many new rooms whose replies are done while Postgres is away: [room, reply id] each.
sub done_meanwhile ($count, $directives) {
    ok eventually(sub { !$stack->dbh->selectrow_array('SELECT count(*) FROM gemclone.jobs') }), 'all is done before';
    $standin->reset;
    my @sent = map { my $new = $user->room; [$new, $user->send($new, "Unstored @{[++$rooms]} $directives")->{reply}{id}] } 1 .. $count;
    ok eventually(sub { $standin->stats->{requests} == $count }), 'the replies are being generated';
    $postgres->stop;
    ok eventually(sub { $standin->stats->{in_flight} == 0 }), 'and are done while Postgres is away';
    sleep 0.5;
    $postgres->start;
    my @replies = map { my ($at, $id) = @$_; eventually(sub { eval { $user->wait_reply($at, $id, 0) } }, 30) } @sent;
    is_deeply [map { $_->{status} } @replies], [('done') x $count], 'they are there when it is back';
    return;
}

sub asked () {
    my %count;
    $count{from_json($_->{body})->{contents}[-1]{parts}[0]{text}}++ for $standin->requests;
    return values %count;
}

subtest 'replies that cannot be stored' => sub {
    my $before = given_up;
    done_meanwhile(4, '[[delay=700]]');
    is_deeply [asked], [(1) x 4], 'none was generated twice: they had been kept';
    is given_up, $before, 'none was given up';
};

subtest 'more of them than GemcloneMaxUnstored' => sub {
    my $before = given_up;
    done_meanwhile(6, '[[delay=700]] [[size=60000]]');
    my @asked = asked;
    cmp_ok scalar(grep { $_ == 2 } @asked), '>', 0, 'some were generated again';
    is scalar(grep { $_ > 2 } @asked), 0, 'once';
    cmp_ok given_up, '>', $before, 'which is logged';
};

# --- Redis ---------------------------------------------------------------------

# With Redis in whatever state: no request fails, and none waits for it for longer than its bound.
sub nobody_notices ($what) {
    my @answers = map { ask_all() } 1 .. 3;
    my ($good, undef, undef, $longest) = verdict(@answers);
    is $good, scalar @answers, "$what no request fails" or diag join ' ', sort map { $_->{code} } @answers;
    cmp_ok $longest, '<', 1 + BUSY, 'and none waits for it for long';
    note sprintf 'longest %.2f s', $longest;
    return;
}

sub used_again () {
    ok eventually(sub { ask_all(1); $redis->command('DBSIZE') =~ /[1-9]/ }, 5), 'it is used again when it is back';
    ok eventually(sub { $user->get('/readyz')->json->{redis} eq 'ok' }, 5), 'and /readyz tells so';
    return;
}

subtest 'Redis is killed and restarted' => sub {
    $redis->process->kill('KILL');
    $redis->stop;
    nobody_notices('while it is away');
    $redis->start;
    used_again;
};

subtest 'Redis hangs' => sub {
    $redis->process->kill('STOP');
    nobody_notices('while it hangs');
    $redis->process->kill('CONT');
    used_again;
};

subtest 'Redis is full' => sub {
    $redis->command(qw(CONFIG SET maxmemory 1));
    $redis->command('FLUSHALL');
    nobody_notices('while it is');
    is $redis->command('DBSIZE'), 0, 'it takes nothing';
    $redis->command(qw(CONFIG SET maxmemory 0));
    used_again;
};

subtest 'Redis is emptied' => sub {
    my $emptier = fork // die "cannot fork: $!\n";
    if (!$emptier) {
        for (1 .. 20) { $redis->command('FLUSHALL'); sleep 0.05 }
        POSIX::_exit(0);
    }
    nobody_notices('again and again');
    waitpid $emptier, 0;
    used_again;
};
