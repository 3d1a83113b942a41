# SPDX-License-Identifier: Apache-2.0
# Access tokens by RS256 and ES256: only those that the private key has signed are good, whoever knows the public one;
# others can verify them by /.well-known/jwks.json; and keys are rolled from one algorithm to another.
# Takes long: see Gemclone::Suite.
use Mojo::Base -strict, -signatures;

use Gemclone::Check;
use Gemclone::Client;
use Gemclone::Paths qw(write_file);
use Gemclone::Stack;
use Gemclone::Token;
use Gemclone::TokenKey;
use Mojo::File qw(path);
use Mojo::JSON qw(decode_json);
use Test::More;

plan tests => 7;

my $stack = Gemclone::Stack->start(fsync => 0, children => 1, threads => 32);
my $dir = $stack->dir . '/keys';
my %key = (rsa => Gemclone::TokenKey->make("$dir/rsa.key", 'RS256'), ec => Gemclone::TokenKey->make("$dir/ec.key", 'ES256'));
my $SECRET = path("$dir/token.key")->slurp =~ s/\n\z//r;
my %LINE = (
    dev => "GemcloneTokenKey dev file:$dir/token.key",
    map({ ($_ => "GemcloneTokenKey $_ file:$dir/$_.key " . $key{$_}->algorithm) } keys %key),
);

# The configuration with these keys in this order, and no others.
sub with_keys (@kids) {
    return sub ($apache) {
        my $text = path($apache->configure)->slurp;
        my $lines = join "\n", @LINE{@kids};
        return write_file($apache->conf_file, $text =~ s/^GemcloneTokenKey .*/$lines/mr);
    };
}

sub host (@kids) { return $stack->another_host(children => 1, threads => 32, writer => with_keys(@kids)) }

# A user of the host, who has just signed in there: (client, header, claims of the token).
sub user ($host) {
    my $user = Gemclone::Client->new_user(url => $host->url);
    return ($user, (Gemclone::Token->parts($user->token))[0, 1]);
}

sub jwks ($host) { return decode_json(Gemclone::Client->new(url => $host->url)->get('/.well-known/jwks.json')->body)->{keys} }

# Checks of one host: what is good there, and that others are refused as any that is none.
sub judge ($host) {
    my $try = sub ($token) { Gemclone::Client->new(url => $host->url)->get('/user/me', Authorization => "Bearer $token") };
    my $refusal = problem_ok($try->('x'), 401, 'what is no token at all is refused');
    return (
        sub ($token, $what) { answer_ok $try->($token), 200, $what },
        sub ($token, $what) { is_deeply problem_ok($try->($token), 401, $what), $refusal, '... as any other' },
    );
}

subtest 'what the server signs' => sub {
    my %kind = (rsa => 'RSA', ec => 'EC');
    for my $kid (qw(rsa ec)) {
        my $host = host($kid);
        my ($user, $header) = user($host);
        is_deeply $header, {alg => $key{$kid}->algorithm, typ => 'JWT', kid => $kid}, "$kid: the header";
        ok $key{$kid}->verifies($user->token), '... openssl verifies it by the key';
        my ($jwk, @more) = @{jwks($host)};
        is scalar(@more), 0, '... which the route shows';
        is_deeply [@$jwk{qw(kty use alg kid)}], [$kind{$kid}, 'sig', $key{$kid}->algorithm, $kid], '... and what it is';
        my $shown = Gemclone::TokenKey->of_jwk($jwk);
        is $shown->public_pem, $key{$kid}->public_pem, '... all of it';
        ok $shown->verifies($user->refresh->token), '... by which others verify' for 1 .. 2;
        ok !$shown->verifies($user->token =~ s/\.e/.f/r), '... and refuse';
        $host->stop;
    }
};

