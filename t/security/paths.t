# SPDX-License-Identifier: Apache-2.0
# Paths that are written to mean another: each is the route that it is by the rules of URLs, or none; nothing of the
# machine's files, of what other modules serve, or of their handlers is to be had by them.
use Mojo::Base -strict, -signatures;

use Gemclone::Check;
use Gemclone::Paths qw(temp_dir write_file);
use Gemclone::Raw;
use Gemclone::Routes;
use Gemclone::Shop;
use Mojo::File qw(path);
use Mojo::JSON qw(decode_json);
use Test::More;

plan tests => 6;

# The whole server is the API, but for what is taken out; a host has it below /api, with files beside it. The access log
# tells which route each numbered request has come to.
my $dir = temp_dir;
my $files = path("$dir/files")->make_path;
write_file($files->child($_), "beside\n") for 'beside.txt', 'beside.status', 'user', '.hidden';
$files->child('api')->make_path;
write_file($files->child('api', 'shadow.txt'), "below\n");
my $shop = Gemclone::Shop->start(
    dir          => "$dir/server",
    children     => 1,
    more_modules => [qw(alias asis autoindex dir mime negotiation status)],
    directives   => [
        'TypesConfig /dev/null', 'AddHandler server-status .status', 'AddHandler send-as-is .asis', 'AddHandler type-map .var',
        'AddType text/plain .txt', 'DirectoryIndex index.html', 'Options +Indexes +MultiViews',
        qq{<Directory "$files">}, 'Require all granted', '</Directory>',
        '<Location "/hole">', 'GemcloneEngine Off', 'SetHandler server-status', '</Location>',
        'LogFormat "%{X-Number}i %{gemclone-route}n" paths', qq{CustomLog "$dir/paths_log" paths},
        '<VirtualHost *:*>', 'ServerName whole.test', '</VirtualHost>',
        '<VirtualHost *:*>', 'ServerName part.test', qq{DocumentRoot "$files"}, qq{Alias "/alias" "$files"},
        # The main server's <Location "/"> is for all hosts.
        '<Location "/">', 'GemcloneEngine Off', '</Location>', '<Location "/api">', 'GemcloneEngine On', '</Location>',
        '</VirtualHost>',
    ],
);
my $stack = $shop->stack;
$stack->log->expect('AH10244', 'GEM0704');
my $guest = Gemclone::Routes->guest($shop);
my @routes = Gemclone::Routes->all;

# Asks by bytes; returns [status, head, body], and keeps the number of the request in the last place.
my $number = 0;
sub ask ($method, $target, $host = 'whole.test', $version = 'HTTP/1.1') {
    $number++;
    my ($code, $head, $body) = Gemclone::Raw->request(
        "$method $target $version\r\nHost: $host\r\nX-Number: $number\r\nConnection: close\r\n\r\n", url => $stack->url);
    return [$code, $head, $body, $number];
}

# number => route, '-' for none, of all requests so far, but for those of which httpd could not read so much.
sub reached () {
    my $last = ask('GET', '/healthz')->[3];
    my $read = sub { return {map { /^(\d+) (\S+)$/ ? ($1 => $2) : () } split /\n/, path("$dir/paths_log")->slurp} };
    eventually(sub { $read->()->{$last} });
    return $read->();
}

sub is_problem ($answer) {
    my ($code, $head, $body) = @$answer;
    my $json = eval { decode_json($body) };
    return $head =~ m{^Content-Type: application/problem\+json}mi && ref $json eq 'HASH' && $json->{status} == $code;
}

# A path with one of its letters written as %XX.
sub encoded ($path) { return $path =~ s/([a-z])(?=[^a-z]*\z)/sprintf '%%%02x', ord $1/er }

