# SPDX-License-Identifier: Apache-2.0
# A subscription's life: bought, renewed, not paid for, recovered, cancelled, over; given back, disputed; what the user has
# at each step, at once and on the next prompt.
use Mojo::Base -strict, -signatures;

use Gemclone::Check;
use Gemclone::Events;
use Gemclone::Shop;
use Mojo::UserAgent;
use Test::More;
use Time::HiRes qw(time);

plan tests => 13;

my $shop = Gemclone::Shop->start(children => 2, directives => ['GemcloneQuota basic 1', 'GemcloneBillingGrace 5d']);
my ($stack, $stripe) = ($shop->stack, $shop->stripe);

sub has ($user, $tier, $status, $what) {
    $shop->settle;
    my $is = $shop->status($user);
    is_deeply [@$is{qw(tier status)}, $shop->tier($user)], [$tier, $status, $tier], $what
        or diag join "\n", $shop->open_events;
    return $is;
}

# Whether the user's quota is that of pro: a second prompt of the day is taken.
sub may_send ($user) { return $user->post('/message/' . $user->room, {content => 'x'})->code == 201 }

subtest 'who has never paid' => sub {
    my $user = $stack->new_user;
    my $is = answer_ok $user->get('/subscription/status'), 200, 'has a status all the same';
    is_deeply $is, {tier => 'basic', status => undef, current_period_end => undef, cancel_at_period_end => Mojo::JSON->false}, 'basic';
    problem_ok $user->post('/subscribe/portal', ''), 409, 'but nothing to manage';
};

