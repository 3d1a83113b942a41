# SPDX-License-Identifier: Apache-2.0
# The stand-in for Stripe's API: routes, credentials, versions, idempotency, and the control API of the tests.
package Standin::Stripe;
use Mojo::Base 'Standin', -signatures;

use Mojo::JSON   qw(decode_json false true);
use Mojo::Util   qw(b64_decode decode);
use POSIX        qw(strftime);
use Scalar::Util qw(blessed);

use Standin::Player             ();
use Standin::Stripe::Account    ();
use Standin::Stripe::Billing    ();
use Standin::Stripe::Calls      ();
use Standin::Stripe::Error      ();
use Standin::Stripe::Faults     ();
use Standin::Stripe::JSON       qw(stripe_json);
use Standin::Stripe::Keys       ();
use Standin::Stripe::Objects    qw(new_id);
use Standin::Stripe::Params     qw(form_tree json_tree list_of read_params required BOOLEAN ID TEXT);
use Standin::Stripe::Version    qw(is_version shaped version_names version_of);
use Standin::Stripe::Webhooks   ();

use constant {FORM => 'application/x-www-form-urlencoded', SHOWN_OF_KEY => 4};

has facts    => sub { [qw(call fault key)] };
has account  => sub { Standin::Stripe::Account->new };
has billing  => sub ($self) { Standin::Stripe::Billing->new(account => $self->account) };
has faults   => sub { Standin::Stripe::Faults->new };
has keys     => sub { Standin::Stripe::Keys->new };
has webhooks => sub { Standin::Stripe::Webhooks->new };
has settings => sub { {} };

# Keys with a fate of their own; any other of the form is good.
my %FATE = (
    sk_test_wrong     => sub ($shown) { Standin::Stripe::Error->wrong_key($shown) },
    sk_test_expired   => sub ($shown) { Standin::Stripe::Error->expired_key($shown) },
    sk_test_forbidden => sub ($shown) { Standin::Stripe::Error->by_status(403) },
);

# What PUT /control and POST /control/events take.
my %SETTING = (
    shape    => TEXT,
    events   => list_of(TEXT),
    livemode => BOOLEAN,
    webhook  => Standin::Stripe::Webhooks->settings,
);
my %EVENT    = (type => required(TEXT), object => ID, thin => BOOLEAN);
my %DELIVERY = (%{Standin::Stripe::Webhooks->how}, events => required(list_of(ID, 10_000)));

sub startup ($self) {
    $self->SUPER::startup;
    $self->hook(before_dispatch => sub ($c) { $c->res->headers->server('nginx') });

    my %control = (
        'GET /'                      => \&_show_settings,
        'PUT /'                      => \&_set,
        'DELETE /'                   => \&_forget_all,
        'GET /faults'                => sub ($c) { $c->render(json => $c->app->faults->queue) },
        'POST /faults'               => \&_add_faults,
        'DELETE /faults'             => sub ($c) { _done($c, $c->app->faults->queue([])) },
        'GET /deliveries'            => \&_show_deliveries,
        'DELETE /deliveries'         => sub ($c) { _done($c, $c->app->webhooks->deliveries([])) },
        'POST /deliver'              => \&_deliver,
        'POST /events'               => \&_make_event,
        'POST /objects/#id/#what'    => \&_act,
    );
    for my $route (sort keys %control) {
        my ($method, $path) = split / /, $route;
        my $handler = $control{$route};
        $self->control->any([$method] => $path => sub ($c) { _guard($c, $handler) });
    }
    for my $name (Standin::Stripe::Calls->names) {
        my ($method, $path) = Standin::Stripe::Calls->route($name);
        $self->routes->any([$method] => "/v1$path" => sub ($c) { _handle($c, $name) });
    }
    $self->routes->any('/v1/*rest' => sub ($c) { _handle($c, undef) });
    $self->routes->any('/*rest' => {rest => ''} => sub ($c) { _guard($c, \&_unrecognized) });
}