# Without a token and a body: whoever gets to a route is refused there, and nothing changes.
my %same = (
    'a slash at its end'       => sub ($path) {"$path/"},
    'two slashes'              => sub ($path) { $path =~ s{/}{//}gr },
    'a dot segment'            => sub ($path) {"/.$path"},
    'dots up and down'         => sub ($path) {"/nothing/..$path"},
    'encoded dots up and down' => sub ($path) {"/nothing/%2e%2E$path"},
    'a letter encoded'         => \&encoded,
    'a query'                  => sub ($path) {"$path?/../x=%00&;"},
    'a whole URL'              => sub ($path) {"http://whole.test$path"},
);
my %none = (
    'one more segment'              => sub ($path) {"$path/x"},
    'a letter encoded twice'        => sub ($path) { encoded($path) =~ s/%/%25/r },
    'a slash encoded'               => sub ($path) { $path =~ s{(?<=.)/|/\z}{%2f}r },
    'a slash encoded at its end'    => sub ($path) {"$path%2F"},
    'a slash encoded twice'         => sub ($path) {"$path%252f"},
    'a slash as overlong UTF-8'     => sub ($path) {"$path%c0%af"},
    'a slash as longer UTF-8'       => sub ($path) {"$path%e0%80%af.."},
    'a wide slash'                  => sub ($path) {"$path%ef%bc%8f"},
    'a backslash'                   => sub ($path) {"$path\\"},
    'a backslash encoded'           => sub ($path) {"$path%5c.."},
    'parameters of its own'         => sub ($path) {"$path;x=1"},
    'parameters of Java\'s'         => sub ($path) {"$path..;/"},
    'parameters encoded'            => sub ($path) {"$path%3bx=1"},
    'a question mark encoded'       => sub ($path) {"$path%3fx=1"},
    'a number sign encoded'         => sub ($path) {"$path%23x"},
    'a NUL'                         => sub ($path) {"$path%00"},
    'a NUL and more'                => sub ($path) {"$path%00.html"},
    'a space'                       => sub ($path) {"$path%20"},
    'a line feed'                   => sub ($path) {"$path%0a"},
    'a dot at its end'              => sub ($path) { $path eq '/' ? '/..x' : "$path." },
    'three dots'                    => sub ($path) {"$path/..."},
    'a colon'                       => sub ($path) {"$path\::\$DATA"},
    'a tilde'                       => sub ($path) {"$path~"},
    'another type'                  => sub ($path) {"$path.json"},
    'another handler'               => sub ($path) {"$path.status"},
    'a file that says its headers'  => sub ($path) {"$path.asis"},
    'a type map'                    => sub ($path) {"$path.var"},
    'capitals'                      => sub ($path) { uc $path },
    'letters that look alike'       => sub ($path) { $path =~ s/([aeo])/{a => '%d0%b0', e => '%d0%b5', o => '%d0%be'}->{$1}/er },
    'a mark that is not seen'       => sub ($path) {"$path%e2%80%8b"},
    'overlong dots'                 => sub ($path) {"/%c0%ae%c0%ae$path"},
    'a climb above the root'        => sub ($path) {"/../..$path"},
    'an encoded climb'              => sub ($path) {"/%2e%2e/%2e%2e$path"},
    'eight thousand letters'        => sub ($path) { $path . 'x' x 8300 },
);

# A pattern filled in, by which a route can be told from all others.
sub path_of ($route) { return $route->path($guest) }

subtest 'the same by another name' => sub {
    my @asked;
    for my $route (@routes) {
        my $path = path_of($route);
        my %skip = map { $_ => 1 } $path eq '/' ? ('a slash at its end', 'two slashes', 'a letter encoded') : ();
        push @asked, map { [$route, $_, ask($route->method, $same{$_}->($path))] } grep { !$skip{$_} } sort keys %same;
    }
    my $reached = reached;
    my @bad = map { $_->[0]->title . ", $_->[1]: " . ($reached->{$_->[2][3]} // 'nothing') . ", $_->[2][0]" }
        grep { ($reached->{$_->[2][3]} // '') ne $_->[0]->name } @asked;
    is_deeply \@bad, [], scalar(@asked) . ' ways to write the paths of ' . @routes . ' routes';
};

subtest 'none at all' => sub {
    my @asked;
    for my $route (@routes) {
        my $path = path_of($route);
        for my $what (sort keys %none) {
            my $other = $none{$what}->($path);
            push @asked, [$route, "$what: $other", ask($route->method, $other)] if $other ne $path;
        }
    }
    my $reached = reached;
    my @bad;
    for (@asked) {
        my ($route, $what, $answer) = @$_;
        my ($code, $found) = ($answer->[0], $reached->{$answer->[3]} // '-');
        push @bad, $route->title . ", $what: $found, $code" if $found ne '-' || $code < 400 || $code > 499 || !is_problem($answer);
    }
    is_deeply \@bad, [], scalar(@asked) . ' paths beside those of ' . @routes . ' routes';
};

subtest 'variables' => sub {
    my %bad = (
        room => [
            '%00', '..', '%2e%2e', '*', 'me', "$guest->{room}.", "{$guest->{room}}", "$guest->{room}%00", "$guest->{room}%20",
            $guest->{room} =~ tr/-//dr, $guest->{room} =~ s/-/%2d%2d/r, "urn:uuid:$guest->{room}", substr($guest->{room}, 1),
            '%ef%bc%91' . substr($guest->{room}, 1), '00000000-0000-0000-0000-00000000000g',
        ],
        id => [
            0, -1, '+1', "$guest->{id}.0", "0x$guest->{id}", "$guest->{id}%20", "%20$guest->{id}", "$guest->{id}%00", "$guest->{id}e0",
            '%d9%a1', '9223372036854775807', '18446744073709551617', 9 x 40, '1,2', "$guest->{id};", "$guest->{id}%0a",
        ],
    );
    my (@asked, @reached);
    for my $route (grep { $_->pattern =~ /\{/ } @routes) {
        for my $name ($route->pattern =~ /\{(\w+)\}/g) {
            push @asked, map { [$route, $_, ask($route->method, $route->path($guest, $name => $_))] } @{$bad{$name} // []};
        }
    }
    my $reached = reached;
    # /chatroom/.. is /, which is no secret.
    my @bad = map { $_->[0]->title . " with $_->[1]: " . $reached->{$_->[2][3]} }
        grep { ($reached->{$_->[2][3]} // '-') ne '-' && $_->[1] !~ /\A(?:\.\.|%2e%2e)\z/ } @asked;
    is_deeply \@bad, [], scalar(@asked) . ' values that are none';
};

subtest 'files of the machine, and handlers of others' => sub {
    my $asis = write_file("$dir/file.asis", "Status: 200 OK\nContent-Type: text/plain\n\nsecret\n");
    write_file("$dir/file.txt", "secret\n");
    chmod 0755, "$dir";
    for my $path (
        $asis, "$dir/file.txt", "$dir/file", "$dir/", '/etc/passwd', '/etc/passwd.asis', '/proc/self/environ', '/x.status', '/user/me.status',
        '/user/me.status/', '/server-status', '/icons/', '/~root/', '/.htaccess', '/hole.status', '/holes',
    ) {
        for my $method (qw(GET POST)) {
            my $answer = ask($method, $path);
            ok $answer->[0] == 404 && is_problem($answer) && $answer->[2] !~ /secret|root:|Apache Server Status/, "$method $path"
                or diag "$answer->[1]\n\n$answer->[2]";
        }
    }
    like ask('GET', '/hole')->[2], qr/Apache Server Status|Apache Status/, 'what is taken out is as it was';
};

subtest 'the API in a part of a server' => sub {
    my $get = sub ($path) { ask('GET', $path, 'part.test') };
    is $get->('/beside.txt')->[2], "beside\n", 'files are beside it';
    is $get->('/api/healthz')->[0], 200, 'and it is there';
    my %file = map { $_ => 1 } '/api/../beside.txt', '/api/%2e%2e/beside.txt', '/api/./../beside.txt', '/api/x/../../beside.txt';
    is $get->($_)->[2], "beside\n", "$_ is the file, as for any server" for sort keys %file;
    for my $path (
        '/api/shadow.txt', '/api/', '/api', '/api/..%2fbeside.txt', '/api%2f..%2fbeside.txt', '/api/%252e%252e/beside.txt', '/api/..;/beside.txt',
        '/api/%c0%ae%c0%ae/beside.txt', '/api/..\\beside.txt', '/api/..%5cbeside.txt', '/api/beside.txt', '/api/.hidden', '/api/alias/beside.txt',
        '/api/...//beside.txt', '/api/..%00/beside.txt', "/api$files/beside.txt", '/alias/../api/shadow.txt',
    ) {
        my $answer = $get->($path);
        unlike $answer->[2], qr/beside|below|Index of/, "$path shows no file";
        ok is_problem($answer) || $answer->[0] == 200 && $path =~ m{\A/api/?\z}, '... but a problem' or diag @$answer;
    }
    for my $path ('/API/user/me', '/apI/healthz', '/api.txt', '/apihealthz', '/ap/i/healthz', '/user/me', '/healthz', '/api%20/healthz') {
        my $answer = $get->($path);
        ok $answer->[0] =~ /^4/ && !is_problem($answer), "$path is none of ours" or diag @$answer;
    }
    is $get->('/x/../api/healthz')->[0], 200, 'dots lead into it as well';
};

subtest 'targets that are no paths' => sub {
    my %code = (
        '*' => 400, 'healthz' => 400, 'http://' => 200, 'http://whole.test' => 200, '?x' => 200, '#x' => 400,
        'http://part.test/healthz' => 404, 'https://whole.test/healthz' => 200, 'http://whole.test:1/healthz' => 200,
        'whole.test:80' => 400, '//whole.test/healthz' => 404, '/#/../healthz' => 400,
    );
    for my $target (sort keys %code) {
        my $answer = ask('GET', $target);
        is $answer->[0], $code{$target}, "'$target'" or diag @$answer;
    }
};