subtest 'bought' => sub {
    my $user = $stack->new_user;
    ok may_send($user), 'the first prompt of a day';
    ok !may_send($user), 'is the last of basic';
    my $res = $user->post('/subscribe/pro', '');
    my $answer = answer_ok $res, 200, 'there is a page to pay';
    like $answer->{checkout_url}, qr{^https?://\S+$}, 'at an address';
    my ($asked) = grep { $_->{path} =~ /sessions/ } $stripe->requests;
    is $asked->{params}{client_reference_id}, $user->user->{id}, 'for this user';
    is $asked->{params}{subscription_data}{metadata}{user_id}, $user->user->{id}, 'and the subscription will tell, too';
    is_deeply $shop->status($user)->{tier}, 'basic', 'nothing is granted for looking at it';
    my $done = $stripe->act($shop->session_of($answer->{checkout_url}) => 'complete');
    my $is = has($user, 'pro', 'active', 'paid: pro');
    like $is->{current_period_end}, qr/^$TIME$/, 'until then';
    ok may_send($user), 'the next prompt is charged as pro';
    problem_ok $user->post('/subscribe/pro', ''), 409, 'who has a subscription is not sold another';
    my $portal = answer_ok $user->post('/subscribe/portal', ''), 200, 'but can manage it';
    like $portal->{portal_url}, qr{^https?://\S+$}, 'at an address';

    $stripe->act($done->{subscription} => 'renew');
    my $renewed = has($user, 'pro', 'active', 'renewed');
    cmp_ok $renewed->{current_period_end}, 'gt', $is->{current_period_end}, 'for another period';

    $stripe->act($done->{subscription} => 'renew', payment => 'failed');
    has($user, 'pro', 'past_due', 'a payment has failed: grace');
    ok may_send($user), 'which is as good as pro';
    $stripe->act($done->{subscription} => 'recover');
    has($user, 'pro', 'active', 'recovered');

    $stripe->act($done->{subscription} => 'cancel');
    $is = has($user, 'pro', 'active', 'cancelled: pro to the end of the period');
    ok $is->{cancel_at_period_end}, 'as it says';
    $stripe->act($done->{subscription} => 'end');
    has($user, 'basic', 'canceled', 'over: basic');
    ok !may_send($user), 'with what basic has';
    is scalar(@{$user->rooms}), 5, 'and everything is still there';
    my $again = $shop->buy($user);
    has($user, 'pro', 'active', 'bought again');
    $shop->stripe->deliver([reverse @{$again->{events}}], copies => 2);
    has($user, 'pro', 'active', 'whatever is delivered again, and the wrong way round');
    is $again->{customer}, $done->{customer}, 'by the same customer';
};

subtest 'grace ends' => sub {
    my $user = $stack->new_user;
    my $paid = $shop->buy($user);
    $stripe->act($paid->{subscription} => 'renew', payment => 'failed');
    has($user, 'pro', 'past_due', 'at first it is pro');
    $stack->dbh->do(q{UPDATE gemclone.subscriptions SET period_start = now() - interval '6 days' WHERE id = ?}, {}, $paid->{subscription});
    $stack->dbh->do(q{SELECT gemclone.paid_refresh(?, interval '5 days')}, {}, $user->user->{id});
    is $shop->status($user)->{tier}, 'basic', 'after GemcloneBillingGrace it is basic';
    my $room = $user->room;
    answer_ok $user->post("/message/$room", {content => 'x'}), 201, 'it has its prompt of the day';
    problem_ok $user->post("/message/$room", {content => 'x'}), 429, 'and no more';
    $stripe->act($paid->{subscription} => 'unpaid');
    has($user, 'basic', 'unpaid', 'as it is when Stripe gives up');
};

subtest 'a bank that takes its time' => sub {
    for my $case (['succeed', 'pro', 'active'], ['fail', 'basic', 'past_due']) {
        my ($end, $tier, $status) = @$case;
        my $user = $stack->new_user;
        my $paid = $shop->buy($user, payment => 'unpaid');
        has($user, 'basic', 'active', 'is waited for');
        $stripe->act($paid->{session} => $end);
        has($user, $tier, $status, $end);
    }
};

subtest 'a checkout that nobody pays' => sub {
    my $user = $stack->new_user;
    my $session = $shop->checkout($user);
    is $shop->checkout($user), $session, 'it is the same one at the next click';
    $stripe->act($session => 'expire');
    has($user, 'basic', undef, 'nothing comes of it');
    isnt $shop->checkout($user), $session, 'the next click is another attempt';
};

subtest 'two clicks at once' => sub {
    my $user = $stack->new_user;
    $stripe->reset; $shop->listen;
    my @answers = all_at_once map { $user->transaction(POST => '/subscribe/pro', '') } 1 .. 6;
    is_deeply [map { $_->code } @answers], [(200) x 6], 'are all answered';
    my %urls = map { $_->json->{checkout_url} => 1 } @answers;
    is scalar(keys %urls), 1, 'by one page';
};

subtest 'given back, and disputed' => sub {
    my $user = $stack->new_user;
    my $paid = $shop->buy($user);
    $stripe->act($paid->{charge} => 'refund');
    has($user, 'pro', 'active', 'a refund alone changes nothing');
    is $stack->dbh->selectrow_array('SELECT status FROM gemclone.reversals WHERE id = ?', {}, $paid->{charge}), 'refunded', 'but is there to see';
    my $other = $stack->new_user;
    my $bought = $shop->buy($other);
    my $dispute = $stripe->act($bought->{charge} => 'dispute');
    has($other, 'basic', 'active', 'while a payment is disputed nothing is granted');
    $stripe->act($dispute->{dispute} => 'close', status => 'won');
    has($other, 'pro', 'active', 'until that is settled');
};

subtest 'a customer who is deleted at Stripe' => sub {
    my $user = $stack->new_user;
    my $paid = $shop->buy($user);
    $stripe->act($paid->{customer} => 'delete');
    has($user, 'basic', 'canceled', 'has nothing any more');
    my $again = $shop->buy($user);
    has($user, 'pro', 'active', 'and can buy again');
    isnt $again->{customer}, $paid->{customer}, 'as another one';
};

# A prompt is charged by the tier that its user has at that moment: all of them together are no more than what basic
# allows, but for those that were sent as pro.
subtest 'prompts while the tier changes' => sub {
    my $user = $stack->new_user;
    my $paid = $shop->buy($user);
    $stripe->act($paid->{subscription} => 'end');
    has($user, 'basic', 'canceled', 'basic');
    my @rooms = map { $user->room } 1 .. 40;
    my $switch = fork // die "cannot fork: $!\n";
    if (!$switch) {
        my $dbh = $stack->postgres->dbh;
        for (1 .. 20) {
            $dbh->do('UPDATE gemclone.users SET paid_until = CASE WHEN paid_until IS NULL THEN now() + interval \'1 day\' END WHERE id = ?', {}, $user->user->{id});
            select undef, undef, undef, 0.01;
        }
        POSIX::_exit(0);
    }
    my @answers = map { $user->post("/message/$_", {content => 'x'}) } @rooms;
    waitpid $switch, 0;
    is_deeply [grep { !/^(?:201|429)$/ } map { $_->code } @answers], [], 'are taken or refused';
    my $taken = grep { $_->code == 201 } @answers;
    my ($charged) = $stack->dbh->selectrow_array('SELECT sum(prompts) FROM gemclone.usage WHERE user_id = ?', {}, $user->user->{id});
    is $charged, $taken, 'what is taken is charged, and nothing else';
    for my $answer (grep { $_->code == 429 } @answers) {
        like $answer->headers->header('RateLimit') // '', qr/r=0/, 'who is refused was basic then' or last;
    }
};

subtest 'while Stripe takes its time' => sub {
    my $host = $stack->another_host(children => 1, threads => 4, directives => [$shop->directives, 'GemcloneWorker Off',
        'GemcloneMaxStreams 100']);
    my @users = map { Gemclone::Client->new(url => $host->url, token => $stack->new_user->token) } 1 .. 20;
    $stripe->go_wrong(map { {delay => 2000, path => '/v1/checkout'} } @users);
    my @waiting = map { $_->ua->start_p($_->transaction(POST => '/subscribe/pro', '')) } @users;
    Mojo::IOLoop->timer(0.5 => sub { Mojo::IOLoop->stop });
    Mojo::IOLoop->start;
    my $began = time;
    my $other = Gemclone::Client->new(url => $host->url, token => $stack->new_user->token);
    answer_ok $other->get('/user/me'), 200, 'others are served';
    cmp_ok time - $began, '<', 1, 'at once: who waits has no thread';
    my @codes;
    Mojo::Promise->all(@waiting)->then(sub (@all) { @codes = map { $_->[0]->res->code } @all })->wait;
    is_deeply \@codes, [(200) x @users], 'whoever waits is answered';
    $stripe->end_faults;
};

subtest 'where requests have a thread each' => sub {
    my $host = $stack->another_host(children => 1, mpm => 'worker', directives => [$shop->directives, 'GemcloneWorker Off']);
    my $user = Gemclone::Client->new(url => $host->url, token => $stack->new_user->token);
    like answer_ok($user->post('/subscribe/pro', ''), 200, 'a request waits on its thread')->{checkout_url}, qr/cs_/, 'for the same page';
    $stripe->go_wrong({how => 'hang', path => '/v1/checkout'});
    my $other = Gemclone::Client->new(url => $host->url, token => $stack->new_user->token);
    problem_ok $other->post('/subscribe/pro', ''), 503, 'no longer than GemcloneStripeTimeout';
};

subtest 'a user who leaves' => sub {
    my $nobody = $stack->new_user;
    $nobody->ask($nobody->room, 'Hello');
    answer_ok $nobody->delete('/user/me'), 200, 'who pays for nothing';
    problem_ok $nobody->get('/user/me'), 401, 'is gone';
    is $stack->dbh->selectrow_array('SELECT count(*) FROM gemclone.chatrooms WHERE user_id = ?', {}, $nobody->user->{id}), 0, 'with all that was theirs';
    my $user = $stack->new_user;
    my $paid = $shop->buy($user);
    $stripe->go_wrong({status => 500, method => 'DELETE'});
    problem_ok $user->delete('/user/me'), 503, 'one who pays, while Stripe is down';
    has($user, 'pro', 'active', 'stays, and can use it');
    $stripe->end_faults;
    my $stream = Gemclone::Events->of_prompt($user, $user->room, 'Slow [[delay=60000]]');
    $stream->next;
    answer_ok $user->delete('/user/me'), 200, 'when it is back';
    is +($stream->rest(4))[-1]{data}{error}, 'gone', 'who reads a reply is told';
    problem_ok $user->get('/user/me'), 401, 'the account is gone';
    is $stripe->api(GET => "/v1/subscriptions/$paid->{subscription}")->{status}, 'canceled', 'and the subscription was ended first';
    my $hesitant = $stack->new_user;
    my $session = $shop->checkout($hesitant);
    answer_ok $hesitant->delete('/user/me'), 200, 'one who was about to pay';
    is $stripe->api(GET => "/v1/checkout/sessions/$session")->{status}, 'expired', 'cannot do so any more';
    $shop->settle;
};

subtest 'an account that is deleted by hand' => sub {
    my $user = $stack->new_user;
    my $paid = $shop->buy($user);
    $stack->dbh->do('DELETE FROM gemclone.users WHERE id = ?', {}, $user->user->{id});
    $stripe->act($paid->{subscription} => 'renew');
    $shop->settle;
    is $stack->dbh->selectrow_array('SELECT status FROM gemclone.subscriptions WHERE id = ?', {}, $paid->{subscription}), 'active',
        'leaves the subscription to the admin, and events are worked off all the same';
};
