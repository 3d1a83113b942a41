# SPDX-License-Identifier: Apache-2.0
# The stand-in for three SMS gateways, Twilio Messages, Twilio Verify and a receiver of Standard Webhooks: routes,
# credentials, and the control API of the tests.
package Standin::Sms;
use Mojo::Base 'Standin', -signatures;

use Mojo::JSON qw(decode_json encode_json true);
use Mojo::JSON::Pointer;
use Mojo::Util   qw(b64_decode);
use Scalar::Util qw(blessed);

use Standin::Player        ();
use Standin::Sms::Account  qw(ACCOUNT VERIFY_SERVICE WEBHOOK_SECRET is_known new_sid);
use Standin::Sms::Error    ();
use Standin::Sms::Faults   ();
use Standin::Sms::Given    qw(read_given INTEGER POINTER TEXT);
use Standin::Sms::Messages ();
use Standin::Sms::Outbox   ();
use Standin::Sms::Receiver ();
use Standin::Sms::Verify   ();

use constant FORM => 'application/x-www-form-urlencoded';

has facts    => sub { [qw(call fault key)] };
has faults   => sub { Standin::Sms::Faults->new };
has outbox   => sub { Standin::Sms::Outbox->new };
has receiver => sub { Standin::Sms::Receiver->new };
has settings => sub { {} };
has verify   => sub { Standin::Sms::Verify->new };

# The calls, by Twilio's client's names for them: what answers them with (status, tree).
my %CALL = (
    'messages.create'           => ['/2010-04-01/Accounts/#owner/Messages.json', ACCOUNT, \&_send_message],
    'verifications.create'      => ['/v2/Services/#owner/Verifications', VERIFY_SERVICE, \&_start_verification],
    'verificationChecks.create' => ['/v2/Services/#owner/VerificationCheck', VERIFY_SERVICE, \&_check_verification],
    'hook'                      => ['/hook', undef, \&_take_hook],
);

# What PUT /control takes.
my %SETTING = (
    lifetime => INTEGER,
    hook     => {secrets => [TEXT], tolerance => INTEGER, to => POINTER, text => POINTER},
);

sub startup ($self) {
    $self->SUPER::startup;
    my %control = (
        'GET /'                          => sub ($c) { $c->render(json => $c->app->settings) },
        'PUT /'                          => \&_set,
        'DELETE /'                       => \&_forget_all,
        'GET /faults'                    => sub ($c) { $c->render(json => $c->app->faults->queue) },
        'POST /faults'                   => \&_add_faults,
        'DELETE /faults'                 => sub ($c) { _done($c, $c->app->faults->queue([])) },
        'GET /outbox'                    => sub ($c) { $c->render(json => $c->app->outbox->of) },
        'GET /outbox/#to'                => sub ($c) { $c->render(json => $c->app->outbox->of($c->stash->{to})) },
        'DELETE /outbox'                 => sub ($c) { _done($c, $c->app->outbox->messages([])) },
        'GET /verifications'             => sub ($c) { $c->render(json => $c->app->verify->all) },
        'POST /verifications/#to/expire' => \&_expire,
    );
    for my $route (sort keys %control) {
        my ($method, $path) = split / /, $route;
        my $handler = $control{$route};
        $self->control->any([$method] => $path => sub ($c) { _guard($c, $handler) });
    }
    for my $name (sort keys %CALL) {
        $self->routes->post($CALL{$name}[0] => sub ($c) { _handle($c, $name) });
    }
    $self->routes->any('/*rest' => {rest => ''} => sub ($c) { _handle($c, undef) });
}

