# SPDX-License-Identifier: Apache-2.0
# The calls of the API, as a table: where each is, which parameters it takes, and what it does.
package Standin::Stripe::Calls;
use Mojo::Base -base, -signatures;

use List::Util qw(first);
use Mojo::JSON qw(false true);

use Standin::Stripe::Error;
use Standin::Stripe::Objects qw(checkout_session portal_session price);
use Standin::Stripe::Params
    qw(list_of one_of read_params required BOOLEAN EMAIL ID INTEGER METADATA TEXT TIME URL);

use constant {
    LIST_LIMIT    => 10,        # objects on a page, if the call does not say how many
    LIST_MOST     => 100,
    REFERENCE     => 200,       # characters of a client_reference_id
    SHORTEST      => 1800,      # seconds that a Checkout session must be good for
    LONGEST       => 86_400,    # and may be
    MOST_LINES    => 20,
    MOST_EXPANDED => 20,
};

# account and billing: of the stand-in; livemode: of the key.
has [qw(account billing livemode)];

my %PAGE = (limit => INTEGER, starting_after => ID, ending_before => ID);
my %RANGE = map { ($_ => TIME) } qw(gt gte lt lte);

# Stripe's statuses of subscriptions, and the words that a list takes in their place.
my @STATUS = qw(active canceled incomplete incomplete_expired past_due paused trialing unpaid);
my %OVER   = map { ($_ => 1) } qw(canceled incomplete_expired);

my %CALL = (
    'checkout.sessions.create' => {
        route  => [POST => '/checkout/sessions'],
        params => {
            allow_promotion_codes => BOOLEAN,
            cancel_url            => URL,
            client_reference_id   => TEXT,
            customer              => ID,
            customer_email        => EMAIL,
            expires_at            => TIME,
            line_items            => required(list_of({price => required(ID), quantity => INTEGER}, MOST_LINES)),
            locale                => TEXT,
            metadata              => METADATA,
            mode                  => required(one_of(qw(payment setup subscription))),
            subscription_data     => {metadata => METADATA},
            success_url           => required(URL),
            ui_mode               => one_of(qw(elements embedded_page form hosted_page)),
        },
        run => \&_create_checkout,
    },
    'checkout.sessions.retrieve' => {
        route => [GET => '/checkout/sessions/#id'],
        run   => sub ($self, $id, $given) { $self->_need('checkout.session', $id) },
    },
    'checkout.sessions.expire' => {
        route => [POST => '/checkout/sessions/#id/expire'],
        run   => \&_expire_checkout,
    },
    'billingPortal.sessions.create' => {
        route  => [POST => '/billing_portal/sessions'],
        params => {
            configuration => ID,
            customer      => required(ID),
            flow_data     => {
                after_completion => {
                    hosted_confirmation => {custom_message => TEXT},
                    redirect            => {return_url     => required(URL)},
                    type                => required(one_of(qw(hosted_confirmation portal_homepage redirect))),
                },
                subscription_cancel => {subscription => required(ID)},
                subscription_update => {subscription => required(ID)},
                type => required(one_of(qw(payment_method_update subscription_cancel subscription_update))),
            },
            locale     => TEXT,
            return_url => URL,
        },
        run => \&_create_portal,
    },
    'subscriptions.retrieve' => {
        route => [GET => '/subscriptions/#id'],
        run   => sub ($self, $id, $given) { $self->_need(subscription => $id) },
    },
    'subscriptions.list' => {
        route  => [GET => '/subscriptions'],
        params => {%PAGE, customer => ID, price => ID, status => one_of(@STATUS, qw(all ended))},
        run    => \&_list_subscriptions,
    },
    'subscriptions.update' => {
        route  => [POST => '/subscriptions/#id'],
        params => {
            cancel_at_period_end => BOOLEAN,
            cancellation_details => {comment => TEXT, feedback => TEXT},
            metadata             => METADATA,
        },
        run => \&_update_subscription,
    },
    'subscriptions.cancel' => {
        route  => [DELETE => '/subscriptions/#id'],
        params => {
            cancellation_details => {comment => TEXT, feedback => TEXT},
            invoice_now          => BOOLEAN,
            prorate              => BOOLEAN,
        },
        run => \&_cancel_subscription,
    },
    'customers.create' => {
        route  => [POST => '/customers'],
        params => {description => TEXT, email => EMAIL, metadata => METADATA, name => TEXT, phone => TEXT},
        run    => sub ($self, $id, $given) { $self->billing->new_customer($given, $self->livemode) },
    },
    'customers.retrieve' => {
        route => [GET => '/customers/#id'],
        run   => \&_get_customer,
    },
    'customers.del' => {
        route => [DELETE => '/customers/#id'],
        run   => \&_delete_customer,
    },
    'invoices.retrieve' => {
        route => [GET => '/invoices/#id'],
        run   => sub ($self, $id, $given) { $self->_need(invoice => $id) },
    },
    'charges.retrieve' => {
        route => [GET => '/charges/#id'],
        run   => sub ($self, $id, $given) { $self->_need(charge => $id) },
    },
    'disputes.retrieve' => {
        route => [GET => '/disputes/#id'],
        run   => sub ($self, $id, $given) { $self->_need(dispute => $id) },
    },
    'events.retrieve' => {
        route => [GET => '/events/#id'],
        run   => \&_get_event,
    },
    'events.list' => {
        route  => [GET => '/events'],
        params => {%PAGE, created => {%RANGE}, type => TEXT, types => list_of(TEXT, 20)},
        run    => \&_list_events,
    },
);

