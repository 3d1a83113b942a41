# SPDX-License-Identifier: Apache-2.0
# What an account at Stripe holds: its objects, and the events that tell how they came to be as they are.
package Standin::Stripe::Account;
use Mojo::Base -base, -signatures;

use Mojo::JSON qw(false true);

use Standin::Stripe::Error;
use Standin::Stripe::JSON    qw(stripe_json);
use Standin::Stripe::Objects qw(event);
use Standin::Stripe::Version qw(shaped version_of);

# What errors call an object, where that is not its type.
my %CALLED = ('checkout.session' => 'checkout.session', 'billing_portal.session' => 'billing portal session');

# Objects by id, and by type in the order in which they came.
has [qw(objects types)] => sub { {} };

# Events by id and in their order: {id, type, created, livemode, payload, tree}, the payload being their bytes.
has event_by_id => sub { {} };
has events      => sub { [] };

# Those that nobody has taken yet.
has fresh => sub { [] };

# As the control API sets it: the version that events have, and the mode that they claim, if not their object's.
has version => sub { version_of('dahlia') };
has claim   => undef;

# The API request that is being answered, {id, idempotency_key}, for the events that it causes.
has request => undef;

# Whether webhooks are to be sent, for the events' count of those that are pending.
has pending => 0;

sub add ($self, $object) {
    push @{$self->types->{$object->{object}}}, $object;
    return $self->objects->{$object->{id}} = $object;
}

sub find ($self, $id) { $self->objects->{$id // ''} }

# All of one type, the newest first.
sub all ($self, $type) { reverse @{$self->types->{$type} // []} }

# The object of that type and mode. Throws what Stripe says when there is none, for the parameter that names it, `id`
# being the path.
sub need ($self, $type, $id, $livemode, $param = 'id') {
    my $object = $self->find($id);
    my $there  = $object && $object->{object} eq $type && ($param eq 'id' || !$object->{deleted});
    return $object if $there && !$object->{livemode} == !$livemode;
    my ($has, $key) = $livemode ? ('test', 'a live') : ('live', 'a test');
    my $hint = $there ? "; a similar object exists in $has mode, but $key mode key was used to make this request." : '';
    Standin::Stripe::Error->no_such($CALLED{$type} // $type, $id, $param, $hint)->throw;
}

# Notes down that something has happened to an object, which may have been another one before.
sub tell ($self, $type, $object, $before = undef) {
    my $now   = shaped($object, $self->version);
    my $claim = $self->claim // $object->{livemode};
    $now->{livemode} = $claim if exists $now->{livemode};
    my $tree = event(
        type     => $type,
        object   => $now,
        previous => $before && _previous(shaped($before, $self->version), $now),
        version  => $self->version,
        livemode => $claim ? true : false,
        request  => $self->request,
        pending  => $self->pending,
    );
    return $self->note($tree);
}

# Notes down an event as it is; one that is not listed can be sent, but not asked for.
sub note ($self, $tree, $listed = 1) {
    my $event = {map { ($_ => $tree->{$_}) } qw(id type created livemode)};
    @$event{qw(tree payload)} = ($tree, stripe_json($tree));
    push @{$self->fresh},  $event;
    push @{$self->events}, $event if $listed;
    return $self->event_by_id->{$event->{id}} = $event;
}

sub take_fresh ($self) {
    my $fresh = $self->fresh;
    $self->fresh([]);
    return @$fresh;
}

# The members that have changed, as they were.
sub _previous ($before, $now) {
    my @changed = grep { stripe_json([$before->{$_}]) ne stripe_json([$now->{$_}]) } keys %$before;
    return {map { ($_ => $before->{$_}) } grep { $_ ne 'livemode' } @changed};
}

1;
