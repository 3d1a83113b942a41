# SPDX-License-Identifier: Apache-2.0
# What became of every prompt that was accepted.
package Gemclone::Chaos::Verdict;
use Mojo::Base -base, -signatures;

use Gemclone::Standin;
use List::Util qw(max sum0);
use Mojo::File qw(path);
use Mojo::JSON qw(decode_json);

# faults: a Gemclone::Chaos::Faults that has run, if any; load_ended: each room's last prompt was accepted
has [qw(faults load_ended)];
has complaints => sub { [] };
has accepted => sub { {} };    # by the prompt's id
has refused => sub { {} };     # how often the load got what instead of 201
has count => sub { return {map { ($_ => 0) } qw(accepted lost doubled wrong disordered done failed poison refunded jobs)} };
has waited => 0;               # the longest from a prompt to the end of its reply, in seconds
has recovery => sub { {} };    # seconds, by the kind of fault

sub complain ($self, $text) { push @{$self->complaints}, $text; return }
sub is_good ($self) { return !@{$self->complaints} }

sub read_accepted ($self, $file) {
    $self->complain('the load did not come to its end') unless $self->load_ended;
    for my $line (map { decode_json($_) } split /\n/, path($file)->slurp) {
        if ($line->{kind}) {
            $self->refused->{$line->{kind}}++;
            $self->complain("$line->{kind}: $line->{body}") if $line->{kind} =~ /answered/;
        }
        elsif ($self->accepted->{$line->{prompt}}++) { $self->complain("prompt $line->{prompt} was accepted twice") }
    }
    $self->count->{accepted} = keys %{$self->accepted};
    return $self;
}

sub read_database ($self, $dbh) {
    my $rows = $dbh->selectall_arrayref(q{
        SELECT p.room_id, p.id AS prompt, p.content AS said, a.id AS reply, a.content, a.status, a.error,
               count(*) OVER (PARTITION BY p.room_id, p.id) AS replies,
               extract(epoch FROM p.created_at) AS accepted, extract(epoch FROM a.finished_at) AS ended
        FROM gemclone.messages p LEFT JOIN gemclone.messages a ON a.room_id = p.room_id AND a.parent_id = p.id
        WHERE p.sender = 'user' ORDER BY p.room_id, p.id, a.id}, {Slice => {}});
    $self->_look_for_lost($rows)->_look_at_rooms($rows)->_measure($rows);
    $self->count->{jobs} = $dbh->selectrow_array('SELECT count(*) FROM gemclone.jobs');
    my $charged = $dbh->selectrow_array('SELECT coalesce(sum(prompts), 0) FROM gemclone.usage');
    my $owed = $self->count->{accepted} - $self->count->{refunded};
    $self->complain("$charged prompts are charged, $owed should be") unless $charged == $owed;
    $self->complain("$self->{count}{$_} $_") for grep { $self->count->{$_} } qw(lost doubled wrong disordered jobs);
    return $self;
}

# Each prompt that was accepted is there, and no other; each has one reply, which has ended.
sub _look_for_lost ($self, $rows) {
    my %there = map { $_->{prompt} => $_ } @$rows;
    $self->count->{lost} += grep { !$there{$_} } keys %{$self->accepted};
    $self->count->{doubled} += grep { !$self->accepted->{$_} } keys %there;
    for my $row (values %there) {
        $self->count->{doubled}++ if $row->{replies} > 1;
        $self->count->{lost}++ if ($row->{status} // 'none') !~ /^(?:done|failed)$/;
        next if ($row->{status} // '') eq 'done' && ++$self->count->{done};
        $self->count->{failed}++;
        $self->count->{poison}++ if ($row->{error} // '') eq 'poison';
        # Nothing here is too long, and nothing is blocked: all that fails is given back.
        $self->count->{refunded}++;
    }
    return $self;
}

# Gemini tells what it was asked and which turns came before: the text of every reply proves its place. Ends of one room
# come in the order of its prompts.
sub _look_at_rooms ($self, $rows) {
    my (%before, %ended);
    for my $row (@$rows) {
        my $room = $row->{room_id};
        my $said = $row->{said} =~ s/\s*\[\[[^]]*\]\]//gr;
        if (($row->{status} // '') eq 'done') {
            my $heard = Gemclone::Standin->parse_answer($row->{content}) // {said => '', yours => []};
            my $expected = join ' | ', @{$before{$room} // []};
            $self->count->{wrong}++ unless $heard->{said} eq $said && "@{[join ' | ', @{$heard->{yours}}]}" eq $expected;
            push @{$before{$room}}, $said;
        }
        $self->count->{disordered}++ if ($row->{ended} // 0) < ($ended{$room} // 0);
        $ended{$room} = $row->{ended};
    }
    return $self;
}

# How long it took, from the end of a fault, until all that was owed then was answered.
sub _measure ($self, $rows) {
    my @prompts = grep { $_->{ended} } @$rows;
    $self->waited(max(0, map { $_->{ended} - $_->{accepted} } @prompts));
    for my $event ($self->faults ? @{$self->faults->events} : ()) {
        my ($kind, $over) = @$event;
        my @owed = grep { $_->{accepted} < $over && $_->{ended} > $over } @prompts;
        push @{$self->recovery->{$kind}}, max(0, map { $_->{ended} - $over } @owed);
    }
    return $self;
}

sub figures ($self) {
    my @all = map {@$_} values %{$self->recovery};
    return {
        %{$self->count}, seed => $self->faults->seed, faults => sum0(values %{$self->faults->counts}),
        killed => $self->faults->killed, longest => sprintf('%.1f', max(0, @all)) + 0, waited => sprintf('%.1f', $self->waited) + 0, complaints => $self->complaints,
        refused => $self->refused,
    };
}

sub text ($self) {
    my @lines = sprintf "%-22s %8s %14s %14s\n", 'fault', 'times', 'recovery s', 'longest s';
    for my $kind (grep { $self->faults->counts->{$_} } Gemclone::Chaos::Faults->kinds) {
        my @took = sort { $a <=> $b } @{$self->recovery->{$kind} // [0]};
        push @lines, sprintf "%-22s %8d %14.1f %14.1f\n", $kind, $self->faults->counts->{$kind}, $took[@took / 2], $took[-1];
    }
    my $is = $self->figures;
    push @lines, sprintf "\n%-22s %8s\n", "seed $is->{seed}", '';
    push @lines, map { sprintf "%-22s %8s\n", @$_ } ['faults', $is->{faults}], ['processes killed', $is->{killed}],
        ['prompts accepted', $is->{accepted}], ['replies done', $is->{done}], ['failed, given back', $is->{failed}],
        ['of them as poison', $is->{poison}], ['lost', $is->{lost}], ['doubled', $is->{doubled}],
        ['out of order', $is->{disordered} + $is->{wrong}], ['longest recovery s', $is->{longest}], ['longest reply s', $is->{waited}],
        map { ["sending was $_", $is->{refused}{$_}] } sort keys %{$is->{refused}};
    push @lines, map {"COMPLAINT: $_\n"} @{$self->complaints};
    return join '', @lines;
}

1;
