# SPDX-License-Identifier: Apache-2.0
# What goes wrong at Gemini: tried again as often as it may help, with another model where that helps, and told in
# words that a person understands; never stored as text that looks like an answer.
use Mojo::Base -strict, -signatures;

use Gemclone::Check;
use Gemclone::Paths qw(secret_file temp_dir);
use Gemclone::Stack;
use Test::More;
use utf8;

use constant TRIES => 3;

my $dir = temp_dir;
mkdir "$dir/more";
secret_file("$dir/more/second.key", 'second-key');
my $stack = Gemclone::Stack->start(
    fsync => 0, dir => "$dir", children => 1,
    directives => [
        'GemcloneQuota basic unlimited',
        'GemcloneGeminiBackoff 20ms',
        'GemcloneGeminiTries ' . TRIES, 'GemcloneGeminiBreaker 0',
        'GemcloneMaxReply 64K',
        'GemcloneGeminiFirstTokenTimeout 1500ms',
        'GemcloneGeminiIdleTimeout 1500ms',
        'GemcloneGeminiTotalTimeout 6s',
        "GemcloneGeminiKey file:$dir/more/second.key",
        'GemclonePoll 100ms',
    ],
);
$stack->log->expect('GEM0403', 'GEM0409');
my $standin = $stack->standin;
my $user = $stack->new_user;

my ($MAIN, $FALLBACK) = qw(gemini-3.8-flash gemini-3.5-flash-lite);
my @ALL = (($MAIN) x TRIES, ($FALLBACK) x 2);    # a try that may be repeated, with what comes after it

# directive => [status, error, the models asked], each in a room of its own, all at once.
my %CASES = (
    # Failures for which nothing can be done: one try.
    '[[status=400]]'               => ['failed', 'upstream', $MAIN],
    '[[error=api_key]]'            => ['failed', 'upstream', $MAIN],
    '[[error=region]]'             => ['failed', 'upstream', $MAIN],
    '[[status=401]]'               => ['failed', 'upstream', $MAIN],
    '[[status=403]]'               => ['failed', 'upstream', $MAIN],
    '[[error=leaked]]'             => ['failed', 'upstream', $MAIN],
    '[[status=409]]'               => ['failed', 'upstream', $MAIN],
    # Failures that pass, here never.
    (   map { ("[[status=$_]]" => ['failed', $_ == 408 || $_ == 504 ? 'timeout' : 'upstream', @ALL]) } 408,
        499, 500, 502, 503, 504
    ),
    '[[status=503]] [[body=html]]' => ['failed', 'upstream', @ALL],
    '[[status=503]] [[body=empty]]' => ['failed', 'upstream', @ALL],
    '[[status=503]] [[body=array]]' => ['failed', 'upstream', @ALL],
    '[[status=429]] [[retry=20ms]]' => ['failed', 'rate_limited', @ALL],
    '[[empty]]'                    => ['failed', 'upstream', @ALL],
    '[[nofinish]]'                 => ['failed', 'upstream', @ALL],
    '[[cut=2]]'                    => ['failed', 'upstream', @ALL],
    '[[reset=1]]'                  => ['failed', 'upstream', @ALL],
    '[[torn=1]]'                   => ['failed', 'upstream', @ALL],
    '[[garbage=1]]'                => ['failed', 'upstream', @ALL],
    '[[miderror=1]]'               => ['failed', 'upstream', @ALL],
    # Failures that pass after a while.
    (   map { ("[[$_]] [[times=1]]" => ['done', undef, $MAIN, $MAIN]) } 'status=500', 'status=503',
        'status=429]] [[retry=50ms', 'empty',
        'nofinish', 'cut=1',
        'cut=4', 'reset=2',
        'torn=3', 'garbage=2',
        'miderror=2', 'miderror=1]] [[code=500',
        'stall=1', 'finish=OTHER'
    ),
    '[[status=503]] [[times=2]]' => ['done', undef, ($MAIN) x 3],
    '[[status=503]] [[times=3]]' => ['done', undef, ($MAIN) x 3, $FALLBACK],
    '[[status=503]] [[times=4]]' => ['done', undef, ($MAIN) x 3, ($FALLBACK) x 2],
    # What another model may do.
    '[[status=404]] [[times=1]]'   => ['done', undef, $MAIN, $FALLBACK],
    '[[quota=day]] [[times=1]]'    => ['done', undef, $MAIN, $FALLBACK],
    '[[quota=zero]] [[times=1]]'   => ['done', undef, $MAIN, $FALLBACK],
    '[[status=429]] [[retry=400s]] [[times=1]]' => ['done', undef, $MAIN, $FALLBACK],
    '[[status=404]]'               => ['failed', 'upstream', $MAIN, $FALLBACK],
    '[[quota=day]]'                => ['failed', 'rate_limited', $MAIN, $FALLBACK],
    # Odd ends: once more, no more.
    '[[finish=OTHER]]'             => ['failed', 'upstream', $MAIN, $MAIN],
    '[[finish=SOMETHING_NEW]]'     => ['failed', 'upstream', $MAIN, $MAIN],
    '[[finish=MALFORMED_FUNCTION_CALL]]' => ['failed', 'upstream', $MAIN, $MAIN],
    # Blocked: never again.
    (
        map { ("[[block=$_]]" => ['failed', 'blocked', $MAIN]) }
            qw(SAFETY OTHER BLOCKLIST PROHIBITED_CONTENT SOMETHING_NEW)
    ),
    (
        map { ("[[finish=$_]]" => ['failed', 'blocked', $MAIN]) }
            qw(SAFETY RECITATION LANGUAGE BLOCKLIST PROHIBITED_CONTENT SPII)
    ),
    # Too long, or without an end.
    '[[finish=MAX_TOKENS]] [[empty]]' => ['failed', 'too_long', $MAIN],
    '[[size=70000]]'               => ['failed', 'too_long', $MAIN],
    '[[endless]]'                  => ['failed', 'too_long', $MAIN],
    '[[endless]] [[gap=300]]'      => ['failed', 'timeout', $MAIN],
    '[[hang]]'                     => ['failed', 'timeout', @ALL],
    '[[stall=1]]'                  => ['failed', 'timeout', @ALL],
);