subtest 'what the route shows' => sub {
    my $host = host(qw(dev rsa ec));
    my $client = Gemclone::Client->new(url => $host->url);
    my $res = $client->get('/.well-known/jwks.json');
    is $res->code, 200, 'for everybody';
    is $res->headers->content_type, 'application/jwk-set+json', 'its type';
    my %jwk = map { $_->{kid} => $_ } @{jwks($host)};
    is_deeply {map { $_ => [sort keys %{$jwk{$_}}] } keys %jwk},
        {rsa => [qw(alg e kid kty n use)], ec => [qw(alg crv kid kty use x y)]}, 'public halves, and none of HS256';
    is $jwk{ec}{crv}, 'P-256', 'the curve';
    is $jwk{rsa}{e}, 'AQAB', 'the exponent';
    like $jwk{rsa}{n}, qr/\A[\w-]{342}\z/, 'the modulus, of 2048 bits';
    like $jwk{ec}{$_}, qr/\A[\w-]{43}\z/, "the coordinate $_, of 256" for qw(x y);
    unlike $res->body, qr/\Q$SECRET\E|PRIVATE/, 'nothing that is secret';
    is_deeply jwks($stack->apache), [], 'a site with HS256 alone shows none';
    is $client->get('/.well-known/jwks.json', 'If-None-Match' => $res->headers->etag)->code, 304, 'what a client has need not come again';
    $host->stop;
};

