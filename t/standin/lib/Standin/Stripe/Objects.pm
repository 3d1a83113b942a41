# SPDX-License-Identifier: Apache-2.0
# Stripe's objects as they are when they are new, in the shape of the newest API version. Members whose name begins with
# _ are the stand-in's own: older versions need them, and nobody sees them.
package Standin::Stripe::Objects;
use Mojo::Base -strict, -signatures;

use Exporter   qw(import);
use Mojo::JSON qw(false true);
use Time::Local qw(timegm);

our @EXPORT_OK = qw(new_id period_after price plan customer subscription invoice charge dispute checkout_session
    portal_session event);

use constant {
    ACCOUNT       => 'acct_1StandinForStripe',
    AMOUNT        => 2000,                        # cents that a price asks for
    CURRENCY      => 'usd',
    SESSION_HOURS => 24,                          # until a Checkout session expires
    DISPUTE_DAYS  => 10,                          # to answer a dispute
    CHECKOUT      => 'https://checkout.stripe.com/c/pay',
    PORTAL        => 'https://billing.stripe.com/p/session',
    INVOICES      => 'https://invoice.stripe.com/i',
};

my @ALPHABET = ('a' .. 'z', 'A' .. 'Z', 0 .. 9);

# How long the random part of an id is, and what stands before it.
my %ID = (
    bps          => ['bps_1',      23],
    charge       => ['ch_3',       23],
    customer     => ['cus_',       14],
    dispute      => ['du_1',       23],
    event        => ['evt_1',      23],
    intent       => ['pi_3',       23],
    invoice      => ['in_1',       23],
    item         => ['si_',        14],
    line         => ['il_1',       23],
    method       => ['pm_1',       23],
    request      => ['req_',       14],
    session      => ['cs_MODE_a1', 56],
    subscription => ['sub_1',      23],
);

sub new_id ($kind, $livemode = 0) {
    my ($prefix, $length) = @{$ID{$kind}};
    my $mode = $livemode ? 'live' : 'test';
    return $prefix =~ s/MODE/$mode/r . join '', map { $ALPHABET[rand @ALPHABET] } 1 .. $length;
}

sub _list ($url, @data) { {object => 'list', data => \@data, has_more => false, total_count => 0 + @data, url => $url} }

# ------------------------------------------------------------------ prices ----
# Every id that begins with price_ is one, and words in it say what kind of one; nothing but `missing` is none.
sub price ($id, $livemode) {
    return undef if $id !~ /\Aprice_\w+\z/ || $id =~ /missing/;
    my $once = $id =~ /once/;
    return {
        id                  => $id,
        object              => 'price',
        active              => $id =~ /inactive/ ? false : true,
        billing_scheme      => 'per_unit',
        created             => 1_700_000_000,
        currency            => CURRENCY,
        custom_unit_amount  => undef,
        livemode            => $livemode,
        lookup_key          => undef,
        metadata            => {},
        nickname            => undef,
        product             => 'prod_' . substr($id, 6),
        recurring           => $once ? undef : {
            interval          => $id =~ /year/ ? 'year' : 'month',
            interval_count    => 1,
            meter             => undef,
            trial_period_days => undef,
            usage_type        => 'licensed',
        },
        tax_behavior        => 'unspecified',
        tiers_mode          => undef,
        transform_quantity  => undef,
        type                => $once ? 'one_time' : 'recurring',
        unit_amount         => AMOUNT,
        unit_amount_decimal => '' . AMOUNT,
    };
}

# The same as Stripe called it before there were prices.
sub plan ($price) {
    return {
        (map { ($_ => $price->{$_}) } qw(id active billing_scheme created currency livemode nickname product)),
        object            => 'plan',
        amount            => $price->{unit_amount},
        amount_decimal    => $price->{unit_amount_decimal},
        interval          => $price->{recurring}{interval},
        interval_count    => 1,
        metadata          => {},
        meter             => undef,
        tiers_mode        => undef,
        transform_usage   => undef,
        trial_period_days => undef,
        usage_type        => 'licensed',
    };
}

# When the period that begins then ends: a month or a year later, or at the end of a month that is too short.
sub period_after ($start, $price) {
    my ($second, $minute, $hour, $day, $month, $year) = gmtime $start;
    $price->{recurring}{interval} eq 'year' ? $year++ : $month++;
    ($month, $year) = (0, $year + 1) if $month > 11;
    for my $try (reverse $day - 3 .. $day) {
        my $end = eval { timegm($second, $minute, $hour, $try, $month, $year + 1900) };
        return $end if $end;
    }
}

