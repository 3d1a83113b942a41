# SPDX-License-Identifier: Apache-2.0
# POST /auth/refresh and /auth/logout, GET and DELETE /auth/sessions: what keeps a user signed in, and what ends it.
use Mojo::Base -strict, -signatures;

use Gemclone::Check;
use Gemclone::Client;
use Gemclone::Raw;
use Gemclone::Stack;
use Gemclone::Token;
use Mojo::JSON qw(decode_json encode_json);
use Test::More;
use Time::HiRes qw(sleep time);

use constant {SOON => 1.5, DAY => 86_400};

plan tests => 16;

my %usual = (children => 2, threads => 32);
my $stack = Gemclone::Stack->start(fsync => 0, %usual, directives => ['GemcloneSweep 1s']);
# The same users, with other settings.
my $strict = $stack->another_host(%usual, directives => ['GemcloneRefreshReuse 0', 'GemcloneMaxSessions 3']);
my $short = $stack->another_host(%usual, directives => ['GemcloneSessionIdle 1min', 'GemcloneSessionLifetime 2min',
    'GemcloneTokenLifetime 10s']);
my $brief = $stack->another_host(%usual, directives => ['GemcloneSessionIdle 1min']);
my $dbh = $stack->dbh;

sub new_number () {
    my $number = Gemclone::Client->new_number;
    $stack->client->sign_up($number);
    return $number;
}

# Clients of so many sessions of one user, who is new.
sub sessions ($count, $number = new_number, $url = $stack->url) {
    return map { Gemclone::Client->new(url => $url)->sign_in($number) } 1 .. $count;
}

sub session () { return (sessions(1))[0] }
sub claims ($client) { return (Gemclone::Token->parts($client->token))[1] }
sub id ($client) { return claims($client)->{sid} }
sub refresh ($token, $url = $stack->url) { return Gemclone::Client->new(url => $url)->post('/auth/refresh', {refresh_token => $token}) }

# A column of a session's row; nothing where there is none.
sub column ($name, $id) { return ($dbh->selectrow_array("SELECT $name FROM gemclone.sessions WHERE id = ?", {}, $id))[0] }
sub hash ($id) { return column(q{encode(refresh_hash, 'hex')}, $id) }
sub is_there ($id) { return column('count(*)', $id) }

# Ages the last refresh of a session.
sub age ($client, $seconds) {
    $dbh->do(q{UPDATE gemclone.sessions SET used_at = used_at - ? * interval '1 s' WHERE id = ?}, {}, $seconds, id($client));
    return;
}

# On a connection of its own each time, so that it comes to any child.
sub works ($client, $token = $client->token) {
    return Gemclone::Client->new(url => $client->url, token => $token)->get('/user/me')->code == 200;
}

sub live_ok ($client, $what) {
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my @bad = grep { !works($client) } 1 .. 8;
    return is scalar(@bad), 0, $what;
}

# Within a second on every child: t/system/sessions.t asks each.
sub ended_ok ($client, $what, $token = $client->token) {
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return ok eventually(sub { !grep { works($client, $token) } 1 .. 8 }, SOON), $what;
}

my $REFUSAL = refresh('x');
problem_ok $REFUSAL, 401, 'a refresh token that is none';
like $REFUSAL->headers->www_authenticate, qr/error="invalid_token"/, 'is told from one that is missing';

