# SPDX-License-Identifier: Apache-2.0
# The API's versions. Objects are kept in the newest shape; what newer versions have changed is undone for older ones.
package Standin::Stripe::Version;
use Mojo::Base -strict, -signatures;

use Exporter   qw(import);
use Mojo::JSON qw(false true);

our @EXPORT_OK = qw(is_version shaped version_names version_of);

# The last version of each line, of which webhooks can be.
my %LINE = (
    acacia => '2025-02-24.acacia',
    basil  => '2025-08-27.basil',
    clover => '2026-02-25.clover',
    dahlia => '2026-08-26.dahlia',
    endive => '2026-10-28.endive',
);

# By the first version that has them, the newest first: for the type of an object, how to undo what was changed.
my @CHANGES = (
    [
        '2026-09-30' => {
            'checkout.session'  => sub ($session) { delete $session->{allowed_payment_method_types} },
            'dispute'           => sub ($dispute) { delete $dispute->{intended_submission_method} },
            'subscription_item' => sub ($item) { delete $item->{current_trial} },
        }
    ],
    ['2026-03-25' => {'checkout.session' => sub ($session) { $session->{ui_mode} =~ s/_page\z// }}],
    [
        '2025-03-31' => {
            'charge'       => \&_old_charge,
            'invoice'      => \&_old_invoice,
            'line_item'    => \&_old_line,
            'subscription' => \&_old_subscription,
        }
    ],
);

sub version_names ()    { sort keys %LINE }
sub is_version    ($is) { $is =~ /\A\d{4}-\d\d-\d\d\.[a-z]+\z/ }

# The version that is meant by the name of a line, or by itself; undef if it is neither.
sub version_of ($name) { $LINE{$name} // (is_version($name) ? $name : undef) }

# A copy of the tree in the shape of that version, and without what the stand-in keeps for itself (_name).
sub shaped ($tree, $version) {
    my $copy = _copy($tree);
    for my $change (@CHANGES) {
        my ($since, $undo) = @$change;
        _walk($copy, $undo) if $version lt $since;
    }
    return _without_own($copy);
}

sub _copy ($tree) {
    return {map { ($_ => _copy($tree->{$_})) } keys %$tree} if ref $tree eq 'HASH';
    return [map { _copy($_) } @$tree] if ref $tree eq 'ARRAY';
    return $tree;
}

# From the outside in: what a subscription used to have is now in its items.
sub _walk ($tree, $undo) {
    my @inner = ref $tree eq 'HASH' ? values %$tree : ref $tree eq 'ARRAY' ? @$tree : return;
    if (ref $tree eq 'HASH' && !ref($tree->{object} // '') && (my $own = $undo->{$tree->{object} // ''})) {
        $own->($tree);
        @inner = values %$tree;
    }
    _walk($_, $undo) for @inner;
}

sub _without_own ($tree) {
    return [map { _without_own($_) } @$tree] if ref $tree eq 'ARRAY';
    return $tree if ref $tree ne 'HASH';
    return {map { ($_ => _without_own($tree->{$_})) } grep { !/\A_/ } keys %$tree};
}

sub _old_subscription ($subscription) {
    my $first = $subscription->{items}{data}[0];
    @$subscription{qw(current_period_start current_period_end plan quantity)}
        = @$first{qw(current_period_start current_period_end plan quantity)};
    $subscription->{discount} = undef;
    delete @$subscription{qw(billing_mode billing_schedules customer_account managed_payments)};
    delete @$_{qw(current_period_start current_period_end)} for @{$subscription->{items}{data}};
}

sub _old_invoice ($invoice) {
    my $details = (delete $invoice->{parent})->{subscription_details};
    @$invoice{qw(charge payment_intent)} = @$invoice{qw(_charge _payment_intent)};
    $invoice->{subscription}         = $details->{subscription};
    $invoice->{subscription_details} = {metadata => $details->{metadata}};
    $invoice->{paid}                 = _boolean($invoice->{status} eq 'paid');
    $invoice->{paid_out_of_band}     = _boolean(0);
    @$invoice{qw(application_fee_amount discount quote tax transfer_data)} = ();
    $invoice->{total_tax_amounts} = [];
    delete @$invoice{qw(amount_overpaid customer_account total_taxes)};
}

sub _old_line ($line) {
    my $details = (delete $line->{parent})->{subscription_item_details};
    @$line{qw(price plan)} = @$line{qw(_price _plan)};
    @$line{qw(proration subscription_item)} = @$details{qw(proration subscription_item)};
    $line->{type} = 'subscription';
    @$line{qw(proration_details tax_amounts tax_rates)} = ({credited_items => undef}, [], []);
    $line->{amount_excluding_tax} = $line->{amount};
    delete @$line{qw(pricing quantity_decimal subtotal taxes)};
}

sub _old_charge ($charge) { $charge->{invoice} = $charge->{_invoice} }

sub _boolean ($is) { $is ? true : false }

1;