# --------------------------------------------------------------- customers ----
sub customer ($given, $livemode) {
    return {
        id                    => new_id('customer'),
        object                => 'customer',
        address               => undef,
        balance               => 0,
        created               => time,
        currency              => undef,
        customer_account      => undef,
        default_source        => undef,
        delinquent            => false,
        description           => $given->{description},
        discount              => undef,
        email                 => $given->{email},
        invoice_prefix        => uc substr(new_id('item'), 3, 8),
        invoice_settings      => {
            custom_fields          => undef,
            default_payment_method => undef,
            footer                 => undef,
            rendering_options      => undef,
        },
        livemode              => $livemode,
        metadata              => $given->{metadata} // {},
        name                  => $given->{name},
        next_invoice_sequence => 1,
        phone                 => $given->{phone},
        preferred_locales     => [],
        shipping              => undef,
        tax_exempt            => 'none',
        test_clock            => undef,
    };
}

# ----------------------------------------------------------- subscriptions ----
# Given are customer, price, quantity, metadata, status, and days of a trial.
sub subscription (%given) {
    my ($id, $now, $price) = (new_id('subscription'), time, $given{price});
    my $trial_end = $given{trial_days} ? $now + $given{trial_days} * 86_400 : undef;
    my $item = {
        id                   => new_id('item'),
        object               => 'subscription_item',
        billing_thresholds   => undef,
        created              => $now,
        current_period_end   => $trial_end // period_after($now, $price),
        current_period_start => $now,
        current_trial        => undef,
        discounts            => [],
        metadata             => {},
        plan                 => plan($price),
        price                => $price,
        quantity             => $given{quantity},
        subscription         => $id,
        tax_rates            => [],
    };
    return {
        id                                => $id,
        object                            => 'subscription',
        application                       => undef,
        application_fee_percent           => undef,
        automatic_tax                     => {disabled_reason => undef, enabled => false, liability => undef},
        billing_cycle_anchor              => $trial_end // $now,
        billing_cycle_anchor_config       => undef,
        billing_mode                      => {flexible => {proration_discounts => 'included'}, type => 'flexible'},
        billing_schedules                 => [],
        billing_thresholds                => undef,
        cancel_at                         => undef,
        cancel_at_period_end              => false,
        canceled_at                       => undef,
        cancellation_details              => {map { ($_ => undef) } qw(comment feedback feedback_option reason)},
        collection_method                 => 'charge_automatically',
        created                           => $now,
        currency                          => CURRENCY,
        customer                          => $given{customer}{id},
        customer_account                  => undef,
        days_until_due                    => undef,
        default_payment_method            => new_id('method'),
        default_source                    => undef,
        default_tax_rates                 => [],
        description                       => undef,
        discounts                         => [],
        ended_at                          => undef,
        invoice_settings                  => {
            account_tax_ids => undef,
            custom_fields   => undef,
            description     => undef,
            footer          => undef,
            issuer          => {type => 'self'},
        },
        items                             => _list("/v1/subscription_items?subscription=$id", $item),
        latest_invoice                    => undef,
        livemode                          => $given{customer}{livemode},
        managed_payments                  => {enabled => false},
        metadata                          => $given{metadata} // {},
        next_pending_invoice_item_invoice => undef,
        on_behalf_of                      => undef,
        pause_collection                  => undef,
        payment_settings                  => {
            payment_method_options      => undef,
            payment_method_types        => undef,
            save_default_payment_method => 'off',
        },
        pending_invoice_item_interval     => undef,
        pending_setup_intent              => undef,
        pending_update                    => undef,
        schedule                          => undef,
        start_date                        => $now,
        status                            => $given{status},
        test_clock                        => undef,
        transfer_data                     => undef,
        trial_end                         => $trial_end,
        trial_settings                    => {
            end_behavior => {billing_cycle_anchor => undef, missing_payment_method => 'create_invoice'},
        },
        trial_start                       => $trial_end ? $now : undef,
    };
}

