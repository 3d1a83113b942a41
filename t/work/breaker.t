# SPDX-License-Identifier: Apache-2.0
# Circuit breakers and keys: what fails again and again is left alone for a while, what Gemini asks to wait for is
# waited for by all, and one key stands in for another.
use Mojo::Base -strict, -signatures;

use Gemclone::Check;
use Gemclone::Paths qw(secret_file temp_dir);
use Gemclone::Stack;
use Test::More;
use Time::HiRes qw(sleep time);

use constant {FAULTS => 4, REST => 1};

plan tests => 7;

my $dir = temp_dir;
mkdir "$dir/more";
secret_file("$dir/more/second.key", 'second-key');
my ($MAIN, $FALLBACK) = qw(gemini-3.8-flash gemini-3.5-flash-lite);
my $stack = Gemclone::Stack->start(
    fsync => 0, dir => "$dir", children => 1,
    directives => ['GemcloneQuota basic unlimited', 'GemcloneGeminiBackoff 50ms', 'GemcloneGeminiTries 2', 'GemclonePoll 50ms',
        'GemcloneGeminiBreaker ' . FAULTS, 'GemcloneGeminiBreakerRest ' . REST . 's', 'GemcloneGeminiFallback none'],
);
my $BOTH = ["GemcloneGeminiKey file:$dir/more/second.key", "GemcloneGeminiFallback $FALLBACK"];
$stack->log->expect('GEM0403', 'GEM0409', 'GEM0410');
my ($standin, $log) = ($stack->standin, $stack->log);
my $user = $stack->new_user;

# A prompt in a room of its own, and its whole reply.
sub reply_to ($content, $room = $user->room) { return $user->wait_reply($room, $user->send($room, $content)->{reply}{id}) }
sub asked () { return [map {"$_->{key} $_->{model}"} $standin->requests] }
sub fresh ($settings) { $standin->reset; $standin->control($settings); return }

# New processes: all circuits are closed.
sub configure ($directives) {
    my $apache = $stack->apache;
    my %old = map { $_ => 1 } $apache->children_pids;
    $apache->directives([@{$apache->directives}, @$directives]);
    $apache->writer->($apache);
    $apache->graceful;
    eventually(sub { my @now = $apache->children_pids; @now == 1 && !$old{$now[0]} }, 20) or die;
    return $user->ua(Mojo::UserAgent->new);
}

subtest 'a model that fails again and again' => sub {
    fresh({status => 503});
    my @failed = map { reply_to("Prompt $_") } 1 .. FAULTS / 2;
    is_deeply [map { $_->{status} } @failed], [('failed') x (FAULTS / 2)], 'replies fail';
    ok $log->wait_for(qr/GEM0410: model $MAIN, key 1: not asked for \d+ ms, since it fails/), 'and the circuit opens';
    is @{asked()}, FAULTS, 'after as many tries as are set';
    $standin->reset;
    my $began = time;
    my $waits = $user->room;
    my $id = $user->send($waits, 'It waits')->{reply}{id};
    sleep REST / 4;
    is @{asked()}, 0, 'nothing is asked then';
    my $reply = $user->wait_reply($waits, $id);
    is $reply->{status}, 'done', 'a prompt waits until it is';
    ok $log->wait_for(qr/GEM0411: model $MAIN, key 1/), 'and the circuit is closed again';
    is reply_to('Good')->{status}, 'done', 'all is well';
};

subtest 'half open' => sub {
    fresh({status => 503});
    reply_to("Prompt $_") for 1 .. FAULTS / 2;
    $standin->reset;
    $standin->control({delay => 600});
    my @rooms = map { $user->room } 1 .. 6;
    my @ids = map { $user->send($_, 'Together')->{reply}{id} } @rooms;
    is $user->wait_reply($rooms[$_], $ids[$_])->{status}, 'done', 'each is answered' for 0 .. $#rooms;
    my @times = sort { $a <=> $b } map { $_->{time} } $standin->requests;
    is @times, 6, 'by one try each';
    cmp_ok $times[1] - $times[0], '>=', 0.55, 'the first was alone until it was answered';
};

subtest 'a wait that Gemini asks for counts for all' => sub {
    fresh({});
    my $id = do { my $room = $user->room; $user->send($room, 'Limited [[status=429]] [[times=1]] [[retry=1500ms]]')->{reply}{id} };
    eventually(sub { @{asked()} == 1 });
    sleep 0.1;
    my $began = time;
    is reply_to('Another')->{status}, 'done', 'a prompt that comes then is answered';
    my @times = map { $_->{time} } $standin->requests;
    cmp_ok $times[1] - $times[0], '>=', 1.45, 'but nothing was asked before the time was over';
    ok $log->wait_for(qr/GEM0410: .* rate limit/), 'the log tells';
    eventually(sub { @{asked()} == 3 });
};

subtest 'a quota that is used up, and nothing else' => sub {
    fresh({quota => 'day'});
    my $reply = reply_to('One');
    is_deeply [@$reply{qw(status error)}], [qw(failed rate_limited)], 'a reply fails';
    fresh({});
    $reply = reply_to('Two');
    is_deeply [@$reply{qw(status error)}], [qw(failed rate_limited)], 'so does the next';
    is_deeply asked, [], 'at once, without asking';
    is $stack->dbh->selectrow_array('SELECT count(*) FROM gemclone.jobs'), 0, 'it does not wait';
};

subtest 'several keys' => sub {
    configure($BOTH);
    fresh({keys => {'second-key' => {quota => 'day'}}});
    my @replies = map { reply_to("Prompt $_") } 1 .. 6;
    is_deeply [map { $_->{status} } @replies], [('done') x 6], 'one stands in for the other that is used up';
    is scalar(grep {/^second-key/} @{asked()}), 1, 'which is asked once';
    is scalar(grep {/\Q$FALLBACK/} @{asked()}), 0, 'the fallback is not needed';

    configure([]);
    fresh({keys => {'second-key' => {status => 403}}});
    @replies = map { reply_to("Prompt $_") } 1 .. 6;
    is_deeply [map { $_->{status} } @replies], [('done') x 6], 'or that is refused';
    is scalar(grep {/^second-key/} @{asked()}), 1, 'which is asked once, too';
    ok $log->wait_for(qr/GEM0403/), 'and an admin is told';
};

subtest 'the fallback model' => sub {
    configure([]);
    fresh({models => {$MAIN => {quota => 'day'}}});
    my @replies = map { reply_to("Prompt $_") } 1 .. 4;
    is_deeply [map { $_->{model} } @replies], [($FALLBACK) x 4], 'answers when all keys are used up';
    is scalar(grep {/\Q$MAIN/} @{asked()}), 2, 'each of which was asked once';

    configure(['GemcloneGeminiBreakerRest 1min']);
    fresh({models => {$MAIN => {reset => 1}}});
    @replies = map { reply_to("Prompt $_") } 1 .. 8;
    is_deeply [map { $_->{status} } @replies], [('done') x 8], 'and when the model is out of order';
    cmp_ok scalar(grep {/\Q$MAIN/} @{asked()}), '<=', 2 * FAULTS, 'which is left alone after some tries';
};

subtest 'what one prompt alone does' => sub {
    configure([]);
    fresh({});
    my @replies = map { reply_to("Prompt $_ [[empty]]") } 1 .. 2 * FAULTS;
    is scalar(grep { $_->{status} ne 'failed' } @replies), 0, 'answers without text fail';
    is reply_to('Good')->{model}, $MAIN, 'but Gemini is asked as ever';
    is_deeply [grep {/GEM0410/} ($log->lines)[-20 .. -1]], [], 'no circuit has opened for them';
};
