# SPDX-License-Identifier: Apache-2.0
# Access tokens: only those that we signed, with our key and algorithm, for now, are good.
use Mojo::Base -strict, -signatures;

use Apache::Test qw(-withtestmore);
use Gemclone::Check;
use Gemclone::Stack;
use Gemclone::Token;
use Mojo::File qw(path);

plan tests => 9, need 'gemclone';

my $stack = Gemclone::Stack->shared;
my $user = $stack->new_user;
my $anybody = $stack->client;
my ($HEADER, $CLAIMS) = Gemclone::Token->parts($user->token);
my $KEY = path($stack->dir)->child('keys', 'token.key')->slurp =~ s/\n\z//r;

sub try ($token) { return $anybody->get('/user/me', Authorization => "Bearer $token") }
sub made (@arguments) { return Gemclone::Token->make(@arguments) }
sub with ($header, $claims = {}, @more) {
    return Gemclone::Token->make({%$HEADER, %$header}, {%$CLAIMS, %$claims}, $KEY, @more);
}

sub without ($claim) {
    my %claims = %$CLAIMS;
    delete $claims{$claim};
    return Gemclone::Token->make($HEADER, \%claims, $KEY);
}

my $refusal = problem_ok(try('x'), 401, 'what is no token at all is refused');

sub refused ($token, $what) { return is_deeply problem_ok(try($token), 401, $what), $refusal, '... as any other' }

subtest 'a token that the test signs is good' => sub {
    answer_ok try($user->token), 200, 'the server\'s own';
    answer_ok try(with({})), 200, 'the same, signed by us: what follows fails for its own reason';
    is $anybody->get('/user/me', Authorization => "bearer " . $user->token)->code, 200,
        'the scheme is known in any case';
};

subtest 'time' => sub {
    my $now = time;
    refused with({}, {exp => $now - 1, iat => $now - 100}), 'expired a second ago';
    refused with({}, {exp => $now - 100_000, iat => $now - 200_000}), 'expired long ago';
    refused with({}, {exp => 0}), 'expired in 1970';
    refused with({}, {exp => -1}), 'expired before';
    refused with({}, {exp => "$CLAIMS->{exp}"}), 'exp that is a text';
    refused with({}, {exp => undef}), 'exp that is null';
    refused with({}, {iat => $now + 3600, exp => $now + 7200}), 'issued in an hour';
    refused without($_), "no $_" for qw(exp iat);
    answer_ok try(with({}, {exp => $now + 100})), 200, 'one that has some time left is good';
};

subtest 'claims' => sub {
    refused without($_), "no $_" for qw(iss sub sid);
    refused with({}, {iss => $_}), "iss $_" for 'other', 'Gemclone', '';
    refused with({}, {iss => ['gemclone']}), 'iss as a list';
    refused with({}, {sub => $_}), 'a sub that is no UUID' for 'x', '', 7, "' OR ''='";
    refused with({}, {sid => $_}), 'a sid that is no UUID' for 'x', '', 7;
    refused with({}, {scope => $_}), 'a scope that does not exist' for 'admin', '';
    problem_ok try(with({}, {sub => random_uuid})), 401, 'a sub that nobody is';
};

subtest 'signatures' => sub {
    my ($head, $claims, $signature) = split /\./, $user->token;
    refused "$head.$claims.", 'none';
    refused "$head.$claims", 'not even its dot';
    refused $_, 'parts that are missing'
        for '.', '..', '...', "$head..$signature", ".$claims.$signature", "$head.$claims.$signature.x";
    for my $i (0, 20, 41) {
        my $changed = $signature;
        substr($changed, $i, 1) =~ tr/A-Za-z0-9_-/B-ZAb-za1-90A_/;
        refused "$head.$claims.$changed", "character $i changed";
    }
    refused made($HEADER, {%$CLAIMS, sub => $stack->new_user->user->{id}}, 'x' x 64), 'by another key';
    refused made($HEADER, $CLAIMS, ''), 'by an empty key';
    refused made($HEADER, $CLAIMS, $_), 'by the key, written otherwise'
        for pack('H*', $KEY), "$KEY\n", uc $KEY, substr $KEY, 0, 32;
    my $stolen = (split /\./, with({}, {sub => $stack->new_user->user->{id}}))[1];
    refused "$head.$stolen.$signature", 'of other claims';
};

