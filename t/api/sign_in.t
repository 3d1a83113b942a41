# SPDX-License-Identifier: Apache-2.0
# POST /auth/send-otp and POST /auth/verify-otp: what is good, and what is malformed. t/security has what is hostile.
use Mojo::Base -strict, -signatures;

use Apache::Test qw(-withtestmore);
use Gemclone::Check;
use Gemclone::Client;
use Gemclone::Stack;
use Gemclone::Token;
use Mojo::JSON qw(encode_json);

plan tests => 8, need 'gemclone';

my $stack = Gemclone::Stack->shared;
my $client = $stack->client;

sub new_number () {
    my $number = Gemclone::Client->new_number;
    $client->sign_up($number);
    return $number;
}

sub send_otp ($number, $purpose = 'login') {
    return $client->post('/auth/send-otp', {mobile_number => $number, purpose => $purpose});
}

sub verify ($number, $otp, $purpose = 'login') {
    return $client->post('/auth/verify-otp', {mobile_number => $number, otp => $otp, purpose => $purpose});
}

subtest 'a code' => sub {
    my $json = answer_ok(send_otp(new_number), 200, 'is sent');
    is_deeply [sort keys %$json], [qw(message otp)], 'and shown, as GemcloneOTPReveal is on';
    like $json->{otp}, qr/\A\d{6}\z/, 'it has six digits';
    my $number = new_number;
    my %seen = map { send_otp($number)->json->{otp} => 1 } 1 .. 20;
    cmp_ok keys %seen, '>', 17, 'and is another one each time';
};

subtest 'tokens' => sub {
    my ($number, $before) = (new_number, time);
    my $json = answer_ok(verify($number, send_otp($number)->json->{otp}), 200, 'come for a code');
    is_deeply [sort keys %$json], [qw(access_token expires_in message refresh_token token_type)], 'the members';
    is $json->{token_type}, 'bearer', 'the type';
    is $json->{expires_in}, 1800, 'the lifetime';
    like $json->{refresh_token}, qr/\A[\w-]{86}\z/, 'the refresh token has its session, 256 bits and a tag';

    my ($header, $claims) = Gemclone::Token->parts($json->{access_token});
    is_deeply $header, {alg => 'HS256', typ => 'JWT', kid => 'dev'}, 'the header';
    is_deeply [sort keys %$claims], [qw(exp iat iss jti sid sub)], 'the claims';
    is $claims->{iss}, 'gemclone', 'iss';
    is $claims->{exp} - $claims->{iat}, 1800, 'exp is expires_in after iat';
    ok $claims->{iat} >= $before - 1 && $claims->{iat} <= time, 'iat is now';
    my $dbh = $stack->dbh;
    my ($user, $hash)
        = $dbh->selectrow_array('SELECT user_id, encode(refresh_hash, \'hex\') FROM gemclone.sessions WHERE id = ?',
        {}, $claims->{sid});
    is $user, $claims->{sub}, 'sid is a session of sub';
    unlike $hash, qr/@{[unpack 'H*', $json->{refresh_token}]}/, 'the refresh token is not stored';
    my ($again) = (Gemclone::Token->parts(verify($number, send_otp($number)->json->{otp})->json->{access_token}))[1];
    isnt $again->{$_}, $claims->{$_}, "another sign-in has another $_" for qw(jti sid);
    is $again->{sub}, $claims->{sub}, 'and the same sub';
};

subtest 'a token for a new password' => sub {
    my $number = new_number;
    my $json = answer_ok(verify($number, send_otp($number, 'reset_password')->json->{otp}, 'reset_password'), 200,
        'comes');
    is_deeply [sort keys %$json], [qw(access_token expires_in message token_type)], 'without a refresh token';
    is $json->{expires_in}, 600, 'for ten minutes';
};

subtest 'a code is good once' => sub {
    my $number = new_number;
    my $otp = send_otp($number)->json->{otp};
    answer_ok verify($number, $otp), 200, 'the first time';
    problem_ok verify($number, $otp), 400, 'not the second time';
    my $other = send_otp($number)->json->{otp};
    answer_ok verify($number, $other), 200, 'another one is';
};

subtest 'a newer code voids the older' => sub {
    my $number = new_number;
    my ($old, $new) = map { send_otp($number)->json->{otp} } 1 .. 2;
    $new = send_otp($number)->json->{otp} while $new eq $old;
    problem_ok verify($number, $old), 400, 'the older';
    answer_ok verify($number, $new), 200, 'the newer';
};

subtest 'purposes stand apart' => sub {
    my $number = new_number;
    my ($login, $reset) = map { send_otp($number, $_)->json->{otp} } qw(login reset_password);
    problem_ok verify($number, $login, 'reset_password'), 400, 'a code for login does not reset' if $login ne $reset;
    answer_ok verify($number, $login, 'login'), 200, 'one for a reset does not void one for login';
    answer_ok verify($number, $reset, 'reset_password'), 200, 'and the other way round';
};

subtest 'codes are a number\'s own' => sub {
    my ($one, $other) = (new_number, new_number);
    my $otp = send_otp($one)->json->{otp};
    send_otp($other);
    problem_ok verify($other, $otp), 400, 'another number\'s code' unless send_otp($other)->json->{otp} eq $otp;
    problem_ok send_otp(Gemclone::Client->new_number), 404, 'a number that nobody has, while codes are revealed';
    my $written = $one =~ s/^\+1(...)/($1) /r;
    answer_ok verify($written, $otp), 200, 'the number may be written another way';
};

subtest 'members that break a rule' => sub {
    my %good = (mobile_number => new_number, otp => '123456', purpose => 'login');
    for my $case (
        ['/auth/send-otp', {}, qw(/mobile_number /purpose)],
        ['/auth/send-otp', {mobile_number => 'x', purpose => 'login'}, '/mobile_number'],
        ['/auth/send-otp', {%good, purpose => undef}, '/purpose'],
        ['/auth/send-otp', {%good, purpose => 'LOGIN'}, '/purpose'],
        ['/auth/send-otp', {%good, purpose => ['login']}, '/purpose'],
        ['/auth/verify-otp', {}, qw(/mobile_number /otp /purpose)],
        ['/auth/verify-otp', {%good, otp => 123456}, '/otp'],
        ['/auth/verify-otp', {%good, otp => ''}, '/otp'],
        ['/auth/verify-otp', {%good, otp => '1' x 17}, '/otp'],
        ['/auth/verify-otp', {%good, otp => undef}, '/otp'],
        ['/auth/verify-otp', {%good, otp => {'$ne' => ''}}, '/otp'],
        ['/auth/verify-otp', {%good, purpose => "login\0"}, '/purpose'],
    ) {
        my ($path, $body, @pointers) = @$case;
        problem_ok $client->post($path, $body), 422, "$path " . encode_json($body), errors => \@pointers;
    }
    for my $otp ('٠٠٠٠٠٠', '12345', '1234567', 'abcdef', ' 123456', "' OR 1=1 --") {
        problem_ok $client->post('/auth/verify-otp', {%good, mobile_number => new_number, otp => $otp}), 400,
            'a code that cannot be one is wrong, no more';
    }
};
