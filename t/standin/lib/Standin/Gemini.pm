# SPDX-License-Identifier: Apache-2.0
# The stand-in for Gemini's API: routes, credentials, and the control API of the tests.
package Standin::Gemini;
use Mojo::Base 'Standin', -signatures;

use List::Util   qw(any);
use Mojo::JSON   qw(decode_json);
use Scalar::Util qw(blessed);

use Standin::Gemini::Answer     qw(count_prompt prompt_text);
use Standin::Gemini::Directives ();
use Standin::Gemini::Error      ();
use Standin::Gemini::JSON       qw(pretty_json);
use Standin::Gemini::Models     qw(find_model list_models model_resource);
use Standin::Gemini::Rules      qw(check_request);
use Standin::Gemini::Schema     qw(read_message);
use Standin::Gemini::Script     qw(answer_script error_script);
use Standin::Player             ();

use constant {PAGE_SIZE => 50, RETRY_DELAY => '1s'};

has directives => sub { Standin::Gemini::Directives->new };
has facts      => sub { [qw(call key model)] };

# What can follow the colon in POST /v1beta/models/{model}:{method}.
my %METHOD = (
    countTokens           => \&_count_tokens,
    generateContent       => sub ($c, $model) { _generate($c, $model, 'unary') },
    streamGenerateContent => sub ($c, $model) { _generate($c, $model, _is_sse($c) ? 'sse' : 'array') },
);

# Keys with a fate of their own; any other is good.
my %FATE = ('bad-key' => 'api_key', 'expired-key' => 'expired', 'leaked-key' => 'leaked');

sub startup ($self) {
    $self->SUPER::startup;
    $self->hook(before_dispatch => sub ($c) { $c->res->headers->server('scaffolding on HTTPServer2') });

    my ($r, $control) = ($self->routes, $self->control);
    $control->get('/' => \&_show_control);
    $control->put('/' => sub ($c) { _answer($c, \&_set_control) });
    $control->delete('/' => \&_reset_control);

    my $api = $r->under('/v1beta' => \&_enter);
    $api->get('/models'        => sub ($c) { _answer($c, \&_list_models) });
    $api->get('/models/#model' => sub ($c) { _answer($c, \&_get_model) });
    $api->post('/models/#call' => sub ($c) { _answer($c, \&_call) });

    $r->any('/*rest' => {rest => ''} => sub ($c) { _not_found($c) });
}

# Every request to the API comes through here: it is recorded, and its credentials are looked at.
sub _enter ($c) {
    $c->app->record($c);
    return !!_answer($c, \&_authenticate);
}

