# SPDX-License-Identifier: Apache-2.0
# Many at once: five hundred prompts in five hundred rooms, sent to one child, while Gemini takes fifteen seconds
# for each. All are answered in a fraction of the time that they would take one after the other, by a handful of threads, and
# none is lost, doubled or out of order.
# Keeps the machine busy: see Gemclone::Suite.
use Mojo::Base -strict, -signatures;

use Gemclone::Check;
use Gemclone::Stack;
use Gemclone::Standin;
use Test::More;
use Time::HiRes qw(sleep time);

use constant {PROMPTS => 500, DELAY => 15, BOUND => 90, THREADS => 32, USERS => 5};

plan tests => 9;

my $stack = Gemclone::Stack->start(fsync => 0, children => 1, threads => THREADS,
    directives => ['GemcloneQuota basic unlimited', 'GemcloneThreads 7']);
my $dbh = $stack->dbh;
my @users = map { $stack->new_user } 1 .. USERS;
my @rooms = map { [$users[$_ % USERS], undef] } 1 .. PROMPTS;
{
    my @made = all_at_once map { $_->[0]->transaction(POST => '/chat/chatroom', {title => 'x'}) } @rooms;
    $rooms[$_][1] = $made[$_]->json->{chatroom}{id} for 0 .. $#rooms;
}
my ($child) = $stack->apache->children_pids;

sub threads () { return scalar(() = glob "/proc/$child/task/*") }
sub unfinished () {
    return $dbh->selectrow_array(
        q{SELECT count(*) FROM gemclone.messages WHERE sender = 'gemini' AND status = 'pending'});
}

# All of them are written before the clock starts: what counts is the server's time, not the test's.
my @prompts = map {
    $rooms[$_][0]->transaction(
        POST => "/message/$rooms[$_][1]",
        {content => "Prompt $_ [[delay=" . DELAY * 1000 . ']]'}
    )
} 0 .. $#rooms;
my $began = time;
my @answers = all_at_once @prompts;
my $accepted = time;
is_deeply [grep { ($_->code // 0) != 201 } @answers], [], 'all prompts are taken';

my ($most_threads, $most_in_flight, $ended) = (0, 0);
while (time < $began + BOUND) {
    my $threads = threads;
    $most_threads = $threads if $threads > $most_threads;
    last if !unfinished;
    sleep 0.05;
}
$ended = time;
note sprintf '%d prompts: taken after %.2f s, answered after %.2f s', PROMPTS, $accepted - $began, $ended - $began;
is unfinished, 0, 'all are answered';
cmp_ok $ended - $began, '<=', BOUND, 'within ' . BOUND . ' s';

my $stats = $stack->standin->stats;
is $stats->{requests}, PROMPTS, 'Gemini was asked once for each';
cmp_ok $stats->{peak_in_flight}, '>', PROMPTS * 0.9, 'nearly all of them at the same time';

# ThreadsPerChild, the loop and a pool of at most seven more, the listener, the main thread and mod_watchdog's.
cmp_ok $most_threads, '<=', THREADS + 8 + 3, 'the process has no more threads than it said';

my $rows = $dbh->selectall_arrayref(q{
    SELECT p.content, a.content, a.status, count(*) OVER (PARTITION BY p.room_id) FROM gemclone.messages p
    JOIN gemclone.messages a ON a.room_id = p.room_id AND a.parent_id = p.id WHERE p.sender = 'user'});
is @$rows, PROMPTS, 'each prompt has one reply';
my @wrong = grep {
    my ($prompt, $reply, $status, $turns) = @$_;
    my $heard = Gemclone::Standin->parse_answer($reply) // {};
    $status ne 'done' || $turns != 1 || $prompt !~ /^\Q@{[$heard->{said} \/\/ '?']}\E \[\[/ || $heard->{turns} != 0
} @$rows;
is_deeply \@wrong, [], 'which is its own';
is $dbh->selectrow_array('SELECT count(*) FROM gemclone.jobs'), 0, 'no job is left';
