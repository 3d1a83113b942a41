# SPDX-License-Identifier: Apache-2.0
# One server with several hosts: each has its own prefix, quota, keys and database, beside content of other kinds.
use Mojo::Base -strict, -signatures;

use Gemclone::Check;
use Gemclone::Client;
use Gemclone::Paths qw(secret_file temp_dir write_file);
use Gemclone::Postgres;
use Gemclone::Raw;
use Gemclone::Stack;
use Gemclone::Token;
use Mojo::File qw(path);
use Test::More;

plan tests => 12;

my $dir = temp_dir;
# Our configuration without its <Location "/">: here the hosts say where the API is.
my $writer = sub ($apache) {
    my $file = $apache->configure;
    return write_file($file, path($file)->slurp =~ s{^<Location "/">.*?^</Location>\n}{}msr);
};
my $stack = Gemclone::Stack->start(fsync => 0, dir => "$dir", writer => $writer);
secret_file("$dir/keys/$_.key") for qw(one two);
Gemclone::Postgres->new(dir => "$dir", sockets => "$dir", database => 'second')->migrate;

sub engine ($path, $on = 'On') {
    return (qq{<Location "$path">}, "GemcloneEngine $on", 'Require all granted', '</Location>');
}

my %HOST = (
    'root.test' => [engine('/')],
    'api.test' => [engine('/api'), 'GemcloneQuota basic 2', 'GemcloneTokenKey one file:keys/one.key'],
    'deep.test' => [
        engine('/a/b/'),
        'GemcloneTokenKey two file:keys/two.key',
        'GemcloneSite deep',
        'GemcloneOTPLength 8',
        'GemcloneGeminiModel gemini-3.6-flash',
        'GemcloneTokenIssuer deep',
        'GemcloneTokenLifetime 1h',
        'DBDriver pgsql',
        qq{DBDParams "host=$dir dbname=second user=gemclone connect_timeout=2"},
        'DBDMin 1',
        'DBDKeep 8',
        'DBDMax 16'
    ],
    'twice.test' => [engine('/one'), engine('/two')],
    'hole.test' => [engine('/'), engine('/files', 'Off')],
    'static.test' => [],
    'small.test'  => [engine('/'), 'GemcloneMaxBody 1K', 'GemcloneMaxPrompt 10', 'GemcloneCountryCode +91'],
    'exec.test'   => [engine('/'), 'GemcloneTokenKey said "exec:/bin/echo ' . 'k3y' x 20 . '"'],
);
my %BASE = (
    'root.test' => '',
    'api.test' => '/api',
    'deep.test' => '/a/b',
    'twice.test' => '/one',
    'hole.test' => '',
    'small.test' => '',
    'exec.test' => '',
    'main.test' => '/shared'
);

$stack->apache->directives([
    qq{<Directory "$dir/htdocs">}, 'Require all granted', '</Directory>',
    '<VirtualHost *:*>', 'ServerName main.test', '</VirtualHost>',
    (map { ('<VirtualHost *:*>', "ServerName $_", @{$HOST{$_}}, '</VirtualHost>') } sort keys %HOST),
    '<Location "/shared">', 'GemcloneEngine On', 'Require all granted', '</Location>',
]);
path($dir)->child('htdocs', 'files')->make_path;
write_file("$dir/htdocs/files/hello.txt", "hello\n");
$stack->apache->restart;

sub client ($host, $base = $BASE{$host} // '') {
    my $client = $stack->client(url => $stack->url . $base);
    $client->ua->on(start => sub ($ua, $tx) { $tx->req->headers->host($host) });
    return $client;
}

sub user ($host, $number = Gemclone::Client->new_number) {
    my $user = client($host);
    $user->sign_up($number);
    $user->sign_in($number);
    return $user;
}