sub _authenticate ($c) {
    my $headers = $c->req->headers;
    my $key     = $headers->header('X-Goog-Api-Key') // $c->req->query_params->param('key');
    my @given   = grep { defined } $headers->header('X-Goog-Api-Key'), $headers->authorization,
        $c->req->query_params->param('key');
    _throw('many')   if @given > 1;
    _throw('bearer') if $headers->authorization;
    _throw('no_key') if ($key // '') eq '';
    $c->app->ledger->describe($c->stash->{record}, key => $key);
    _throw($FATE{$key}) if $FATE{$key};
    return 1;
}

sub _throw ($reason) { Standin::Gemini::Error->by_reason($reason)->throw }

# The one place where an error becomes an answer. Returns what the handler returned, or nothing after an error.
sub _answer ($c, $handler) {
    my $result = eval { $handler->($c) };
    return $result unless my $error = $@;
    if (!blessed $error || !$error->isa('Standin::Gemini::Error')) {
        $c->app->log->error($error);
        die $error;
    }
    _play($c, error_script($error, _mode($c)));
    return;
}

sub _play ($c, $steps) {
    my $headers = $c->res->headers;
    $headers->add(Vary => $_) for qw(Origin X-Origin Referer);
    $headers->header('X-Content-Type-Options' => 'nosniff');
    Standin::Player->play($c, $c->stash->{record} // {}, $steps);
}

sub _is_sse ($c) { ($c->param('alt') // '') eq 'sse' }

# What form an error takes, also before it is known what was called.
sub _mode ($c) {
    return 'unary' unless $c->req->url->path =~ /:streamGenerateContent\z/;
    return _is_sse($c) ? 'sse' : 'array';
}

sub _list_models ($c) {
    my @models = list_models();
    my $size   = $c->param('pageSize') || PAGE_SIZE;
    my $from   = ($c->param('pageToken') // '') =~ /\Afrom-(\d+)\z/ ? $1 : 0;
    my $to     = $from + $size;
    my $page   = {models => [map { model_resource($_) } grep { defined } @models[$from .. $to - 1]]};
    $page->{nextPageToken} = "from-$to" if $to < @models;
    _render($c, $page);
}

sub _get_model ($c) { _render($c, model_resource(_model($c, $c->param('model'), 'getModel'))) }

sub _render ($c, $tree) {
    $c->stash->{record}{outcome} = 'done';
    $c->render(data => pretty_json($tree), format => 'json');
}

sub _call ($c) {
    my ($name, $method) = $c->param('call') =~ /\A(.+):(\w+)\z/;
    my $handler = $METHOD{$method // ''} or return _not_found($c);
    $c->app->ledger->describe($c->stash->{record}, model => $name, call => $method);
    $handler->($c, $name);
}

sub _count_tokens ($c, $name) {
    my $request = read_message(CountTokensRequest => $c->req->body);
    _model($c, $name, 'countTokens');
    my $count = count_prompt($request->{generate_content_request} // $request);
    _render($c, {totalTokens => $count, promptTokensDetails => [{modality => 'TEXT', tokenCount => $count}]});
}

# Google reads the whole message before it looks at the model, and at the values only after that.
sub _generate ($c, $name, $mode) {
    my $request = read_message(GenerateContentRequest => $c->req->body);
    my $model   = _model($c, $name, $c->stash->{record}{call});
    check_request($request, $model);

    my $record = $c->stash->{record};
    my ($force, $try) = $c->app->directives->in_force(prompt_text($request), $name, $record->{key});
    $record->{try} = $try;
    if (my $error = _told_error($force, $name, $record->{call})) {
        return _play($c, error_script($error, $mode, $force));
    }
    my $answer = Standin::Gemini::Answer->new(request => $request, model => $model, force => $force);
    _play($c, answer_script($answer, $mode));
}

sub _model ($c, $name, $method) {
    my $model   = find_model($name);
    my @methods = $model ? ('getModel', @{model_resource($model)->{supportedGenerationMethods}}) : ();
    return $model if any { $_ eq $method || "stream\u$_" eq $method } @methods;
    Standin::Gemini::Error->model_not_found($name, $method)->throw;
}

# The error that directives ask for, if any.
sub _told_error ($force, $model, $method) {
    my $class = 'Standin::Gemini::Error';
    return $class->by_reason($force->{error}) if $force->{error};
    my $status = $force->{quota} ? 429 : $force->{status} or return undef;
    return $class->model_not_found($model, $method) if $status == 404;
    if ($status == 429) {
        my $quota = $force->{quota} // 'minute';
        return $class->quota($quota, $model, $force->{retry} // ($quota eq 'none' ? 'none' : RETRY_DELAY),
            $force->{hint});
    }
    return $class->by_code($status)->retry($force->{retry} // 'none', $force->{hint});
}

sub _show_control ($c) {
    my $control = $c->app->directives->control;
    $c->render(json => {%{$control->{all}}, models => $control->{models}, keys => $control->{keys}});
}

sub _set_control ($c) {
    my $tree = eval { decode_json($c->req->body) };
    Standin::Gemini::Error->by_code(400, "stand-in: $@")->throw if $@;
    _done($c, $c->app->directives->set_control($tree));
}

sub _reset_control ($c) { _done($c, $c->app->directives->reset) }

sub _done ($c, $changed) { $c->rendered(204) }

sub _not_found ($c) {
    my $path = $c->req->url->path;
    $c->stash->{record}{outcome} = 'done' if $c->stash->{record};
    $c->render(
        data =>
            Standin::Gemini::Error::html_page(404, "The requested URL $path was not found on this server."),
        format => 'html',
        status => 404
    );
}

1;