sub names ($class)        { sort keys %CALL }
sub route ($class, $name) { @{$CALL{$name}{route}} }

# The parameters of a call, read from their tree.
sub read ($class, $name, $tree) {
    return read_params($tree, {expand => list_of(TEXT, MOST_EXPANDED), %{$CALL{$name}{params} // {}}});
}

# What the call answers: a tree in the newest shape, but events in their own. Throws errors.
sub run ($self, $name, $id, $params) {
    my $object = $CALL{$name}{run}->($self, $id, $params);
    my ($of_list, $own) = ([], []);
    push @{s/\Adata\.// ? $of_list : $own}, $_ for map {"$_"} @{$params->{expand} // []};
    $object = {%$object, data => [map { $self->_with($_, $of_list) } @{$object->{data}}]} if @$of_list;
    return $self->_with($object, $own);
}

sub _with ($self, $object, $members) { return {%$object, map { ($_ => $self->_expanded($object, $_)) } @$members} }

# The object whose id a member holds; there are no members of members, but those of a list's objects.
sub _expanded ($self, $object, $member) {
    my $id    = $object->{$member};
    my $other = $self->account->find($id);
    _refuse('expand', "This property cannot be expanded ($member).")
        if !exists $object->{$member} || defined $id && !$other;
    return $other && $other->{deleted} ? _deleted($other) : $other;
}

sub _need ($self, $type, $id, @param) { $self->account->need($type, $id, $self->livemode, @param) }

sub _refuse ($param, $message, $code = undef) { Standin::Stripe::Error->invalid($param, $message, $code)->throw }

# ---------------------------------------------------------------- checkout ----
sub _create_checkout ($self, $id, $given) {
    my %there = (mode => 'subscription', ui_mode => 'hosted_page');
    for my $name (sort keys %there) {
        _refuse($name, "stand-in: only the $name $there{$name} is there.")
            if ($given->{$name} // $there{$name}) ne $there{$name};
    }
    _refuse('customer_email', 'You may only specify one of these parameters: customer, customer_email.')
        if defined $given->{customer} && defined $given->{customer_email};
    _refuse('client_reference_id', 'Invalid string: must be at most ' . REFERENCE . ' characters')
        if length($given->{client_reference_id} // '') > REFERENCE;
    _check_expiry($given->{expires_at} - time) if defined $given->{expires_at};
    $self->_need(customer => $given->{customer}, 'customer') if defined $given->{customer};
    return $self->account->add(checkout_session($given, $self->_only_price($given->{line_items}), $self->livemode));
}

sub _check_expiry ($seconds) {
    _refuse('expires_at', 'The `expires_at` timestamp must be at least 30 minutes from Checkout Session creation.')
        if $seconds < SHORTEST - 5;
    _refuse('expires_at', 'The `expires_at` timestamp must be less than 24 hours from Checkout Session creation.')
        if $seconds > LONGEST;
}

sub _only_price ($self, $lines) {
    _refuse('line_items', 'stand-in: a subscription to one price is all there is.') if @$lines != 1;
    my $name  = 'line_items[0][price]';
    my $price = price($lines->[0]{price}, $self->livemode)
        or Standin::Stripe::Error->no_such(price => $lines->[0]{price}, $name)->throw;
    _refuse($name, 'The price specified is inactive. This field only accepts active prices.') unless $price->{active};
    _refuse($name, 'You must provide at least one recurring price in `subscription` mode when using prices.')
        unless $price->{recurring};
    _refuse('line_items[0][quantity]', 'This value must be greater than or equal to 1.', 'parameter_invalid_integer')
        if ($lines->[0]{quantity} // 1) < 1;
    return $price;
}

sub _expire_checkout ($self, $id, $given) {
    my $session = $self->_need('checkout.session', $id);
    _refuse(undef, 'Only Checkout Sessions with a status in ["open"] can be expired. This Checkout Session has a status'
            . " of `$session->{status}`.")
        if $session->{status} ne 'open';
    $self->billing->expire($session);
    return $session;
}

sub _create_portal ($self, $id, $given) {
    $self->_need(customer => $given->{customer}, 'customer');
    my $flow = $given->{flow_data} // {};
    for my $name (grep { $flow->{$_} } qw(subscription_cancel subscription_update)) {
        $self->_need(subscription => $flow->{$name}{subscription}, "flow_data[$name][subscription]");
    }
    my $wanted = $flow->{type} // '';
    Standin::Stripe::Error->missing("flow_data[$wanted]")->throw if $wanted =~ /\Asubscription_/ && !$flow->{$wanted};
    my $session = $self->account->add(portal_session($given, $self->livemode));
    $self->account->tell('billing_portal.session.created' => $session);
    return $session;
}

# ------------------------------------------------------------ subscriptions ----
sub _list_subscriptions ($self, $id, $given) {
    $self->_need(customer => $given->{customer}, 'customer') if defined $given->{customer};
    my ($status, $customer, $price) = @$given{qw(status customer price)};
    my %is = (
        all   => sub ($it) { 1 },
        ended => sub ($it) { $OVER{$it->{status}} },
        usual => sub ($it) { $it->{status} ne 'canceled' },
    );
    my $has_status = $is{$status // 'usual'} // sub ($it) { $it->{status} eq $status };
    my $wanted     = sub ($it) {
        return
               $has_status->($it)
            && (!defined $customer || $it->{customer} eq $customer)
            && (!defined $price    || $it->{items}{data}[0]{price}{id} eq $price);
    };
    return $self->_page('/v1/subscriptions', [$self->account->all('subscription')], $wanted, $given);
}

sub _update_subscription ($self, $id, $given) {
    my $subscription = $self->_need(subscription => $id);
    my $over = $OVER{$subscription->{status}};
    _refuse(undef, 'A canceled subscription can only update its cancellation_details and metadata.')
        if $over && exists $given->{cancel_at_period_end};
    my %members;
    $members{metadata} = _merged($subscription->{metadata}, $given->{metadata}) if $given->{metadata};
    $members{cancellation_details} = {%{$subscription->{cancellation_details}}, %{$given->{cancellation_details}}}
        if $given->{cancellation_details};
    $self->billing->update($subscription, %members) if %members;
    my $wanted = $given->{cancel_at_period_end};
    $self->billing->cancel_at_period_end($subscription, $wanted)
        if defined $wanted && !$wanted != !$subscription->{cancel_at_period_end};
    return $subscription;
}

# Values that are empty are taken out, and all is by a metadata that is.
sub _merged ($old, $new) {
    return {} unless %$new;
    my %merged = (%$old, %$new);
    return {map { ($_ => $merged{$_}) } grep { $merged{$_} ne '' } keys %merged};
}

# One that has ended is not there any more, to those who would end it.
sub _cancel_subscription ($self, $id, $given) {
    my $subscription = $self->_need(subscription => $id);
    Standin::Stripe::Error->no_such(subscription => $id)->throw if $OVER{$subscription->{status}};
    $self->billing->end($subscription, 'cancellation_requested', %{$given->{cancellation_details} // {}});
    return $subscription;
}

# --------------------------------------------------------------- customers ----
sub _get_customer ($self, $id, $given) {
    my $customer = $self->_need(customer => $id);
    return $customer->{deleted} ? _deleted($customer) : $customer;
}

sub _delete_customer ($self, $id, $given) {
    my $customer = $self->_need(customer => $id);
    Standin::Stripe::Error->no_such(customer => $id)->throw if $customer->{deleted};
    $self->billing->delete_customer($customer);
    return _deleted($customer);
}

sub _deleted ($customer) { {id => $customer->{id}, object => 'customer', deleted => true} }

# ------------------------------------------------------------------ events ----
sub _get_event ($self, $id, $given) {
    my $event = $self->account->event_by_id->{$id};
    Standin::Stripe::Error->no_such(event => $id)->throw if !$event || !$event->{livemode} != !$self->livemode;
    return $event->{tree};
}

sub _list_events ($self, $id, $given) {
    my %range = %{$given->{created} // {}};
    my @types = grep { defined } $given->{type}, @{$given->{types} // []};
    my $types = join '|', map { quotemeta =~ s/\\\*\z/.*/r } @types;
    my $wanted = sub ($it) { (!@types || $it->{type} =~ /\A(?:$types)\z/) && _within($it->{created}, %range) };
    return $self->_page('/v1/events', [map { $_->{tree} } reverse @{$self->account->events}], $wanted, $given);
}

sub _within ($time, %range) {
    return
           $time > ($range{gt} // -1)
        && $time >= ($range{gte} // 0)
        && $time < ($range{lt} // 'inf')
        && $time <= ($range{lte} // 'inf');
}

# ------------------------------------------------------------------- lists ----
# A page of all objects of a type, the newest first, of which some are wanted. It begins at an object of that type,
# wanted or not: it may have changed since it was on the page before.
sub _page ($self, $url, $all, $wanted, $given) {
    my ($limit, $after, $before) = ($given->{limit} // LIST_LIMIT, @$given{qw(starting_after ending_before)});
    _refuse('limit', 'This value must be greater than or equal to 1.', 'parameter_invalid_integer') if $limit < 1;
    _refuse('limit', 'This value must be less than or equal to ' . LIST_MOST . '.', 'parameter_invalid_integer')
        if $limit > LIST_MOST;
    _refuse('starting_after', 'You can only provide one of `starting_after` or `ending_before`.')
        if defined $after && defined $before;

    my @all   = grep { !$_->{livemode} == !$self->livemode } @$all;
    my $first = defined $after  ? _position(\@all, $after, 'starting_after') + 1 : 0;
    my $last  = defined $before ? _position(\@all, $before, 'ending_before') - 1 : $#all;
    my @found = grep { $wanted->($_) } @all[$first .. $last];
    my $more  = @found > $limit;
    @found = @found[defined $before ? -$limit .. -1 : 0 .. $limit - 1] if $more;
    return {object => 'list', data => \@found, has_more => $more ? true : false, url => $url};
}

sub _position ($all, $id, $param) {
    my $position = first { $all->[$_]{id} eq $id } 0 .. $#$all;
    return $position // Standin::Stripe::Error->no_such(object => $id, $param)->throw;
}

1;