# httpd's own answer, not ours.
sub foreign_ok ($res, $status, $what) {
    return ok $res->code == $status && ($res->headers->content_type // '') !~ /json/, $what || diag shown($res);
}

subtest 'prefixes' => sub {
    for my $host (sort keys %BASE) {
        my $client = client($host);
        answer_ok $client->get('/healthz'), 200, "$host has the API below '$BASE{$host}'";
        is answer_ok($client->get('/'), 200, 'with its root')->{name}, 'mod_gemclone', 'which is ours';
        is $client->get('')->code, 200, 'also without a slash' unless $host eq 'deep.test';
        problem_ok $client->get('/nothing'), 404, 'what is not there is a problem';
        problem_ok $client->get('/user/me'), 401, 'a user must sign in';
        is $client->request(OPTIONS => '/chat/chatroom')->code, 204, 'methods are told';
        my $user = user($host);
        my $room = $user->room($host);
        like $user->ask($room, 'Hello!'), qr/^You said: Hello!\./, 'replies come';
    }
    answer_ok client('twice.test', $_)->get('/healthz'), 200, "twice.test has it below $_" for '/one', '/two';
    answer_ok client($_, '/shared')->get('/healthz'), 200, "what the main server maps is there in $_"
        for 'api.test', 'static.test';
};

subtest 'what is beside' => sub {
    for my $host (qw(api.test deep.test twice.test static.test main.test)) {
        my $client = client($host, '');
        is $client->get('/hello.txt')->body, "hello\n", "$host serves its files";
        foreign_ok $client->get('/nothing.txt'), 404, 'httpd answers for those that are missing';
    }
    my $api = client('api.test', '');
    foreign_ok $api->get($_), 404, "$_ is none of ours"
        for qw(/apix /ap /API/healthz /x/api/healthz /healthz /user/me /one/healthz);
    is $api->get('/api/../hello.txt')->body, "hello\n", 'a path may lead out';
    my ($code, undef, $body)
        = Gemclone::Raw->request("GET /x/../api/healthz HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\n\r\n",
        url => $stack->url);
    is $code, 200, 'and in';
    my $hole = client('hole.test');
    is $hole->get('/files/hello.txt')->body, "hello\n", 'GemcloneEngine Off makes a hole in a prefix';
    foreign_ok $hole->get('/files/nothing.txt'), 404, 'whose errors are httpd\'s own';
    answer_ok $hole->get('/healthz'), 200, 'around it is the API';
    problem_ok $hole->get('/filesx'), 404, 'up to its edge';
    is client('deep.test', '')->get('/a/b')->code, 404, 'the prefix /a/b/ does not hold /a/b';
};

subtest 'slashes' => sub {
    for my $path (qw(//api/healthz /api//healthz /api///healthz// ///api)) {
        my ($code, undef, $body)
            = Gemclone::Raw->request("GET $path HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\n\r\n",
            url => $stack->url);
        like $code, qr/^(?:200|404)$/, "$path is found or not";
    }
    my $user = user('api.test');
    for my $path ('//api/user/me', '/api//user/me', '/api/user//me') {
        my ($code, undef, $body) = Gemclone::Raw->request(
            "GET $path HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\n\r\n", url => $stack->url);
        like $code, qr/^(?:401|404)$/, "$path shows nothing without a token";
    }
};

subtest 'quotas' => sub {
    for my $case (['api.test', 2], ['root.test', 5]) {
        my ($host, $limit) = @$case;
        my $user = user($host);
        my $room = $user->room;
        my @codes = map { $user->post("/message/$room", {content => 'x'})->code } 1 .. $limit + 1;
        is_deeply \@codes, [(201) x $limit, 429], "$host allows $limit";
    }
};

subtest 'keys' => sub {
    my ($root, $api, $deep) = map { user($_) } qw(root.test api.test deep.test);
    is_deeply [map { (Gemclone::Token->parts($_->token))[0]{kid} } $root, $api, $deep], [qw(dev one two)],
        'each signs with its own';
    is_deeply [map { (Gemclone::Token->parts($_->token))[1]{iss} } $root, $deep], [qw(gemclone deep)],
        'and its own name';
    for my $case (
        [$root, 'api.test'],
        [$root, 'deep.test'],
        [$api, 'root.test'],
        [$deep, 'api.test'],
        [$deep, 'root.test']
    ) {
        my ($user, $host) = @$case;
        problem_ok client($host)->get('/user/me', Authorization => 'Bearer ' . $user->token), 401,
            "another host's token is refused by $host";
    }
    is client('twice.test')->get('/user/me', Authorization => 'Bearer ' . $root->token)->code, 200,
        'hosts with the same keys share them';
};

subtest 'databases' => sub {
    my $number = Gemclone::Client->new_number;
    my ($root, $deep) = map { user($_, $number) } qw(root.test deep.test);
    isnt $root->user->{id}, $deep->user->{id}, 'the same number is another account in another database';
    problem_ok client('api.test')->post('/auth/signup', {mobile_number => $number}), 409,
        'and the same one in the same';
    $root->room('Root');
    my $room = $deep->room('Deep');
    is_deeply [map { $_->{title} } @{$deep->rooms}], ['Deep'], 'rooms stand apart';
    $deep->ask($room, 'Hello, second');
    is $stack->dbh(database => 'second')
        ->selectrow_array(q{SELECT count(*) FROM gemclone.messages WHERE content = 'Hello, second'}), 1,
        'so do messages';
    is $stack->dbh->selectrow_array(q{SELECT count(*) FROM gemclone.messages WHERE content = 'Hello, second'}), 0,
        'all of them';
};

subtest 'other settings' => sub {
    my $deep = client('deep.test');
    my $number = Gemclone::Client->new_number;
    $deep->sign_up($number);
    my $otp = $deep->otp($number);
    is length $otp, 8, 'codes';
    is $deep->post('/auth/verify-otp',
        {mobile_number => $number, otp => $otp, purpose => 'login'})->json->{expires_in}, 3600, 'lifetimes';
    $deep->sign_in($number);
    my $room = $deep->room;
    my $sent = $deep->send($room, 'Which model?');
    is $deep->wait_reply($room, $sent->{reply}{id})->{model}, 'gemini-3.6-flash', 'models';
};

subtest 'limits and countries' => sub {
    my $small = client('small.test');
    problem_ok $small->post('/auth/signup', {mobile_number => Gemclone::Client->new_number, more => 'x' x 1100}),
        413, 'another size of bodies';
    $small->sign_up('9876543210');
    is $stack->dbh->selectrow_array(q{SELECT e164 FROM gemclone.users WHERE mobile_number = '9876543210'}),
        '+919876543210',
        'another country';
    $small->sign_in('+91 98765 43210');
    my $room = $small->room;
    problem_ok $small->post("/message/$room", {content => 'x' x 11}), 422, 'another length of prompts',
        errors => ['/content'];
    answer_ok $small->post("/message/$room", {content => "\x{1F600}" x 10}), 201, 'in characters';
};

subtest 'a key that a command says' => sub {
    my $user = user('exec.test');
    my ($header, $claims) = Gemclone::Token->parts($user->token);
    is $header->{kid}, 'said', 'signs';
    answer_ok $user->get('/user/me',
        Authorization => 'Bearer ' . Gemclone::Token->make($header, $claims, 'k3y' x 20)), 200,
        'it is what the command said, without the line\'s end';
};

subtest 'one user in two hosts of one database' => sub {
    my $number = Gemclone::Client->new_number;
    my $root = user('root.test', $number);
    my $api = client('api.test');
    $api->sign_in($number);
    my $room = $root->room('Shared');
    is_deeply [map { $_->{id} } @{$api->rooms}], [$room], 'the other host has the room in its list';
    $api->patch("/chat/chatroom/$room", {title => 'Renamed'});
    is $root->rooms->[0]{title}, 'Renamed', 'and its changes are seen at once';
    $root->delete("/chat/chatroom/$room");
    is_deeply $api->rooms, [], 'both ways';
};

subtest 'readiness is each host\'s own' => sub {
    my $second = $stack->dbh(database => 'postgres');
    $stack->log->expect(
        'GEM0201', 'GEM0202', 'GEM0203', 'GEM0205', 'GEM0407', 'AH00629',
        'AH00633', 'AH00632', 'GEM0204', qr/AH\d+: .*DBD/
    );
    $second->do('ALTER DATABASE second ALLOW_CONNECTIONS false');
    $second->do(q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'second'});
    ok eventually(sub { client('deep.test')->get('/readyz')->code == 503 }, 10), 'one database is away';
    my $res = client('deep.test')->get('/readyz');
    is $res->json->{postgres}, 'unreachable', 'its host says so';
    problem_ok client('deep.test')->post('/auth/signup', {mobile_number => Gemclone::Client->new_number}), 503,
        'and answers 503';
    answer_ok client('root.test')->get('/readyz'), 200, 'the others are ready';
    $second->do('ALTER DATABASE second ALLOW_CONNECTIONS true');
    ok eventually(sub { client('deep.test')->get('/readyz')->code == 200 }, 15), 'when it is back, so is its host';
};

is scalar($stack->apache->children_pids), 2, 'all of that by the same two children';
