# SPDX-License-Identifier: Apache-2.0
# POST /auth/signup.
use Mojo::Base -strict, -signatures;

use Apache::Test qw(-withtestmore);
use Gemclone::Check;
use Gemclone::Client;
use Gemclone::Stack;
use utf8;

plan tests => 10, need 'gemclone';

my $stack = Gemclone::Stack->shared;
my $client = $stack->client;

sub sign_up ($body) { return $client->post('/auth/signup', $body) }
sub number () { return Gemclone::Client->new_number }

subtest 'the shape of the answer' => sub {
    my $number = number;
    my $json = answer_ok(sign_up({mobile_number => $number, name => 'Ada'}), 201, 'an account is made');
    is_deeply [sort keys %$json], [qw(message user)], 'its members';
    is_deeply [sort keys %{$json->{user}}], [qw(id mobile_number name)], 'those of the user';
    like $json->{user}{id}, qr/\A$UUID\z/, 'the id is a UUID';
    is $json->{user}{mobile_number}, $number, 'the number';
    is $json->{user}{name}, 'Ada', 'the name';
    like $json->{message}, qr/\w/, 'a message';
};

subtest 'the name may be missing' => sub {
    for my $body ({mobile_number => number}, {mobile_number => number, name => undef}) {
        my $json = answer_ok(sign_up($body), 201, exists $body->{name} ? 'null' : 'no member');
        ok exists $json->{user}{name}, 'it is in the answer';
        is $json->{user}{name}, undef, 'as null';
    }
};

subtest 'a number has one account' => sub {
    my $number = '231' . substr number, 5;    # as the first clients wrote it, without +
    my $json = answer_ok(sign_up({mobile_number => $number}), 201, 'a national number');
    is $json->{user}{mobile_number}, $number, 'comes back as it was written';
    problem_ok sign_up({mobile_number => $number}), 409, 'the same again';
    problem_ok sign_up({mobile_number => "+1$number"}), 409, 'the same with its country code';
    problem_ok sign_up({mobile_number => join '-', $number =~ /(...)(...)(....)/}), 409, 'the same with dashes';
    my $user = $stack->client;
    $user->sign_in("+1 $number");
    is $user->get('/user/me')->json->{user}{mobile_number}, $number, 'whoever signs in gets it as it was stored';
};

subtest 'a race for a number has one winner' => sub {
    my $number = number;
    my @answers
        = all_at_once map { $client->transaction(POST => '/auth/signup', {mobile_number => $number}) } 1 .. 10;
    is_deeply [sort map { $_->code } @answers], [201, (409) x 9], 'all others get 409';
};

subtest 'numbers that are none' => sub {
    for my $number ('12345', '+', '++15551234567', '+1555123456a', '+0555123456', '+1234567890123456', 'abc',
        '+1 555 1234567;DROP TABLE users', '٠١٢٣٤٥٦٧٨٩', '1' x 33, "+15551234\n567") {
        my $shown = $number =~ s/([^ -~])/sprintf '\\x{%x}', ord $1/ger;
        problem_ok sign_up({mobile_number => $number}), 422, "'$shown'", errors => ['/mobile_number'];
    }
};

subtest 'members that break a rule' => sub {
    problem_ok sign_up({}), 422, 'no number', errors => ['/mobile_number'];
    for my $wrong (undef, 15_551_234_567, Mojo::JSON->true, [], {}, '', '   ') {
        problem_ok sign_up({mobile_number => $wrong}), 422, 'a number that is ' . Mojo::JSON::encode_json([$wrong]),
            errors => ['/mobile_number'];
    }
    for my $wrong ('', " \t\n", 'x' x 101, 7, [], {}, Mojo::JSON->false) {
        problem_ok sign_up({mobile_number => number, name => $wrong}), 422,
            'a name that is ' . substr(Mojo::JSON::encode_json([$wrong]), 0, 20), errors => ['/name'];
    }
    problem_ok sign_up({name => '', mobile_number => 1}), 422, 'each is told', errors => ['/mobile_number', '/name'];
    answer_ok sign_up({mobile_number => number, name => "\x{1F468}" x 100}), 201, 'a name of 100 characters';
};

subtest 'what else is sent does not matter' => sub {
    my $json = answer_ok(sign_up({mobile_number => number, tier => 'pro', id => random_uuid, is_admin => 1}), 201,
        'members that nobody asked for');
    my ($tier) = $stack->dbh->selectrow_array('SELECT tier FROM gemclone.users WHERE id = ?', {}, $json->{user}{id});
    is $tier, 'basic', 'change nothing';
};

# ---------------------------------------------------------- Idempotency-Key ----
sub keyed ($key, $body) { return $client->post('/auth/signup', $body, 'Idempotency-Key' => $key) }

subtest 'the same again under a key' => sub {
    my $body = {mobile_number => number, name => 'Ada'};
    my $first = answer_ok(keyed('key-1', $body), 201, 'an account is made');
    is_deeply answer_ok(keyed('key-1', $body), 201, 'again'), $first, 'the first answer';
    problem_ok sign_up($body), 409, 'without the key';
    problem_ok keyed('key-2', $body), 409, 'with another one';
    problem_ok keyed('key-1', {%$body, name => 'Eve'}), 422, 'another name under that key';
    problem_ok keyed('key-1', {%$body, mobile_number => $body->{mobile_number} =~ s/^\+1//r}), 422,
        'the number in another form';
    my $other = answer_ok(keyed('key-1', {%$body, mobile_number => number}), 201, 'another number under that key');
    isnt $other->{user}{id}, $first->{user}{id}, 'is another account: who has none yet has no keys that others could use up';
    my $user = $stack->client;
    $user->sign_in($body->{mobile_number});
    $user->patch('/user/me', {name => 'Countess'});
    is_deeply answer_ok(keyed('key-1', $body), 201, 'when the account has changed'), $first, 'the first answer';
    problem_ok $user->post('/chat/chatroom', {title => 'x'}, 'Idempotency-Key' => 'key-1'), 422,
        'the key is the account\'s from now on';
    problem_ok keyed($_, {mobile_number => number}), 400, 'a key that is none' for '', 'a b', 'x' x 256;
};

subtest 'a key is good for a day, and as long as its account' => sub {
    my $body = {mobile_number => number};
    my $first = keyed('key', $body)->json;
    $stack->dbh->do(q{UPDATE gemclone.idempotency SET created_at = created_at - interval '25 h' WHERE user_id = ?}, {},
        $first->{user}{id});
    problem_ok keyed('key', $body), 409, 'a day later the number just has an account';
    $stack->dbh->do('DELETE FROM gemclone.users WHERE id = ?', {}, $first->{user}{id});
    isnt answer_ok(keyed('key', $body), 201, 'when that is gone')->{user}{id}, $first->{user}{id}, 'there is another one';
};

subtest 'the same many times at once' => sub {
    my $body = {mobile_number => number, name => 'Ada'};
    my @answers
        = all_at_once map { $client->transaction(POST => '/auth/signup', $body, 'Idempotency-Key' => 'race') } 1 .. 20;
    is_deeply [map { $_->code } @answers], [(201) x 20], 'all are answered';
    my %bodies = map { ($_->body => 1) } @answers;
    is keys %bodies, 1, 'with one and the same account';
};