# ---------------------------------------------------------------- requests ----
# Every request to the API comes through here; those that no call is for have no name.
sub _handle ($c, $name) {
    my $app    = $c->app;
    my $record = $app->record($c);
    my $key    = _key($c);
    $c->stash->{request_id} = $record->{request_id} = new_id('request');
    $record->{headers}{authorization} = 'Bearer ' . _shown($key) if defined $key;
    $record->{params} = eval { form_tree(_form($c)) } // {};
    $app->ledger->describe($record, call => $name) if $name;
    _guard($c, sub ($c) { _serve($c, $name, $key) });
}

sub _serve ($c, $name, $key) {
    my ($app, $req) = ($c->app, $c->req);
    return if _strikes($c, $app->faults->take($req->method, $req->url->path->to_string));

    _authenticate($c, $key);
    my $version = _version($c);
    _unrecognized($c) unless $name;
    _throw('not_a_form')
        if $req->method eq 'POST' && length $req->body && ($req->headers->content_type // '') !~ /\A\Q@{[FORM]}\E\b/;
    return if _is_replayed($c);
    my $params = Standin::Stripe::Calls->read($name, form_tree(_form($c)));
    my @answer = _run($c, $name, $params, $version);
    _keep($c, @answer);
    my $fault = $c->stash->{fault};
    Standin::Stripe::Faults->error($fault)->throw if $fault && $fault->{status};
    _reply($c, @answer);
}

# What a fault does that comes before anything else; true if that is all.
sub _strikes ($c, $fault) {
    return 0 unless $fault;
    $c->stash->{fault} = $fault;
    $c->app->ledger->describe($c->stash->{record}, fault => Standin::Stripe::Faults->name($fault));
    return 0 if Standin::Stripe::Faults->comes_after($fault);
    if (!$fault->{status}) {
        _reply($c, 200, '');
        return 1;
    }
    my $error = Standin::Stripe::Faults->error($fault);
    _keep($c, $error->status, _error_body($c, $error)) if $fault->{sticky};
    $error->throw;
}

# The parameters as they came: of the query, and of the body.
sub _form ($c) {
    my $req = $c->req;
    return join '&', grep { length } $req->url->query->to_string, $req->method eq 'GET' ? '' : $req->body;
}

# The key of the request, as a bearer token or as the user of HTTP Basic.
sub _key ($c) {
    my ($scheme, $value) = ($c->req->headers->authorization // '') =~ /\A(\w+) +(\S+)\z/ or return undef;
    return $value if lc $scheme eq 'bearer';
    return b64_decode($value) =~ s/:.*\z//sr if lc $scheme eq 'basic';
    return undef;
}

# A key as Stripe shows it: what it is for, and its last four characters.
sub _shown ($key) {
    my ($prefix, $secret) = $key =~ /\A((?:[a-z]+_(?:test|live)_)?)(.*)\z/s;
    my $last = length $secret >= 2 * SHOWN_OF_KEY ? substr $secret, -SHOWN_OF_KEY : '';
    return $prefix . '*' x (length($secret) - length $last) . $last;
}

sub _is_live ($c) { (_key($c) // '') =~ /_live_/ ? true : false }

sub _authenticate ($c, $key) {
    _throw('no_key') unless length($key // '');
    my $shown = _shown($key);
    $c->app->ledger->describe($c->stash->{record}, key => $shown);
    _throw('publishable_key') if $key =~ /\Apk_/;
    $FATE{$key}->($shown)->throw if $FATE{$key};
    _throw(wrong_key => $shown) if $key !~ /\A[sr]k_(?:test|live)_\w+\z/;
}

sub _version ($c) {
    my $version = $c->req->headers->header('Stripe-Version');
    _throw(wrong_version => $version) unless is_version($version // '');
    $c->res->headers->header('Stripe-Version' => $version);
    return $version;
}

sub _unrecognized ($c) { _throw(unrecognized_url => $c->req->method, $c->req->url->path) }

sub _throw ($what, @about) { Standin::Stripe::Error->$what(@about)->throw }

# (status, body) of the call, errors too; what has happened by it is sent as webhooks.
sub _run ($c, $name, $params, $version) {
    my ($app, $account) = ($c->app, $c->app->account);
    my $calls = Standin::Stripe::Calls->new(account => $account, billing => $app->billing, livemode => _is_live($c));
    $account->request({id => $c->stash->{request_id}, idempotency_key => _idempotency_key($c)});
    my $tree  = eval { $calls->run($name, $c->stash->{id}, $params) };
    my $error = $@;
    $account->request(undef);
    $app->_send([$app->_wanted($account->take_fresh)]);
    return (200, stripe_json($name =~ /\Aevents\./ ? $tree : shaped($tree, $version))) unless $error;
    die $error unless blessed $error && $error->isa('Standin::Stripe::Error');
    return ($error->status, _error_body($c, $error));
}

# ------------------------------------------------------------- idempotency ----
sub _idempotency_key ($c) { $c->req->method eq 'POST' ? $c->req->headers->header('Idempotency-Key') : undef }

# What tells whether two requests with the same key are the same.
sub _identity ($c) {
    return (path => $c->req->url->path->to_string, form => join '&', sort split /&/, _form($c));
}

# Answers a request that is the repetition of one; false if it is not.
sub _is_replayed ($c) {
    my $key = _idempotency_key($c) // return 0;
    $c->res->headers->header('Idempotency-Key' => $key);
    my $first = $c->app->keys->first(_is_live($c), $key, _identity($c)) or return 0;
    $c->stash->{record}{replayed} = true;
    $c->res->headers->header('Idempotent-Replayed' => 'true');
    $c->res->headers->header('Original-Request'    => $first->{request_id});
    _reply($c, $first->{status}, $first->{body});
    return 1;
}

# Keeps an answer under the request's key, which is in use for as long as a fault holds the answer back.
sub _keep ($c, $status, $body) {
    my $key   = _idempotency_key($c) // return;
    my %reply = (status => $status, body => $body, request_id => $c->stash->{request_id});
    my $kept  = $c->app->keys->keep(_is_live($c), $key, _identity($c), %reply);
    return unless $c->stash->{fault};
    $kept->{busy} = 1;
    $c->tx->on(finish => sub ($tx) { $kept->{busy} = 0 });
}

# ----------------------------------------------------------------- answers ----
# The one place where an error becomes an answer.
sub _guard ($c, $handler) {
    return if eval { $handler->($c); 1 };
    my $error = $@;
    if (!blessed $error || !$error->isa('Standin::Stripe::Error')) {
        $c->app->log->error($error);
        die $error;
    }
    my $headers = $error->headers;
    $c->res->headers->header($_ => $headers->{$_}) for keys %$headers;
    _reply($c, $error->status, _error_body($c, $error));
}

sub _error_body ($c, $error) { stripe_json($error->tree($c->stash->{request_id})) }

sub _reply ($c, $status, $body) {
    my ($headers, $id) = ($c->res->headers, $c->stash->{request_id});
    $headers->header('Request-Id'    => $id) if $id;
    $headers->header('Cache-Control' => 'no-cache, no-store');
    if (my $fault = $c->stash->{fault}) {
        return Standin::Player->play($c, $c->stash->{record}, Standin::Stripe::Faults->script($fault, $status, $body));
    }
    $c->stash->{record}{outcome} = 'done' if $c->stash->{record};
    $headers->content_type('application/json');
    $c->render(data => $body, status => $status);
}

# ----------------------------------------------------------------- control ----
sub _body ($c) {
    return {} unless length $c->req->body;
    my $tree = eval { decode_json($c->req->body) };
    _throw(invalid => undef, "stand-in: $@") if $@;
    _throw(invalid => undef, 'stand-in: a JSON object is what it takes') if ref $tree !~ /\A(?:HASH|ARRAY)\z/;
    return $tree;
}

sub _done ($c, $changed) { $c->rendered(204) }

sub _show_settings ($c) { $c->render(json => $c->app->settings) }

sub _set ($c) {
    my ($app, $given) = ($c->app, read_params(json_tree(_body($c)), \%SETTING));
    my $version = version_of($given->{shape} // 'dahlia')
        // _throw(invalid => shape => 'stand-in: a version is ' . join(', ', version_names) . ', or one in full.');
    $app->settings($given)->account->version($version)->claim($given->{livemode})->pending($given->{webhook} ? 1 : 0);
    _done($c, $app);
}

sub _forget_all ($c) {
    my $app = $c->app;
    delete @$app{qw(account billing faults keys webhooks settings)};
    _done($c, $app);
}

sub _add_faults ($c) {
    my $tree = _body($c);
    _done($c, $c->app->faults->add(map { json_tree($_) } ref $tree eq 'ARRAY' ? @$tree : $tree));
}

sub _show_deliveries ($c) {
    my $webhooks = $c->app->webhooks;
    $c->render(json => {pending => $webhooks->pending, deliveries => $webhooks->deliveries});
}

# Does what a customer, a bank or time would do, and tells which events Stripe sends for it.
sub _act ($c) {
    my $app = $c->app;
    my $ids = $app->billing->act($c->stash->{id}, $c->stash->{what}, json_tree(_body($c)));
    _tell_events($c, %$ids);
}

# An event that nothing has caused: of an object, or with data of any kind; or a thin one, which has none.
sub _make_event ($c) {
    my ($app, $tree) = ($c->app, _body($c));
    my $data   = delete $tree->{data};
    my $given  = read_params(json_tree($tree), \%EVENT);
    my $object = $data // (defined $given->{object} ? $app->account->find($given->{object}) : {});
    _throw(no_such => object => $given->{object}, 'object') unless $object;
    if   ($given->{thin}) { $app->account->note(_thin_event($given->{type}, $object), 0) }
    else                  { $app->account->tell($given->{type}, $object) }
    _tell_events($c);
}

sub _thin_event ($type, $object) {
    my ($id, $kind) = @$object{qw(id object)};
    return {
        id             => 'evt_test_' . substr(new_id('event'), 5),
        object         => 'v2.core.event',
        context        => undef,
        created        => strftime('%Y-%m-%dT%H:%M:%S.000Z', gmtime),
        livemode       => false,
        reason         => undef,
        related_object => $id && {id => $id, type => $kind, url => "/v1/${kind}s/$id"},
        type           => $type,
    };
}

# Sends events that are there already, in whatever way.
sub _deliver ($c) {
    my $app   = $c->app;
    my $given = read_params(json_tree(_body($c)), \%DELIVERY);
    my $set   = $app->settings->{webhook} // _throw(conflict => 'no webhook is set');
    my $known  = $app->account->event_by_id;
    my @events = map { $known->{$_} // _throw(no_such => event => $_, 'events') } @{delete $given->{events}};
    my $tx     = $c->render_later->tx;
    $app->webhooks->send_p(\@events, {%$set, %$given})->then(sub ($deliveries) {
        $c->render(json => {deliveries => $deliveries});
        undef $tx;
    });
}

# Answers with the events that have come about, once they are delivered where that is wanted.
sub _tell_events ($c, %more) {
    my $app    = $c->app;
    my @events = $app->_wanted($app->account->take_fresh);
    my @shown  = map { {id => $_->{id}, type => $_->{type}, payload => decode('UTF-8', $_->{payload})} } @events;
    my %answer = (%more, events => \@shown);
    my $sent   = $app->_send(\@events);
    return $c->render(json => \%answer) if !$sent || !($app->settings->{webhook}{wait} // 1);
    my $tx = $c->render_later->tx;
    $sent->then(sub ($deliveries) {
        $c->render(json => {%answer, deliveries => $deliveries});
        undef $tx;
    });
}

# Of these events, those of types that the webhook is for.
sub _wanted ($self, @events) {
    my $types = $self->settings->{events} or return @events;
    my %is = map { ($_ => 1) } @$types;
    return grep { $is{$_->{type}} } @events;
}

# Delivers them, if webhooks are set and not held back; returns a promise then.
sub _send ($self, $events) {
    my $set = $self->settings->{webhook} or return undef;
    return undef if $set->{hold} || !@$events;
    return $self->webhooks->send_p($events, $set);
}

1;
