# SPDX-License-Identifier: Apache-2.0
# What all stand-ins are: a quiet application that keeps a record of what it is asked, and tells of it by its control API.
package Standin;
use Mojo::Base 'Mojolicious', -signatures;

use Standin::Ledger ();

# What is counted of each request to the API, beside its status and its outcome.
has facts   => sub { [] };
has ledger  => sub ($self) { Standin::Ledger->new(facts => $self->facts) };
has control => sub ($self) { $self->routes->any('/control') };

sub startup ($self) {
    $self->mode('production')->log->level('error');
    $self->secrets(['the stand-in sets no cookies']);
    $self->renderer->compress(0);
    $self->exception_format('txt');

    $self->routes->get('/healthz' => sub ($c) { $c->render(json => {status => 'ok'}) });
    my $control = $self->control;
    $control->get('/stats' => sub ($c) { $c->render(json => $c->app->ledger->stats) });
    $control->delete('/stats' => sub ($c) { _done($c, $c->app->ledger->clear_stats) });
    $control->get('/requests' => \&_show_requests);
    $control->delete('/requests' => sub ($c) { _done($c, $c->app->ledger->clear_records) });
}

# Starts the record of a request to the API, which the end of its transaction closes.
sub record ($self, $c) {
    my ($tx, $ledger) = ($c->tx, $self->ledger);
    my $record = $c->stash->{record} = $ledger->begin($tx);
    $tx->on(finish => sub ($tx) { $ledger->end($record, $tx->res->code) });
    return $record;
}

sub _show_requests ($c) {
    $c->render(json => $c->app->ledger->last_records($c->param('last') // 'inf'));
}

sub _done ($c, $changed) { $c->rendered(204) }

1;
