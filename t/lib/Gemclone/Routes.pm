# SPDX-License-Identifier: Apache-2.0
# Every route of the table in mod_gemclone/api/route.c, with what it takes: for tests of what must hold for all of them.
#
#   my $guest = Gemclone::Routes->guest($shop);                          # a user with a room and a reply in it
#   for my $route (Gemclone::Routes->all) {
#       my $res = $route->ask($guest, body => {title => "x'"}, query => 'limit=x', headers => {Accept => 'x'});
#       $guest = Gemclone::Routes->guest($shop) if $route->ends;         # it has had itself deleted
#   }
#
# A route that is not listed below, or whose rules know a member that its example lacks, is an error: whoever adds one
# adds an example.
package Gemclone::Routes;
use Mojo::Base -base, -signatures;

use Gemclone::Client;
use Gemclone::Paths qw(top);
use Gemclone::Shop;
use Gemclone::StripeStandin;
use Mojo::JSON qw(decode_json encode_json);

use constant PASSWORD => 'correct horse battery staple';

# As the table has it; access and rules are the names of its own.
has [qw(method pattern access rules name)];

# By the route's name: body, an example of its JSON that is taken, with values or what makes them for a guest;
# stored, where of its texts are kept that may be any ('table.column'); ends, whether a guest is of no use afterwards.
my %EXAMPLE = (
    root    => {},
    healthz => {},
    readyz  => {},
    openapi => {},
    docs    => {},
    asset   => {},

    auth_signup => {
        body   => {mobile_number => sub ($guest) { Gemclone::Client->new_number }, name => 'Ada'},
        stored => {name => 'users.name'},
    },
    auth_send_otp   => {body => {mobile_number => sub ($guest) { $guest->{number} }, purpose => 'login'}},
    auth_verify_otp => {
        body => {
            mobile_number => sub ($guest) { $guest->{number} },
            purpose       => 'login',
            otp           => sub ($guest) { $guest->{user}->otp($guest->{number}) },
        },
    },
    jwks                 => {},
    metrics              => {},
    auth_forgot_password => {body => {mobile_number => sub ($guest) { $guest->{number} }}},
    auth_login           => {body => {mobile_number => sub ($guest) { $guest->{number} }, password => PASSWORD}},
    auth_change_password => {body => {new_password => PASSWORD, current_password => PASSWORD}},
    auth_refresh         => {body => {refresh_token => \&_refresh_token}},
    auth_logout          => {ends => 1},
    auth_sessions        => {},
    auth_sessions_end    => {ends => 1},
    auth_session_end     => {ends => 1},
    auth_stream_ticket => {body => {message_id => sub ($guest) { $guest->{id} }}},

    user_me        => {},
    user_me_delete => {ends => 1},
    user_me_change => {body => {name => 'Grace'}, stored => {name => 'users.name'}},
    user_me_usage  => {},
    user_me_export => {},

    chatroom_create => {
        body   => {title => 'Plans', system_prompt => 'Be brief.', model => 'gemini-3.6-flash'},
        stored => {title => 'chatrooms.title', system_prompt => 'chatrooms.system_prompt'},
    },
    chatroom_list   => {},
    chatroom_get    => {},
    chatroom_change => {
        body   => {title => 'Old plans', system_prompt => 'Be very brief.', model => 'gemini-3.6-flash'},
        stored => {title => 'chatrooms.title', system_prompt => 'chatrooms.system_prompt'},
    },
    chatroom_delete => {ends => 1},
    chatroom_export => {},

    message_send       => {body => {content => 'Hello'}, stored => {content => 'messages.content'}},
    message_list       => {},
    message_get        => {},
    message_events     => {},
    message_cancel     => {},
    message_regenerate => {},

    subscribe_pro       => {},
    subscribe_portal    => {},
    subscription_status => {},
    webhook_stripe      => {
        body => {
            id          => sub ($guest) { 'evt_' . int rand 1e15 },
            object      => 'event',
            type        => 'something.happened',
            api_version => '2026-07-29.dahlia',
            livemode    => Mojo::JSON->false,
            data        => {object => {id => 'th_1', object => 'thing'}},
        },
    },
);

