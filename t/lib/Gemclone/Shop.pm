# SPDX-License-Identifier: Apache-2.0
# A stack that sells Pro: with a stand-in for Stripe that sends its webhooks there.
#
#   my $shop = Gemclone::Shop->start(children => 1, directives => [...]);
#   my $user = $shop->stack->new_user;
#   my $paid = $shop->buy($user);                        # checkout, payment, webhooks
#   $shop->stripe->act($paid->{subscription} => 'fail');
#   $shop->settle;                                       # every event is worked off
#   $shop->status($user)->{status};                      # 'past_due'
package Gemclone::Shop;
use Mojo::Base -base, -signatures;

use Gemclone::Check;
use Gemclone::Paths qw(secret_file temp_dir);
use Gemclone::Stack;
use Gemclone::StripeStandin;
use Mojo::URL;

use constant {PRICE => 'price_pro', SECRET => 'whsec_of_the_shop', OTHER_SECRET => 'whsec_of_yesterday'};

has [qw(stack stripe)];

# Options are those of Gemclone::Stack->start; webhook: more of the stand-in's settings for it.
sub start ($class, %opt) {
    my $keys = temp_dir;
    my $stripe = Gemclone::StripeStandin->start;
    my $self = $class->new(stripe => $stripe, webhook => delete $opt{webhook} // {}, keys => $keys);
    $self->{directives} = [
        'GemcloneStripeURL ' . $stripe->api_url,
        'GemcloneStripeKey file:' . secret_file("$keys/stripe.key", Gemclone::StripeStandin::KEY),
        'GemcloneStripeWebhookSecret file:' . secret_file("$keys/now", SECRET),
        'GemcloneStripeWebhookSecret file:' . secret_file("$keys/before", OTHER_SECRET),
        'GemcloneStripePrice ' . PRICE,
        'GemcloneStripeSuccessURL https://app.test/paid?session={CHECKOUT_SESSION_ID}',
        'GemcloneStripeCancelURL https://app.test/pricing',
        'GemcloneStripeReturnURL https://app.test/account',
        'GemcloneStripeTimeout 5s',
    ];
    my @directives = (@{$self->{directives}}, @{delete $opt{directives} // []});
    $self->stack(Gemclone::Stack->start(fsync => 0, directives => \@directives, %opt));
    return $self->listen->know_all;
}

# Waits until what the server asks Stripe for once a day, all subscriptions, is over: later it would tell of what no event
# has told yet.
sub know_all ($self) {
    my $over = q{SELECT count(*) FROM gemclone.stripe_events WHERE type = 'gemclone.subscriptions.list' AND due_at IS NULL};
    eventually(sub { $self->stack->dbh->selectrow_array($over) }) or die "Stripe has not been asked for all subscriptions\n";
    return $self;
}

# What another host of the same shop is configured by.
sub directives ($self) { return @{$self->{directives}} }

# Has the stand-in send its webhooks, in whatever way.
sub listen ($self, %how) {
    $self->stripe->control({webhook => {url => $self->stack->url . '/webhook/stripe', secrets => [SECRET], %{$self->{webhook}}, %how}});
    return $self;
}

# The id of the session that a user is sent to.
sub checkout ($self, $user) {
    my $res = $user->post('/subscribe/pro', '');
    die 'no checkout: ' . $res->body . "\n" unless $res->code == 200;
    return $self->session_of($res->json->{checkout_url});
}

sub session_of ($self, $url) { return Mojo::URL->new($url)->path->parts->[-1] }

# Returns as Gemclone::StripeStandin's act, with the session's id.
sub buy ($self, $user, %completion) {
    my $session = $self->checkout($user);
    my $done = $self->stripe->act($session => 'complete', %completion);
    $self->settle;
    return {%$done, session => $session};
}

# Waits until every event that has come is worked off.
sub settle ($self, $seconds = 20) {
    $self->stripe->deliveries($seconds);
    eventually(sub { !$self->open_events }, $seconds) or die 'events are left: ' . join(', ', $self->open_events) . "\n";
    return;
}

sub open_events ($self) {
    return @{$self->stack->dbh->selectcol_arrayref(
        q{SELECT id || ' ' || type || ' ' || coalesce(outcome, 'new') FROM gemclone.stripe_events WHERE due_at IS NOT NULL})};
}

sub status ($self, $user) { return $user->get('/subscription/status')->json }
sub tier   ($self, $user) { return $user->get('/user/me')->json->{user}{tier} }

1;
