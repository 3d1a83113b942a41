# SPDX-License-Identifier: Apache-2.0
# POST /auth/login, /auth/change-password and /auth/forgot-password: passwords set, tried, forgotten, and what they cost.
use Mojo::Base -strict, -signatures;

use Gemclone::Check;
use Gemclone::Client;
use Gemclone::Paths qw(program);
use Gemclone::Stack;
use Gemclone::Token;
use Mojo::File qw(path);
use Mojo::JSON qw(decode_json encode_json);
use Mojo::Promise;
use Mojo::UserAgent;
use Test::More;
use Time::HiRes qw(sleep time);
use utf8;

use constant {TRIES => 4, WINDOW => 900, SOON => 1.5, PASSWORD => 'correct horse battery'};

plan tests => 17;

my %usual = (children => 2, threads => 32);
my $stack = Gemclone::Stack->start(fsync => 0, %usual, log_level => 'info gemclone:trace8',
    directives => ['GemcloneLimit password ' . TRIES . ' ' . WINDOW]);
my $dbh = $stack->dbh;

sub new_number () {
    my $number = Gemclone::Client->new_number;
    $stack->client->sign_up($number);
    return $number;
}

sub claims ($client) { return (Gemclone::Token->parts($client->token))[1] }

# A user with a password, signed in by a code.
sub user_with ($password = PASSWORD, $number = new_number) {
    my $client = $stack->client->sign_in($number);
    answer_ok change($client, $password), 200, 'a password is set' if defined $password;
    return ($client, $number);
}

sub change ($client, $new, $current = undef) {
    return $client->post('/auth/change-password', {new_password => $new, defined $current ? (current_password => $current) : ()});
}

sub login ($number, $password, $url = $stack->url) {
    return Gemclone::Client->new(url => $url)->post('/auth/login', {mobile_number => $number, password => $password});
}

sub reset_of ($number) {
    my $client = $stack->client;
    my $otp = answer_ok($client->post('/auth/forgot-password', {mobile_number => $number}), 200, 'a code to reset it')->{otp};
    return $client->verify($number, $otp, 'reset_password');
}

sub stored ($number) { return ($dbh->selectrow_array('SELECT password_hash FROM gemclone.users WHERE e164 = ?', {}, $number))[0] }

sub tries ($number, $kind = 'password') {
    return ($dbh->selectrow_array('SELECT count FROM gemclone.limits WHERE kind = ? AND subject = ?', {}, $kind, $number))[0] // 0;
}

sub next_window ($number) { return $dbh->do('UPDATE gemclone.limits SET window_ends = now() WHERE subject = ?', {}, $number) }

# On any child.
sub works ($client) { return Gemclone::Client->new(url => $stack->url, token => $client->token)->get('/user/me')->code == 200 }

sub ended_ok ($client, $what) { return ok eventually(sub { !grep { works($client) } 1 .. 8 }, SOON), $what }