plan tests => 5 + keys %CASES;

my %room;
my @directives = sort keys %CASES;
# The prompt names its case, so that its requests can be found among the others.
my %sent = map { my $room = $room{$_} = $user->room; ($_ => $user->send($room, "Partial? $_")) } @directives;
my %reply = map { ($_ => $user->wait_reply($room{$_}, $sent{$_}{reply}{id}, 90)) } @directives;
my %asked;
push @{$asked{(Mojo::JSON::from_json($_->{body})->{contents}[-1]{parts}[0]{text}) =~ s/^Partial\? //r}}, $_
    for $standin->requests;

for my $directives (@directives) {
    my ($status, $error, @models) = @{$CASES{$directives}};
    subtest $directives => sub {
        my $reply = $reply{$directives};
        is $reply->{status}, $status, 'its status';
        is_deeply [map { $_->{model} } @{$asked{$directives}}], \@models,
            'the models that were asked, each as often as it may help';
        if ($status eq 'done') {
            is $reply->{content}, 'You said: Partial?. I remember 0 earlier turns (0 yours): [].',
                'the text is whole, and holds nothing of what failed';
            is $reply->{error}, undef, 'there is no error';
            is $reply->{model}, $models[-1], 'the model is the one that answered';
            return;
        }
        is $reply->{error}, $error, 'why';
        is $reply->{content}, '', 'there is no text';
        like $reply->{error_detail}, qr/\A[A-Z].{20,}\.\z/, 'people are told in a sentence';
        unlike $reply->{error_detail}, qr/\d{3}|[A-Z_]{4,}|http|API|quota|HARM/,
            'of which they understand every word';
    };
}

subtest 'prompts that did fail are given back' => sub {
    # Charged are answers, what was blocked in an answer, and what grew too long.
    my $charged = grep {
        my ($status, $error) = @{$CASES{$_}};
        $status eq 'done' || $error eq 'too_long' || /^\[\[finish/ && $error eq 'blocked'
    } @directives;
    my ($used) = $stack->dbh->selectrow_array('SELECT sum(prompts) FROM gemclone.usage WHERE user_id = ?',
        {}, $user->user->{id});
    is $used, $charged, 'all others are';
    is $stack->dbh->selectrow_array('SELECT count(*) FROM gemclone.jobs'), 0, 'no job is left';
};

subtest 'a wait that Gemini asks for' => sub {
    for my $case (['1200ms', 1.2], ['0.9s', 0.9]) {
        my ($retry, $seconds) = @$case;
        $standin->reset;
        my $room = $user->room;
        $user->wait_reply($room, $user->send($room, "Wait [[status=429]] [[times=1]] [[retry=$retry]]")->{reply}{id});
        my @times = map { $_->{time} } $standin->requests;
        is @times, 2, 'two tries';
        cmp_ok $times[1] - $times[0], '>=', $seconds - 0.05, "with $retry between them";
    }
};

subtest 'two keys' => sub {
    $standin->reset;
    my $room = $user->room;
    my @sent = map { $user->send($room, "Prompt $_") } 1 .. 10;
    $user->wait_reply($room, $sent[-1]{reply}{id});
    my %count;
    $count{$_->{key}}++ for $standin->requests;
    is_deeply \%count, {'stand-in' => 5, 'second-key' => 5}, 'take turns';
};

subtest 'Gemini is away' => sub {
    $stack->standin_process->stop;
    my $room = $user->room;
    my $sent = $user->send($room, 'Anybody?');
    my $reply = $user->wait_reply($room, $sent->{reply}{id});
    is_deeply [@$reply{qw(status error content)}], ['failed', 'upstream', ''], 'the reply fails';
    like $reply->{error_detail}, qr/\A[A-Z].{20,}\.\z/, 'in words';
    my ($tries) = scalar $stack->log->lines(qr/GEM0402: reply $sent->{reply}{id}:/);
    is $tries, 4, 'after as many tries as any other that may pass';
};

is_deeply [grep {/second-key|stand-in\b(?!')/} $stack->log->lines(qr/gemclone:/)], [], 'no key stands in the log';
