# SPDX-License-Identifier: Apache-2.0
# GET /openapi.json is the table of routes, in words; and what holds answers against it (./dev check does, at its end, all that
# the tests' clients got) takes no wrong ones.
use Mojo::Base -strict, -signatures;

use Apache::Test qw(-withtestmore);
use Gemclone::Check;
use Gemclone::Journal;
use Gemclone::Paths qw(temp_dir top write_file);
use Gemclone::Routes;
use Gemclone::Stack;
use Mojo::JSON qw(decode_json encode_json true);
use Mojo::JSON::Pointer;
use Mojo::URL;

plan tests => 9, need 'gemclone';

my $FILE = top->child('mod_gemclone', 'www', 'openapi.json');
my %SECURITY = (
    GC_FOR_ALL     => '',
    GC_FOR_USERS   => 'accessToken',
    GC_FOR_RESETS  => 'accessToken resetToken',
    GC_FOR_READERS => 'accessToken streamTicket',
);
my $MOST_ID = '9007199254740991';    # 2^53 - 1

my $document = decode_json($FILE->slurp);
my $pointer = Mojo::JSON::Pointer->new($document);
my %operation = map {
    my $path = $_;
    map { (uc . " $path" => $document->{paths}{$path}{$_}) } keys %{$document->{paths}{$path}}
} keys %{$document->{paths}};

