#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# The stand-in for Stripe: its API as Stripe's is, what its control API makes happen, its webhooks, and its faults.
# Runs without the module: see Gemclone::Suite.
use Mojo::Base -strict, -signatures;

use FindBin ();
use lib "$FindBin::Bin/lib";

use IO::Select;
use IO::Socket::IP;
use Mojo::IOLoop;
use Mojo::JSON qw(decode_json encode_json false true);
use Mojo::Server::Daemon;
use Mojo::UserAgent;
use Mojo::Util qw(b64_encode encode);
use Mojolicious;
use Test::More;
use Time::HiRes qw(sleep time);

use Gemclone::StripeStandin;

use constant {
    ACACIA  => '2025-02-24.acacia',
    BASIL   => '2025-03-31.basil',
    DAHLIA  => '2026-08-26.dahlia',
    ENDIVE  => '2026-10-28.endive',
    MONTH   => 28 * 86_400,
    SECRETS => ['whsec_one', 'whsec_two'],
};

my $receiver = start_receiver();    # forks, and so comes first
my $stripe   = Gemclone::StripeStandin->start;
my $ua       = Mojo::UserAgent->new(inactivity_timeout => 20, request_timeout => 20);

# ---------------------------------------------------------------- the client ----

# A request to the API, of which the parameters are written as Stripe writes them. Key and version are the usual ones
# unless headers say otherwise; undef is no header.
sub ask ($method, $path, $params = {}, %headers) {
    my %all  = (Authorization => 'Bearer sk_test_of_this_test', 'Stripe-Version' => DAHLIA, %headers);
    my @body = %$params ? (form => $params) : ();
    delete @all{grep { !defined $all{$_} } keys %all};
    return $ua->start($ua->build_tx($method => $stripe->url . $path, \%all, @body))->res;
}

sub get  ($path, @more)          { ask(GET  => $path, {}, @more) }
sub post ($path, $params, @more) { ask(POST => $path, $params, @more) }

sub key ($key) { (Authorization => "Bearer $key") }