subtest 'a refresh gives a new pair' => sub {
    my ($client, $before) = (session, time);
    my ($id, $old, $claims) = (id($client), $client->token, claims($client));
    my ($hash, $expires) = (hash($id), column('expires_at', $id));
    sleep 0.01;
    my $json = answer_ok(refresh($client->refresh_token), 200, 'is answered');
    is_deeply [sort keys %$json], [qw(access_token expires_in message refresh_token token_type)], 'the members';
    is $json->{token_type}, 'bearer', 'the type';
    is $json->{expires_in}, 1800, 'the lifetime';
    like $json->{refresh_token}, qr/\A[\w-]{86}\z/, 'a refresh token';
    isnt $json->{refresh_token}, $client->refresh_token, 'another one';
    my $new = (Gemclone::Token->parts($json->{access_token}))[1];
    is $new->{$_}, $claims->{$_}, "the access token has the same $_" for qw(iss sub sid);
    isnt $new->{jti}, $claims->{jti}, 'and is another one';
    ok $new->{iat} >= int $before && $new->{exp} == $new->{iat} + 1800, 'for half an hour from now on';
    ok works($client, $_), 'the old and the new one are good' for $old, $json->{access_token};
    isnt hash($id), $hash, 'another hash is stored';
    is column(q{encode(previous_hash, 'hex')}, $id), $hash, 'and the one before, for a moment';
    isnt column('expires_at', $id), $expires, 'its end has moved';
    my $row = join ' ', map { $_ // '' } $dbh->selectrow_array(
        q{SELECT id, encode(refresh_hash, 'base64'), encode(previous_hash, 'base64') FROM gemclone.sessions WHERE id = ?}, {}, $id);
    unlike $row =~ tr{+/\n}{-_}dr, qr/@{[substr $json->{refresh_token}, 24, 30]}/, 'the token itself is not stored';
    $client->refresh_token($json->{refresh_token});
    my %seen = map { $client->refresh->refresh_token => 1 } 1 .. 20;
    is scalar(keys %seen), 20, 'it goes on and on, with another one each time';
    live_ok $client, 'and the last access token is good';
};

subtest 'several requests with the same token' => sub {
    for my $count (2, 20) {
        my $client = session;
        my @answers = all_at_once map { $client->transaction(POST => '/auth/refresh', {refresh_token => $client->refresh_token}) } 1 .. $count;
        is_deeply [map { $_->code } @answers], [(200) x $count], "$count at once are answered";
        my %next = map { $_->json->{refresh_token} => 1 } @answers;
        is scalar(keys %next), 1, 'with one and the same successor';
        is scalar(grep { !works($client, $_->json->{access_token}) } @answers), 0, 'their access tokens are good';
        answer_ok refresh((keys %next)[0]), 200, 'and so is the successor';
    }
    my $client = session;
    my $token = $client->refresh_token;
    $client->refresh;
    age($client, 8);
    my $json = answer_ok(refresh($token), 200, 'one that comes within ten seconds');
    is $json->{refresh_token}, $client->refresh_token, 'gets the same as well';
    ok is_there(id($client)), 'and nothing ends';
};

# What a thief's token does, whoever was first; $again has it come again.
sub theft_ok ($what, $again, $url = $stack->url) {
    return subtest $what => sub {
        my ($client, $other) = sessions(2, new_number, $url);
        my ($id, $old) = (id($client), $client->token);
        my $token = $again->($client);
        same_answer refresh($token, $url), $REFUSAL, 'it is refused, by the same words';
        ended_ok $client, 'all access tokens of the session end', $_ for $old, $client->token;
        same_answer refresh($client->refresh_token, $url), $REFUSAL, 'so does its last refresh token';
        is is_there($id), 0, 'and its row';
        live_ok $other, 'the user\'s other session lives';
        ok eval { $other->refresh }, 'and goes on';
        return;
    };
}

subtest 'a token that comes a second time' => sub {
    theft_ok 'later' => sub ($client) {
        my $token = $client->refresh_token;
        $client->refresh;
        age($client, 11);
        return $token;
    };
    theft_ok 'when its successor was used as well' => sub ($client) {
        my $token = $client->refresh_token;
        $client->refresh->refresh;
        return $token;
    };
    theft_ok 'when it is long gone' => sub ($client) {
        my $token = $client->refresh_token;
        $client->refresh for 1 .. 5;
        return $token;
    };
    theft_ok 'at once, with GemcloneRefreshReuse 0' => sub ($client) {
        my $token = $client->refresh_token;
        $client->refresh;
        return $token;
    }, $strict->url;
    my @lines = $stack->log->lines('GEM0109');
    is scalar(@lines), 3, 'the log tells of each';
    like $lines[0], qr/\[gemclone:notice\].*GEM0109: session $UUID was ended/, 'by the id of the session';
};

