# SPDX-License-Identifier: Apache-2.0
# SQL in every text, parameter, header and variable of every route: it is data, or refused; the database never hears it.
# Takes long: see Gemclone::Suite.
use Mojo::Base -strict, -signatures;

use Gemclone::Check;
use Gemclone::Raw;
use Gemclone::Routes;
use Gemclone::Shop;
use Mojo::File qw(path);
use Mojo::JSON qw(decode_json);
use Mojo::Util qw(b64_encode encode url_escape);
use Test::More;
use Time::HiRes qw(time);
use utf8;

# Quotes of every kind, comments, statements, functions that tell or wait, casts, patterns, formats and escapes.
my @SQL = (
    q{'}, q{"}, q{''}, q{\\'}, q{`}, q{$$}, q{$1}, q{%s %n %%}, q{:name}, q{?},
    q{' OR '1'='1}, q{' OR 1=1 --}, q{" OR ""="}, q{') OR ('1'='1}, q{1 OR 1=1}, q{1; SELECT 1}, q{admin'--},
    q{'; DROP TABLE gemclone.messages CASCADE; --}, q{1); DELETE FROM gemclone.users; --}, q{'; UPDATE gemclone.users SET tier = 'pro'; --},
    q{' UNION SELECT e164, tier, NULL FROM gemclone.users --}, q{' AND (SELECT count(*) FROM gemclone.users) > 0 --},
    q{'||(SELECT version())||'}, q{' || pg_sleep(5) --}, q{1 AND 1=(SELECT 1 FROM pg_sleep(5))}, q{$tag$; SELECT pg_sleep(5); $tag$},
    q{'::int}, q{E'\\x27'}, q{U&'\\0027'}, q{/* */ SELECT /**/ 1}, q{{a,"b}}, q{{"a": "'"}}, q{(1,2)}, q{NULL}, q{\\N}, q{\\.}, q{%' OR name LIKE '%_},
    qq{'\n; COMMIT; --}, qq{\x{2019} OR \x{ff07}1\x{ff07}=\x{ff07}1}, q{-1}, q{1e309}, q{9223372036854775808}, q{Infinity}, q{'now'},
    q{00000000-0000-0000-0000-000000000000' OR '1'='1}, q{\\x27}, q{\\'; SELECT 1; --},
);

my @routes = Gemclone::Routes->all;
plan tests => 7 + @routes;

my $shop = Gemclone::Shop->start(children => 1, directives => ['GemcloneQuota basic unlimited', 'GemcloneMaxSessions 1000', 'GemcloneCORSOrigin https://app.example.com']);
my ($stack, $dbh) = ($shop->stack, $shop->stack->dbh);
$stack->log->expect('GEM0704');
my $witness = Gemclone::Routes->guest($shop);
my $guest = Gemclone::Routes->guest($shop);

# All that there is in the schema by its definition, and who may do what with it.
sub schema () {
    my $rows = $dbh->selectall_arrayref(q{
        SELECT c.relkind::text, c.relname::text, c.relacl::text, a.attname::text, format_type(a.atttypid, a.atttypmod)
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
        WHERE n.nspname = 'gemclone'
        UNION ALL SELECT 'f', p.proname, p.proacl::text, md5(p.prosrc), NULL
        FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = 'gemclone'
        ORDER BY 1, 2, 4});
    return [map { join ' ', map { $_ // '' } @$_ } @$rows];
}

# What a user has, whom nobody asks for anything.
sub state_of ($of) {
    my $id = $of->{user}->user->{id};
    return [map { join "\t", map { $_ // 'NULL' } @$_ } map { @{$dbh->selectall_arrayref($_, {}, $id)} } (
        'SELECT * FROM gemclone.users WHERE id = ?',
        'SELECT * FROM gemclone.chatrooms WHERE user_id = ?',
        'SELECT m.* FROM gemclone.messages m JOIN gemclone.chatrooms r ON r.id = m.room_id WHERE r.user_id = ? ORDER BY m.id',
        'SELECT * FROM gemclone.usage WHERE user_id = ?',
    )];
}

my ($schema, $state) = (schema, state_of($witness));

# [status, what is wrong with the answer, or nothing] to these bytes.
sub ask ($bytes) {
    my $began = time;
    my ($code, undef, $body) = Gemclone::Raw->request($bytes, url => $stack->url);
    my $seconds = time - $began;
    return [$code, sprintf 'it took %.1f s', $seconds] if $seconds > 4;
    return [$code, "status $code"] if $code !~ /^[24]/;
    return [$code, 'it shows our insides'] if $body =~ /SQLSTATE|syntax error|PostgreSQL|libpq/;
    return [$code] if $code =~ /^2/;
    my $problem = eval { decode_json($body) };
    return [$code] if ref $problem eq 'HASH' && ($problem->{status} // 0) == $code && length($problem->{detail} // '');
    return [$code, "a $code that is no problem"];
}

# Whether a text is stored where the route stores such a member.
sub is_stored ($column, $text) {
    my ($table, $name) = split /\./, $column;
    return $dbh->selectrow_array("SELECT count(*) FROM gemclone.$table WHERE $name = ?", {}, $text);
}

my @HEADERS = grep { !/^(?:Content-Length|Transfer-Encoding)$/ } Gemclone::Routes->headers,
    qw(If-None-Match User-Agent X-Forwarded-For Cookie);

# [where, arguments of Gemclone::Routes' bytes, member] of all places for a piece of SQL. What is in headers and in parameters of
# other names is read by nobody, or by the same code for all routes: for these, some pieces are enough.
sub places ($route, $sql, $is_one_of_some) {
    my $bytes = encode('UTF-8', $sql);
    my $escaped = url_escape($bytes);
    my $encoded = b64_encode($bytes, '') =~ tr{+/=}{-_}dr;
    my @places = (
        (map { [$_, {body => {$_ => $sql}}, $_] } sort keys %{$route->example->{body} // {}}),
        (map { ["{$_}", {path => {$_ => $escaped}}] } $route->pattern =~ /\{(\w+)\}/g),
    );
    return @places unless $is_one_of_some;
    return (
        @places,
        ['the name of a member', {body => {$sql => $sql}}],
        (map { ["?$_=", {query => "$_=$escaped"}] } Gemclone::Routes->parameters),
        ['?cursor= as cursors are written', {query => "cursor=$encoded"}],
        ['the name of a parameter', {query => "$escaped=1"}],
        (map { [$_, {headers => {$_ => $bytes =~ tr/\n/ /r}}] } @HEADERS),
    );
}

for my $route (@routes) {
    my ($count, $taken, @bad) = (0, 0);
    for my $i (0 .. $#SQL) {
        my $sql = $SQL[$i];
        for my $place (places($route, $sql, $i % ($route->ends ? 20 : 4) == 2)) {
            my ($where, $with, $member) = @$place;
            my ($code, $fault) = @{ask($route->bytes($guest, %$with))};
            my $column = $member && $route->stored->{$member};
            $fault //= 'it is refused, though any text is good' if $column && $code !~ /^2/;
            $fault //= 'it is not stored as it was sent' if $column && !is_stored($column, $sql);
            push @bad, "$where: $sql: $fault" if $fault;
            $count++;
            $taken++ if $code =~ /^2/;
            $guest = Gemclone::Routes->guest($shop) if $route->ends && $code =~ /^2/;
        }
    }
    is_deeply \@bad, [], $route->title . ": $count requests, $taken of them taken";
}

subtest 'what was stored comes back' => sub {
    my $user = Gemclone::Routes->guest($shop)->{user};
    for my $sql (@SQL) {
        my $room = $user->post('/chat/chatroom', {title => $sql, system_prompt => $sql})->json->{chatroom};
        my $id = $user->send($room->{id}, $sql, 'Idempotency-Key' => url_escape(encode('UTF-8', $sql)))->{data}{id};
        my $is = $user->get("/chat/chatroom/$room->{id}")->json->{chatroom};
        is_deeply [@$is{qw(title system_prompt)}, $user->get("/message/$room->{id}/$id")->json->{data}{content}], [($sql) x 3], 'a text: ' . $sql =~ s/([^ -~])/./gr;
    }
    is scalar(@{$user->rooms}), 1 + @SQL, 'in so many rooms';
};

subtest 'what was asked of Gemini is what was written' => sub {
    my $user = Gemclone::Routes->guest($shop)->{user};
    my $room = $user->room;
    my $sql = q{'; DROP TABLE gemclone.messages CASCADE; --};
    like $user->ask($room, $sql), qr/\QYou said: $sql\E/, 'quotes and all';
};

is_deeply schema, $schema, 'the schema is as it was';
is_deeply state_of($witness), $state, 'so is what somebody else has';
is $dbh->selectrow_array(q{SELECT count(*) FROM gemclone.users WHERE tier <> 'basic'}), 0, 'nobody has become pro';
is_deeply [grep {/GEM020\d|GEM0501|SQLSTATE|syntax error/} $stack->log->lines], [], 'the log tells of no error of the database';
is_deeply [grep {/ gemclone (?:ERROR|FATAL)/} split /\n/, path($stack->postgres->log)->slurp], [],
    'nor does that of the database';