sub error_ok ($res, $status, $is, $what) {
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $error = ($res->json // {})->{error} // {};
    my $like  = delete $is->{message} // qr/./;
    my %is    = (type => 'invalid_request_error', code => undef, param => undef, %$is);
    my $got   = {status => $res->code, map { ($_ => $error->{$_}) } keys %is};
    is_deeply($got, {status => $status, %is}, $what) or diag $res->body;
    like $error->{message}, $like, "$what: the message";
}

my %CHECKOUT = (
    mode                      => 'subscription',
    'line_items[0][price]'    => 'price_pro',
    'line_items[0][quantity]' => 1,
    success_url               => 'https://example.com/done?session={CHECKOUT_SESSION_ID}',
    cancel_url                => 'https://example.com/',
);

sub checkout (%params) { $stripe->api(POST => '/v1/checkout/sessions', {%CHECKOUT, %params}) }

sub types       ($done) { [map { $_->{type} } @{$done->{events}}] }
sub of_type     ($done, $type) { (grep { $_->{type} eq $type } @{$done->{events}})[-1] }
sub parsed      ($event) { decode_json($event->{payload}) }
sub session     ($id) { $stripe->api(GET => "/v1/checkout/sessions/$id") }
sub subscription ($id) { $stripe->api(GET => "/v1/subscriptions/$id") }
sub period      ($subscription) { @{$subscription->{items}{data}[0]}{qw(current_period_start current_period_end)} }

sub refused ($id, $action, %options) {
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    ok !eval { $stripe->act($id, $action, %options) }, "$action is refused";
    like $@, qr/ 4\d\d /, 'with an error';
}

# ------------------------------------------------------------ who is allowed to ----

subtest 'keys' => sub {
    my $path = '/v1/subscriptions';
    error_ok get($path, Authorization => undef), 401, {message => qr/You did not provide an API key/}, 'none';
    error_ok get($path, Authorization => 'Digest x'), 401, {}, 'another scheme';
    error_ok get($path, key('hello')), 401, {message => qr/API Key provided: \*\*\*\*\*/}, 'one of another form';
    error_ok get($path, key('sk_test_wrong')), 401, {message => qr/Invalid API Key/}, 'a wrong one';
    error_ok get($path, key('sk_test_expired')), 401, {code => 'api_key_expired'}, 'an expired one';
    error_ok get($path, key('sk_test_forbidden')), 403, {}, 'one that may not';
    error_ok get($path, key('pk_test_public')), 403, {code => 'secret_key_required'}, 'a publishable one';
    is get($path, key("${_}_test_abc"))->code, 200, "$_: good" for qw(sk rk);
    is get($path, Authorization => 'Basic ' . b64_encode('sk_test_abc:', ''))->code, 200, 'by HTTP Basic';
    like get($path, Authorization => undef)->headers->www_authenticate, qr/^Bearer/, 'WWW-Authenticate';
};

subtest 'test mode and live mode' => sub {
    my $live = post('/v1/customers', {name => 'Live'}, key('sk_live_abc'))->json;
    ok $live->{livemode}, 'a customer of a live key is live';
    my $path = "/v1/customers/$live->{id}";
    is get($path, key('sk_live_abc'))->code, 200, 'for a live key it is there';
    error_ok get($path), 404,
        {code => 'resource_missing', param => 'id', message => qr/exists in live mode, but a test mode key was used/},
        'for a test key it is not';
    like post('/v1/checkout/sessions', \%CHECKOUT, key('sk_live_abc'))->json->{id}, qr/\Acs_live_/, 'ids tell the mode';
};

subtest 'versions' => sub {
    error_ok get('/v1/subscriptions', 'Stripe-Version' => $_), 400, {}, $_ // 'none'
        for undef, '2026-08-26', 'dahlia', '2026-8-26.dahlia';
    is get('/v1/subscriptions')->headers->header('Stripe-Version'), DAHLIA, 'the version comes back';

    my $paid = $stripe->subscribe;
    my $as   = sub ($version, $kind, $id) { get("/v1/$kind/$id", 'Stripe-Version' => $version)->json };
    my ($id, $invoice, $charge) = @$paid{qw(subscription invoice charge)};
    my ($old, $new) = map { $as->($_, subscriptions => $id) } ACACIA, BASIL;
    ok !exists $new->{current_period_end}, 'since basil the period is not the subscription\'s';
    is_deeply [@$old{qw(current_period_start current_period_end)}], [period($new)], 'but its items\'';
    is_deeply [period($old)], [undef, undef], 'which had none before';
    is $old->{plan}{id}, 'price_pro', 'there was a plan';

    ($old, $new) = map { $as->($_, invoices => $invoice) } ACACIA, BASIL;
    is_deeply $new->{parent}{subscription_details}, {subscription => $id, metadata => {}}, 'an invoice has a parent';
    is_deeply [@$old{qw(subscription charge paid)}], [$id, $charge, true], 'it had subscription, charge and paid';
    ok !(grep { exists $new->{$_} } qw(subscription charge paid payment_intent)), 'and has them no more';
    is $old->{lines}{data}[0]{price}{id}, 'price_pro', 'its lines had a price';
    is $new->{lines}{data}[0]{pricing}{price_details}{price}, 'price_pro', 'and have a pricing';
    is $as->(ACACIA, charges => $charge)->{invoice}, $invoice, 'a charge had its invoice';

    my $session = checkout()->{id};
    is $as->('2026-02-25.clover', 'checkout/sessions' => $session)->{ui_mode}, 'hosted',      'hosted, before dahlia';
    is $as->(DAHLIA,              'checkout/sessions' => $session)->{ui_mode}, 'hosted_page', 'hosted_page, since';
    ok !exists $as->(DAHLIA, subscriptions => $id)->{items}{data}[0]{current_trial}, 'nothing of endive in dahlia';
    ok exists $as->(ENDIVE, subscriptions => $id)->{items}{data}[0]{current_trial}, 'but in endive';
};

subtest 'the form of answers' => sub {
    my $res     = get('/v1/subscriptions/sub_none');
    my $headers = $res->headers;
    like $headers->header('Request-Id'), qr/\Areq_\w{14}\z/, 'Request-Id';
    is $headers->content_type, 'application/json', 'Content-Type';
    error_ok $res, 404,
        {code => 'resource_missing', param => 'id', message => qr/\ANo such subscription: 'sub_none'\z/}, 'an error';
    is $res->json->{error}{doc_url}, 'https://stripe.com/docs/error-codes/resource-missing', 'doc_url';
    like $res->json->{error}{request_log_url}, qr/@{[$headers->header('Request-Id')]}/, 'request_log_url';
    like post('/v1/customers', {})->body, qr/\A\{\n  "id": "cus_\w+",\n  "object": "customer",\n  "address": null,/,
        'JSON as Stripe writes it';
    error_ok get('/v1/nothing'), 404, {message => qr{\AUnrecognized request URL \(GET: /v1/nothing\)}}, 'another path';
    error_ok get('/v1/customers/'), 404, {message => qr/remove the trailing slash/}, 'a path without its id';
    my @other = (['/healthz', 200], ['/control/fun', 404], ['/', 404]);
    is $ua->get($stripe->url . $_->[0])->res->code, $_->[1], $_->[0] for @other;
};

# ---------------------------------------------------------------- parameters ----

subtest 'what Stripe refuses of a checkout' => sub {
    my $soon  = time;
    my @cases = (
        [{colour => 'red'}, 400, {code => 'parameter_unknown', param => 'colour'}, 'an unknown parameter'],
        [
            {'line_items[0][colour]' => 'red', 'subscription_data[x]' => 1}, 400,
            {
                code    => 'parameter_unknown',
                param   => 'line_items[0][colour]',
                message => qr/parameters: line_items\[0\]\[colour\], subscription_data\[x\]/
            },
            'unknown ones inside'
        ],
        [{mode => undef}, 400, {code => 'parameter_missing', param => 'mode'}, 'no mode'],
        [{success_url => undef}, 400, {code => 'parameter_missing', param => 'success_url'}, 'no success_url'],
        [
            {'line_items[0][price]' => undef},
            400, {code => 'parameter_missing', param => 'line_items[0][price]'}, 'no price'
        ],
        [{mode => 'gift'}, 400, {param => 'mode', message => qr/payment, setup, or subscription/}, 'a wrong mode'],
        [{mode => 'payment'}, 400, {param => 'mode', message => qr/stand-in/}, 'a mode that the stand-in lacks'],
        [{success_url => 'done'}, 400, {code => 'url_invalid', param => 'success_url'}, 'no URL'],
        [{customer_email => 'ada'}, 400, {code => 'email_invalid', param => 'customer_email'}, 'no email address'],
        [{cancel_url => ''}, 400, {code => 'parameter_invalid_empty', param => 'cancel_url'}, 'nothing'],
        [
            {'line_items[0][quantity]' => 'one'},
            400, {code => 'parameter_invalid_integer', param => 'line_items[0][quantity]'}, 'no number'
        ],
        [{allow_promotion_codes => 'yes'}, 400, {param => 'allow_promotion_codes'}, 'no boolean'],
        [{expires_at => 'soon'}, 400, {param => 'expires_at'}, 'no time'],
        [{expires_at => int $soon + 600}, 400, {message => qr/at least 30 minutes/, param => 'expires_at'}, 'too soon'],
        [{expires_at => int $soon + 90_000}, 400, {message => qr/less than 24 hou/, param => 'expires_at'}, 'too late'],
        [{'metadata[key]' => 'x' x 501}, 400, {param => 'metadata[key]', message => qr/up to 500/}, 'a long value'],
        [{'metadata[' . 'k' x 41 . ']' => 'x'}, 400, {param => 'metadata[' . 'k' x 41 . ']'}, 'a long key'],
        [{metadata => 'x'}, 400, {param => 'metadata'}, 'no metadata'],
        [{client_reference_id => 'x' x 201}, 400, {param => 'client_reference_id'}, 'a long reference'],
        [{customer => 'cus_none'}, 400, {code => 'resource_missing', param => 'customer'}, 'an unknown customer'],
        [
            {'line_items[0][price]' => 'price_missing'},
            400, {code => 'resource_missing', param => 'line_items[0][price]'}, 'an unknown price'
        ],
        [{'line_items[0][price]' => 'price_inactive'}, 400, {param => 'line_items[0][price]'}, 'an inactive price'],
        [
            {'line_items[0][price]' => 'price_once'},
            400, {param => 'line_items[0][price]', message => qr/recurring/}, 'a price to pay once'
        ],
        [
            {customer => 'cus_x', customer_email => 'a@b.c'},
            400, {param => 'customer_email', message => qr/only specify one/}, 'customer and customer_email'
        ],
    );
    for my $case (@cases) {
        my ($change, $status, $error, $what) = @$case;
        my %params = (%CHECKOUT, %$change);
        delete @params{grep { !defined $params{$_} } keys %params};
        error_ok post('/v1/checkout/sessions', \%params), $status, $error, $what;
    }
    my $json = $ua->post(
        $stripe->url . '/v1/customers',
        {key('sk_test_x'), 'Stripe-Version' => DAHLIA},
        json => {name => 'x'}
    )->res;
    error_ok $json, 400, {message => qr/POST content type/}, 'JSON in place of a form';
};

# ------------------------------------------------------------------- checkout ----

subtest 'a Checkout session' => sub {
    my $expires = int time + 3600;
    my $made    = checkout(
        client_reference_id                    => 'user-7',
        customer_email                         => 'ada@example.com',
        allow_promotion_codes                  => 'true',
        expires_at                             => $expires,
        'metadata[user_id]'                    => 7,
        'subscription_data[metadata][user_id]' => 7
    );
    like $made->{id},  qr/\Acs_test_\w{58}\z/,                        'id';
    like $made->{url}, qr{\Ahttps://checkout\.stripe\.com/c/pay/cs_}, 'url';
    is_deeply [@$made{qw(status payment_status mode client_reference_id customer subscription customer_email)}],
        ['open', 'unpaid', 'subscription', 'user-7', undef, undef, 'ada@example.com'], 'the rest';
    is $made->{expires_at}, $expires, 'until then';
    is_deeply $made->{metadata}, {user_id => '7'}, 'metadata are texts';
    ok $made->{allow_promotion_codes} && !$made->{livemode}, 'booleans';
    is_deeply session($made->{id}), $made, 'it can be asked for';
    ok !(grep {/^_/} keys %$made), 'the stand-in keeps its own to itself';

    my $expired = $stripe->api(POST => "/v1/checkout/sessions/$made->{id}/expire");
    is_deeply [@$expired{qw(status url)}], ['expired', undef], 'it expires when it is told to';
    error_ok post("/v1/checkout/sessions/$made->{id}/expire", {}), 400, {message => qr/`expired`/}, 'but once only';
};

subtest 'it is paid' => sub {
    my $session = checkout(client_reference_id => 'user-7', 'subscription_data[metadata][user_id]' => 7);
    my $paid    = $stripe->act($session->{id} => 'complete', email => 'ada@example.com');
    is_deeply types($paid), [
        qw(customer.created customer.subscription.created invoice.created invoice.finalized charge.succeeded
            invoice.paid invoice.payment_succeeded customer.subscription.updated checkout.session.completed)
        ],
        'the events, in Stripe\'s order';
    is $paid->{redirect}, "https://example.com/done?session=$session->{id}", 'where the browser goes';

    my $done = of_type($paid, 'checkout.session.completed')->{object};
    is_deeply [@$done{qw(status payment_status url client_reference_id customer subscription invoice)}],
        ['complete', 'paid', undef, 'user-7', @$paid{qw(customer subscription invoice)}], 'the session';
    is $done->{customer_details}{email}, 'ada@example.com', 'and who has paid';
    is_deeply session($session->{id}), $done, 'the API says the same';

    my $subscription = subscription($paid->{subscription});
    is_deeply [@$subscription{qw(status customer latest_invoice metadata)}],
        ['active', @$paid{qw(customer invoice)}, {user_id => '7'}], 'the subscription';
    my ($start, $end) = period($subscription);
    ok $end - $start >= MONTH && $end - $start <= MONTH + 4 * 86_400, 'for a month';
    is of_type($paid, 'customer.subscription.created')->{object}{status}, 'incomplete', 'it began incomplete';
    is_deeply parsed(of_type($paid, 'customer.subscription.updated'))->{data}{previous_attributes},
        {status => 'incomplete'}, 'and the update tells so';

    my $event = parsed($paid->{events}[0]);
    like $event->{id}, qr/\Aevt_1\w{23}\z/, 'an event\'s id';
    is_deeply [@$event{qw(object api_version livemode type pending_webhooks request)}],
        ['event', DAHLIA, false, 'customer.created', 0, {id => undef, idempotency_key => undef}], 'and the rest of it';
    like $paid->{events}[0]{payload}, qr/"livemode": false/, 'booleans are booleans';
    like $paid->{events}[0]{payload}, qr/"created": \d+,/,   'and numbers numbers';

    my $again = $stripe->act(checkout(customer => $paid->{customer})->{id} => 'complete');
    is $again->{customer}, $paid->{customer}, 'a customer who is known stays the same';
    ok !of_type($again, 'customer.created'), 'and is not created';
    refused($session->{id}, 'complete');
    my $year = subscription($stripe->subscribe('line_items[0][price]' => 'price_yearly')->{subscription});
    cmp_ok +(period($year))[1] - (period($year))[0], '>=', 365 * 86_400, 'another price, another period';
};

subtest 'it is paid later, or not, or need not be' => sub {
    my $later = $stripe->subscribe(payment => 'unpaid');
    is session($later->{session})->{payment_status}, 'unpaid', 'unpaid, though complete';
    is subscription($later->{subscription})->{status}, 'active', 'but the subscription is active';
    ok !of_type($later, 'invoice.paid'), 'no money has come';
    my $come = $stripe->act($later->{session} => 'succeed');
    is_deeply types($come),
        [qw(checkout.session.async_payment_succeeded charge.succeeded invoice.paid invoice.payment_succeeded)],
        'succeed';
    is session($later->{session})->{payment_status}, 'paid', 'paid';
    refused($later->{session}, 'fail');

    my $never = $stripe->subscribe(payment => 'unpaid', subscription => 'incomplete');
    is subscription($never->{subscription})->{status}, 'incomplete', 'or incomplete until then';
    is_deeply types($stripe->act($never->{session} => 'fail')),
        [qw(checkout.session.async_payment_failed charge.failed invoice.payment_failed)], 'fail';
    is_deeply types($stripe->act($never->{subscription} => 'abandon')),
        [qw(invoice.voided customer.subscription.updated)], 'abandon';
    is subscription($never->{subscription})->{status}, 'incomplete_expired', 'incomplete_expired';

    my $debit = $stripe->subscribe(payment => 'unpaid');
    $stripe->act($debit->{session} => 'fail');
    is subscription($debit->{subscription})->{status}, 'past_due', 'an active one becomes past_due';

    my $free = $stripe->subscribe(payment => 'no_payment_required');
    is session($free->{session})->{payment_status}, 'no_payment_required', 'no_payment_required';
    is subscription($free->{subscription})->{status}, 'active', 'active';
    ok !$free->{charge}, 'no charge';

    my $trial = $stripe->subscribe(trial_days => 7);
    is session($trial->{session})->{payment_status}, 'no_payment_required', 'nor for a trial';
    my $trialing = subscription($trial->{subscription});
    is_deeply [$trialing->{status}, $trialing->{trial_end} - $trialing->{trial_start}, (period($trialing))[1]],
        ['trialing', 7 * 86_400, $trialing->{trial_end}], 'a trial of a week';
    is_deeply types($stripe->act($trial->{subscription} => 'trial-will-end')), ['customer.subscription.trial_will_end'],
        'it will end';
    $stripe->act($trial->{subscription} => 'renew');
    is subscription($trial->{subscription})->{status}, 'active', 'and is active then';

    my $nobody = checkout();
    is_deeply types($stripe->act($nobody->{id} => 'expire')), ['checkout.session.expired'], 'expire';
    is session($nobody->{id})->{status}, 'expired', 'expired';
    refused($nobody->{id}, 'complete');
};

# --------------------------------------------------------------- subscriptions ----

subtest 'what time and banks do to a subscription' => sub {
    my $is = 'customer.subscription';
    my @paid   = qw(charge.succeeded invoice.paid invoice.payment_succeeded);
    my @failed = qw(charge.failed invoice.payment_failed);
    my @issued = qw(invoice.created invoice.finalized);
    my @lives = (
        [[renew => 'active', @issued, "$is.updated", @paid]],
        [
            [fail    => 'past_due', @issued, "$is.updated", @failed],
            [fail    => 'past_due', @failed],
            [recover => 'active', @paid, "$is.updated"],
        ],
        [
            [fail    => 'past_due', @issued, "$is.updated", @failed],
            [unpaid  => 'unpaid', "$is.updated"],
            [recover => 'active', @paid, "$is.updated"],
        ],
        [
            [cancel => 'active', "$is.updated"],
            [keep   => 'active', "$is.updated"],
            [renew  => 'active', @issued, "$is.updated", @paid],
        ],
        [[cancel => 'active', "$is.updated"], [renew => 'canceled', "$is.deleted"]],
        [[end => 'canceled', "$is.deleted"]],
        [[pause => 'paused', "$is.updated", "$is.paused"], [resume => 'active', "$is.updated", "$is.resumed"]],
        [[upcoming => 'active', 'invoice.upcoming']],
        [['fail-finalization' => 'active', qw(invoice.created invoice.finalization_failed)]],
    );
    for my $life (@lives) {
        my $id = $stripe->subscribe->{subscription};
        for my $step (@$life) {
            my ($action, $status, @events) = @$step;
            my $done = $stripe->act($id => $action);
            is_deeply [subscription($id)->{status}, types($done)], [$status, \@events], "$action: $status, @events";
        }
    }
};

subtest 'more of the same' => sub {
    my $paid   = $stripe->subscribe;
    my $id     = $paid->{subscription};
    my ($start, $end) = period(subscription($id));
    my $renewed = $stripe->act($id => 'renew');
    is +(period(subscription($id)))[0], $end, 'the next period begins where the last has ended';
    my $was = parsed(of_type($renewed, 'customer.subscription.updated'))->{data}{previous_attributes};
    is $was->{latest_invoice}, $paid->{invoice}, 'the update tells what was';
    is_deeply [period($was)], [$start, $end], 'and when';
    my $invoice = $stripe->api(GET => "/v1/invoices/$renewed->{invoice}");
    is_deeply [@$invoice{qw(status amount_paid billing_reason attempt_count)}], ['paid', 2000, 'subscription_cycle', 1],
        'its invoice is paid';
    is $invoice->{lines}{data}[0]{period}{start}, $end, 'and for that period';

    my $failed = $stripe->act($id => 'fail', action_required => true);
    ok of_type($failed, 'invoice.payment_action_required'), 'the bank wants the customer to do something';
    is_deeply [@{$stripe->api(GET => "/v1/invoices/$failed->{invoice}")}{qw(status attempt_count amount_remaining)}],
        ['open', 1, 2000], 'what is owed';
    is $stripe->api(GET => "/v1/charges/$failed->{charge}")->{failure_code}, 'card_declined', 'and why';
    $stripe->act($id => 'recover');

    $stripe->act($id => 'cancel');
    my $leaving = subscription($id);
    is_deeply [@$leaving{qw(cancel_at_period_end cancel_at)}], [true, (period($leaving))[1]], 'canceled at the end';
    is $leaving->{cancellation_details}{reason}, 'cancellation_requested', 'for a reason';
    $stripe->act($id => 'lapse', ago => 60);
    my $lapsed = subscription($id);
    cmp_ok abs(time - 60 - (period($lapsed))[1]), '<', 5, 'lapse: the period has ended a minute ago';
    is $lapsed->{cancel_at}, (period($lapsed))[1], 'and with it the time to cancel';
    $stripe->act($id => 'end', reason => 'payment_failed');
    my $ended = subscription($id);
    ok $ended->{ended_at} && $ended->{canceled_at}, 'ended';
    is $ended->{cancellation_details}{reason}, 'payment_failed', 'for another reason';
    refused($id, $_) for qw(renew recover pause end unpaid);
    refused($id, 'dance');
    refused('sub_none', 'renew');
    refused($stripe->subscribe->{subscription}, renew => (payment => 'perhaps'));
    refused($stripe->subscribe->{subscription}, renew => (colour => 'red'));

    my $other = $stripe->subscribe->{subscription};
    is_deeply types($stripe->act($other => 'pause', collection => true)), ['customer.subscription.updated'],
        'only the payments are paused';
    is_deeply [@{subscription($other)}{qw(status pause_collection)}],
        ['active', {behavior => 'void', resumes_at => undef}], 'it stays active';
    $stripe->act($other => 'resume');
    is subscription($other)->{pause_collection}, undef, 'and goes on';
    my $upcoming = $stripe->act($other => 'upcoming')->{events}[0]{object};
    error_ok get("/v1/invoices/$upcoming->{id}"), 404, {code => 'resource_missing', param => 'id'},
        'an upcoming invoice is none yet';
};

subtest 'subscriptions by the API' => sub {
    my $id = $stripe->subscribe('subscription_data[metadata][user_id]' => 7)->{subscription};
    my $path = "/v1/subscriptions/$id";
    my $changed = $stripe->api(POST => $path, {cancel_at_period_end => 'true', 'metadata[plan]' => 'pro'});
    is_deeply [@$changed{qw(cancel_at_period_end metadata)}], [true, {user_id => '7', plan => 'pro'}], 'update';
    $changed = $stripe->api(POST => $path, {cancel_at_period_end => 'false', 'metadata[plan]' => ''});
    is_deeply [@$changed{qw(cancel_at_period_end cancel_at metadata)}], [false, undef, {user_id => '7'}], 'and back';
    is_deeply $stripe->api(POST => $path, {metadata => ''})->{metadata}, {}, 'without any metadata';
    error_ok post($path, {'items[0][price]' => 'price_x'}), 400, {code => 'parameter_unknown', param => 'items'},
        'what the stand-in lacks is unknown';

    my $gone = $stripe->api(DELETE => $path, {'cancellation_details[comment]' => 'Enough'});
    is_deeply [$gone->{status}, @{$gone->{cancellation_details}}{qw(comment reason)}],
        ['canceled', 'Enough', 'cancellation_requested'], 'cancel';
    error_ok ask(DELETE => $path), 404, {code => 'resource_missing', param => 'id'}, 'but once only';
    error_ok post($path, {cancel_at_period_end => 'true'}), 400, {message => qr/A canceled/}, 'nor can it change';
    is get($path)->code, 200, 'it can still be read';
};

subtest 'lists' => sub {
    $stripe->reset;
    my $customer = $stripe->api(POST => '/v1/customers', {email => 'ada@example.com'})->{id};
    my @ids = map { $stripe->subscribe(customer => $customer)->{subscription} } 1 .. 5;
    $stripe->subscribe('line_items[0][price]' => 'price_other');
    my $list = sub (%params) { $stripe->api(GET => '/v1/subscriptions', \%params) };
    my $ids  = sub (%params) { [map { $_->{id} } @{$list->(%params)->{data}}] };

    my $all = $list->();
    is_deeply [@$all{qw(object has_more url)}], ['list', false, '/v1/subscriptions'], 'a list';
    is @{$all->{data}}, 6, 'of all';
    is_deeply $ids->(customer => $customer), [reverse @ids], 'of a customer, the newest first';
    my $page = $list->(customer => $customer, limit => 2);
    is_deeply [[map { $_->{id} } @{$page->{data}}], $page->{has_more}], [[@ids[4, 3]], true], 'a page';
    is_deeply $ids->(customer => $customer, limit => 2, starting_after => $ids[3]), [@ids[2, 1]], 'the next one';
    is_deeply $ids->(customer => $customer, limit => 2, starting_after => $ids[0]), [], 'none after the last';
    is_deeply $ids->(customer => $customer, limit => 2, ending_before => $ids[0]), [@ids[2, 1]], 'one before';
    ok !$list->(customer => $customer, limit => 3, starting_after => $ids[3])->{has_more}, 'the last one has no more';

    $stripe->act($ids[0] => 'end');
    $stripe->act($ids[1] => 'fail');
    is_deeply $ids->(customer => $customer), [@ids[4, 3, 2, 1]], 'those that are canceled are left out';
    is_deeply $ids->(customer => $customer, ending_before => $ids[0]), [@ids[4, 3, 2, 1]], 'but pages begin there';
    is_deeply $ids->(customer => $customer, status => 'all'),      [reverse @ids], 'all';
    is_deeply $ids->(customer => $customer, status => 'canceled'), [$ids[0]],      'only canceled';
    is_deeply $ids->(customer => $customer, status => 'ended'),    [$ids[0]],      'ended';
    is_deeply $ids->(customer => $customer, status => 'past_due'), [$ids[1]],      'past_due';
    is @{$ids->(price => 'price_other')}, 1, 'of a price';

    my $path = '/v1/subscriptions?';
    my @cases = (
        ['limit=0',                 {code => 'parameter_invalid_integer', param => 'limit'}, 'a page of nothing'],
        ['limit=101',               {code => 'parameter_invalid_integer', param => 'limit'}, 'one of more than 100'],
        ['status=gone',             {param => 'status'}, 'another status'],
        ['customer=cus_none',       {code => 'resource_missing', param => 'customer'}, 'of nobody'],
        ['starting_after=sub_none', {code => 'resource_missing', param => 'starting_after'}, 'after nothing'],
        ["starting_after=$ids[1]&ending_before=$ids[2]", {param => 'starting_after'}, 'both ways'],
    );
    error_ok get("$path$_->[0]"), 400, $_->[1], "refused: $_->[2]" for @cases;
};

subtest 'objects in objects' => sub {
    my $paid = $stripe->subscribe;
    my $path = "/v1/subscriptions/$paid->{subscription}?expand[]=";
    my $whole = get("${path}latest_invoice&expand[]=customer")->json;
    is_deeply [map { $whole->{$_}{id} } qw(latest_invoice customer)], [@$paid{qw(invoice customer)}], 'two of them';
    ok exists get("${path}latest_invoice", 'Stripe-Version' => ACACIA)->json->{latest_invoice}{paid}, 'of that version';
    is get("/v1/charges/$paid->{charge}?expand[]=review")->json->{review}, undef, 'nothing, where there is none';
    error_ok get("$path$_"), 400, {param => 'expand', message => qr/cannot be expanded/}, "not $_" for qw(status fun);
};

# ------------------------------------------------------------- what belongs to it ----

subtest 'the portal' => sub {
    my $paid   = $stripe->subscribe;
    my $portal = $stripe->api(
        POST => '/v1/billing_portal/sessions',
        {
            customer                                       => $paid->{customer},
            return_url                                     => 'https://example.com/account',
            'flow_data[type]'                              => 'subscription_cancel',
            'flow_data[subscription_cancel][subscription]' => $paid->{subscription},
        }
    );
    like $portal->{url}, qr{\Ahttps://billing\.stripe\.com/p/session/test_}, 'url';
    is_deeply [@$portal{qw(object customer return_url)}],
        ['billing_portal.session', $paid->{customer}, 'https://example.com/account'], 'the rest';
    is $portal->{flow}{subscription_cancel}{subscription}, $paid->{subscription}, 'with a flow';

    my $path = '/v1/billing_portal/sessions';
    error_ok post($path, {return_url => 'https://example.com/'}), 400,
        {code => 'parameter_missing', param => 'customer'}, 'nobody';
    error_ok post($path, {customer => 'cus_none'}), 400, {code => 'resource_missing', param => 'customer'}, 'no one';
    error_ok post($path, {customer => $paid->{customer}, 'flow_data[type]' => 'subscription_cancel'}), 400,
        {code => 'parameter_missing', param => 'flow_data[subscription_cancel]'}, 'a flow of nothing';
};

subtest 'customers' => sub {
    my %ada  = (email => 'ada@example.com', name => 'Ada', 'metadata[user_id]' => 7);
    my $made = $stripe->api(POST => '/v1/customers', \%ada);
    is_deeply [@$made{qw(object email name metadata)}], ['customer', @ada{qw(email name)}, {user_id => '7'}], 'create';
    is_deeply $stripe->api(GET => "/v1/customers/$made->{id}"), $made, 'retrieve';

    my @paid = map { $stripe->subscribe(customer => $made->{id}) } 1, 2;
    my $gone = $stripe->act($made->{id} => 'delete');
    is_deeply types($gone), [('customer.subscription.deleted') x 2, 'customer.deleted'], 'delete';
    is subscription($paid[0]{subscription})->{status}, 'canceled', 'its subscriptions have ended';
    is_deeply $stripe->api(GET => "/v1/customers/$made->{id}"),
        {id => $made->{id}, object => 'customer', deleted => true}, 'it is there, but deleted';
    error_ok post('/v1/checkout/sessions', {%CHECKOUT, customer => $made->{id}}), 400,
        {code => 'resource_missing', param => 'customer'}, 'and buys nothing any more';
    refused($made->{id}, 'delete');
    my $other = $stripe->api(POST => '/v1/customers', {});
    is_deeply $stripe->api(DELETE => "/v1/customers/$other->{id}"),
        {id => $other->{id}, object => 'customer', deleted => true}, 'delete by the API';
    error_ok ask(DELETE => "/v1/customers/$other->{id}"), 404, {code => 'resource_missing', param => 'id'}, 'but once';
};

subtest 'refunds and disputes' => sub {
    my $paid   = $stripe->subscribe;
    my $charge = $stripe->api(GET => "/v1/charges/$paid->{charge}");
    is_deeply [@$charge{qw(amount status customer)}], [2000, 'succeeded', $paid->{customer}], 'a charge';
    is_deeply types($stripe->act($paid->{charge} => 'refund', amount => 500)), ['charge.refunded'], 'a part of it back';
    my $half = $stripe->api(GET => "/v1/charges/$paid->{charge}");
    is_deeply [@$half{qw(amount_refunded refunded)}], [500, false], 'is not all';
    refused($paid->{charge}, refund => (amount => 1501));
    my $back = $stripe->act($paid->{charge} => 'refund')->{events}[0];
    is_deeply [@{$back->{object}}{qw(amount_refunded refunded)}], [2000, true], 'the rest is';
    is_deeply parsed($back)->{data}{previous_attributes}, {amount_refunded => 500, refunded => false}, 'it says';

    my $other   = $stripe->subscribe;
    my $dispute = $stripe->act($other->{charge} => 'dispute');
    is_deeply types($dispute), ['charge.dispute.created'], 'dispute';
    is_deeply [@{$dispute->{events}[0]{object}}{qw(object charge reason status)}],
        ['dispute', $other->{charge}, 'fraudulent', 'needs_response'], 'the dispute';
    ok $stripe->api(GET => "/v1/charges/$other->{charge}")->{disputed}, 'the charge is disputed';
    is_deeply types($stripe->act($dispute->{dispute} => 'close', status => 'lost')), ['charge.dispute.closed'], 'close';
    is $stripe->api(GET => "/v1/disputes/$dispute->{dispute}")->{status}, 'lost', 'lost';
};

# ---------------------------------------------------------------- idempotency ----

subtest 'idempotency' => sub {
    $stripe->reset;
    my $path  = '/v1/checkout/sessions';
    my $first = post($path, \%CHECKOUT, 'Idempotency-Key' => 'key-1');
    my $again = post($path, \%CHECKOUT, 'Idempotency-Key' => 'key-1');
    is $again->body, $first->body, 'the same again';
    is $first->headers->header('Idempotent-Replayed'), undef, 'the first is no repetition';
    is $again->headers->header('Idempotent-Replayed'), 'true', 'the second is';
    is $again->headers->header('Idempotency-Key'), 'key-1', 'the key comes back';
    is $again->headers->header('Original-Request'), $first->headers->header('Request-Id'), 'with the first request';
    isnt $again->headers->header('Request-Id'), $first->headers->header('Request-Id'), 'which was another one';
    isnt post($path, \%CHECKOUT, 'Idempotency-Key' => 'key-2')->json->{id}, $first->json->{id}, 'another key';
    is post($path, \%CHECKOUT, key('sk_live_x'), 'Idempotency-Key' => 'key-1')->headers->header('Idempotent-Replayed'),
        undef, 'live mode has keys of its own';

    my %error = (type => 'idempotency_error');
    error_ok post($path, {%CHECKOUT, cancel_url => 'https://x.org/'}, 'Idempotency-Key' => 'key-1'), 400,
        {%error, message => qr/same parameters .* other than 'key-1'/}, 'other parameters';
    error_ok post('/v1/customers', {}, 'Idempotency-Key' => 'key-1'), 400, {%error, message => qr/same endpoint/},
        'another path';
    error_ok post($path, {}, 'Idempotency-Key' => 'x' x 256), 400, {}, 'a long key';

    post($path, {colour => 'red'}, 'Idempotency-Key' => 'key-3');
    is post($path, \%CHECKOUT, 'Idempotency-Key' => 'key-3')->code, 200, 'what was not understood is not kept';
    my $missing = {%CHECKOUT, customer => 'cus_none'};
    post($path, $missing, 'Idempotency-Key' => 'key-4');
    my $kept = post($path, $missing, 'Idempotency-Key' => 'key-4');
    is_deeply [$kept->code, $kept->headers->header('Idempotent-Replayed')], [400, 'true'], 'other errors are';
    is get('/v1/subscriptions', 'Idempotency-Key' => 'key-1')->code, 200, 'of a GET the key is ignored';

    $stripe->go_wrong({delay => 1500});
    my ($slow, $quick);
    my %headers = (key('sk_test_x'), 'Stripe-Version' => DAHLIA, 'Idempotency-Key' => 'key-5');
    my $post    = sub { $ua->post_p($stripe->url . '/v1/customers' => \%headers => form => {name => 'x'}) };
    $post->()->then(sub ($tx) { $slow = $tx->res; Mojo::IOLoop->stop });
    Mojo::IOLoop->timer(0.15 => sub { $post->()->then(sub ($tx) { $quick = $tx->res }) });
    Mojo::IOLoop->start;
    error_ok $quick, 409, {%error, code => 'idempotency_key_in_use'}, 'while the first is under way';
    is $quick->headers->header('Stripe-Should-Retry'), 'true', 'to be tried again';
    is $slow->code, 200, 'which goes well';
    # The key is free when the stand-in has noticed that its answer is gone.
    my $later;
    for (1 .. 100) {
        $later = post('/v1/customers', {name => 'x'}, 'Idempotency-Key' => 'key-5');
        last if $later->code != 409;
        select undef, undef, undef, 0.02;
    }
    is $later->json->{id}, $slow->json->{id}, 'and is kept';
};

# --------------------------------------------------------------------- events ----

subtest 'events by the API' => sub {
    $stripe->reset;
    my $paid  = $stripe->subscribe;
    my $event = $paid->{events}[-1];
    is get("/v1/events/$event->{id}")->body, $event->{payload}, 'an event is what the webhook is';
    error_ok get('/v1/events/evt_none'), 404, {code => 'resource_missing', param => 'id'}, 'an unknown one';
    my $ids = sub ($query) { [map { $_->{type} } @{get("/v1/events?$query")->json->{data}}] };
    is_deeply $ids->('limit=2'), ['checkout.session.completed', 'customer.subscription.updated'], 'the newest first';
    is_deeply $ids->('type=invoice.paid'), ['invoice.paid'], 'of a type';
    is_deeply $ids->('type=customer.*'),
        ['customer.subscription.updated', 'customer.subscription.created', 'customer.created'], 'of several by a star';
    is_deeply $ids->('types[]=invoice.paid&types[]=customer.created'), [qw(invoice.paid customer.created)], 'by name';
    is_deeply $ids->('created[gt]=' . int(time + 60)), [], 'since then';

    my $path = "/v1/subscriptions/$paid->{subscription}";
    my $res  = post($path, {cancel_at_period_end => 'true'}, 'Idempotency-Key' => 'k');
    my $made = get('/v1/events?limit=1')->json->{data}[0];
    is_deeply [@$made{qw(type request)}],
        ['customer.subscription.updated', {id => $res->headers->header('Request-Id'), idempotency_key => 'k'}],
        'requests cause events, too';
};

subtest 'events in whatever shape' => sub {
    my @wanted = ('customer.subscription.updated', 'invoice.paid');
    $stripe->control({shape => 'acacia', livemode => true, events => \@wanted});
    my $paid = $stripe->subscribe;
    is_deeply types($paid), ['invoice.paid', 'customer.subscription.updated'], 'only those that are wanted';
    my $event = parsed(of_type($paid, 'customer.subscription.updated'));
    is $event->{api_version}, ACACIA, 'api_version';
    ok $event->{data}{object}{current_period_end}, 'current_period_end is where it was';
    is of_type($paid, 'invoice.paid')->{object}{subscription}, $paid->{subscription}, 'as is subscription';
    ok $event->{livemode} && $event->{data}{object}{livemode}, 'they claim to be live';
    ok !exists subscription($paid->{subscription})->{current_period_end}, 'answers have the shape that was asked for';

    $stripe->control({shape => '2026-03-25.dahlia'});
    is parsed($stripe->subscribe->{events}[0])->{api_version}, '2026-03-25.dahlia', 'a version in full';
    for my $wrong ({shape => 'x'}, {colour => 'red'}, {webhook => {url => 'x'}}, {webhook => {secrets => ['x']}}) {
        ok !eval { $stripe->control($wrong) }, 'refused: ' . encode_json($wrong);
    }

    my %tax   = (object => 'tax_id', id => 'txi_1', value => "\x{20AC}");
    my $other = $stripe->make_event('customer.tax_id.created', data => \%tax);
    is_deeply [$other->{events}[0]{type}, $other->{events}[0]{object}{value}], ['customer.tax_id.created', "\x{20AC}"],
        'an event of another kind';
    is $stripe->make_event('customer.updated', object => $paid->{customer})->{events}[0]{object}{id}, $paid->{customer},
        'of an object that is there';
    my $thin = parsed($stripe->make_event('v1.invoice.paid', object => $paid->{invoice}, thin => true)->{events}[0]);
    is_deeply [@$thin{qw(object type)}, $thin->{related_object}{id}, $thin->{data}],
        ['v2.core.event', 'v1.invoice.paid', $paid->{invoice}, undef], 'a thin one';
    ok !eval { $stripe->make_event('customer.updated', object => 'cus_none') }, 'of nothing there is none';
};

# ------------------------------------------------------------------- webhooks ----

subtest 'signatures' => sub {
    my $header = Gemclone::StripeStandin->signature('{"id":"evt_1"}', SECRETS, 1_700_000_000);
    is $header, 't=1700000000'
        . ',v1=401fbbceeb3818dc562ff77127ba1c62e47e24c9c6cde4d7a6eba85e32dbd058'
        . ',v1=4fb9aa7e8a9678e685ef5c7eafa19ac1eb7c0564196cbe246ca08c2fd799eaf3', 'as openssl computes them';
    like(Gemclone::StripeStandin->signature('x', 'whsec_one'), qr/\At=\d+,v1=[0-9a-f]{64}\z/, 'of one secret, now');
};

# A server that keeps what it gets, and fails as often as it is told to.
sub start_receiver () {
    pipe my $read, my $write or die "pipe: $!";
    my $parent = $$;
    my $pid = fork // die "fork: $!";
    if ($pid) { return {pid => $pid, url => <$read> =~ s/\s//gr} }

    my (@seen, $failures, $wait);
    my $app = Mojolicious->new;
    $app->mode('production')->log->level('fatal');
    $app->routes->get('/seen' => sub ($c) { $c->render(json => [splice @seen]) });
    $app->routes->put('/told' => sub ($c) { ($failures, $wait) = @{$c->req->json}; $c->rendered(204) });
    $app->routes->post('/hook' => sub ($c) {
        push @seen, {time => time, headers => $c->req->headers->to_hash, payload => $c->req->text};
        my $status = ($failures // 0) > 0 && $failures-- ? 503 : 200;
        my $tx = $c->render_later->tx;
        Mojo::IOLoop->timer($wait // 0 => sub { $c->render(text => 'thanks', status => $status); undef $tx });
    });
    my $daemon = Mojo::Server::Daemon->new(app => $app, listen => ['http://127.0.0.1'], silent => 1)->start;
    Mojo::IOLoop->recurring(0.2 => sub { Mojo::IOLoop->stop if getppid != $parent });
    syswrite $write, 'http://127.0.0.1:' . $daemon->ports->[0] . "\n";
    Mojo::IOLoop->start;
    exit 0;
}

END { kill KILL => $receiver->{pid} if $receiver && $receiver->{pid} }

# What the receiver has got since it was last asked.
sub seen () { @{Mojo::UserAgent->new->get("$receiver->{url}/seen")->res->json} }
sub instruct ($failures, $wait = 0) { Mojo::UserAgent->new->put("$receiver->{url}/told", json => [$failures, $wait]) }
sub hook (%more) { {webhook => {url => "$receiver->{url}/hook", secrets => SECRETS, %more}} }
sub seen_ids () { map { decode_json(encode('UTF-8', $_->{payload}))->{id} } seen() }
sub ids ($done) { map { $_->{id} } @{$done->{events}} }

subtest 'webhooks are sent' => sub {
    $stripe->reset;
    $stripe->control(hook());
    my $paid = $stripe->subscribe(name => "Zo\x{EB}");
    my @seen = seen();
    is_deeply [map { encode('UTF-8', $_->{payload}) } @seen], [map { $_->{payload} } @{$paid->{events}}],
        'each as it is, in their order';
    is_deeply [map { $_->{status} } @{$paid->{deliveries}}], [(200) x @seen], 'and the action tells how it went';
    is_deeply [@{$paid->{deliveries}[0]}{qw(event type attempt body)}],
        [$paid->{events}[0]{id}, 'customer.created', 1, 'thanks'], 'in detail';

    my $got = $seen[0]{headers};
    my ($time) = $got->{'Stripe-Signature'} =~ /\At=(\d+),/;
    is $got->{'Stripe-Signature'}, Gemclone::StripeStandin->signature($paid->{events}[0]{payload}, SECRETS, $time),
        'signed by every secret';
    cmp_ok abs($time - time), '<', 5, 'now';
    is $got->{'Content-Type'}, 'application/json; charset=utf-8', 'Content-Type';
    like $got->{'User-Agent'}, qr{\AStripe/1\.0 }, 'User-Agent';
    is parsed($paid->{events}[0])->{pending_webhooks}, 1, 'a webhook is pending';

    post("/v1/subscriptions/$paid->{subscription}", {cancel_at_period_end => 'true'});
    my @all = $stripe->deliveries;
    is_deeply [$all[-1]{type}, scalar @all], ['customer.subscription.updated', @seen + 1], 'those of requests, too';

    $stripe->control(hook(skew => -400));
    seen();
    $stripe->act($paid->{subscription} => 'keep');
    ($time) = (seen())[0]{headers}{'Stripe-Signature'} =~ /\At=(\d+),/;
    cmp_ok abs($time + 400 - time), '<', 5, 'skew: signed at another time';
};

subtest 'webhooks in disorder' => sub {
    $stripe->reset;
    $stripe->control(hook(hold => true));
    my $paid = $stripe->subscribe;
    my @ids  = ids($paid);
    is_deeply [$paid->{deliveries}, seen()], [undef], 'hold: nothing is sent';
    $stripe->deliver($paid->{events});
    is_deeply [seen_ids()], \@ids, 'until it is told to';
    $stripe->deliver([@ids[0, 1, 2]], order => 'reversed');
    is_deeply [seen_ids()], [@ids[2, 1, 0]], 'reversed';
    my @orders = map { $stripe->deliver(\@ids, order => 'shuffled', seed => $_); join ' ', seen_ids() } 1, 1, 2;
    is $orders[0], $orders[1], 'shuffled, the same by the same seed';
    isnt $orders[0], $_, 'and another by another' for $orders[2], "@ids";
    $stripe->deliver([@ids[0, 1]], copies => 3);
    is_deeply [seen_ids()], [(@ids[0, 1]) x 3], 'copies';
    ok !eval { $stripe->deliver(['evt_none']) }, 'no event, no webhook';

    instruct(0, 0.2);
    my $start = time;
    my @sent  = $stripe->deliver(\@ids, concurrency => 4);
    cmp_ok time - $start, '<', 0.2 * @ids, 'several at the same time';
    is @sent, @ids, 'and all of them';
    instruct(0);
    seen();
};

subtest 'webhooks that fail' => sub {
    $stripe->reset;
    $stripe->control(hook());
    instruct(1);
    my $once = $stripe->subscribe;
    is_deeply [map { $_->{status} } @{$once->{deliveries}}], [503, (200) x (@{$once->{events}} - 1)], 'one fails';
    instruct(2);
    $stripe->control(hook(attempts => 3, backoff => 20));
    my $again = $stripe->act($once->{subscription} => 'upcoming');
    is_deeply [map { [@$_{qw(attempt status)}] } @{$again->{deliveries}}], [[1, 503], [2, 503], [3, 200]], 'attempts';
    instruct(0, 1);
    $stripe->control(hook(timeout => 100));
    my $late = $stripe->act($once->{subscription} => 'upcoming');
    ok $late->{deliveries}[0]{error}, 'timeout';
    $stripe->control(hook(wait => false));
    my $start = time;
    ok !exists $stripe->act($once->{subscription} => 'upcoming')->{deliveries}, 'wait: false does not wait for them';
    cmp_ok time - $start, '<', 0.9, 'at all';
    is +($stripe->deliveries)[-1]{status}, 200, 'but they are sent';
    instruct(0);

    $stripe->control({webhook => {url => 'http://127.0.0.1:1/', secrets => ['x']}});
    ok $stripe->act($once->{subscription} => 'upcoming')->{deliveries}[0]{error}, 'nobody there';
    $stripe->control({});
    ok !eval { $stripe->deliver([ids($once)]) }, 'no webhook, no delivery';
};

# --------------------------------------------------------------------- faults ----

# A request of which the answer is read as it comes: {raw, end => 'closed', 'reset' or 'open'}.
sub raw_get ($path, $patience = 2) {
    my ($port) = $stripe->url =~ /:(\d+)\z/;
    my $socket = IO::Socket::IP->new(PeerHost => '127.0.0.1', PeerPort => $port) or die "connect: $@";
    my @head = ("GET $path HTTP/1.1", 'Host: x', 'Authorization: Bearer sk_test_x', 'Stripe-Version: ' . DAHLIA);
    syswrite $socket, join "\r\n", @head, '', '';
    my %answer = (raw => '', end => 'open');
    my $until  = time + $patience;
    while ((my $left = $until - time) > 0) {
        next unless IO::Select->new($socket)->can_read($left);
        my $got = sysread $socket, $answer{raw}, 65_536, length $answer{raw};
        $answer{end} = defined $got ? 'closed' : 'reset' unless $got;
        last if !$got || length $answer{raw} > 300_000;
    }
    return \%answer;
}

subtest 'errors on demand' => sub {
    $stripe->reset;
    my $path = '/v1/customers';
    my %busy = (status => 429, should_retry => true, retry_after => 2);
    $stripe->go_wrong({status => 500}, \%busy, {status => 402, times => 2});
    error_ok post($path, {}), 500, {type => 'api_error'}, 'an error of Stripe\'s';
    my $busy = post($path, {});
    error_ok $busy, 429, {code => 'rate_limit'}, 'too many requests';
    is_deeply [map { $busy->headers->header($_) } qw(Stripe-Should-Retry Retry-After)], ['true', 2], 'come back';
    error_ok post($path, {}), 402, {type => 'card_error', code => 'card_declined'}, 'twice' for 1, 2;
    is post($path, {})->code, 200, 'and then no more';

    $stripe->go_wrong({status => 503, path => '/v1/checkout', method => 'POST', times => 0, should_retry => false});
    is post($path, {})->code, 200, 'only for a path';
    is get('/v1/checkout/sessions/x')->code, 404, 'and a method';
    is post('/v1/checkout/sessions', \%CHECKOUT)->code, 503, 'again and again' for 1 .. 3;
    is +($stripe->faults)[0]{path}, '/v1/checkout', 'it is still there';
    $stripe->end_faults;
    is post('/v1/checkout/sessions', \%CHECKOUT)->code, 200, 'until it is taken away';

    $stripe->go_wrong({status => 400, error => {code => 'price_gone', message => 'Gone', param => 'p'}});
    error_ok get($path), 400, {code => 'price_gone', param => 'p', message => qr/\AGone\z/}, 'an error of one\'s own';
    $stripe->go_wrong({status => 502, body => '<html>Bad Gateway</html>'});
    my $proxy = get($path);
    is_deeply [$proxy->code, $proxy->headers->content_type, $proxy->body],
        [502, 'text/html', '<html>Bad Gateway</html>'], 'what a proxy says';
    for my $wrong ({status => 200}, {how => 'so'}, {colour => 'red'}, {status => 500, how => 'reset'}) {
        ok !eval { $stripe->go_wrong($wrong); 1 }, 'refused: ' . encode_json($wrong);
    }
};

subtest 'faults and idempotency' => sub {
    $stripe->reset;
    my @key = ('Idempotency-Key' => 'key-1');
    $stripe->go_wrong({status => 500, after => true});
    is post('/v1/customers', {name => 'one'}, @key)->code, 500, 'after: it takes effect, and fails nevertheless';
    my $again = post('/v1/customers', {name => 'one'}, @key);
    is_deeply [$again->code, $again->headers->header('Idempotent-Replayed')], [200, 'true'], 'which the key finds out';

    @key = ('Idempotency-Key' => 'key-2');
    $stripe->go_wrong({status => 500, sticky => true});
    post('/v1/customers', {name => 'two'}, @key);
    $again = post('/v1/customers', {name => 'two'}, @key);
    is_deeply [$again->code, $again->headers->header('Idempotent-Replayed')], [500, 'true'], 'sticky: it is kept';

    @key = ('Idempotency-Key' => 'key-3');
    $stripe->go_wrong({status => 500}, {how => 'reset', after => true});
    is post('/v1/customers', {name => 'three'}, @key)->code, 500, 'otherwise nothing is';
    is post('/v1/customers', {name => 'three'}, @key)->code, undef, 'nor the answer that is lost';
    is_deeply [map { $_->{outcome} } $stripe->requests(2)], ['done', 'reset'], 'as the record says';
    is post('/v1/customers', {name => 'three'}, @key)->headers->header('Idempotent-Replayed'), 'true', 'but its effect';
};

subtest 'answers that break' => sub {
    $stripe->reset;
    my $path = '/v1/subscriptions';
    $stripe->go_wrong(map { {how => $_} } qw(close reset garbage cut torn));
    is_deeply raw_get($path), {raw => '', end => 'closed'}, 'close';
    is_deeply raw_get($path), {raw => '', end => 'reset'},  'reset';
    my $garbage = get($path);
    ok $garbage->code == 200 && !defined $garbage->json, 'garbage';
    my $cut = raw_get($path);
    is $cut->{end}, 'closed', 'cut: the connection is closed';
    like $cut->{raw}, qr/"object": "list"(?!.*\r\n0\r\n)/s, 'in the middle of the answer';
    my $torn = get($path);
    ok $torn->code == 200 && length $torn->body && !defined $torn->json, 'torn: it ends well, but is only half';

    $stripe->go_wrong({how => 'hang'}, {how => 'endless'}, {delay => 300});
    is_deeply raw_get($path, 0.3), {raw => '', end => 'open'}, 'hang';
    cmp_ok length raw_get($path)->{raw}, '>', 300_000, 'endless';
    my $start = time;
    is get($path)->code, 200, 'late';
    cmp_ok time - $start, '>=', 0.29, 'as late as it was told';
    my $until = time + 5;
    sleep 0.02 while $stripe->stats->{in_flight} && time < $until;
    is_deeply $stripe->stats->{outcome}, {cut => 2, reset => 1, done => 3, gone => 2}, 'and it is known how it went';
};

# --------------------------------------------------------------------- record ----

subtest 'the record of requests' => sub {
    $stripe->reset;
    $stripe->go_wrong({status => 500, method => 'GET'});
    my ($key, $path) = ('sk_test_0123456789abcdef', '/v1/checkout/sessions');
    post($path, {%CHECKOUT, 'metadata[user_id]' => 7}, key($key), 'Idempotency-Key' => 'k');
    get('/v1/subscriptions?limit=1&status=all', Authorization => 'Basic ' . b64_encode("$key:", ''));
    get('/v1/nothing');
    my @requests = $stripe->requests;
    my ($first, $second) = @requests;
    is_deeply [@$first{qw(method path call key status outcome)}],
        ['POST', $path, 'checkout.sessions.create', 'sk_test_************cdef', 200, 'done'], 'what was asked';
    is_deeply $first->{params},
        {
        %CHECKOUT{qw(mode success_url cancel_url)},
        line_items => [{price => 'price_pro', quantity => '1'}],
        metadata   => {user_id => '7'}
        },
        'the parameters, taken apart';
    is_deeply [@{$first->{headers}}{qw(authorization stripe-version idempotency-key)}],
        ['Bearer sk_test_************cdef', DAHLIA, 'k'], 'headers, without the key';
    unlike encode_json(\@requests), qr/0123456789/, 'which is nowhere';
    is_deeply [@$second{qw(call fault status params)}],
        ['subscriptions.list', 'status 500', 500, {limit => '1', status => 'all'}], 'one that went wrong';
    is_deeply [map { $_->{path} } $stripe->requests(1)], ['/v1/nothing'], 'the last one';

    my $stats = $stripe->stats;
    is $stats->{requests}, 3, 'requests';
    is_deeply $stats->{call},   {'checkout.sessions.create' => 1, 'subscriptions.list' => 1}, 'by call';
    is_deeply $stats->{fault},  {'status 500' => 1},                                          'by fault';
    is_deeply $stats->{status}, {200 => 1, 404 => 1, 500 => 1},                               'by status';

    my $id = $stripe->subscribe->{subscription};
    $stripe->control({shape => 'acacia'});
    $stripe->go_wrong({status => 500});
    $stripe->reset;
    is_deeply [$stripe->requests, $stripe->faults], [], 'reset: nothing is kept, nothing goes wrong';
    is get("/v1/subscriptions/$id")->code, 404, 'and nobody has subscribed';
};

# --------------------------------------------------------------- start and stop ----

subtest 'as a program' => sub {
    my $tls = Gemclone::StripeStandin->start(tls => 1);
    like $tls->url, qr{\Ahttps://127\.0\.0\.1:\d+\z}, 'https';
    like $tls->subscribe->{subscription}, qr/\Asub_/, 'a call and an action';
    is(Gemclone::StripeStandin->attach($tls->url . '/control')->url, $tls->url, 'attached');
    my $pid = $tls->pid;
    is $tls->stop, 0, 'it stops when it is told to';
    ok !kill(0 => $pid), 'and is gone';

    my $program = "$FindBin::Bin/standin/stripe";
    like qx{$^X $program --help}, qr/stripe - a stand-in for Stripe's API/, 'the manual';
    like qx{$^X $program --tls-cert x 2>&1}, qr/--tls-cert and --tls-key go together/, 'a mistake';
};

done_testing;
