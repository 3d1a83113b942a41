# SPDX-License-Identifier: Apache-2.0
# What is good once is good once: whoever has listened and sends the same again gets nothing, on whatever host, before
# its owner, after, or at the same time.
use Mojo::Base -strict, -signatures;

use Gemclone::Check;
use Gemclone::Client;
use Gemclone::Stack;
use Gemclone::Token;
use Test::More;

use constant {AT_ONCE => 20, SOON => 1.5};

plan tests => 6;

my %of_host = (children => 2, threads => 48, directives => ['GemcloneQuota basic unlimited']);
my $stack = Gemclone::Stack->start(fsync => 0, %of_host);
my @hosts = ($stack->apache, $stack->another_host(%of_host), $stack->another_host(%of_host, redis => 0));
my $dbh = $stack->dbh;

sub new_number () {
    my $number = Gemclone::Client->new_number;
    $stack->client->sign_up($number);
    return $number;
}

# Who sends what was heard: on each host.
sub listeners () { return map { Gemclone::Client->new(url => $_->url) } @hosts }

# The answers when each of @request is sent by all listeners, again and again, at once.
sub sent_at_once (@request) {
    my @listeners = listeners;
    return all_at_once map { $listeners[$_ % @listeners]->transaction(@request) } 1 .. AT_ONCE;
}

# That a request is good for one only: afterwards, and of many at once. $make makes one that nobody has sent yet.
sub once_ok ($what, $good, $refused, $make) {
    my @request = $make->();
    is +(listeners)[0]->request(@request)->code, $good, "$what: the first";
    is_deeply [map { $_->request(@request)->code } listeners], [($refused) x @hosts], '... no second one, on no host';
    my @codes = sort map { $_->code } sent_at_once($make->());
    is_deeply \@codes, [sort $good, ($refused) x (AT_ONCE - 1)], '... and one of many at once';
    return;
}

sub sessions_of ($number, $purpose = 'login') {
    return $dbh->selectrow_array(q{SELECT count(*) FROM gemclone.sessions s JOIN gemclone.users u ON u.id = s.user_id
        WHERE u.e164 = ? AND s.purpose = ?}, {}, $number, $purpose);
}

subtest 'a one-time code' => sub {
    for my $purpose (qw(login reset_password)) {
        my @numbers;
        once_ok $purpose, 200, 400, sub {
            push @numbers, my $number = new_number;
            return (POST => '/auth/verify-otp', {mobile_number => $number, otp => $stack->client->otp($number, $purpose), purpose => $purpose});
        };
        is_deeply [map { sessions_of($_, $purpose) } @numbers], [1, 1], '... opens one session';
    }
    my $number = new_number;
    my $otp = $stack->client->otp($number);
    $stack->client->verify($number, $otp);
    $stack->client->otp($number);
    problem_ok +(listeners)[1]->post('/auth/verify-otp', {mobile_number => $number, otp => $otp, purpose => 'login'}), 400,
        'an old one is no good because there is a new one';
};

subtest 'a token to reset the password' => sub {
    my ($number, $turn) = ('', 0);
    once_ok 'a change', 200, 401, sub {
        $number = new_number;
        my $reset = $stack->client;
        $reset->verify($number, $reset->otp($number, 'reset_password'), 'reset_password');
        return (POST => '/auth/change-password', {new_password => 'password ' . ++$turn}, Authorization => 'Bearer ' . $reset->token);
    };
    is sessions_of($number, 'reset_password'), 0, 'nothing is left of it';
    answer_ok $stack->client->post('/auth/login', {mobile_number => $number, password => 'password 2'}), 200, 'the password is the one that was set';
};

subtest 'a stream\'s ticket' => sub {
    my $user = $stack->new_user;
    my $room = $user->room;
    my $id = $user->send($room, 'Hello')->{reply}{id};
    $user->wait_reply($room, $id);
    once_ok 'a ticket', 200, 401, sub {
        my $ticket = $user->post('/auth/stream-ticket', {message_id => $id})->json->{ticket};
        return (GET => "/message/$room/$id/events?ticket=$ticket");
    };
};

# Here many at once are two tabs of one browser, for a moment.
subtest 'a refresh token' => sub {
    my $number = new_number;
    my $user = $stack->client->sign_in($number);
    my ($token, $access) = ($user->refresh_token, $user->token);
    my @answers = sent_at_once(POST => '/auth/refresh', {refresh_token => $token});
    is_deeply [map { $_->code } @answers], [(200) x AT_ONCE], 'many at once are answered';
    my %next = map { $_->json->{refresh_token} => 1 } @answers;
    is scalar(keys %next), 1, '... with one successor';
    is sessions_of($number), 1, '... of one session';
    my ($next) = keys %next;
    # Its owner goes on; then the listener comes.
    my $owner = answer_ok $stack->client->post('/auth/refresh', {refresh_token => $next}), 200, 'its owner goes on';
    my $refusal = problem_ok +(listeners)[1]->post('/auth/refresh', {refresh_token => $token}), 401, 'whoever comes with the old one gets nothing';
    is_deeply problem_ok((listeners)[2]->post('/auth/refresh', {refresh_token => $_}), 401, '... and has it known: all of the session is over'), $refusal,
        '... by the same words'
        for $token, $next, $owner->{refresh_token};
    for my $host (@hosts) {
        my $live = sub { grep { Gemclone::Client->new(url => $host->url, token => $_)->get('/user/me')->code != 401 } ($access, $owner->{access_token}) x 4 };
        ok eventually(sub { !$live->() }, SOON), '... and so are its access tokens';
    }
    is sessions_of($number), 0, 'nothing is left of it';
    is scalar(map { $_->lines('GEM0109') } $stack->log, map { $_->{log} } @{$stack->{hosts}}), 1, 'one log tells of it, once';
};

subtest 'an access token whose session has ended' => sub {
    my $number = new_number;
    my $user = $stack->client->sign_in($number);
    my $token = $user->token;
    answer_ok $user->post('/auth/logout', ''), 200, 'its owner signs out';
    my $taken = sub { grep { $_->get('/user/me', Authorization => "Bearer $token")->code != 401 } map { listeners } 1 .. 4 };
    ok eventually(sub { !$taken->() }, SOON), 'no host takes it';
    $stack->client->sign_in($number);
    is scalar($taken->()), 0, 'another sign-in does not bring it back';
    my $claims = (Gemclone::Token->parts($token))[1];
    cmp_ok $claims->{exp}, '>', time + 1000, 'though it has not expired';
};

subtest 'a code for one number, number by number' => sub {
    my @numbers = map { new_number } 1 .. 3;
    my $otp = $stack->client->otp($numbers[0]);
    # Somebody else's code may be the same by chance: once in a million.
    $stack->client->otp($_) for @numbers[1, 2];
    is_deeply [map { (listeners)[0]->post('/auth/verify-otp', {mobile_number => $_, otp => $otp, purpose => 'login'})->code } @numbers[1, 2]], [400, 400],
        'opens no other account';
    answer_ok $stack->client->post('/auth/verify-otp', {mobile_number => $numbers[0], otp => $otp, purpose => 'login'}), 200, 'but its own';
};
