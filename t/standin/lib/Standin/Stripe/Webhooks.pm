# SPDX-License-Identifier: Apache-2.0
# Sends events as webhooks: signed, in whatever order, more than once, several at a time, again after a failure.
package Standin::Stripe::Webhooks;
use Mojo::Base -base, -signatures;

use Digest::SHA qw(sha1);
use List::Util  qw(max);
use Mojo::Promise;
use Mojo::UserAgent;
use Time::HiRes qw(time);

use Standin::Stripe::Params    qw(list_of one_of required BOOLEAN INTEGER TEXT URL);
use Standin::Stripe::Signature qw(signature_header);

use constant {
    AGENT     => 'Stripe/1.0 (+https://stripe.com/docs/webhooks)',
    BODY_KEPT => 2000,    # characters of what the other side has answered
    KEPT      => 5000,    # deliveries
};

# How webhooks are sent: what can be set, and what holds if it is not.
my %HOW = (
    order       => one_of(qw(sent reversed shuffled)),
    seed        => INTEGER,
    copies      => INTEGER,
    concurrency => INTEGER,
    attempts    => INTEGER,
    backoff     => INTEGER,
    timeout     => INTEGER,
    skew        => INTEGER,
);
my %USUAL = (
    order       => 'sent',
    seed        => 1,
    copies      => 1,
    concurrency => 1,
    attempts    => 1,
    backoff     => 0,
    timeout     => 10_000,
    skew        => 0,
);

sub how      ($class) { \%HOW }
sub settings ($class) {
    return {%HOW, url => required(URL), secrets => required(list_of(TEXT)), hold => BOOLEAN, wait => BOOLEAN};
}

# What has been sent, the newest last; and how many are on their way.
has deliveries => sub { [] };
has pending    => 0;

# Without kept-alive connections: one that the other side has closed would look like a failure of its.
has ua => sub { Mojo::UserAgent->new(max_connections => 0, max_redirects => 0) };

# Sends them; a promise of their deliveries, which are {event, type, attempt, time, status or error, body, ms}.
sub send_p ($self, $events, $given) {
    my %how = (%USUAL, %$given);
    my @queue;
    for my $copy (1 .. $how{copies}) { push @queue, map { {event => $_, attempt => 1} } @$events }
    @queue = reverse @queue if $how{order} eq 'reversed';
    @queue = @queue[_shuffled($how{seed}, scalar @queue)] if $how{order} eq 'shuffled';
    $self->pending($self->pending + @queue);

    my @deliveries;
    my @workers = map { $self->_work_p(\@queue, \%how, \@deliveries) } 1 .. max(1, $how{concurrency});
    return Mojo::Promise->all(@workers)->then(sub { \@deliveries });
}

# The same order for the same seed, on every machine.
sub _shuffled ($seed, $count) {
    my @key = map { sha1("$seed $_") } 0 .. $count - 1;
    return sort { $key[$a] cmp $key[$b] } 0 .. $count - 1;
}

# Takes one after the other until none is left.
sub _work_p ($self, $queue, $how, $deliveries) {
    my $item = shift @$queue or return Mojo::Promise->resolve;
    my $rest = $item->{attempt} > 1 ? Mojo::Promise->timer($how->{backoff} / 1000) : Mojo::Promise->resolve;
    return $rest->then(sub { $self->_deliver_p($item, $how) })->then(
        sub ($delivery) {
            push @$deliveries, $delivery;
            $self->_keep($delivery);
            my $attempt = $item->{attempt} + 1;
            my $again   = ($delivery->{status} // 0) !~ /\A2/ && $attempt <= $how->{attempts};
            if   ($again) { push @$queue, {%$item, attempt => $attempt} }
            else          { $self->pending($self->pending - 1) }
            return $self->_work_p($queue, $how, $deliveries);
        }
    );
}

sub _deliver_p ($self, $item, $how) {
    my ($event, $start) = ($item->{event}, time);
    my $delivery = {event => $event->{id}, type => $event->{type}, attempt => $item->{attempt}, time => $start};
    my %headers  = (
        'Accept'           => '*/*; q=0.5, application/xml',
        'Cache-Control'    => 'no-cache',
        'Content-Type'     => 'application/json; charset=utf-8',
        'Stripe-Signature' => signature_header($event->{payload}, $how->{secrets}, int($start) + $how->{skew}),
        'User-Agent'       => AGENT,
    );
    my $tx = $self->ua->build_tx(POST => $how->{url}, \%headers, $event->{payload});
    $self->ua->inactivity_timeout($how->{timeout} / 1000)->request_timeout($how->{timeout} / 1000);
    return $self->ua->start_p($tx)->then(
        sub ($tx) { @$delivery{qw(status body)} = ($tx->res->code, substr $tx->res->text, 0, BODY_KEPT) },
        sub ($error) { $delivery->{error} = "$error" }
    )->then(sub { $delivery->{ms} = int 1000 * (time - $start); return $delivery });
}

sub _keep ($self, $delivery) {
    my $deliveries = $self->deliveries;
    push @$deliveries, $delivery;
    shift @$deliveries while @$deliveries > KEPT;
}

1;