# ---------------------------------------------------------------- invoices ----
# A draft for the subscription's period: why it is made, the customer, and what is owed where that is not the price.
sub invoice ($subscription, %given) {
    my ($customer, $item, $now) = ($given{customer}, $subscription->{items}{data}[0], time);
    my $amount = $given{amount} // $item->{price}{unit_amount} * $item->{quantity};
    my $id     = new_id('invoice');
    my $number = sprintf '%s-%04d', $customer->{invoice_prefix}, $customer->{next_invoice_sequence}++;
    return {
        id                               => $id,
        object                           => 'invoice',
        account_country                  => 'US',
        account_name                     => 'Stand-in',
        account_tax_ids                  => undef,
        amount_due                       => $amount,
        amount_overpaid                  => 0,
        amount_paid                      => 0,
        amount_remaining                 => $amount,
        amount_shipping                  => 0,
        application                      => undef,
        attempt_count                    => 0,
        attempted                        => false,
        auto_advance                     => true,
        automatic_tax                    => {
            disabled_reason => undef,
            enabled         => false,
            liability       => undef,
            provider        => undef,
            status          => undef,
        },
        automatically_finalizes_at       => undef,
        billing_reason                   => $given{reason},
        collection_method                => 'charge_automatically',
        created                          => $now,
        currency                         => CURRENCY,
        custom_fields                    => undef,
        customer                         => $customer->{id},
        customer_account                 => undef,
        customer_address                 => undef,
        customer_email                   => $customer->{email},
        customer_name                    => $customer->{name},
        customer_phone                   => $customer->{phone},
        customer_shipping                => undef,
        customer_tax_exempt              => 'none',
        customer_tax_ids                 => [],
        default_payment_method           => undef,
        default_source                   => undef,
        default_tax_rates                => [],
        description                      => undef,
        discounts                        => [],
        due_date                         => undef,
        effective_at                     => undef,
        ending_balance                   => undef,
        footer                           => undef,
        from_invoice                     => undef,
        hosted_invoice_url               => INVOICES . "/$id",
        invoice_pdf                      => INVOICES . "/$id/pdf",
        issuer                           => {type => 'self'},
        last_finalization_error          => undef,
        latest_revision                  => undef,
        lines                            => _list("/v1/invoices/$id/lines", _line($id, $amount, $subscription, $item)),
        livemode                         => $subscription->{livemode},
        metadata                         => {},
        next_payment_attempt             => undef,
        number                           => $number,
        on_behalf_of                     => undef,
        parent                           => {
            quote_details        => undef,
            subscription_details => {metadata => {%{$subscription->{metadata}}}, subscription => $subscription->{id}},
            type                 => 'subscription_details',
        },
        payment_settings                 => {
            default_mandate        => undef,
            payment_method_options => undef,
            payment_method_types   => undef,
        },
        period_end                       => $item->{current_period_start},
        period_start                     => $item->{current_period_start},
        post_payment_credit_notes_amount => 0,
        pre_payment_credit_notes_amount  => 0,
        receipt_number                   => undef,
        rendering                        => undef,
        shipping_cost                    => undef,
        shipping_details                 => undef,
        starting_balance                 => 0,
        statement_descriptor             => undef,
        status                           => 'draft',
        status_transitions               =>
            {map { ($_ => undef) } qw(finalized_at marked_uncollectible_at paid_at voided_at)},
        subtotal                         => $amount,
        subtotal_excluding_tax           => $amount,
        test_clock                       => undef,
        total                            => $amount,
        total_discount_amounts           => [],
        total_excluding_tax              => $amount,
        total_pretax_credit_amounts      => [],
        total_taxes                      => [],
        webhooks_delivered_at            => $now,
        _charge                          => undef,
        _payment_intent                  => $amount ? new_id('intent') : undef,
    };
}

sub _line ($invoice, $amount, $subscription, $item) {
    my $price = $item->{price};
    return {
        id                    => new_id('line'),
        object                => 'line_item',
        amount                => $amount,
        currency              => CURRENCY,
        description           => "$item->{quantity} x $price->{product}",
        discount_amounts      => [],
        discountable          => true,
        discounts             => [],
        invoice               => $invoice,
        livemode              => $subscription->{livemode},
        metadata              => {%{$subscription->{metadata}}},
        parent                => {
            invoice_item_details      => undef,
            subscription_item_details => {
                invoice_item      => undef,
                proration         => false,
                proration_details => {credited_items => undef},
                subscription      => $subscription->{id},
                subscription_item => $item->{id},
            },
            type                      => 'subscription_item_details',
        },
        period                => {end => $item->{current_period_end}, start => $item->{current_period_start}},
        pretax_credit_amounts => [],
        pricing               => {
            price_details       => {price => $price->{id}, product => $price->{product}},
            type                => 'price_details',
            unit_amount_decimal => $price->{unit_amount_decimal},
        },
        quantity              => $item->{quantity},
        quantity_decimal      => "$item->{quantity}",
        subscription          => $subscription->{id},
        subtotal              => $amount,
        taxes                 => [],
        _plan                 => $item->{plan},
        _price                => $price,
    };
}