# ---------------------------------------------------------------- requests ----
# Every request but those to the control API comes through here; those that no call is for have no name.
sub _handle ($c, $name) {
    my ($app, $headers) = ($c->app, $c->req->headers);
    my $record = $app->record($c);
    my ($user, $password) = _credentials($headers->authorization);
    $record->{request_id} = new_sid('RQ');
    $record->{headers}{authorization} = "Basic $user:***" if defined $user;
    $record->{params} = _params($c);
    $app->ledger->describe($record, call => $name) if $name;
    $app->ledger->describe($record, key => $user) if defined $user;
    $c->res->headers->header('Twilio-Request-Id' => $record->{request_id});
    _guard($c, sub ($c) { _serve($c, $name, $user // '', $password // '') });
}

sub _serve ($c, $name, $user, $password) {
    my ($app, $req) = ($c->app, $c->req);
    return if _strikes($c, $app->faults->take($req->method, $req->url->path->to_string));

    _throw(20404, $req->url->path) unless $name;
    my (undef, $owner, $run) = @{$CALL{$name}};
    if (defined $owner) {
        _throw(20003) unless is_known($user, $password);
        _throw(20404, $req->url->path) if $c->stash->{owner} ne $owner;
    }
    my ($status, $tree) = $run->($c, $c->stash->{record}{params});
    my $fault = $c->stash->{fault};
    Standin::Sms::Faults->error($fault)->throw if $fault && $fault->{status};
    _reply($c, $status, $tree);
}

# What a fault does that comes before anything else; true if that is all.
sub _strikes ($c, $fault) {
    return 0 unless $fault;
    $c->stash->{fault} = $fault;
    $c->app->ledger->describe($c->stash->{record}, fault => Standin::Sms::Faults->name($fault));
    return 0 if Standin::Sms::Faults->comes_after($fault);
    Standin::Sms::Faults->error($fault)->throw if $fault->{status};
    _reply($c, 200, {});
    return 1;
}

# User and password of HTTP Basic; nothing if there are none.
sub _credentials ($authorization) {
    my ($basic) = ($authorization // '') =~ /\ABasic +(\S+)\z/i or return;
    return split /:/, b64_decode($basic), 2;
}

# The parameters of a form, the last one of each name.
sub _params ($c) {
    my $req = $c->req;
    return {} if ($req->headers->content_type // '') !~ /\A\Q@{[FORM]}\E\b/i;
    my $params = Mojo::Parameters->new($req->body);
    return {map { ($_ => $params->param($_)) } @{$params->names}};
}

sub _throw ($code, @about) { Standin::Sms::Error->by_code($code, @about)->throw }

# ------------------------------------------------------------------- calls ----
sub _send_message ($c, $given) {
    my $message = Standin::Sms::Messages->create($given);
    my $failed  = ($c->stash->{fault} // {})->{failed};
    return (201, Standin::Sms::Messages->failed($message, $failed)) if $failed;
    my ($id, $to, $text) = @$message{qw(sid to body)};
    my $from = $message->{from} // $message->{messaging_service_sid};
    $c->app->outbox->add(via => 'messages', id => $id, to => $to, from => $from, text => $text);
    return (201, $message);
}

sub _start_verification ($c, $given) {
    my $verification = $c->app->verify->create($given);
    my ($to, $code, $locale) = @$verification{qw(to code locale)};
    $c->app->outbox->add(
        via    => 'verify',
        id     => $verification->{sid},
        to     => $to,
        from   => VERIFY_SERVICE,
        text   => "Your Gemclone verification code is: $code",
        code   => $code,
        locale => $locale
    );
    return (201, Standin::Sms::Verify->resource($verification));
}

sub _check_verification ($c, $given) {
    my $verification = $c->app->verify->check($given, $c->req->url->path);
    return (200, Standin::Sms::Verify->check_resource($verification));
}

# What is in the body is the sender's affair; where in it the number and the text are is a setting.
sub _take_hook ($c, $given) {
    my ($app, $headers, $body) = ($c->app, $c->req->headers, $c->req->body);
    my $complaint = $app->receiver->complaint($headers, $body);
    return _refuse_hook($c, 401, $complaint) if $complaint;
    my $tree = eval { decode_json($body) };
    return _refuse_hook($c, 400, 'the body is no JSON object') if ref $tree ne 'HASH';
    $c->stash->{record}{json} = $tree;

    my $id = $headers->header('webhook-id');
    if ($app->receiver->is_known($id)) {
        $c->stash->{record}{repeated} = true;
        return (200, {});
    }
    my $at = $app->settings->{hook} // {};
    my ($to, $text) = map { Mojo::JSON::Pointer->new($tree)->get($_) } $at->{to} // '/to', $at->{text} // '/text';
    $app->outbox->add(via => 'hook', id => $id, to => $to, from => undef, text => $text);
    return (200, {});
}

sub _refuse_hook ($c, $status, $why) {
    $c->stash->{record}{refused} = $why;
    return ($status, {error => $why});
}

# ----------------------------------------------------------------- answers ----
# The one place where an error becomes an answer.
sub _guard ($c, $handler) {
    return if eval { $handler->($c); 1 };
    my $error = $@;
    if (!blessed $error || !$error->isa('Standin::Sms::Error')) {
        $c->app->log->error($error);
        die $error;
    }
    my $headers = $error->headers;
    $c->res->headers->header($_ => $headers->{$_}) for keys %$headers;
    $c->res->headers->www_authenticate('Basic realm="Twilio API"') if $error->status == 401;
    _reply($c, $error->status, $error->tree);
}

sub _reply ($c, $status, $tree) {
    my ($fault, $record, $body) = (@{$c->stash}{qw(fault record)}, encode_json($tree));
    return Standin::Player->play($c, $record, Standin::Sms::Faults->script($fault, $status, $body)) if $fault;
    $record->{outcome} = 'done' if $record;
    $c->res->headers->content_type('application/json');
    $c->render(data => $body, status => $status);
}

# ----------------------------------------------------------------- control ----
sub _body ($c) {
    return {} unless length $c->req->body;
    return eval { decode_json($c->req->body) } // Standin::Sms::Error->refused('the body is not JSON')->throw;
}

sub _done ($c, $changed) { $c->rendered(204) }

sub _set ($c) {
    my ($app, $given) = ($c->app, read_given(_body($c), \%SETTING));
    my $hook = $given->{hook} // {};
    $app->settings($given);
    $app->verify->lifetime($given->{lifetime} // Standin::Sms::Verify::LIFETIME);
    $app->receiver->secrets($hook->{secrets} // [WEBHOOK_SECRET]);
    $app->receiver->tolerance($hook->{tolerance} // Standin::Sms::Receiver::TOLERANCE);
    _done($c, $app);
}

sub _forget_all ($c) {
    my $app = $c->app;
    delete @$app{qw(faults outbox receiver settings verify)};
    _done($c, $app);
}

sub _add_faults ($c) {
    my $tree = _body($c);
    _done($c, $c->app->faults->add(ref $tree eq 'ARRAY' ? @$tree : $tree));
}

sub _expire ($c) {
    my $to = $c->stash->{to};
    Standin::Sms::Error->refused("there is no verification of $to")->throw unless $c->app->verify->end($to);
    _done($c, $to);
}

1;