sub resolved ($value) {
    $value = $pointer->get($value->{'$ref'} =~ s/^#//r) while ref $value eq 'HASH' && $value->{'$ref'};
    return $value;
}

subtest 'what is served' => sub {
    my $stack = Gemclone::Stack->shared;
    my $res = $stack->client->get('/openapi.json');
    answer_ok $res, 200, 'to everybody';
    is $res->body, $FILE->slurp, 'is the file';
    is $document->{openapi}, '3.1.0', 'of OpenAPI 3.1';
    my ($version) = top->child('configure.ac')->slurp =~ /^AC_INIT\(\[mod_gemclone\], \[(.+?)\]/m;
    is $document->{info}{version}, $version, 'and of this version';
    is(Mojo::URL->new($document->{servers}[0]{url})->to_abs(Mojo::URL->new("http://x$_/openapi.json"))->path =~ s{/\z}{}r,
        $_, "its server is where it is: '$_'")
        for '', '/api';
};

subtest 'the table of routes' => sub {
    is_deeply [sort keys %operation], [sort map { $_->title } Gemclone::Routes->all], 'each is described, and nothing more';
    my (%seen, %tag);
    $tag{$_->{name}} = 1 for @{$document->{tags}};
    for my $route (Gemclone::Routes->all) {
        my $is = $operation{$route->title} // next;
        my $name = $seen{$route->name}++ ? 'alias_' . $route->name : $route->name;
        is $is->{operationId}, $name, $route->title . ' has its name';
        is join(' ', sort map { keys %$_ } @{$is->{security}}), $route->is_raw ? 'stripeSignature' : $SECURITY{$route->access},
            'is for whom it is';
        is join(' ', grep { !$tag{$_} } @{$is->{tags}}), '', 'has a tag that there is';
        my @in_path = sort map { $_->{name} } grep { $_->{in} eq 'path' } map { resolved($_) } @{$is->{parameters} // []};
        is "@in_path", join(' ', sort $route->pattern =~ /\{(\w+)\}/g), 'and the variables of its path';
    }
};

subtest 'what bodies must be' => sub {
    for my $route (Gemclone::Routes->all) {
        my $schema = resolved(($operation{$route->title}{requestBody} // {})->{content}{'application/json'}{schema});
        next if $route->is_raw;
        is !!$schema, $route->rules ne 'NULL', $route->title . ' takes one, or none' or next;
        next unless $schema;
        my @members = $route->members;
        is join(' ', sort keys %{$schema->{properties}}), join(' ', sort map { $_->{member} } @members), 'with the members of its rules';
        is join(' ', sort @{$schema->{required} // []}), join(' ', sort map { $_->{member} } grep { $_->{flags}{REQUIRED} } @members),
            'of which those are required';
        for my $rule (@members) {
            my $is = shape(resolved($schema->{properties}{$rule->{member}}));
            $is->{pattern} = 'its own' if $rule->{check};
            is_deeply $is, rule_shape($rule), "$rule->{member} as its rule has it";
        }
    }
};

# Of a schema, what a rule tells; of a rule, the same.
sub shape ($schema) {
    my %is = (type => join(' ', sort ref $schema->{type} ? @{$schema->{type}} : $schema->{type}));
    $is{$_} = $schema->{$_} for grep { exists $schema->{$_} } qw(enum minimum maximum minLength maxLength);
    my $pattern = ($schema->{pattern} // '') =~ s/\\u0000/\\0/gr;
    $is{pattern} = length $pattern ? 'blank ' . (" \t" =~ /$pattern/ ? 'too' : 'not') : 'none';
    return \%is;
}

sub rule_shape ($rule) {
    my $flags = $rule->{flags};
    return {type => 'integer', minimum => 1, maximum => $MOST_ID, pattern => 'none'} if $flags->{ID};
    my $type = $flags->{NULLABLE} ? 'null string' : 'string';
    return {type => $type, enum => $rule->{choices}, pattern => 'none'} if $rule->{choices};
    my $most = $flags->{PROMPT} ? 0 : $rule->{max};
    return {
        type => $type, minLength => $rule->{min}, $most ? (maxLength => $most) : (),
        pattern => $rule->{check} ? 'its own' : $flags->{BLANK} ? 'blank too' : 'blank not',
    };
}

subtest 'what is the same everywhere' => sub {
    for my $route (Gemclone::Routes->all) {
        my $is = $operation{$route->title};
        my %parameter = map { $_->{name} => 1 } map { resolved($_) } @{$is->{parameters} // []};
        my %response = map { $_ => resolved($is->{responses}{$_}) } keys %{$is->{responses}};
        my $title = $route->title;
        my $conditional = $route->method eq 'GET' && $route->name !~ /^(?:message_events|metrics)$/;
        is !!$parameter{'If-None-Match'}, $conditional, "$title: If-None-Match";
        is !!$response{304}, $conditional, 'and 304';
        ok $response{200}{headers}{ETag}, 'and an ETag' if $conditional;
        is !!$response{401}, $route->access ne 'GC_FOR_ALL' || $route->name eq 'auth_refresh', 'and 401';
        is !!$response{415}, $route->rules ne 'NULL' && !$route->is_raw, 'and 415';
        is !!$response{413}, $route->rules ne 'NULL', 'and 413';
        for my $status (grep {/^[45]|default/} keys %response) {
            next if "$title $status" eq 'GET /readyz 503';
            is join(' ', keys %{$response{$status}{content}}), 'application/problem+json', "$status is a problem";
            ok $response{$status}{headers}{'Retry-After'}, 'and tells when to try again' if $status =~ /^(?:429|503)$/;
        }
        for my $content (map { $_->{content} // () } values %response) {
            ok exists $content->{$_}{example} || $content->{$_}{examples}, "an example of $_" for grep {/json/ && $title !~ m{/openapi}} keys %$content;
        }
    }
};

subtest 'the parameters that are read' => sub {
    my %known = map { $_ => 1 } grep {defined} map { $_->{name} } values %{$document->{components}{parameters}}, values %{$document->{components}{securitySchemes}};
    ok $known{$_}, $_ for Gemclone::Routes->parameters;
};

subtest 'the Postman collection' => sub {
    my ($postman, $collection) = (top->child('t', 'openapi', 'postman'), top->child('conf', 'gemclone.postman_collection.json'));
    is $collection->slurp, qx{'$postman' '$FILE'}, 'is what t/openapi/postman makes of it';
};

# ----------------------------------------------------------- the judge ----
my $dir = temp_dir;
my %FINE = (
    method  => 'GET', path => '/subscription/status', status => 200, cut => \0, request => {headers => {}, body => undef},
    headers => {'Content-Type' => 'application/json', ETag => '"' . 'a' x 32 . '"', Date => 'x', 'Referrer-Policy' => 'no-referrer'},
    body    => encode_json({tier => 'basic', status => undef, current_period_end => undef, cancel_at_period_end => \0}),
);

sub judged (@exchanges) {
    my $journal = Gemclone::Journal->begin("$dir/journal");
    write_file("$journal/1.jsonl", join '', map { encode_json($_) . "\n" } @exchanges);
    return Gemclone::Journal->complaints($journal);
}

# The same, but for some of it; headers that are undef are left out.
sub with (%other) {
    my %headers = (%{$FINE{headers}}, %{$other{headers} // {}});
    return {%FINE, %other, headers => {map { $_ => $headers{$_} } grep { defined $headers{$_} } keys %headers}};
}

sub problem ($status, %other) {
    return with(
        %other,
        status  => $status,
        headers => {'Content-Type' => 'application/problem+json', ETag => undef, %{$other{headers} // {}}},
        body    => encode_json({type => 'about:blank', title => 'T', status => $status, detail => 'D', %{$other{problem} // {}}}),
    );
}

sub events ($text) {
    return with(path => "/message/@{[random_uuid]}/1/events", headers => {'Content-Type' => 'text/event-stream', ETag => undef}, body => $text);
}

subtest 'answers that are fine' => sub {
    is_deeply [judged(with())], [], 'of an operation';
    is_deeply [judged(problem(404, path => '/x'))], [], 'of no address';
    is_deeply [judged(problem(405, path => '/healthz', method => 'PUT', headers => {Allow => 'GET, HEAD, OPTIONS'}))], [], 'of another method';
    is_deeply [judged(problem(414, problem => {detail => 'T'}))], [], "of httpd's own";
    is_deeply [judged(with(method => 'HEAD', body => ''))], [], 'without a body, of HEAD';
};

subtest 'answers that are not' => sub {
    my $body = decode_json($FINE{body});
    my %account = (id => random_uuid, name => undef, mobile_number => '1', tier => 'pro', created_at => '2026-11-23T05:38:05.205067Z');
    my @cases = (
        [with(status => 201),                                          qr/is not described/],
        [problem(418),                                                 qr/has no such status/],
        [with(path => '/x/y'),                                         qr/is not described/],
        [with(method => 'PUT'),                                        qr/is not described/],
        [problem(405, path => '/healthz', method => 'PUT', headers => {Allow => 'GET, PUT'}), qr/Allow is/],
        [with(headers => {ETag => undef}),                             qr/the header etag is missing/],
        [with(headers => {ETag => 'W/"x"'}),                           qr/the header etag: .*does not match/],
        [with(headers => {'X-Debug' => 'on'}),                         qr/the header x-debug is not described/],
        [with(headers => {'Content-Type' => 'text/plain'}),            qr{the type text/plain is not described}],
        [with(body => '{'),                                            qr/is no JSON/],
        [with(body => encode_json({%$body{qw(tier status)}})),         qr/required property/],
        [with(body => encode_json({%$body, more => 1})),               qr/'more' was unexpected/],
        [with(body => encode_json({%$body, tier => 5})),               qr/not of type/],
        [with(body => encode_json({%$body, tier => 'gold'})),          qr/not one of/],
        [with(body => encode_json({%$body, current_period_end => '2026-13-01T00:00:00.000000Z'})), qr/date-time/],
        [with(status => 304),                                          qr/a body that is not described/],
        [problem(401, headers => {'WWW-Authenticate' => 'Bearer'}, problem => {detail => ''}), qr/detail: '' is too short/],
        [problem(401),                                                 qr/the header www-authenticate is missing/],
        [events("event: news\ndata: {}\n\n"),                       qr/the event news is not described/],
        [events(qq(event: delta\ndata: {"txt":"x"}\n\n)),           qr/the event delta, .*required/],
        [with(path => '/chat/chatroom?limit=101', body => encode_json({message => 'x', chatrooms => []})), qr/took limit: /],
        [with(method => 'PATCH', path => '/user/me', headers => {ETag => undef}, request => {headers => {}, body => '{"name":""}'},
            body => encode_json({message => 'x', user => \%account})), qr/took a body, name: /],
    );
    for my $case (@cases) {
        my @complaints = judged($case->[0]);
        ok +(grep { $_ =~ $case->[1] } @complaints), "$case->[1]" or diag explain \@complaints;
    }
};

subtest 'a document that is not' => sub {
    for my $case (['/components/schemas/Uuid/examples', ['x'], qr/an example/], ['/components/schemas/Uuid/type', 'text', qr/schemas/],
        ['/paths/~1healthz/get/responses/200/content/application~1json/schema', {'$ref' => '#/components/schemas/Nothing'}, qr/healthz/]) {
        my $broken = decode_json($FILE->slurp);
        my ($parent, $name) = $case->[0] =~ m{^(.*)/(.*)$};
        Mojo::JSON::Pointer->new($broken)->get($parent)->{$name} = $case->[1];
        my $journal = Gemclone::Journal->begin("$dir/journal");
        write_file("$journal/1.jsonl", encode_json(with()) . "\n");
        my @complaints = Gemclone::Journal->complaints($journal, document => write_file("$dir/openapi.json", encode_json($broken)));
        ok +(grep { $_ =~ $case->[2] } @complaints), "$case->[0]" or diag explain \@complaints;
    }
};
