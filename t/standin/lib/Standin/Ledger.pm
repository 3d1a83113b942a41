# SPDX-License-Identifier: Apache-2.0
# What was asked and how it went: counters, and the last requests in a ring of bounded size.
package Standin::Ledger;
use Mojo::Base -base, -signatures;

use Mojo::IOLoop;
use Mojo::Util  qw(decode);
use Time::HiRes qw(time);

use constant {
    MAX_RECORDS => 1000,
    MAX_BYTES   => 32 * 1024 * 1024,    # of all bodies kept
    MAX_NAMES   => 1000,                # different models, keys and the like that are counted apart
};

has [qw(in_flight peak_in_flight requests open opened peak_open)] => 0;
has [qw(connections counts)]                                      => sub { {} };
has records                                                       => sub { [] };

# Which of the facts that requests are described by are counted.
has facts => sub { [] };

# A request has come: starts its record.
sub begin ($self, $tx) {
    my $req    = $tx->req;
    my $body   = $req->body;
    my $record = {
        id      => ++$self->{last_id},
        time    => time,
        method  => $req->method,
        path    => $req->url->path->to_string,
        query   => $req->url->query->to_string,
        headers => {map { (lc $_ => $req->headers->header($_)) } @{$req->headers->names}},
        body    => decode('UTF-8', $body) // $body,
        writes  => 0,
        bytes   => 0,
    };
    $self->_keep($record);
    $self->requests($self->requests + 1);
    $self->_raise(in_flight => 'peak_in_flight');
    $self->_connection($tx->connection);
    return $record;
}

# What the path and the headers said; counted once it is known.
sub describe ($self, $record, %facts) {
    @$record{keys %facts} = values %facts;
    for my $fact (grep { exists $facts{$_} } @{$self->facts}) { $self->_count($fact, $facts{$fact}) }
}

# The transaction is over. An outcome that nobody set means that the client left first.
sub end ($self, $record, $status) {
    $record->{outcome} //= 'gone';
    $record->{status} = $status;
    $record->{ms}     = int 1000 * (time - $record->{time});
    $self->in_flight($self->in_flight - 1);
    $self->_count(status  => $status // 'none');
    $self->_count(outcome => $record->{outcome});
}

sub stats ($self) {
    return {
        requests       => $self->requests,
        kept           => scalar @{$self->records},
        in_flight      => $self->in_flight,
        peak_in_flight => $self->peak_in_flight,
        connections    => {open => $self->open, opened => $self->opened, peak => $self->peak_open},
        map { ($_ => $self->counts->{$_} // {}) } @{$self->facts}, qw(outcome status),
    };
}

# Counters back to zero; what is still going on stays counted.
sub clear_stats ($self) {
    $self->counts({})->requests(0)->opened(0)->peak_in_flight($self->in_flight)->peak_open($self->open);
}

sub last_records ($self, $count) {
    my @records = @{$self->records};
    return @records > $count ? [@records[-$count .. -1]] : \@records;
}

sub clear_records ($self) {
    $self->records([]);
    $self->{bytes_kept} = 0;
}

sub _keep ($self, $record) {
    my $records = $self->records;
    push @$records, $record;
    $self->{bytes_kept} += length $record->{body};
    while (@$records > MAX_RECORDS || $self->{bytes_kept} > MAX_BYTES && @$records > 1) {
        $self->{bytes_kept} -= length shift(@$records)->{body};
    }
}

# Connections are those that brought a request to the API: the control client's do not count.
sub _connection ($self, $id) {
    return if $self->connections->{$id}++;
    $self->opened($self->opened + 1);
    $self->_raise(open => 'peak_open');
    Mojo::IOLoop->stream($id)->on(
        close => sub {
            delete $self->connections->{$id};
            $self->open($self->open - 1);
        }
    );
}

sub _raise ($self, $now, $peak) {
    $self->$now($self->$now + 1);
    $self->$peak($self->$now) if $self->$now > $self->$peak;
}

sub _count ($self, $fact, $name) {
    my $counters = $self->counts->{$fact} //= {};
    $name = '(others)' if !exists $counters->{$name} && keys %$counters >= MAX_NAMES;
    $counters->{$name}++;
}

1;
