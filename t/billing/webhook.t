# SPDX-License-Identifier: Apache-2.0
# Webhooks: what is Stripe's is taken once, in whatever order and however often it comes; anything else is refused.
# Takes long: see Gemclone::Suite.
use Mojo::Base -strict, -signatures;

use Gemclone::Check;
use Gemclone::Shop;
use Gemclone::Stack;
use Mojo::JSON qw(decode_json encode_json);
use Test::More;
use Time::HiRes qw(sleep time);

plan tests => 14;

my $shop = Gemclone::Shop->start(children => 2, more_modules => ['status'], directives => ['GemcloneMaxBody 64K', 'GemcloneSweep 1s',
    '<Location "/server-status">', '    SetHandler server-status', '    GemcloneEngine Off', '    Require local', '</Location>']);
my ($stack, $stripe) = ($shop->stack, $shop->stripe);
$stack->log->expect('GEM0704');
my $SECRET = Gemclone::Shop::SECRET;

sub sign ($payload, $secrets = [$SECRET], $time = time) { return Gemclone::StripeStandin->signature($payload, $secrets, int $time) }
sub deliver ($payload, $signature = sign($payload), %headers) {
    return $stack->client->post('/webhook/stripe', $payload, 'Content-Type' => 'application/json; charset=utf-8',
        'Stripe-Signature' => $signature, %headers);
}
sub event ($id, %more) {
    return encode_json {id => $id, object => 'event', type => 'something.happened', livemode => \0, api_version => '2026-07-29.dahlia',
        created => int time, data => {object => {id => 'th_1', object => 'thing'}}, %more};
}
sub stored ($id) { return $stack->dbh->selectrow_hashref('SELECT * FROM gemclone.stripe_events WHERE id = ?', {}, $id) }

subtest 'an event' => sub {
    my $payload = event('evt_1');
    answer_ok deliver($payload), 200, 'is taken';
    my $is = stored('evt_1');
    is $is->{payload}, $payload, 'and kept as it came';
    is $is->{type}, 'something.happened', 'with its type';
    answer_ok deliver($payload), 200, 'twice: it is the same one';
    ok eventually(sub { stored('evt_1')->{ended_at} }), 'it is worked off';
    is stored('evt_1')->{outcome}, 'ignored', 'nothing follows from one of a kind that nobody knows';
    answer_ok deliver(event('evt_2'), sign(event('evt_2'), [Gemclone::Shop::OTHER_SECRET])), 200, 'by the secret of yesterday';
    answer_ok deliver(event('evt_3'), sign(event('evt_3'), ['whsec_x', $SECRET, 'whsec_y'])), 200, 'by one of several signatures';
};

