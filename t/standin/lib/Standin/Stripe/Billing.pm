# SPDX-License-Identifier: Apache-2.0
# What happens to customers and their subscriptions: what people do on Stripe's pages, what time brings, what banks say.
# Each action changes objects of the account and tells of it by the events that Stripe would send, in their usual order.
package Standin::Stripe::Billing;
use Mojo::Base -base, -signatures;

use Mojo::JSON qw(false true);
use Storable   qw(dclone);

use Standin::Stripe::Error;
use Standin::Stripe::Objects qw(charge customer dispute invoice new_id period_after subscription);
use Standin::Stripe::Params  qw(one_of read_params required BOOLEAN EMAIL INTEGER TEXT);

use constant {
    FREE       => 0,    # what the invoice of a trial is for
    RETRY_DAYS => 3,    # until another try of a payment that has failed
};

has 'account';

my @LIVE    = qw(active past_due paused trialing unpaid);
my $PAYMENT = one_of(qw(paid failed action_required));

# By type of the object: which statuses an action needs (none: any), what it can be told, and what it does. It returns
# the ids of all that it was about.
my %ACTION = (
    'checkout.session' => {
        complete => {
            when    => ['open'],
            options => {
                payment      => one_of(qw(paid unpaid no_payment_required)),
                subscription => one_of(qw(active incomplete)),
                trial_days   => INTEGER,
                email        => EMAIL,
                name         => TEXT,
            },
            run => \&_complete,
        },
        succeed => {when => ['complete'], run => \&_async_succeeded},
        fail    => {when => ['complete'], run => \&_async_failed},
        expire  => {when => ['open'],     run => \&_expire},
    },
    subscription => {
        renew => {when => [qw(active trialing)], options => {payment => $PAYMENT}, run => \&_renew},
        fail  => {
            when    => [qw(active trialing past_due incomplete)],
            options => {action_required => BOOLEAN},
            run     => \&_fail,
        },
        recover => {when => [qw(past_due unpaid incomplete)], run => \&_recover},
        unpaid  => {when => ['past_due'], run => sub ($self, $it, $o) { $self->_set($it, status => 'unpaid') }},
        abandon => {when => ['incomplete'], run => \&_abandon},
        cancel  => {when => \@LIVE,         run => sub ($self, $it, $o) { $self->cancel_at_period_end($it, 1) }},
        keep    => {when => \@LIVE,         run => sub ($self, $it, $o) { $self->cancel_at_period_end($it, 0) }},
        end     => {
            when    => [@LIVE, 'incomplete'],
            options => {reason => one_of(qw(cancellation_requested payment_failed payment_disputed))},
            run     => sub ($self, $it, $o) { $self->end($it, $o->{reason} // 'cancellation_requested') },
        },
        pause  => {when => [qw(active trialing)], options => {collection => BOOLEAN}, run => \&_pause},
        resume => {when => [qw(active paused trialing)], run => \&_resume},
        lapse  => {options => {ago => required(INTEGER)}, run => \&_lapse},
        upcoming            => {when => \@LIVE,       run => \&_upcoming},
        'trial-will-end'    => {when => ['trialing'], run => \&_trial_will_end},
        'fail-finalization' => {when => \@LIVE,       run => \&_fail_finalization},
    },
    customer => {delete => {run => sub ($self, $it, $o) { $self->delete_customer($it) }}},
    charge   => {
        refund  => {when => ['succeeded'], options => {amount => INTEGER}, run => \&_refund},
        dispute => {when => ['succeeded'], options => {reason => TEXT},    run => \&_dispute},
    },
    dispute => {close => {options => {status => required(one_of(qw(won lost)))}, run => \&_close_dispute}},
);

# Does it; $given is the tree of options. Returns a hash of ids by kind.
sub act ($self, $id, $name, $given) {
    my $it     = $self->account->find($id) or Standin::Stripe::Error->no_such(object => $id)->throw;
    my $action = $ACTION{$it->{object}}{$name}
        or Standin::Stripe::Error->conflict("a $it->{object} has no action '$name'")->throw;
    my $options = read_params($given, $action->{options} // {});
    my $when    = $action->{when};
    _impossible($it, $name, $it->{deleted} ? 'deleted' : $it->{status})
        if $it->{deleted} || $when && !grep { $_ eq $it->{status} } @$when;
    return $action->{run}->($self, $it, $options);
}

sub _impossible ($it, $name, $is) {
    Standin::Stripe::Error->conflict("$it->{id} is $is: '$name' is not possible")->throw;
}

# ------------------------------------------------------- what the API does too ----
sub new_customer ($self, $given, $livemode) {
    my $customer = $self->account->add(customer($given, $livemode));
    $self->account->tell('customer.created' => $customer);
    return $customer;
}

sub cancel_at_period_end ($self, $subscription, $wanted) {
    my $end = $subscription->{items}{data}[0]{current_period_end};
    return $self->_set(
        $subscription,
        cancel_at            => $wanted ? $end : undef,
        cancel_at_period_end => $wanted ? true : false,
        canceled_at          => $wanted ? time : undef,
        cancellation_details =>
            {%{$subscription->{cancellation_details}}, reason => $wanted ? 'cancellation_requested' : undef},
    );
}

sub end ($self, $subscription, $reason, %details) {
    my $now = time;
    @$subscription{qw(status canceled_at ended_at)} = ('canceled', $subscription->{canceled_at} // $now, $now);
    $subscription->{cancellation_details} = {%{$subscription->{cancellation_details}}, reason => $reason, %details};
    $self->account->tell('customer.subscription.deleted' => $subscription);
    return _ids($subscription);
}

sub expire ($self, $session) { $self->_expire($session, {}) }

# What belongs to a customer that is deleted ends with it.
sub delete_customer ($self, $customer) {
    my %over = map { ($_ => 1) } qw(canceled incomplete_expired);
    for my $subscription ($self->account->all('subscription')) {
        next if $subscription->{customer} ne $customer->{id} || $over{$subscription->{status}};
        $self->end($subscription, 'cancellation_requested');
    }
    $self->account->tell('customer.deleted' => $customer);
    $customer->{deleted} = true;
    return {customer => $customer->{id}};
}

# Members of a subscription, with the event of it.
sub _set ($self, $subscription, %members) {
    $self->_change($subscription, sub { @$subscription{keys %members} = values %members });
    return _ids($subscription);
}

sub update ($self, $subscription, %members) { $self->_set($subscription, %members) }

# ---------------------------------------------------------------- checkout ----
sub _complete ($self, $session, $o) {
    my $payment  = $o->{payment} // 'paid';
    my $customer = $self->_paying_customer($session, $o);
    my $begins   = $o->{trial_days} ? 'trialing' : $payment eq 'paid' ? 'incomplete' : $o->{subscription} // 'active';
    my $subscription = $self->account->add(
        subscription(
            customer   => $customer,
            price      => $session->{_price},
            quantity   => $session->{_quantity},
            metadata   => {%{$session->{_subscription_metadata}}},
            status     => $begins,
            trial_days => $o->{trial_days},
        )
    );
    my $free    = $o->{trial_days} || $payment eq 'no_payment_required';
    my $invoice = $self->_new_invoice($subscription, 'subscription_create', $free ? (amount => FREE) : ());
    $subscription->{latest_invoice} = $invoice->{id};
    $self->account->tell('customer.subscription.created' => $subscription);
    $self->_issue($invoice);
    if ($free || $payment eq 'paid') {
        $self->_pay($invoice);
        $self->_change($subscription, sub { $subscription->{status} = 'active' }) if $begins eq 'incomplete';
    }
    @$session{qw(status url subscription invoice customer)}
        = ('complete', undef, $subscription->{id}, $invoice->{id}, $customer->{id});
    $session->{payment_status}   = $free ? 'no_payment_required' : $payment;
    $session->{customer_details} = _customer_details($customer);
    $self->account->tell('checkout.session.completed' => $session);
    return {%{_ids($subscription)}, $self->_charge_of($invoice), redirect => _redirect($session)};
}

sub _paying_customer ($self, $session, $o) {
    return $self->account->find($session->{customer}) if $session->{customer};
    my $email = $o->{email} // $session->{customer_email} // 'jenny.rosen@example.com';
    return $self->new_customer({email => $email, name => $o->{name} // 'Jenny Rosen'}, $session->{livemode});
}

sub _customer_details ($customer) {
    return {
        (map { ($_ => undef) } qw(address business_name individual_name)),
        (map { ($_ => $customer->{$_}) } qw(email name phone tax_exempt)),
        tax_ids => [],
    };
}

# Where Stripe sends the customer's browser.
sub _redirect ($session) { ($session->{success_url} // '') =~ s/\{CHECKOUT_SESSION_ID\}/$session->{id}/gr }

sub _async_succeeded ($self, $session, $o) {
    my ($subscription, $invoice) = $self->_awaited($session, 'succeed');
    $session->{payment_status} = 'paid';
    $self->account->tell('checkout.session.async_payment_succeeded' => $session);
    $self->_pay($invoice);
    $self->_change($subscription, sub { $subscription->{status} = 'active' }) if $subscription->{status} ne 'active';
    return {%{_ids($subscription)}, $self->_charge_of($invoice)};
}

sub _async_failed ($self, $session, $o) {
    my ($subscription, $invoice) = $self->_awaited($session, 'fail');
    $self->account->tell('checkout.session.async_payment_failed' => $session);
    $self->_decline($invoice);
    $self->_change($subscription, sub { $subscription->{status} = 'past_due' }) if $subscription->{status} eq 'active';
    return {%{_ids($subscription)}, $self->_charge_of($invoice)};
}

sub _awaited ($self, $session, $name) {
    _impossible($session, $name, $session->{payment_status}) if $session->{payment_status} ne 'unpaid';
    return map { $self->account->find($session->{$_}) } qw(subscription invoice);
}

sub _expire ($self, $session, $o) {
    @$session{qw(status url)} = ('expired', undef);
    $self->account->tell('checkout.session.expired' => $session);
    return {session => $session->{id}};
}

# ------------------------------------------------------------ subscriptions ----
# The end of a period: another one begins, and is paid or not; or it was the last.
sub _renew ($self, $subscription, $o) {
    return $self->end($subscription, 'cancellation_requested') if $subscription->{cancel_at_period_end};
    my $payment = $o->{payment} // 'paid';
    my $invoice = $self->_next_period($subscription, $payment eq 'paid' ? 'active' : 'past_due');
    if ($payment eq 'paid') { $self->_pay($invoice) }
    else                    { $self->_decline($invoice, $payment eq 'action_required') }
    return {%{_ids($subscription)}, $self->_charge_of($invoice)};
}

# A payment fails: that of the next period, or another try of one that is owed.
sub _fail ($self, $subscription, $o) {
    my $payment = $o->{action_required} ? 'action_required' : 'failed';
    return $self->_renew($subscription, {payment => $payment}) if $subscription->{status} =~ /\A(?:active|trialing)\z/;
    my $invoice = $self->account->find($subscription->{latest_invoice});
    $self->_decline($invoice, $o->{action_required});
    return {%{_ids($subscription)}, $self->_charge_of($invoice)};
}

sub _recover ($self, $subscription, $o) {
    my $invoice = $self->account->find($subscription->{latest_invoice});
    $self->_pay($invoice);
    $self->_change($subscription, sub { $subscription->{status} = 'active' });
    return {%{_ids($subscription)}, $self->_charge_of($invoice)};
}

sub _abandon ($self, $subscription, $o) {
    my $invoice = $self->account->find($subscription->{latest_invoice});
    $invoice->{status} = 'void';
    $invoice->{status_transitions}{voided_at} = time;
    $self->account->tell('invoice.voided' => $invoice);
    return $self->_set($subscription, status => 'incomplete_expired', ended_at => time);
}

# Two things are called so: the whole subscription, or only that money is collected for it.
sub _pause ($self, $subscription, $o) {
    my %collection = (behavior => 'void', resumes_at => undef);
    return $self->_set($subscription, pause_collection => \%collection) if $o->{collection};
    my $ids = $self->_set($subscription, status => 'paused');
    $self->account->tell('customer.subscription.paused' => $subscription);
    return $ids;
}

sub _resume ($self, $subscription, $o) {
    my $whole = $subscription->{status} eq 'paused';
    _impossible($subscription, 'resume', 'not paused') unless $whole || $subscription->{pause_collection};
    my $ids = $self->_set($subscription, pause_collection => undef, $whole ? (status => 'active') : ());
    $self->account->tell('customer.subscription.resumed' => $subscription) if $whole;
    return $ids;
}

# Time passes, and Stripe says nothing: the period has ended so many seconds ago.
sub _lapse ($self, $subscription, $o) {
    my $item = $subscription->{items}{data}[0];
    my $by   = time - $o->{ago} - $item->{current_period_end};
    $item->{$_} += $by for qw(current_period_start current_period_end);
    $subscription->{cancel_at} = $item->{current_period_end} if defined $subscription->{cancel_at};
    $subscription->{trial_end} = $item->{current_period_end} if $subscription->{status} eq 'trialing';
    return _ids($subscription);
}

sub _trial_will_end ($self, $subscription, $o) {
    $self->account->tell('customer.subscription.trial_will_end' => $subscription);
    return _ids($subscription);
}

# An invoice that there is not yet: nobody can ask for it by its id.
sub _upcoming ($self, $subscription, $o) {
    my $invoice = invoice($subscription, customer => $self->_customer($subscription), reason => 'upcoming');
    $invoice->{id} = "upcoming_$invoice->{id}";
    $self->account->tell('invoice.upcoming' => $invoice);
    return _ids($subscription);
}

sub _fail_finalization ($self, $subscription, $o) {
    my $invoice = $self->_new_invoice($subscription, 'subscription_cycle');
    $self->account->tell('invoice.created' => $invoice);
    $invoice->{last_finalization_error} = {
        code    => 'customer_tax_location_invalid',
        message => "The customer's location isn't recognized.",
        type    => 'invalid_request_error',
    };
    $self->account->tell('invoice.finalization_failed' => $invoice);
    return {%{_ids($subscription)}, invoice => $invoice->{id}};
}

# ------------------------------------------------------------------- money ----
sub _refund ($self, $charge, $o) {
    my $left = $charge->{amount} - $charge->{amount_refunded};
    my $amount = $o->{amount} // $left;
    _impossible($charge, "refund of $amount", "refunded but for $left") if $amount < 1 || $amount > $left;
    my $before = dclone($charge);
    $charge->{amount_refunded} += $amount;
    $charge->{refunded} = $charge->{amount_refunded} == $charge->{amount} ? true : false;
    $self->account->tell('charge.refunded' => $charge, $before);
    return {charge => $charge->{id}, customer => $charge->{customer}};
}

sub _dispute ($self, $charge, $o) {
    $charge->{disputed} = true;
    my $dispute = $self->account->add(dispute($charge, $o->{reason} // 'fraudulent'));
    $self->account->tell('charge.dispute.created' => $dispute);
    return {charge => $charge->{id}, customer => $charge->{customer}, dispute => $dispute->{id}};
}

sub _close_dispute ($self, $dispute, $o) {
    $dispute->{status} = $o->{status};
    $self->account->tell('charge.dispute.closed' => $dispute);
    return {charge => $dispute->{charge}, dispute => $dispute->{id}};
}

# ------------------------------------------------------------------- parts ----
# Changes a subscription and tells of it.
sub _change ($self, $subscription, $change) {
    my $before = dclone($subscription);
    $change->();
    $self->account->tell('customer.subscription.updated' => $subscription, $before);
}

sub _customer ($self, $subscription) { $self->account->find($subscription->{customer}) }

sub _new_invoice ($self, $subscription, $reason, %more) {
    my $invoice = invoice($subscription, customer => $self->_customer($subscription), reason => $reason, %more);
    return $self->account->add($invoice);
}

sub _next_period ($self, $subscription, $status) {
    my $before = dclone($subscription);
    my $item   = $subscription->{items}{data}[0];
    my $start  = $item->{current_period_end};
    @$item{qw(current_period_start current_period_end)} = ($start, period_after($start, $item->{price}));
    my $invoice = $self->_new_invoice($subscription, 'subscription_cycle');
    @$subscription{qw(status latest_invoice)} = ($status, $invoice->{id});
    $self->_issue($invoice);
    $self->account->tell('customer.subscription.updated' => $subscription, $before);
    return $invoice;
}

sub _issue ($self, $invoice) {
    $self->account->tell('invoice.created' => $invoice);
    $invoice->{status} = 'open';
    $invoice->{status_transitions}{finalized_at} = $invoice->{effective_at} = time;
    $self->account->tell('invoice.finalized' => $invoice);
}

sub _pay ($self, $invoice) {
    $self->_attempt($invoice, 1) if $invoice->{amount_due};
    @$invoice{qw(status amount_paid amount_remaining attempted)} = ('paid', $invoice->{amount_due}, 0, true);
    $invoice->{next_payment_attempt} = undef;
    $invoice->{status_transitions}{paid_at} = time;
    $self->account->tell($_ => $invoice) for qw(invoice.paid invoice.payment_succeeded);
}

sub _decline ($self, $invoice, $action_required = 0) {
    $self->_attempt($invoice, 0);
    $invoice->{attempted}            = true;
    $invoice->{next_payment_attempt} = time + RETRY_DAYS * 86_400;
    $self->account->tell('invoice.payment_failed'          => $invoice);
    $self->account->tell('invoice.payment_action_required' => $invoice) if $action_required;
}

sub _attempt ($self, $invoice, $paid) {
    $invoice->{attempt_count}++;
    my $charge = $self->account->add(charge($invoice, $paid));
    $invoice->{_charge} = $charge->{id};
    $self->account->tell($paid ? 'charge.succeeded' : 'charge.failed', $charge);
}

sub _charge_of ($self, $invoice) { $invoice->{_charge} ? (charge => $invoice->{_charge}) : () }

sub _ids ($subscription) {
    return {
        customer     => $subscription->{customer},
        invoice      => $subscription->{latest_invoice},
        subscription => $subscription->{id},
    };
}

1;