# ------------------------------------------------------------------- money ----
# An attempt to pay an invoice, that went well or did not.
sub charge ($invoice, $paid) {
    my $id = new_id('charge');
    return {
        id                              => $id,
        object                          => 'charge',
        amount                          => $invoice->{amount_due},
        amount_captured                 => $paid ? $invoice->{amount_due} : 0,
        amount_refunded                 => 0,
        application                     => undef,
        application_fee                 => undef,
        application_fee_amount          => undef,
        balance_transaction             => undef,
        billing_details                 => {
            address => undef,
            email   => $invoice->{customer_email},
            name    => $invoice->{customer_name},
            phone   => undef,
            tax_id  => undef,
        },
        calculated_statement_descriptor => 'STAND-IN',
        captured                        => $paid ? true : false,
        created                         => time,
        currency                        => CURRENCY,
        customer                        => $invoice->{customer},
        description                     => 'Subscription',
        disputed                        => false,
        failure_balance_transaction     => undef,
        failure_code                    => $paid ? undef : 'card_declined',
        failure_message                 => $paid ? undef : 'Your card was declined.',
        fraud_details                   => {},
        livemode                        => $invoice->{livemode},
        metadata                        => {},
        on_behalf_of                    => undef,
        outcome                         => {
            advice_code          => undef,
            network_advice_code  => undef,
            network_decline_code => undef,
            network_status       => $paid ? 'approved_by_network' : 'declined_by_network',
            reason               => $paid ? undef : 'generic_decline',
            seller_message       => $paid ? 'Payment complete.' : 'The bank did not say why.',
            type                 => $paid ? 'authorized' : 'issuer_declined',
        },
        paid                            => $paid ? true : false,
        payment_intent                  => $invoice->{_payment_intent},
        payment_method                  => new_id('method'),
        payment_method_details          => {
            card => {brand => 'visa', last4 => $paid ? '4242' : '0341'},
            type => 'card',
        },
        receipt_email                   => undef,
        receipt_number                  => undef,
        receipt_url                     => undef,
        refunded                        => false,
        review                          => undef,
        shipping                        => undef,
        source                          => undef,
        source_transfer                 => undef,
        statement_descriptor            => undef,
        statement_descriptor_suffix     => undef,
        status                          => $paid ? 'succeeded' : 'failed',
        transfer_data                   => undef,
        transfer_group                  => undef,
        _invoice                        => $invoice->{id},
    };
}

my @EVIDENCE = qw(
    access_activity_log billing_address cancellation_policy cancellation_policy_disclosure cancellation_rebuttal
    customer_communication customer_email_address customer_name customer_purchase_ip customer_signature
    duplicate_charge_documentation duplicate_charge_explanation duplicate_charge_id product_description receipt
    refund_policy refund_policy_disclosure refund_refusal_explanation service_date service_documentation
    shipping_address shipping_carrier shipping_date shipping_documentation shipping_tracking_number uncategorized_file
    uncategorized_text
);

sub dispute ($charge, $reason) {
    my $now = time;
    return {
        id                         => new_id('dispute'),
        object                     => 'dispute',
        amount                     => $charge->{amount},
        balance_transactions       => [],
        charge                     => $charge->{id},
        created                    => $now,
        currency                   => CURRENCY,
        enhanced_eligibility_types => [],
        evidence                   => {
            enhanced_evidence => {},
            map { ($_ => undef) } @EVIDENCE,
        },
        evidence_details           => {
            due_by               => $now + DISPUTE_DAYS * 86_400,
            enhanced_eligibility => {},
            has_evidence         => false,
            past_due             => false,
            submission_count     => 0,
            submission_method    => 'not_submitted',
        },
        intended_submission_method => undef,
        is_charge_refundable       => false,
        livemode                   => $charge->{livemode},
        metadata                   => {},
        payment_intent             => $charge->{payment_intent},
        reason                     => $reason,
        status                     => 'needs_response',
    };
}