subtest 'algorithms' => sub {
    for my $alg (qw(none None NONE nOnE), '') {
        refused with({alg => $alg}), "alg '$alg' without a signature";
        refused with({alg => $alg}, {}, 'HS256'), "alg '$alg' with one";
    }
    for my $alg (qw(HS384 HS512)) {
        refused with({alg => $alg}), "$alg by the right key";
        refused with({alg => $alg}, {}, 'HS256'), "$alg, but signed by HS256";
        refused with({}, {}, $alg), "HS256, but signed by $alg";
    }
    refused with({alg => $_}, {}, 'HS256'), "alg $_" for qw(RS256 ES256 PS256 EdDSA HS2560 HS256\0 hs256);
    refused with({alg => $_}, {}, 'HS256'), 'an alg that is no text' for undef, 256, ['HS256'];
    my %no_alg = %$HEADER;
    delete $no_alg{alg};
    refused made(\%no_alg, $CLAIMS, $KEY, 'HS256'), 'no alg';
};

subtest 'key ids' => sub {
    # With one key only, the signature alone decides: what kid says can do no harm, and must not be followed.
    for my $kid ('../../../../dev/null', '/dev/null', '', "dev\0x", "x' UNION SELECT 'k",
        'http://127.0.0.1/key', 'x' x 400, 7, ['dev'], undef) {
        my $shown = ref $kid || !defined $kid ? 'not a text' : substr $kid =~ s/[^ -~]/./gr, 0, 30;
        refused made({%$HEADER, kid => $kid}, $CLAIMS, ''), "an empty key under the kid '$shown'";
        refused made({%$HEADER, kid => $kid}, $CLAIMS, 'x' x 32), "another key under the kid '$shown'";
    }
    refused made({%$HEADER, %$_}, $CLAIMS, 'x' x 32), 'a key that comes along: ' . (keys %$_)[0]
        for { jwk => {kty => 'oct', k => 'eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHg'} }
    , {jku => 'http://127.0.0.1/'}, {x5u => 'http://127.0.0.1/'}, {x5c => ['MIIB']}, {crit => ['exp']};
};

subtest 'sizes and forms' => sub {
    refused 'x' x 8000, 'eight thousand letters';
    refused with({}, {more => 'x' x 5000}), 'five thousand bytes of claims, well signed';
    refused with({kid => 'x' x 5000}), 'or of header';
    refused join('.', ('x' x 100) x 70), 'seventy parts';
    for my $junk ('e30.e30.e30', '....', 'null.null.null', '%00', '{}', 'W10.W10.', 'eyJhbGciOiJub25lIn0.e30.') {
        refused $junk, "'$junk'";
    }
    my $deep = Gemclone::Token::encode('{"alg":"HS256","kid":' . '[' x 2000 . ']' x 2000 . '}');
    refused "$deep.e30.x", 'a header of two thousand levels';
    my ($head, $claims, $signature) = split /\./, $user->token;
    refused "$head=.$claims.$signature", 'base64 with its padding';
    refused "$head.$claims\n.$signature" =~ s/\n/%0a/r, 'and with a line feed';
};

subtest 'headers' => sub {
    my $token = $user->token;
    is $anybody->get('/user/me', Authorization => $_)->code, 401, 'not ' . s/\Q$token/TOKEN/r
        for $token, "Token $token", "Bearer$token", "Bearer  x $token", "Basic $token", "Bearer $token $token",
        "Bearer \"$token\"";
    my $res = $stack->client->get("/user/me?access_token=$token");
    problem_ok $res, 401, 'nor in a query';
    like try('x')->headers->www_authenticate, qr/error="invalid_token"/,
        'a token that is refused is told from one that is missing';
    unlike $anybody->get('/user/me')->headers->www_authenticate, qr/error/, 'by RFC 6750';
};
