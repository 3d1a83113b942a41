# SPDX-License-Identifier: Apache-2.0
# The rows of the table: what is asked of whom, with how many connections.
package Gemclone::Bench::Targets;
use Mojo::Base -strict, -signatures;

use Gemclone::Bench::Server;
use Gemclone::Paths qw(top write_file);
use Mojo::File qw(path);
use Mojo::URL;

use constant BASELINE => 'empty';
use constant NAMES => BASELINE, qw(static me list list-uncached send sql-user sql-list sql-send sql-send-group);

my $PROMPT = 'Hello there, how are you today? Please tell me something about engines.';
my $TOKENS = 18;

# Each row has name, label and connections; one of HTTP has port, requests (their bytes, one a user) and the
# status that is right; one of SQL has the text for pgbench, and prompts, how many one transaction counts for.
#   beside: the row of SQL that does the same;  bar: the least ratio to the empty handler
sub http ($class, $server) {
    my ($main, $plain) = map { $_->port } $server->stack->apache, $server->plain;
    my @send = map { _request($server, $_, POST => "/message/$server->{rooms}[$_]", qq({"content":"$PROMPT"})) }
        keys @{$server->rooms};
    my $get = sub ($path) {
        return [map { _request($server, $_, GET => $path) } 0 .. Gemclone::Bench::Server::READERS - 1];
    };
    my %common = (port => $main, connections => 32, status => 200);
    return (
        {%common, name => BASELINE, label => 'empty handler', requests => $get->('/bench/empty')},
        {%common, name => 'static', label => 'static file', requests => $get->('/answer.json')},
        {%common, name => 'me', label => 'GET /user/me', requests => $get->('/user/me'), beside => 'sql-user',
            bar => 0.5},
        {%common, name => 'list', label => 'GET /chat/chatroom, cached', requests => $get->('/chat/chatroom'),
            beside => 'sql-list', bar => 0.5},
        {%common, name => 'list-uncached', label => 'GET /chat/chatroom, no Redis',
            requests => $get->('/chat/chatroom'), port => $plain, plain => 1, beside => 'sql-list'},
        {%common, name => 'send', label => 'POST /message, durable', requests => \@send, status => 201,
            connections => 64, beside => 'sql-send', bar => 0.25},
    );
}

# $group: how many prompts the module was seen to send in one transaction.
sub sql ($class, $group) {
    my %common = (connections => Gemclone::Bench::Server::CONNECTIONS, prompts => 1);
    my $user = q{(SELECT md5('user' || :n)::uuid)};    # once, whatever the plan does with it
    return (
        {%common, name => 'sql-user', label => 'pgbench: the user', sql => _statement(USER_GET => $user)},
        {%common, name => 'sql-list', label => 'pgbench: the list', sql => _statement(CHATROOM_LIST => $user)},
        {%common, name => 'sql-send', label => 'pgbench: one prompt', sql => _sending(1)},
        $group > 1
        ? {%common, name => 'sql-send-group', label => "pgbench: groups of $group", sql => _sending($group),
            prompts => $group}
        : (),
    );
}

# The bytes of all requests of a row, for wrk.lua.
sub write_requests ($class, $row, $dir) {
    return write_file("$dir/$row->{name}.requests", join "\0", @{$row->{requests}}, '');
}

# The same headers for all, so that reading them costs all the same.
sub _request ($server, $user, $method, $path, $body = undef) {
    my @lines = ("$method $path HTTP/1.1", 'Host: 127.0.0.1', "Authorization: Bearer $server->{tokens}[$user]");
    push @lines, 'Content-Type: application/json', 'Content-Length: ' . length $body if defined $body;
    return join("\r\n", @lines, '', '') . ($body // '');
}

# So many prompts of neighbours among the users, in the arrays that the module sends.
sub _sending ($size) {
    my @who = map { sprintf '((:n + %d) %% %d + 1)', $_, Gemclone::Bench::Server::USERS } 1 .. $size;
    my $each = sub ($expression) { 'ARRAY[' . join(', ', map { $expression =~ s/WHO/$_/r } @who) . ']' };
    return _statement(
        MESSAGES_SEND => $each->(q{md5('user' || WHO)::uuid}), $each->(q{md5('room' || WHO || '/1')::uuid}),
        $each->("'$PROMPT'"), $each->($TOKENS), $each->('NULL::text'), $each->('NULL::bytea'), $each->('NULL::text'),
        q{'default'}, 'NULL', 'NULL', 'NULL', 'true'
    );
}

# A statement of the module's, with an expression for each of its parameters; :n is the user's number.
sub _statement ($name, @expressions) {
    my $list = top->child('mod_gemclone', 'store', 'statement_list.h');
    my ($entry) = path($list)->slurp =~ /^(?:READ|WRITE)\($name,\s*((?:"[^"]*"\s*)+)\)/m
        or die "$list has no $name as the benchmarks know it: mend t/bench/lib/Gemclone/Bench/Targets.pm\n";
    my $sql = join '', $entry =~ /"([^"]*)"/g;
    my %used = map { $_ => 1 } $sql =~ /\$(\d+)/g;
    die "$name takes other parameters than the benchmarks know: mend t/bench/lib/Gemclone/Bench/Targets.pm\n"
        unless join(' ', sort { $a <=> $b } keys %used) eq join ' ', 1 .. @expressions;
    return $sql =~ s/\$(\d+)/$expressions[$1 - 1]/gr;
}

1;