# All of them, in the order of the table.
sub all ($class) {
    state @routes = $class->_read;
    return @routes;
}

# Those that take a body.
sub with_body ($class) {
    return grep { $_->example->{body} } $class->all;
}

# Parameters of queries, and headers, that the module reads.
sub parameters ($class) { return _names(qr/gc_request_parameter\(q, "(\w+)"\)/, 'ticket') }
sub headers ($class)    { return _names(qr/headers_in, "([\w-]+)"/) }

sub example ($self) { return $EXAMPLE{$self->name} }
sub stored  ($self) { return $self->example->{stored} // {} }
sub ends    ($self) { return $self->example->{ends} }
sub is_raw  ($self) { return $self->rules eq 'gc_rules_raw' }
sub title   ($self) { return $self->method . ' ' . $self->pattern }

# What requests are made for: {user, number, room, id, session} of a new user with PASSWORD, of a reply of theirs that
# has ended, and of the session they are signed in by.
sub guest ($class, $shop) {
    my $number = Gemclone::Client->new_number;
    my $user = $shop->stack->new_user(number => $number, name => 'Ada');
    my $room = $user->room;
    my $id = $user->send($room, 'Hello')->{reply}{id};
    $user->wait_reply($room, $id);
    $user->post('/auth/change-password', {new_password => PASSWORD});
    my $session = $user->get('/auth/sessions')->json->{sessions}[0]{id};
    return {user => $user, number => $number, room => $room, id => $id, session => $session, file => 'chat.css'};
}

# Of another session.
sub _refresh_token ($guest) {
    my ($user, $number) = @$guest{qw(user number)};
    my $json = $user->post('/auth/verify-otp', {mobile_number => $number, purpose => 'login', otp => $user->otp($number)})->json;
    return $json->{refresh_token};
}

# For a guest, with other variables if wanted.
sub path ($self, $guest, %other) {
    return $self->pattern =~ s/\{(\w+)\}/$other{$1} \/\/ $guest->{$1} \/\/ die "nothing is known of {$1}\n"/ger;
}

# The example for a guest, with other members, or more; undef where the route takes none.
sub body ($self, $guest, %other) {
    my $example = $self->example->{body} or return undef;
    my %made = map { $_ => ref $example->{$_} eq 'CODE' ? $example->{$_}->($guest) : $example->{$_} }
        grep { !exists $other{$_} } keys %$example;
    return {%made, %other};
}

# (bytes of the body, headers that go with them), signed where they must be. Nothing where the route takes none.
sub content ($self, $guest, %other) {
    my $body = $self->body($guest, %other) or return;
    my $bytes = encode_json $body;
    return ($bytes, 'Content-Type' => 'application/json',
        $self->is_raw ? ('Stripe-Signature' => Gemclone::StripeStandin->signature($bytes, Gemclone::Shop::SECRET)) : ());
}

# Asks for it as the guest. With: path, body (other variables and members), query, headers; the answer is a
# Mojo::Message::Response.
sub ask ($self, $guest, %with) {
    my $path = $self->path($guest, %{$with{path} // {}}) . (defined $with{query} ? "?$with{query}" : '');
    my ($bytes, %headers) = $self->content($guest, %{$with{body} // {}});
    return $guest->{user}->request($self->method => $path, $bytes, %headers, %{$with{headers} // {}});
}

# The same as bytes for a bare socket, each of its parts as it is given: method, target (instead of path and query), bytes
# (instead of what body makes), headers, of which an undef is left out.
sub bytes ($self, $guest, %with) {
    my ($body, %headers) = $self->content($guest, %{$with{body} // {}});
    $body = $with{bytes} // $body // '';
    my $target = $with{target} // $self->path($guest, %{$with{path} // {}}) . (defined $with{query} ? "?$with{query}" : '');
    my %all = (
        Host => 'localhost', Authorization => 'Bearer ' . $guest->{user}->token, 'Content-Length' => length $body, Connection => 'close',
        %headers, %{$with{headers} // {}},
    );
    return join "\r\n", ($with{method} // $self->method) . " $target HTTP/1.1",
        (map {"$_: $all{$_}"} grep { defined $all{$_} } sort keys %all), '', $body;
}

# -------------------------------------------------------------- the table ----
sub _source () { return top->child('mod_gemclone', 'api')->list->grep(qr/\.c$/)->each }

# (The admin page is a handler of its own, which no route leads to.)
sub _names ($pattern, @more) {
    my %is = map { $_ => 1 } @more, map { $_->slurp =~ /$pattern/g } grep { $_->basename !~ /^admin/ } _source;
    return sort keys %is;
}

sub _read ($class) {
    my @routes;
    for my $line (split /\n/, top->child('mod_gemclone', 'api', 'route.c')->slurp) {
        my @is = $line =~ /^\s*\{"([A-Z]+)",\s*"([^"]+)",\s*(GC_\w+),\s*(\w+),\s*\w+,\s*"(\w+)"\}/ or next;
        push @routes, $class->new(method => $is[0], pattern => $is[1], access => $is[2], rules => $is[3], name => $is[4]);
    }
    my @wrong = map { $_->_fault } @routes;
    die join "\n", 'add to t/lib/Gemclone/Routes.pm:', @wrong, '' if @wrong;
    return @routes;
}

# What is missing in a route's example.
sub _fault ($self) {
    my $example = $self->example or return $self->name . ', for ' . $self->title;
    return () if $self->rules eq 'NULL' || $self->is_raw;
    my @lack = grep { !exists $example->{body}{$_} } map { $_->{member} } $self->members;
    return map { $self->name . ", body: $_" } @lack;
}

# What the rules say of each member: {member, flags => {REQUIRED => 1, …}, min, max, choices => [...], check}.
sub members ($self) {
    return () if $self->rules eq 'NULL' || $self->is_raw;
    my $rules = $self->rules;
    my ($text) = grep {/^const gc_rule_t \Q$rules\E\[\]/m} map { $_->slurp =~ s/\\\n//gr } _source;
    $text // die "nobody defines $rules\n";
    my ($list) = $text =~ /^const gc_rule_t \Q$rules\E\[\] = (\{.*?\});/ms;
    my %constant = map { /\b([A-Z_]+) = (\d+)/g } $text =~ /^enum \{.*?\};/msg;
    my %choices = $text =~ /^static const char \*const (\w+)\[\] = \{(.*?), NULL\};/msg;
    return map {
        my %is;
        @is{qw(member flags min max choices check)} = @$_;
        {
            member  => $is{member},
            flags   => {map { s/^GC_RULE_//r => 1 } grep {/^GC_RULE/} split /[\s|]+/, $is{flags}},
            choices => $is{choices} eq 'NULL' ? undef : [$choices{$is{choices}} =~ /"([^"]+)"/g],
            check   => $is{check} ne 'NULL',
            map { $_ => $constant{$is{$_}} // $is{$_} } qw(min max),
        };
    } _rows(_without_macros($list));
}

sub _rows ($list) {
    my @rows;
    push @rows, [@{^CAPTURE}] while $list =~ /\{\s*"(\w+)",\s*([^,]+?),\s*(\w+),\s*(\w+),\s*(\w+),\s*(\w+)\s*\}/g;
    return @rows;
}

# Macros stand for rows that several routes have.
sub _without_macros ($list) {
    my %macro;
    for my $text (map { $_->slurp =~ s/\\\n//gr } _source(), top->child('mod_gemclone', 'api')->list->grep(qr/\.h$/)->each) {
        $macro{$1} = [$2 // '', $3] while $text =~ /^#define ([A-Z_]+)(?:\((\w*)\))?\s+(\{\s*"\w+".*?\})/mg;
    }
    return $list =~ s{\b([A-Z_]+)\b(?:\((\w+)\))?}{
        my ($name, $value) = ($1, $2);
        my ($parameter, $body) = @{$macro{$name} // ['', $&]};
        length $parameter ? $body =~ s/\b$parameter\b/$value/gr : $body
    }ger;
}

1;