# ---------------------------------------------------------------- sessions ----
# What the call's parameters ask for; the price is that of its one line.
sub checkout_session ($params, $price, $livemode) {
    my ($id, $now)   = (new_id('session', $livemode), time);
    my $quantity = $params->{line_items}[0]{quantity} // 1;
    my $amount   = $price->{unit_amount} * $quantity;
    return {
        id                                   => $id,
        object                               => 'checkout.session',
        adaptive_pricing                     => undef,
        after_expiration                     => undef,
        allow_promotion_codes                => $params->{allow_promotion_codes},
        allowed_payment_method_types         => undef,
        amount_subtotal                      => $amount,
        amount_total                         => $amount,
        automatic_tax                        =>
            {enabled => false, liability => undef, provider => undef, status => undef},
        billing_address_collection           => undef,
        cancel_url                           => $params->{cancel_url},
        client_reference_id                  => $params->{client_reference_id},
        client_secret                        => undef,
        collected_information                => undef,
        consent                              => undef,
        consent_collection                   => undef,
        created                              => $now,
        currency                             => CURRENCY,
        currency_conversion                  => undef,
        custom_fields                        => [],
        custom_text                          =>
            {map { ($_ => undef) } qw(after_submit shipping_address submit terms_of_service_acceptance)},
        customer                             => $params->{customer},
        customer_account                     => undef,
        customer_creation                    => $params->{customer} ? undef : 'always',
        customer_details                     => undef,
        customer_email                       => $params->{customer_email},
        discounts                            => [],
        expires_at                           => $params->{expires_at} // $now + SESSION_HOURS * 3600,
        integration_identifier               => undef,
        invoice                              => undef,
        invoice_creation                     => undef,
        livemode                             => $livemode,
        locale                               => $params->{locale},
        managed_payments                     => {enabled => false},
        metadata                             => $params->{metadata} // {},
        mode                                 => 'subscription',
        origin_context                       => undef,
        payment_intent                       => undef,
        payment_link                         => undef,
        payment_method_collection            => 'always',
        payment_method_configuration_details => undef,
        payment_method_options               => {},
        payment_method_types                 => ['card'],
        payment_status                       => 'unpaid',
        permissions                          => undef,
        phone_number_collection              => {enabled => false},
        recovered_from                       => undef,
        saved_payment_method_options         => undef,
        setup_intent                         => undef,
        shipping_address_collection          => undef,
        shipping_cost                        => undef,
        shipping_options                     => [],
        status                               => 'open',
        submit_type                          => undef,
        subscription                         => undef,
        success_url                          => $params->{success_url},
        total_details                        => {amount_discount => 0, amount_shipping => 0, amount_tax => 0},
        ui_mode                              => 'hosted_page',
        url                                  => CHECKOUT . "/$id",
        wallet_options                       => undef,
        _price                               => $price,
        _quantity                            => $quantity,
        _subscription_metadata               => ($params->{subscription_data} // {})->{metadata} // {},
    };
}

sub portal_session ($params, $livemode) {
    my $id = new_id('bps');
    return {
        id               => $id,
        object           => 'billing_portal.session',
        configuration    => $params->{configuration} // 'bpc_1StandinDefault',
        created          => time,
        customer         => $params->{customer},
        customer_account => undef,
        flow             => _flow($params->{flow_data}),
        livemode         => $livemode,
        locale           => $params->{locale},
        on_behalf_of     => undef,
        return_url       => $params->{return_url},
        url              => PORTAL . '/' . ($livemode ? 'live' : 'test') . "_$id",
    };
}

sub _flow ($data) {
    return undef unless $data;
    my %after  = (hosted_confirmation => undef, redirect => undef, type => 'portal_homepage');
    my $cancel = $data->{subscription_cancel};
    return {
        after_completion            => {%after, %{$data->{after_completion} // {}}},
        customer_update             => undef,
        subscription_cancel         => $cancel && {retention => undef, %$cancel},
        subscription_pause          => undef,
        subscription_update         => $data->{subscription_update},
        subscription_update_confirm => undef,
        type                        => $data->{type},
    };
}

# ------------------------------------------------------------------ events ----
# request: the API request that caused it, {id, idempotency_key}; previous: what an object's members were before.
sub event (%given) {
    return {
        id               => new_id('event'),
        object           => 'event',
        api_version      => $given{version},
        created          => time,
        data             => {
            object => $given{object},
            $given{previous} ? (previous_attributes => $given{previous}) : (),
        },
        livemode         => $given{livemode},
        pending_webhooks => $given{pending},
        request          => $given{request} // {id => undef, idempotency_key => undef},
        type             => $given{type},
    };
}

1;
