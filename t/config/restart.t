# SPDX-License-Identifier: Apache-2.0
# A graceful restart: changed settings count, keys are rolled, nothing is lost on the way.
use Mojo::Base -strict, -signatures;

use Gemclone::Check;
use Gemclone::Client;
use Gemclone::Paths qw(secret_file temp_dir write_file);
use Gemclone::Stack;
use Gemclone::Token;
use Mojo::File qw(path);
use Test::More;
use Time::HiRes qw(sleep time);

plan tests => 5;

my $dir = temp_dir;
my $KEYS = "GemcloneTokenKey dev file:$dir/keys/token.key";
my $keys = [$KEYS];
my $writer = sub ($apache) {
    my $file = $apache->configure;
    return write_file($file, path($file)->slurp =~ s/^GemcloneTokenKey .*$/join "\n", @$keys/mer);
};
my $stack = Gemclone::Stack->start(fsync => 0, dir => "$dir", writer => $writer);
$stack->log->expect('AH03490');    # new children wait for the places of the old ones: we have no spare ones
my $apache = $stack->apache;
secret_file("$dir/keys/new.key");
my ($OLD_KEY, $NEW_KEY) = map { path("$dir/keys/$_.key")->slurp =~ s/\n//r } qw(token new);

# Writes the configuration anew, and calls $meanwhile until all children are new ones; false when that takes too long.
sub graceful ($directives, $meanwhile = sub { sleep 0.05 }) {
    my %old = map { $_ => 1 } $apache->children_pids;
    $apache->directives($directives);
    $apache->writer->($apache);
    $apache->graceful;
    my $until = time + 30;
    while (time < $until) {
        $meanwhile->();
        my @now = $apache->children_pids;
        return 1 if @now == 2 && !grep { $old{$_} } @now;
    }
    return 0;
}

sub me ($token) { return $stack->client->get('/user/me', Authorization => "Bearer $token") }
sub kid ($token) { return (Gemclone::Token->parts($token))[0]{kid} }

my $user = $stack->new_user;
my $room = $user->room;
my $old = $user->token;
my ($new, $queued);

subtest 'while everything goes on' => sub {
    my @codes;
    $stack->standin->reset;
    my $sent = $user->send($room, 'Hello [[delay=1500]]');
    ok eventually(sub { $stack->standin->requests > 0 }, 10), 'a reply is on its way';
    $keys = ["GemcloneTokenKey new file:$dir/keys/new.key", $KEYS];
    my $done = graceful(['GemcloneQuota basic 2', 'GemcloneOTPLength 4', 'GemcloneTokenLifetime 1h'], sub {
        push @codes, map { $_->code // 0 } all_at_once map { $user->transaction(GET => '/user/me') } 1 .. 10;
    });
    ok $done, 'all children are new';
    cmp_ok scalar @codes, '>', 20, 'many requests came meanwhile';
    is_deeply [grep { $_ != 200 } @codes], [], 'all were answered';
    my $reply = $user->wait_reply($room, $sent->{reply}{id});
    is $reply->{status}, 'done', 'the reply is done';
    is $stack->standin->requests, 1, 'by one request: the old child saw it through';
};

subtest 'settings count' => sub {
    is_deeply [map { $user->post("/message/$room", {content => 'x'})->code } 1 .. 2], [201, 429], 'another quota';
    my $other = $stack->client;
    my $number = Gemclone::Client->new_number;
    $other->sign_up($number);
    my $otp = $other->otp($number);
    is length $otp, 4, 'another length of codes';
    my $signed_in = $other->post('/auth/verify-otp',
        {mobile_number => $number, otp => $otp, purpose => 'login'})->json;
    is $signed_in->{expires_in}, 3600, 'another lifetime of tokens';
    is_deeply [map { $_->{id} } @{$user->rooms}], [$room], 'the list is as it was';
};

subtest 'a new key in front of the old one' => sub {
    answer_ok me($old), 200, 'what the old one signed is good';
    $new = $stack->new_user->token;
    is kid($new), 'new', 'the new one signs';
    answer_ok me($new), 200, 'and is good';

    my ($header, $claims) = Gemclone::Token->parts($old);
    my $made = sub ($kid, $key) { Gemclone::Token->make({%$header, kid => $kid}, $claims, $key) };
    answer_ok me($made->('dev', $OLD_KEY)), 200, 'a kid and its key';
    answer_ok me($made->('new', $NEW_KEY)), 200, 'the other kid and its key';
    problem_ok me($made->('new', $OLD_KEY)), 401, 'a kid and the other\'s key';
    problem_ok me($made->('dev', $NEW_KEY)), 401, 'and the other way round';
    for my $kid ('none', '', 'dev ', 'DEV', 'dev,new', "dev\0", '../keys/token.key', 'x' x 1000, 0, undef, ['dev'],
        {dev => 1}) {
        my $shown = defined $kid ? ref $kid || substr $kid =~ s/\0/\\0/r, 0, 20 : 'null';
        problem_ok me($made->($kid, $OLD_KEY)), 401, "the kid '$shown'";
    }
    delete $header->{kid};
    problem_ok me(Gemclone::Token->make($header, $claims, $OLD_KEY)), 401, 'no kid';
};

subtest 'the old key goes, and so does the worker' => sub {
    $keys = ["GemcloneTokenKey new file:$dir/keys/new.key"];
    ok graceful(['GemcloneWorker Off']), 'all children are new';
    problem_ok me($old), 401, 'what the old key signed is good no more';
    answer_ok me($new), 200, 'what the new one signed is';
    $user = $stack->new_user;
    $room = $user->room;
    $queued = $user->send($room, 'Later');
    sleep 1.5;
    is $user->messages($room)->[1]{status}, 'pending', 'a prompt is taken and waits';
};

subtest 'the worker comes back' => sub {
    ok graceful([]), 'all children are new';
    is $user->wait_reply($room, $queued->{reply}{id})->{status}, 'done', 'what waited is answered';
};