# A 429 by a limit; returns its problem.
sub limited_ok ($res, $name, $most, $what) {
    my $problem = problem_ok($res, 429, $what);
    my ($policy, $limit, $retry) = map { $res->headers->header($_) // '' } qw(RateLimit-Policy RateLimit Retry-After);
    is $policy, qq{"$name";q=$most;w=} . WINDOW, '... by its policy';
    is $limit, qq{"$name";r=0;t=$retry}, '... of which nothing is left';
    ok $retry > WINDOW - 60 && $retry <= WINDOW, '... until the window is over';
    return $problem;
}

my $REFUSAL = login(Gemclone::Client->new_number, PASSWORD);
problem_ok $REFUSAL, 400, 'a number that nobody has';

subtest 'the first one' => sub {
    my ($client, $number) = user_with(undef);
    is stored($number), undef, 'whoever signs up has none';
    same_answer login($number, PASSWORD), $REFUSAL, 'and cannot log in with one';
    my $json = answer_ok(change($client, PASSWORD), 200, 'it is set without another');
    is_deeply [keys %$json], ['message'], 'the members';
    my $before = time;
    $json = answer_ok(login($number, PASSWORD), 200, 'and is good');
    is_deeply [sort keys %$json], [qw(access_token expires_in message refresh_token token_type)], 'the members';
    is_deeply [@$json{qw(token_type expires_in)}], ['bearer', 1800], 'type and lifetime';
    my $claims = (Gemclone::Token->parts($json->{access_token}))[1];
    is $claims->{sub}, $client->get('/user/me')->json->{user}{id}, 'the user';
    ok $claims->{iat} >= int $before && !exists $claims->{scope}, 'may do all, from now on';
    isnt $claims->{sid}, claims($client)->{sid}, 'by another session';
    my $other = $stack->client(token => $json->{access_token});
    is_deeply [map { $_->{current} ? 1 : 0 } @{answer_ok($other->get('/auth/sessions'), 200, 'of which there are two')->{sessions}}], [1, 0], 'now';
    answer_ok $stack->client->post('/auth/refresh', {refresh_token => $json->{refresh_token}}), 200, 'that can be refreshed';
    my $written = $number =~ s/^\+1(...)(...)/($1) $2-/r;
    answer_ok login($written, PASSWORD), 200, 'the number may be written another way';
};

subtest 'one answer for all that is wrong' => sub {
    my (undef, $number) = user_with;
    same_answer login($number, $_), $REFUSAL, "not '" . substr($_, 0, 30) . "'"
        for uc PASSWORD, PASSWORD . ' ', ' ' . PASSWORD, substr(PASSWORD, 1), 'x', 'x' x 128, stored($number);
    for my $case (
        [{}, qw(/mobile_number /password)],
        [{mobile_number => $number}, '/password'],
        [{mobile_number => 'x', password => PASSWORD}, '/mobile_number'],
        [{mobile_number => $number, password => ''}, '/password'],
        [{mobile_number => $number, password => undef}, '/password'],
        [{mobile_number => $number, password => 12345678}, '/password'],
        [{mobile_number => $number, password => {'$ne' => ''}}, '/password'],
        [{mobile_number => $number, password => 'x' x 129}, '/password'],
    ) {
        my ($body, @pointers) = @$case;
        problem_ok $stack->client->post('/auth/login', $body), 422, 'malformed: ' . substr(encode_json($body), 0, 60), errors => \@pointers;
    }
    is scalar($stack->log->lines('GEM0108')), 10 - 1, 'the log tells of each that was refused';
};

subtest 'the next one' => sub {
    my ($client, $number) = user_with;
    my $other = $stack->client->log_in($number, PASSWORD);
    my $hash = stored($number);
    problem_ok change($client, 'another password'), 422, 'without the current one', errors => ['/current_password'];
    problem_ok change($client, 'another password', undef), 422, 'or with null', errors => ['/current_password'];
    is tries($number), 0, 'which is no try';
    problem_ok change($client, 'another password', 'wrong password'), 422, 'with a wrong one', errors => ['/current_password'];
    is tries($number), 1, 'which is one';
    is stored($number), $hash, 'nothing has changed';
    answer_ok change($client, 'another password', PASSWORD), 200, 'with the right one';
    is tries($number), 0, 'what was counted is forgotten';
    ok works($client), 'the session that did it goes on';
    ended_ok $other, 'all others end';
    problem_ok $stack->client->post('/auth/refresh', {refresh_token => $other->refresh_token}), 401, 'with their refresh tokens';
    same_answer login($number, PASSWORD), $REFUSAL, 'the old password is good no more';
    answer_ok login($number, 'another password'), 200, 'the new one is';
    answer_ok change($client, 'another password', 'another password'), 200, 'it may be the same again';
    isnt stored($number), $hash, 'by another hash';
};

subtest 'what a password may be' => sub {
    my ($client, $number) = user_with(undef);
    my $current;
    my $good = sub ($password, $what) {
        answer_ok change($client, $password, $current), 200, $what;
        $current = $password;
        answer_ok login($number, $password), 200, '... and it is good';
        return;
    };
    my $bad = sub ($password, $what) {
        return problem_ok change($client, $password, $current), 422, $what, errors => ['/new_password'];
    };
    my $emoji = "\x{1F600}";
    $bad->('', 'an empty one');
    $bad->('1234567', 'seven characters');
    $bad->($emoji x 7, 'seven, of 28 bytes');
    $bad->("e\x{301}" . 'x' x 5, 'seven, one of which goes onto another');
    $bad->('x' x 129, 'a hundred and twenty-nine');
    $bad->($_, 'no text: ' . encode_json [$_]) for 12345678, [PASSWORD], {x => PASSWORD};
    $bad->(undef, 'null');
    $good->('12345678', 'eight characters');
    $good->($emoji x 8, 'eight emoji');
    $good->($emoji x 128, 'a hundred and twenty-eight');
    $good->('x' x 128, '128 letters');
    $good->(' ' x 8, 'blanks');
    same_answer login($number, ' ' x 9), $REFUSAL, '... of which each counts';
    $good->("\t  tabs and\nlines \r\n", 'white space at both ends');
    same_answer login($number, "tabs and\nlines"), $REFUSAL, '... which counts as well';
    $good->('Zoë und 李雷', 'letters of all kinds');
    $good->("Zoe\x{308} und 李雷", 'written otherwise, they are others');
    same_answer login($number, 'Zoë und 李雷'), $REFUSAL, '... to be written as they were';
    $good->('"quoted\\" \';--', 'whatever stands in it');
    my $raw = sub ($bytes) { return $client->post('/auth/change-password', qq({"new_password":"$bytes"}), 'Content-Type' => 'application/json') };
    problem_ok $raw->('12345678\u0000'), 422, 'a NUL is refused, not taken for the end', errors => ['/new_password'];
    problem_ok $raw->('12345678\ud800'), 400, 'so is half a character';
    problem_ok $raw->("12345678\xff"), 400, 'and what is no UTF-8';
    my $six = $stack->another_host(%usual, directives => ['GemclonePasswordMin 6']);
    my $there = Gemclone::Client->new(url => $six->url, token => $client->token);
    answer_ok change($there, '123456', $current),
        200, 'six characters, with GemclonePasswordMin 6';
    answer_ok login($number, '123456'), 200, '... are good wherever they were set';
};

subtest 'so many tries' => sub {
    my ($client, $number) = user_with;
    same_answer login($number, "wrong $_"), $REFUSAL, "wrong, $_" for 1 .. TRIES;
    same_answer login($number, PASSWORD), $REFUSAL, 'then the right one is refused, by the same words';
    is tries($number), TRIES, 'so many were counted';
    limited_ok change($client, 'another password', PASSWORD), 'password', TRIES, 'nor is it taken for current';
    my $code = $stack->client->sign_in($number);
    ok works($code), 'a code signs in as before';
    next_window($number);
    answer_ok login($number, PASSWORD), 200, 'the next window has its own';

    ($client, $number) = user_with;
    problem_ok change($client, 'another password', "wrong $_"), 422, "wrong as the current one, $_", errors => ['/current_password'] for 1 .. TRIES;
    my $problem = limited_ok change($client, 'another password', PASSWORD), 'password', TRIES, 'then the right one is refused';
    isnt $problem->{detail}, '', 'and told why, as the session is the user\'s';
    same_answer login($number, PASSWORD), $REFUSAL, 'login shares the count';

    my $nobody = Gemclone::Client->new_number;
    same_answer login($nobody, "wrong $_"), $REFUSAL, "a number that nobody has, $_" for 1 .. TRIES + 2;
    is tries($nobody), TRIES, 'is counted in the same way';
};

subtest 'a right one gives a guesser nothing' => sub {
    my (undef, $number) = user_with;
    for my $wrong (1 .. TRIES - 1) {
        login($number, 'wrong');
        answer_ok login($number, PASSWORD), 200, "after $wrong wrong ones its owner can log in" for 1 .. 2;
    }
    is tries($number), TRIES - 1, 'which takes none of them back';
    login($number, 'wrong');
    same_answer login($number, PASSWORD), $REFUSAL, 'the last shuts the door';
    next_window($number);
    my @answers = all_at_once map { $stack->client->transaction(POST => '/auth/login', {mobile_number => $number, password => "wrong $_"}) } 1 .. 30;
    is_deeply [grep { $_ != 400 } map { $_->code } @answers], [], 'thirty at once are refused';
    is tries($number), TRIES, 'no more than the others were tried';
};

subtest 'a password that was forgotten' => sub {
    my ($client, $number) = user_with;
    my $otp = $stack->client->otp($number);
    login($number, 'wrong') for 1 .. TRIES;
    my $reset = reset_of($number);
    problem_ok change($reset, '1234567'), 422, 'it is to be as long as any', errors => ['/new_password'];
    answer_ok change($reset, 'quite another', 'it does not matter'), 200, 'it is set without the current one';
    problem_ok change($reset, 'and again'), 401, 'once: the token is refused at once';
    ended_ok $reset, 'by every process';
    ended_ok $client, 'all sessions end';
    problem_ok $stack->client->post('/auth/refresh', {refresh_token => $client->refresh_token}), 401, 'for good';
    problem_ok $stack->client->post('/auth/verify-otp', {mobile_number => $number, otp => $otp, purpose => 'login'}), 400,
        'codes that were on their way are void';
    answer_ok login($number, 'quite another'), 200, 'the new one is good, and the tries are forgotten';
    same_answer login($number, PASSWORD), $REFUSAL, 'the old one is not';

    $reset = reset_of($number);
    my @answers = all_at_once map { $reset->transaction(POST => '/auth/change-password', {new_password => "number $_ of 8"}) } 1 .. 8;
    is_deeply [sort map { $_->code } @answers], [200, (401) x 7], 'of eight at once, one sets it';
    my @good = grep { login($number, "number $_ of 8")->code == 200 } map { $_ + 1 } grep { $answers[$_]->code == 200 } keys @answers;
    is scalar(@good), 1, 'and that is what counts';

    my $none = new_number;
    $reset = reset_of($none);
    answer_ok change($reset, PASSWORD), 200, 'whoever had none can set one in the same way';
    answer_ok login($none, PASSWORD), 200, 'which is good';
};

subtest 'nobody learns by it which numbers have an account' => sub {
    my $silent = $stack->another_host(%usual, directives => ['GemcloneOTPReveal Off', 'GemcloneOTPLog otp.log']);
    my $client = Gemclone::Client->new(url => $silent->url);
    my ($known, $unknown) = map { $client->post('/auth/forgot-password', {mobile_number => $_}) } new_number, Gemclone::Client->new_number;
    answer_ok $known, 200, 'a code is sent';
    same_answer $unknown, $known, 'or is not';
    problem_ok $client->post('/auth/forgot-password', {mobile_number => 'x'}), 422, 'what is no number', errors => ['/mobile_number'];
};

subtest 'changes at once' => sub {
    for my $current (PASSWORD, undef) {
        my ($client, $number) = user_with($current);
        my @answers = all_at_once map {
            $client->transaction(POST => '/auth/change-password', {new_password => "number $_ of 4", current_password => $current})
        } 1 .. 4;
        my ($won, @others) = sort map { $_->code } @answers;
        is $won, 200, 'one is first';
        is_deeply [grep { !/^(?:409|422)$/ } @others], [], 'the others are told so, or that their current one is wrong';
        next_window($number);    # whoever came too late has tried a wrong one
        my @good = grep { login($number, "number $_ of 4")->code == 200 } 1 .. 4;
        is_deeply [map { $answers[$_ - 1]->code } @good], [200], 'the first one counts';
    }
};

subtest 'a session that has ended changes nothing' => sub {
    my ($client, $number) = user_with;
    my $hash = stored($number);
    # No process has heard of it yet; or has, which is as well.
    $dbh->do('DELETE FROM gemclone.sessions WHERE id = ?', {}, claims($client)->{sid});
    problem_ok change($client, 'another password', PASSWORD), 401, 'it is refused';
    is stored($number), $hash, 'the password is as it was';
};

subtest 'tries of an address' => sub {
    my $few = $stack->another_host(%usual, directives => ['GemcloneLimit sign-in-address 5 ' . WINDOW, 'GemcloneLimit password unlimited']);
    my ($client, $number) = user_with;
    my $counted = sub { tries('127.0.0.1', 'sign-in-address') };
    my $there = Gemclone::Client->new(url => $few->url, token => $client->token);
    for (1 .. 3) {
        answer_ok login($number, PASSWORD, $few->url), 200, 'a right one';
        answer_ok change($there, PASSWORD, PASSWORD), 200, 'a right one to be changed';
    }
    is $counted->(), 0, 'does not count';
    same_answer login($_, PASSWORD, $few->url), $REFUSAL, 'wrong ones do' for map { Gemclone::Client->new_number } 1 .. 2;
    problem_ok change($there, PASSWORD, 'wrong'), 422, 'so does one as current';
    problem_ok $there->post('/auth/verify-otp', {mobile_number => $number, otp => '000000', purpose => 'login'}), 400, 'and a wrong code';
    is $counted->(), 4, 'whatever they are for';
    answer_ok login($number, PASSWORD, $few->url), 200, 'the fifth is right';
    same_answer login($number, 'wrong', $few->url), $REFUSAL, 'or wrong';
    limited_ok login($number, PASSWORD, $few->url), 'sign-in-address', 5, 'then the right one is refused';
    limited_ok login(Gemclone::Client->new_number, PASSWORD, $few->url), 'sign-in-address', 5, 'whosever it is';
    limited_ok $there->post('/auth/verify-otp', {mobile_number => $number, otp => '000000', purpose => 'login'}), 'sign-in-address', 5, 'and codes';
    limited_ok change($there, PASSWORD, PASSWORD), 'sign-in-address', 5, 'and a change';
    is $counted->(), 5, 'which counts no more';
    is tries($number), 0, 'nor does it count for the account';
    my $reset = reset_of($number);
    answer_ok change(Gemclone::Client->new(url => $few->url, token => $reset->token), PASSWORD, 'wrong'), 200, 'a reset is no try';
    is $counted->(), 5, 'and gives none back';
    next_window('127.0.0.1');
    answer_ok login($number, PASSWORD, $few->url), 200, 'the next window has its own';
};

subtest 'another cost' => sub {
    my ($client, $number) = user_with;
    my $first = stored($number);
    like $first, qr/\A\$argon2id\$v=19\$m=4096,t=2,p=1\$[\w+\/]{22}\$[\w+\/]{43}\z/, 'Argon2id, by the cost of the configuration';
    my $dear = $stack->another_host(%usual, directives => ['GemclonePasswordMemory 8M', 'GemclonePasswordPasses 3']);
    same_answer login($number, 'wrong', $dear->url), $REFUSAL, 'a wrong one';
    is stored($number), $first, 'leaves the hash as it is';
    my $before = $stack->client->log_in($number, PASSWORD);
    answer_ok login($number, PASSWORD, $dear->url), 200, 'a right one';
    like stored($number), qr/\A\$argon2id\$v=19\$m=8192,t=3,p=1\$/, 'gets a new hash at the new cost';
    my $new = stored($number);
    answer_ok login($number, PASSWORD, $dear->url), 200, 'the next one';
    is stored($number), $new, 'finds it as it should be';
    ok works($before), 'no session ends by that';
    answer_ok login($number, PASSWORD), 200, 'a host of the old cost takes it';
    like stored($number), qr/m=4096,t=2/, 'and makes it its own';
    my (undef, $same) = user_with;
    my ($one, $other) = map { (split /\$/, stored($_))[-2] } $number, $same;
    isnt $one, $other, 'the same password of two users has two salts';
};

subtest 'hashing is bounded' => sub {
    my ($megabytes, $logins) = (32, 60);
    my $slow = $stack->another_host(children => 1, threads => 96, directives => ['GemclonePasswordHashes 1',
        "GemclonePasswordMemory ${megabytes}M", 'GemclonePasswordPasses 6', 'GemcloneLimit password unlimited']);
    my ($client, $number) = user_with;
    my $there = Gemclone::Client->new(url => $slow->url, token => $client->token);
    answer_ok login($number, PASSWORD, $slow->url), 200, 'one by itself';
    $there->get('/user/me');
    my ($child) = $slow->children_pids;
    my $peak = sub { (path("/proc/$child/status")->slurp =~ /^VmHWM:\s+(\d+) kB/m)[0] / 1024 };
    my $before = $peak->();

    my $ua = Mojo::UserAgent->new(max_connections => 0, inactivity_timeout => 60, request_timeout => 120);
    my (@answers, @others);
    my @waiting = map {
        $ua->start_p($there->transaction(POST => '/auth/login', {mobile_number => $number, password => $_ % 2 ? PASSWORD : 'wrong'}))
            ->then(sub ($tx) { push @answers, $tx->res })
    } 1 .. $logins;
    my $ask;
    $ask = sub {
        return if @answers == $logins;
        my $began = time;
        $ua->start_p($there->transaction(GET => '/user/me'))->then(sub ($tx) { push @others, [$tx->res->code, time - $began]; $ask->() });
    };
    $ask->();
    Mojo::Promise->all(@waiting)->wait;

    my %count;
    $count{$_->code}++ for @answers;
    note join ', ', map {"$count{$_} times $_"} sort keys %count;
    is_deeply [sort keys %count], [200, 400, 503], 'all are answered: right, wrong, or one too many';
    cmp_ok $count{200} + $count{400}, '>=', 33, 'one at work and 32 in the line are taken';
    cmp_ok $count{503}, '>', 0, 'others are not';
    problem_ok +(grep { $_->code == 503 } @answers)[0], 503, '... and told to come back';
    cmp_ok $peak->() - $before, '<', 1.5 * $megabytes * ($ENV{GEMCLONE_SANITIZE} ? 4 : 1), 'one at a time takes memory';
    cmp_ok scalar(@others), '>', 10, 'others are served meanwhile';
    is scalar(grep { $_->[0] != 200 } @others), 0, '... well';
    my ($longest) = sort { $b <=> $a } map { $_->[1] } @others;
    cmp_ok $longest, '<', 1, '... at once';
    answer_ok login($number, PASSWORD, $slow->url), 200, 'then there is room again';

    # Those that are under way when the server is restarted are answered as well.
    @waiting = map { $ua->start_p($there->transaction(POST => '/auth/login', {mobile_number => $number, password => PASSWORD})) } 1 .. 10;
    Mojo::Promise->timer(0.5)->then(sub { $slow->graceful })->wait;
    my @codes;
    Mojo::Promise->all(@waiting)->then(sub (@all) { @codes = map { $_->[0]->res->code } @all })->wait;
    is_deeply \@codes, [(200) x 10], 'a restart cuts nobody off';
};

subtest 'other MPMs, and HTTP/2' => sub {
    my ($client, $number) = user_with;
    for my $mpm (qw(worker prefork)) {
        my $host = $stack->another_host(mpm => $mpm, children => $mpm eq 'prefork' ? 8 : 2, threads => 32);
        my @answers = all_at_once map { Gemclone::Client->new(url => $host->url)->transaction(POST => '/auth/login', {mobile_number => $number, password => PASSWORD}) } 1 .. 6;
        is_deeply [map { $_->code } @answers], [(200) x 6], "the $mpm MPM: logins";
        my $there = Gemclone::Client->new(url => $host->url, token => $client->token);
        answer_ok change($there, PASSWORD, PASSWORD), 200, '... a change';
        problem_ok change($there, PASSWORD, 'wrong'), 422, '... and one that is wrong';
        ok $host->stop, '... and it stops in order';
    }
    my $host = $stack->another_host(%usual, more_modules => ['http2'], directives => ['Protocols h2c http/1.1']);
    my $body = encode_json {mobile_number => $number, password => PASSWORD};
    open my $out, '-|', program('curl'), qw(-s --http2-prior-knowledge -w), "\n%{http_version} %{http_code}", '-H', 'Content-Type: application/json',
        '-d', $body, $host->url . '/auth/login' or die "curl: $!\n";
    my ($json, $how) = <$out>;
    is $how, '2 200', 'over HTTP/2';
    ok decode_json($json)->{refresh_token}, '... with its tokens';
};

subtest 'streams and long exports keep nobody out' => sub {
    my ($client, $number) = user_with;
    for my $mpm (qw(event prefork)) {
        my $host = $stack->another_host(mpm => $mpm, directives => ['GemcloneMaxStreams 0', 'GemcloneBlockingStreams 0']);
        answer_ok login($number, PASSWORD, $host->url), 200, "the $mpm MPM: a login where no stream has a place";
        my $there = Gemclone::Client->new(url => $host->url, token => $client->token);
        answer_ok change($there, PASSWORD, PASSWORD), 200, '... and a change';
    }
};

subtest 'passwords stand nowhere' => sub {
    my $secret = 'A most telling password';
    my ($client, $number) = user_with($secret);
    login($number, $secret);
    login($number, "$secret!");
    change($client, "$secret, changed", $secret);
    my %environment = $stack->postgres->libpq_environment;
    local @ENV{keys %environment} = values %environment;
    my $dump = do { open my $out, '-|', program('pg_dump'), '-a' or die "pg_dump: $!\n"; local $/; <$out> };
    like $dump, qr/\$argon2id\$/, 'the database has hashes';
    unlike $dump, qr/telling/, 'and no password';
    is_deeply [grep {/telling/} $stack->log->lines], [], 'nor has the error log';
    unlike path($_)->slurp, qr/telling/, 'nor the access log' for $stack->apache->access_log;
    ok scalar(grep {/GEM0108/} $stack->log->lines), 'which tells that one was refused';
};