subtest 'the public key is no secret' => sub {
    for my $kids (['rsa'], ['ec'], [qw(rsa dev)], [qw(dev rsa ec)]) {
        my $host = host(@$kids);
        my ($user, $header, $claims) = user($host);
        my ($good, $refused) = judge($host);
        $good->($user->token, "@$kids: the server's own");
        for my $kid (grep { $key{$_} } @$kids) {
            $good->(Gemclone::Token->make({alg => $key{$kid}->algorithm, kid => $kid}, $claims, $key{$kid}), "one that openssl signs by $kid");
            my $pem = $key{$kid}->public_pem;
            my %secret = ('as it is' => $pem, 'without its end' => $pem =~ s/\n\z//r, 'in one line' => $pem =~ tr/\n//dr,
                'twice ended' => "$pem\n", 'with a NUL' => "$pem\0", 'of the JWK' => jwks($host)->[0]{n} // jwks($host)->[0]{x}, 'empty' => '');
            for my $what (sort keys %secret) {
                for my $alg (qw(HS256 HS384 HS512)) {
                    $refused->(Gemclone::Token->make({typ => 'JWT', alg => $alg, kid => $_}, $claims, $secret{$what}),
                        "$alg by the public key $what, under the kid " . ($_ // 'null'))
                        for $alg eq 'HS256' ? ($kid, @$kids, undef) : $kid;
                }
                $refused->(Gemclone::Token->make({alg => $key{$kid}->algorithm, kid => $kid}, $claims, $secret{$what}, 'HS256'),
                    "an HMAC by it that is called " . $key{$kid}->algorithm);
            }
        }
        $host->stop;
    }
};

subtest 'keys and algorithms belong together' => sub {
    my $host = host(qw(rsa ec dev));
    my (undef, undef, $claims) = user($host);
    my ($good, $refused) = judge($host);
    my %by = (rsa => [RS256 => $key{rsa}], ec => [ES256 => $key{ec}], dev => [HS256 => $SECRET]);
    my $make = sub ($kid, $alg, $of) { Gemclone::Token->make({alg => $alg, kid => $kid}, $claims, $by{$of}[1], $of eq 'dev' ? 'HS256' : ()) };
    for my $kid (sort keys %by) {
        for my $alg (qw(RS256 ES256 HS256)) {
            for my $of (sort keys %by) {
                my ($token, $what) = ($make->($kid, $alg, $of), "kid $kid, alg $alg, signed by $of");
                $kid eq $of && $alg eq $by{$of}[0] ? $good->($token, $what) : $refused->($token, $what);
            }
        }
        for my $none (qw(none None NONE), '') {
            $refused->(Gemclone::Token->make({alg => $none, kid => $kid}, $claims, '', 'none'), "kid $kid, alg '$none'");
            $refused->($make->($kid, $none, $kid), '... with a signature');
        }
        $refused->($make->($kid, $_, $kid), "kid $kid, alg $_") for qw(RS384 RS512 PS256 ES384 ES512 ES256K EdDSA HS384 rs256);
    }
    $refused->(Gemclone::Token->make({alg => $by{$_}[0]}, $claims, $by{$_}[1]), "no kid, signed by $_") for sort keys %by;
    $refused->(Gemclone::Token->make({alg => $by{$_}[0], kid => 'other'}, $claims, $by{$_}[1]), "an unknown kid, signed by $_") for sort keys %by;
    $host->stop;
};

subtest 'signatures' => sub {
    my %other = map { $_ => Gemclone::TokenKey->make("$dir/other_$_.key", $key{$_}->algorithm) } keys %key;
    for my $kid (qw(rsa ec)) {
        my $host = host($kid);
        my (undef, $header, $claims) = user($host);
        my ($good, $refused) = judge($host);
        my $token = Gemclone::Token->make($header, $claims, $key{$kid});
        $good->($token, "$kid: signed by us");
        $refused->(Gemclone::Token->make($header, $claims, $other{$kid}), 'by another key of that kind');
        $refused->(Gemclone::Token->make({%$header, jwk => jwks($host)->[0]}, $claims, $other{$kid}), 'with a key that comes along');
        my ($head, $body, $signature) = map { Gemclone::Token::decode($_) } split /\./, $token;
        my $signed = sub ($bytes) { return $token =~ s/[^.]*\z//r . Gemclone::Token::encode($bytes) };
        for my $at (0, 31, 32, 63) {
            my $changed = $signature;
            substr($changed, $at, 1) ^= "\x01";
            $refused->($signed->($changed), "byte $at changed");
        }
        my %bad = ('none' => '', 'zeros' => "\0" x length $signature, 'cut short' => substr($signature, 1), 'longer' => "$signature\0",
            'ones' => "\xff" x length $signature, 'half' => substr($signature, 0, length($signature) / 2));
        $bad{'of r and s that are the order'} = pack('H*', 'ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551') x 2 if $kid eq 'ec';
        $refused->($signed->($bad{$_}), "a signature: $_") for sort keys %bad;
        my $theirs = Gemclone::Client->new_user(url => $host->url)->user->{id};
        my $stolen = (split /\./, Gemclone::Token->make($header, {%$claims, sub => $theirs}, $other{$kid}))[1];
        $refused->($token =~ s/\.[^.]*\./.$stolen./r, 'of other claims');
        $refused->(Gemclone::Token->make($header, {%$claims, exp => time - 1, iat => time - 100}, $key{$kid}), 'that has expired');
        $refused->(Gemclone::Token->make($header, {%$claims, iss => 'other'}, $key{$kid}), 'of another issuer');
        $refused->(Gemclone::Token->make($header, {%$claims, scope => 'admin'}, $key{$kid}), 'of no scope of ours');
        $host->stop;
    }
};

subtest 'a site that holds the public key only of others' => sub {
    my ($mine, $theirs) = (host('rsa'), host('ec'));
    my ($user) = user($mine);
    problem_ok(Gemclone::Client->new(url => $theirs->url)->get('/user/me', Authorization => 'Bearer ' . $user->token), 401,
        'does not take what another key has signed');
    $_->stop for $mine, $theirs;
};

# One host whose keys change, by graceful restarts.
subtest 'keys are rolled' => sub {
    my $host = host('dev');
    my $roll = sub (@kids) {
        my %old = map { $_ => 1 } $host->children_pids;
        with_keys(@kids)->($host);
        $host->graceful;
        ok eventually(sub { my @new = $host->children_pids; @new == 1 && !$old{$new[0]} }), "the keys are @kids";
        return;
    };
    my (@users) = (user($host))[0];
    my $all_ok = sub ($what) {
        is scalar(grep { Gemclone::Client->new(url => $host->url, token => $_->token)->get('/user/me')->code != 200 } @users), 0, $what;
    };
    my $newest = sub () { (user($host))[0, 1] };
    for my $way ([qw(dev rsa)], [qw(rsa ec)], [qw(ec dev)]) {
        my ($from, $to) = @$way;
        $roll->($from, $to);
        $all_ok->('nobody is signed out by a key that comes');
        my ($user, $header) = $newest->();
        is $header->{kid}, $from, '... which does not sign yet';
        push @users, $user;
        $roll->($to, $from);
        $all_ok->('nor when it moves to the front');
        ($user, $header) = $newest->();
        is $header->{kid}, $to, '... where it signs';
        $_->url($host->url)->ua(Mojo::UserAgent->new)->refresh for @users;
        push @users, $user;
        is scalar(grep { (Gemclone::Token->parts($_->token))[0]{kid} ne $to } @users), 0, 'whoever refreshes has a token by it';
        my $old = Gemclone::Client->new(url => $host->url, token => $user->token);
        $roll->($to);
        $all_ok->('nor when the old one goes');
        is $old->get('/user/me')->code, 200, '... whoever has come since goes on';
    }
    is_deeply jwks($host), [], 'in the end there is none but for HS256 again';
};