subtest 'what is not from Stripe' => sub {
    my $payload = event('evt_bad');
    my $good = sign($payload);
    my @bad = (
        [$payload, undef, 'no signature'], [$payload, '', 'an empty one'], [$payload, 'nonsense', 'nonsense'],
        [$payload, sign($payload, ['whsec_x']), 'by another secret'], ["$payload ", $good, 'another body'],
        [$payload =~ s/something/anything!/r, $good, 'a body that was altered'], ['', sign(''), 'no body'],
        [$payload, sign($payload, [$SECRET], time - 400), 'of the past'], [$payload, sign($payload, [$SECRET], time + 400), 'of the future'],
        [$payload, $good =~ s/v1=/v0=/r, 'of another scheme'], [$payload, $good =~ s/t=\d+/t=5/r, 'of another time'],
        [$payload, $good =~ s/,v1=.*//r, 'only a time'],
    );
    problem_ok deliver($_->[0], $_->[1]), 400, $_->[2] for @bad;
    is stored('evt_bad'), undef, 'nothing of that is stored';
    for my $case (['{', 'no JSON'], ['{}', 'no event'], ['[]', 'a list'],
        [event('evt_thin', object => 'v2.core.event'), 'a thin event'], [event('evt_live', livemode => \1), 'of live mode'],
        [event('../x'), 'an id that is none']) {
        problem_ok deliver($case->[0]), 400, "signed, but $case->[1]";
    }
    problem_ok deliver(event('evt_big', pad => 'x' x 70_000)), 413, 'more than GemcloneMaxBody';
};

subtest 'events of subscriptions are read in either shape' => sub {
    for my $shape (qw(dahlia acacia)) {
        my $user = $stack->new_user;
        $stripe->control({shape => $shape, webhook => {url => $stack->url . '/webhook/stripe', secrets => [$SECRET]}});
        my $paid = $shop->buy($user);
        is $shop->tier($user), 'pro', "$shape: bought";
        $stripe->act($paid->{subscription} => 'renew', payment => 'failed');
        $shop->settle;
        is $shop->status($user)->{status}, 'past_due', "$shape: and told by an invoice";
    }
    $shop->listen;
};

# What is left of a subscription, but for when it was asked for.
sub row ($id) {
    my $row = $stack->dbh->selectrow_hashref('SELECT * FROM gemclone.subscriptions WHERE id = ?', {}, $id);
    delete $row->{asked_at};
    return $row;
}

# {name => number} of ours in mod_status' page.
sub status_page () { return {$stack->client->get('/server-status?auto')->body =~ /^Gemclone(\w+): (-?\d+)$/mg} }

subtest 'in any order' => sub {
    $shop->listen(hold => Mojo::JSON->true);
    my $user = $stack->new_user;
    my $session = $shop->checkout($user);
    my $paid = $stripe->act($session => 'complete');
    my @events = @{$paid->{events}};
    push @events, @{$stripe->act($paid->{subscription} => $_->[0], @$_[1 .. $#$_])->{events}}
        for ['renew'], ['renew', payment => 'failed'], ['recover'], ['cancel'], ['keep'], ['cancel'];
    is $shop->status($user)->{tier}, 'basic', 'nothing has come yet';
    my (%rows, $wrong);
    for my $seed (1 .. 100) {
        $stack->dbh->do('TRUNCATE gemclone.stripe_events');
        $stack->dbh->do('DELETE FROM gemclone.subscriptions WHERE id = ?', {}, $paid->{subscription});
        my @sent = $stripe->deliver(\@events, order => 'shuffled', seed => $seed, concurrency => 1 + $seed % 8,
            copies => 1 + $seed % 2);
        $wrong += grep { ($_->{status} // 0) != 200 } @sent;
        $shop->settle;
        $rows{encode_json(row($paid->{subscription}))}++;
    }
    is $wrong // 0, 0, 'all are taken';
    is scalar(keys %rows), 1, 'a hundred orders end in the same row' or diag explain \%rows;
    is $shop->tier($user), 'pro', 'that of the subscription';
    $shop->listen->know_all;    # which was forgotten with the events
};

subtest 'fifty at once' => sub {
    $shop->listen(hold => Mojo::JSON->true);
    my $user = $stack->new_user;
    my $paid = $stripe->act($shop->checkout($user) => 'complete');
    my ($event) = grep { $_->{type} eq 'customer.subscription.created' } @{$paid->{events}};
    my @sent = $stripe->deliver([$event], copies => 50, concurrency => 50);
    is_deeply [grep { ($_->{status} // 0) != 200 } @sent], [], 'are all answered';
    $shop->settle;
    is $stack->dbh->selectrow_array('SELECT count(*) FROM gemclone.stripe_events WHERE id = ?', {}, $event->{id}), 1, 'as one event';
    is $shop->tier($user), 'pro', 'which counts';
    $shop->listen;
};

subtest 'Stripe is down when an event is to be worked off' => sub {
    $stack->log->expect('GEM0703');
    $shop->listen(hold => Mojo::JSON->true);
    my $user = $stack->new_user;
    my $paid = $stripe->act($shop->checkout($user) => 'complete');
    $stripe->go_wrong(map { {status => 500, path => '/v1/'} } 1 .. 12);
    $stripe->deliver($paid->{events});
    ok eventually(sub { scalar grep {/api_error|no_reason|500/ || !/new$/} $shop->open_events }), 'it waits, and says why';
    is $shop->tier($user), 'basic', 'nothing is granted on the word of an event alone';
    ok eventually(sub { (status_page()->{EventsFailing} // 0) > 0 }), 'the status page counts it';
    $stripe->end_faults;
    $shop->settle(60);
    is $shop->tier($user), 'pro', 'it is worked off when Stripe is back';
    $shop->listen;
};

subtest 'an event is replayed' => sub {
    my $user = $stack->new_user;
    my $paid = $shop->buy($user);
    my ($event) = grep { $_->{type} eq 'customer.subscription.created' } @{$paid->{events}};
    $stack->dbh->do('DELETE FROM gemclone.subscriptions WHERE id = ?', {}, $paid->{subscription});
    $stack->dbh->do(q{SELECT gemclone.stripe_event_replay(?)}, {}, $event->{id});
    $shop->settle;
    is row($paid->{subscription})->{status}, 'active', 'by the admin: what was lost is there again';
    ok !eval { $stack->dbh->do(q{SELECT gemclone.stripe_event_replay('evt_none')}); 1 }, 'one that was never here';
    like $@, qr/there is no event evt_none here/, 'is told so';
    ok !eval { $stack->dbh(user => 'gemclone')->do(q{SELECT gemclone.stripe_event_replay('evt_none')}); 1 }, 'the module itself may not';
};

subtest 'Stripe is down when a user wants to buy' => sub {
    my $user = $stack->new_user;
    $stripe->go_wrong(map { {status => 503, path => '/v1/checkout'} } 1 .. 2);
    my $is = problem_ok $user->post('/subscribe/pro', ''), 503, 'the user is told to come back';
    is $is->{type}, 'urn:gemclone:problem:billing-unavailable', 'by a type of its own';
    $stripe->end_faults;
    my $paid = $shop->buy($user);
    is $shop->tier($user), 'pro', 'and can buy later';
    $stripe->go_wrong({status => 500, path => '/v1/billing_portal'});
    problem_ok $user->post('/subscribe/portal', ''), 503, 'nor is the portal to be had then';
    like $user->post('/subscribe/portal', '')->json->{portal_url}, qr/^http/, 'but again after that';
};

subtest 'the processes die meanwhile' => sub {
    $stack->log->expect(qr/AH00052: child pid \d+ exit signal Killed/);
    $shop->listen(hold => Mojo::JSON->true);
    my @users = map { $stack->new_user } 1 .. 4;
    my @events = map { @{$stripe->act($shop->checkout($_) => 'complete')->{events}} } @users;
    $stripe->deliver(\@events, concurrency => 8);
    kill KILL => $stack->apache->children_pids;
    $stack->dbh->do(q{UPDATE gemclone.stripe_events SET due_at = now() WHERE worker IS NOT NULL});    # five minutes later
    $shop->settle(60);
    is_deeply [map { $shop->tier($_->ua(Mojo::UserAgent->new) && $_) } @users], [('pro') x 4], 'no event is lost';
    $shop->listen;
};

subtest 'an event that never comes' => sub {
    $shop->listen(hold => Mojo::JSON->true);
    my $user = $stack->new_user;
    my $paid = $stripe->act($shop->checkout($user) => 'complete');
    $stripe->deliver($paid->{events});
    $shop->settle;
    is $shop->tier($user), 'pro', 'bought';
    $stripe->act($paid->{subscription} => 'end');
    sleep 1.5;
    is $shop->status($user)->{status}, 'active', 'that it is over is not known';
    $stack->dbh->do(q{UPDATE gemclone.subscriptions SET period_end = now() - interval '11 min', asked_at = now() - interval '2 hours'
        WHERE id = ?}, {}, $paid->{subscription});    # a month later
    ok eventually(sub { $shop->status($user)->{status} eq 'canceled' }), 'when its period is over Stripe is asked';
    is $shop->tier($user), 'basic', 'and the user has what that means';
    $shop->listen;
};

subtest 'subscriptions of which no event ever came' => sub {
    $shop->listen(hold => Mojo::JSON->true);
    my @users = map { $stack->new_user } 1 .. 3;
    my @paid = map { $stripe->act($shop->checkout($_) => 'complete') } @users;
    my $foreign = $stripe->subscribe('line_items[0][price]' => 'price_of_something_else');
    $stack->dbh->do(q{DELETE FROM gemclone.stripe_events WHERE id LIKE 'evt_list_%'});    # it is another day
    ok eventually(sub { !grep { $shop->tier($_) ne 'pro' } @users }), 'are found once a day';
    is $stack->dbh->selectrow_array('SELECT count(*) FROM gemclone.subscriptions WHERE id = ?', {}, $foreign->{subscription}), 0,
        'those that are for something else are left alone';
    $shop->listen;
};

subtest 'on every host' => sub {
    my $host = $stack->another_host(children => 1, directives => [$shop->directives, 'GemcloneWorker Off']);
    my $user = $stack->new_user;
    my $there = Gemclone::Client->new(url => $host->url, token => $user->token);
    is $there->get('/user/me')->json->{user}{tier}, 'basic', 'basic at first';
    my $session = $shop->session_of($there->post('/subscribe/pro', '')->json->{checkout_url});
    is $shop->session_of($user->post('/subscribe/pro', '')->json->{checkout_url}), $session, 'clicks on two hosts are one attempt';
    $stripe->act($session => 'complete');
    $shop->settle;
    ok eventually(sub { $there->get('/user/me')->json->{user}{tier} eq 'pro' }, 2), 'pro on the other as well';
};

subtest 'a key that Stripe refuses' => sub {
    $stack->log->expect('GEM0702');
    my $key = $stack->dir . '/wrong.key';
    Gemclone::Paths::secret_file($key, 'sk_test_wrong');
    my $host = $stack->another_host(children => 1, directives => [(grep { !/StripeKey/ } $shop->directives), "GemcloneStripeKey file:$key",
        'GemcloneWorker Off']);
    my $user = Gemclone::Client->new(url => $host->url, token => $stack->new_user->token);
    problem_ok $user->post('/subscribe/pro', ''), 503, 'nothing can be bought' for 1 .. 3;
    my $log = Gemclone::ErrorLog->of($host->dir);
    is scalar(() = $log->lines('GEM0702')), 1, 'the log says so once';
    is_deeply [grep {/sk_test/} $log->lines], [], 'without the key';
};

subtest 'without Stripe' => sub {
    my $host = $stack->another_host(children => 1);
    my $user = Gemclone::Client->new(url => $host->url, token => $stack->new_user->token);
    for my $path ('/subscribe/pro', '/subscribe/portal', '/webhook/stripe') {
        my $is = problem_ok $user->post($path, ''), 503, "$path is not to be had";
        is $is->{type}, 'urn:gemclone:problem:billing-unavailable', 'by the type that says so';
    }
    is answer_ok($user->get('/subscription/status'), 200, 'a status there is')->{tier}, 'basic', 'basic';
};