subtest 'what is no token of ours ends nothing' => sub {
    my ($client, $other, $foreign) = (sessions(2), session);
    my $used = $client->refresh_token;
    $client->refresh;
    age($client, 60);
    my ($bytes, $glue) = map { Gemclone::Token::decode($_->refresh_token) } $client, $other;
    my $old = Gemclone::Token::decode($used);
    my ($mine, $theirs) = map { substr Gemclone::Token::decode($_->refresh_token), 0, 16 } $client, $foreign;
    my $flipped = sub ($text, $at) { substr($text, $at, 1) ^= "\x01"; return $text };
    my %bad = (
        'an empty one' => 'A' x 86,
        'cut short' => substr($used, 0, 85),
        'with one more' => "$used-",
        'with its padding' => "$used==",
        'with a space' => " $used",
        'an access token' => substr($client->token, 0, 512),
        'another session\'s id on a used secret' => substr($glue, 0, 16) . substr($old, 16),
        'another user\'s id on a used secret' => $theirs . substr($old, 16),
        'this id on another session\'s secret' => $mine . substr($glue, 16),
        'this id on a secret of its own' => $mine . join('', map { chr int rand 256 } 1 .. 48),
        'of no session' => pack('H*', random_uuid =~ tr/-//dr) . substr($old, 16),
        map({ ("a used one with byte $_ changed" => $flipped->($old, $_)) } 0, 15, 16, 47, 48, 63),
        map({ ("the good one with byte $_ changed" => $flipped->($bytes, $_)) } 16, 47, 48, 63),
    );
    for my $what (sort keys %bad) {
        my $token = length $bad{$what} == 64 ? Gemclone::Token::encode($bad{$what}) : $bad{$what};
        same_answer refresh($token), $REFUSAL, $what;
    }
    for my $one ($client, $other, $foreign) {
        is is_there(id($one)), 1, 'the session is there';
        live_ok $one, 'its access token is good';
        ok eval { $one->refresh }, 'and its refresh token';
    }
    is scalar($stack->log->lines('GEM0109')), 3, 'nothing is taken for stolen';
    problem_ok $stack->client->post('/auth/refresh', $_), 422, 'no text of that length: ' . substr(encode_json($_), 0, 40),
        errors => ['/refresh_token']
        for {}, {refresh_token => undef}, {refresh_token => 7}, {refresh_token => ''}, {refresh_token => [$used]},
        {refresh_token => 'x' x 513};
};

subtest 'logout' => sub {
    my ($client, $other) = sessions(2);
    my $json = answer_ok($client->post('/auth/logout', ''), 200, 'is answered');
    is_deeply [keys %$json], ['message'], 'the members';
    problem_ok $client->get('/user/me'), 401, 'the process that did it refuses the token at once';
    ended_ok $client, 'and all others soon';
    same_answer refresh($client->refresh_token), $REFUSAL, 'its refresh token as well';
    problem_ok $client->post('/auth/logout', ''), 401, 'there is nothing more to end';
    live_ok $other, 'the other session lives';
};

subtest 'the list' => sub {
    my $number = new_number;
    my $before = time;
    my ($first, $second, $third) = sessions(3, $number);
    $stack->client->verify($number, $stack->client->otp($number, 'reset_password'), 'reset_password');
    sessions(1);
    $first->refresh;
    my $json = answer_ok($second->get('/auth/sessions'), 200, 'is answered');
    is_deeply [sort keys %$json], [qw(message sessions)], 'the members';
    is_deeply [map { $_->{id} } @{$json->{sessions}}], [map { id($_) } $first, $third, $second],
        'one\'s own, the one used last first';
    for my $one (@{$json->{sessions}}) {
        is_deeply [sort keys %$one], [qw(client created_at current expires_at id used_at)], 'the members of each';
        like $one->{$_}, qr/\A$TIME\z/, $_ for qw(created_at used_at expires_at);
        cmp_ok $one->{created_at}, 'lt', $one->{expires_at}, 'it ends after it began';
        like $one->{client}, qr/Mojolicious/, 'the client';
    }
    is_deeply [map { $_->{current} ? 1 : 0 } @{$json->{sessions}}], [0, 0, 1], 'the current one is told';
    cmp_ok $json->{sessions}[0]{used_at}, 'gt', $json->{sessions}[0]{created_at}, 'a refresh counts as use';
    is $json->{sessions}[2]{used_at}, $json->{sessions}[2]{created_at}, 'so does the sign-in';
    my ($seconds) = $dbh->selectrow_array('SELECT extract(epoch FROM ?::timestamptz - now())', {}, $json->{sessions}[0]{expires_at});
    cmp_ok abs($seconds - 30 * DAY), '<', 60, 'each has 30 days to be used again';
};

subtest 'what is kept of a client' => sub {
    my $of = sub (@agent) {
        my ($client, $number) = ($stack->client, new_number);
        my $body = encode_json {mobile_number => $number, otp => $client->otp($number), purpose => 'login'};
        my (undef, undef, $answer) = Gemclone::Raw->request(join("\r\n", 'POST /auth/verify-otp HTTP/1.1', 'Host: x', @agent,
            'Content-Type: application/json', 'Content-Length: ' . length $body, 'Connection: close', '', $body), url => $stack->url);
        return $client->token(decode_json($answer)->{access_token})->get('/auth/sessions')->json->{sessions}[0]{client};
    };
    is $of->('User-Agent: Firefox/140 (X11; Linux)'), 'Firefox/140 (X11; Linux)', 'its own word';
    is $of->('User-Agent: ' . 'x' x 1000), 'x' x 200, 'of which 200 characters are kept';
    is $of->("User-Agent: A\tb \xc3\xa9\xff<script>"), 'A?b ???<script>', 'and nothing that cannot be printed';
    is $of->(@$_), undef, 'none is null' for [], ['User-Agent:'];
};

subtest 'ending one' => sub {
    my ($one, $two, $three) = sessions(3);
    my $foreign = session;
    answer_ok $one->delete('/auth/sessions/' . id($two)), 200, 'another of one\'s own';
    ended_ok $two, 'its access token ends';
    same_answer refresh($two->refresh_token), $REFUSAL, 'and its refresh token';
    live_ok $_, 'others live' for $one, $three;
    my $none = problem_ok($one->delete('/auth/sessions/' . random_uuid), 404, 'one that nobody has');
    my $theirs = problem_ok($one->delete('/auth/sessions/' . id($foreign)), 404, 'another user\'s');
    is_deeply $theirs, $none, '... cannot be told from it';
    live_ok $foreign, '... and lives';
    problem_ok $one->delete('/auth/sessions/' . id($two)), 404, 'one that has ended';
    problem_ok $one->delete("/auth/sessions/$_"), 404, "what is no id: $_" for 'x', id($one) . 'x', '%00';
    answer_ok $one->delete('/auth/sessions/' . uc id($one)), 200, 'the current one';
    ended_ok $one, 'ends as well';
    is_deeply [map { $_->{id} } @{$three->get('/auth/sessions')->json->{sessions}}], [id($three)], 'one is left';
};

subtest 'ending all' => sub {
    my @all = sessions(3);
    my $foreign = session;
    answer_ok $all[0]->delete('/auth/sessions'), 200, 'is answered';
    ended_ok $_, 'each has ended' for @all;
    same_answer refresh($_->refresh_token), $REFUSAL, '... for good' for @all;
    live_ok $foreign, 'another user\'s lives';
};

subtest 'no more than GemcloneMaxSessions' => sub {
    my $number = new_number;
    my ($first, $second, $third) = sessions(3, $number, $strict->url);
    $first->refresh;
    my ($fourth) = sessions(1, $number, $strict->url);
    is_deeply [map { $_->{id} } @{$fourth->get('/auth/sessions')->json->{sessions}}], [map { id($_) } $fourth, $first, $third],
        'one more ends the one that was not used for longest';
    ended_ok $second, 'and its access tokens';
    live_ok $_, 'others live' for $first, $third, $fourth;
};

subtest 'lifetimes' => sub {
    my $left = sub ($name, $client) { return column("extract(epoch FROM $name - now())", id($client)) };
    my ($usual) = session;
    cmp_ok abs($left->('expires_at', $usual) - 30 * DAY), '<', 60, '30 days unused';
    cmp_ok abs($left->('ends_at', $usual) - 90 * DAY), '<', 60, '90 days in all';
    my ($client) = sessions(1, new_number, $short->url);
    cmp_ok abs($left->('expires_at', $client) - 60), '<', 15, 'GemcloneSessionIdle';
    cmp_ok abs($left->('ends_at', $client) - 120), '<', 15, 'GemcloneSessionLifetime';
    $dbh->do(q{UPDATE gemclone.sessions SET expires_at = now() + interval '5 s' WHERE id = ?}, {}, id($client));
    $client->refresh;
    cmp_ok $left->('expires_at', $client), '>', 30, 'a refresh begins another minute';
    $dbh->do(q{UPDATE gemclone.sessions SET ends_at = now() + interval '20 s' WHERE id = ?}, {}, id($client));
    $client->refresh;
    cmp_ok $left->('expires_at', $client), '<', 21, 'but not beyond its end';
    is claims($client)->{exp} - claims($client)->{iat}, 10, 'GemcloneTokenLifetime';

    ($client) = sessions(1, new_number, $brief->url);
    my ($token, $good) = ($client->refresh_token, sub { claims($client)->{exp} - claims($client)->{iat} });
    is $good->(), 60, 'an access token is good no longer than its session';
    $dbh->do(q{UPDATE gemclone.sessions SET ends_at = now() + interval '20 s' WHERE id = ?}, {}, id($client));
    $client->refresh;
    cmp_ok $good->(), '<=', 20, 'nor is that of a refresh';
    cmp_ok $left->('access_until', $client), '>', 20, 'what was given before counts on';
    $client->refresh_token($token)->refresh;
    cmp_ok $good->(), '<=', 20, 'nor that of one which comes with the same token';
};

# Marks a session as past, where no sweep sees it before $ask was called.
sub outlive ($client, $ask) {
    $dbh->begin_work;
    $dbh->do('SELECT pg_advisory_xact_lock(7164893321)');
    my $other = $stack->postgres->dbh;
    $other->do(q{UPDATE gemclone.sessions SET expires_at = now() - interval '1 s' WHERE id = ?}, {}, id($client));
    my $answer = $ask->();
    $dbh->commit;
    return $answer;
}

subtest 'a session that is past' => sub {
    my ($client, $other) = sessions(2);
    my $list = outlive($client, sub { $other->get('/auth/sessions') })->json->{sessions};
    is_deeply [map { $_->{id} } @$list], [id($other)], 'is not listed';
    ok eventually(sub { !is_there(id($client)) }, 3), 'it is swept';
    ended_ok $client, 'and its access tokens end';
    ok $stack->log->wait_for(qr/GEM0414: swept: .* [1-9]\d* sessions/, 2), 'the log tells of it';

    $client = session;
    same_answer outlive($client, sub { refresh($client->refresh_token) }), $REFUSAL, 'it cannot be refreshed';
    is is_there(id($client)), 0, 'and goes with that';
    ended_ok $client, 'with its access tokens';
    is scalar($stack->log->lines('GEM0109')), 3, 'nobody is taken for a thief';
    my $noted = sub { $dbh->selectrow_array('SELECT count(*) FROM gemclone.sessions_ended WHERE id = ?', {}, id($client)) };
    is $noted->(), 1, 'its end is noted';
    $dbh->do(q{UPDATE gemclone.sessions_ended SET until = now() - interval '1 s' WHERE id = ?}, {}, id($client));
    ok eventually(sub { !$noted->() }, 3), 'until its access tokens have expired by themselves';
};

subtest 'a session that an admin deletes' => sub {
    my ($client, $other) = sessions(2);
    $dbh->do('DELETE FROM gemclone.sessions WHERE id = ?', {}, id($client));
    ended_ok $client, 'its access token ends';
    same_answer refresh($client->refresh_token), $REFUSAL, 'and its refresh token';
    live_ok $other, 'the other lives';
    $dbh->do('DELETE FROM gemclone.users WHERE id = ?', {}, claims($other)->{sub});
    ended_ok $other, 'a user\'s sessions end with the account';
};

subtest 'a session for a new password' => sub {
    my $number = new_number;
    my ($client) = sessions(1, $number);
    my $reset = $stack->client;
    $reset->verify($number, $reset->otp($number, 'reset_password'), 'reset_password');
    problem_ok $reset->request(@$_), 403, "@$_" for [GET => '/auth/sessions'], [DELETE => '/auth/sessions'],
        [POST => '/auth/logout'], [DELETE => '/auth/sessions/' . id($client)];
    is $reset->refresh_token, undef, 'it has no refresh token';
    my $made = pack('H*', id($reset) =~ tr/-//dr) . "\0" x 48;
    same_answer refresh(Gemclone::Token::encode($made)), $REFUSAL, 'nor can one be made';
    is is_there(id($reset)), 1, 'the session goes on';
    answer_ok $client->delete('/auth/sessions/' . id($reset)), 200, 'whoever knows its id can end it';
    ended_ok $reset, 'which holds';
};
