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

plan tests => 6;

my $dir = temp_dir;
my $KEYS = 'GemcloneTokenKey  dev file:@DIR@/keys/token.key' =~ s/\@DIR\@/$dir/r;
my $keys = [$KEYS];
my $writer = sub ($apache) {
    my $file = $apache->configure;
    return write_file($file, path($file)->slurp =~ s/^GemcloneTokenKey .*$/join "\n", @$keys/mer);
};
my $stack = Gemclone::Stack->start(fsync => 0, dir => "$dir", writer => $writer);
my $apache = $stack->apache;
secret_file("$dir/keys/new.key");
my ($OLD_KEY, $NEW_KEY) = map { path("$dir/keys/$_.key")->slurp =~ s/\n//r } qw(token new);

# Writes the configuration anew and waits until all children are new ones.
sub graceful (@directives) {
    my %old = map { $_ => 1 } $apache->children_pids;
    $apache->directives(\@directives);
    $apache->writer->($apache);
    $apache->graceful;
    return eventually(sub { my @now = $apache->children_pids; @now == 2 && !grep { $old{$_} } @now }, 30);
}

sub me ($token) { return $stack->client->get('/user/me', Authorization => "Bearer $token") }
sub kid ($token) { return (Gemclone::Token->parts($token))[0]{kid} }

my $user = $stack->new_user;
my $old = $user->token;

subtest 'settings' => sub {
    my $room = $user->room;
    ok graceful('GemcloneQuota basic 1', 'GemcloneOTPLength 4', 'GemcloneTokenLifetime 1h'), 'all children are new';
    answer_ok me($old), 200, 'tokens go on';
    is_deeply [map { $user->post("/message/$room", {content => 'x'})->code } 1 .. 2], [201, 429], 'another quota';
    my $other = $stack->client;
    my $number = Gemclone::Client->new_number;
    $other->sign_up($number);
    my $otp = $other->otp($number);
    is length $otp, 4, 'another length of codes';
    is $other->post('/auth/verify-otp', {mobile_number => $number, otp => $otp, purpose => 'login'})->json->{expires_in}, 3600, 'another lifetime';
    is_deeply [map { $_->{id} } @{$user->rooms}], [$room], 'the list is as it was';
};

my $new;
subtest 'a new key' => sub {
    $keys = ["GemcloneTokenKey new file:$dir/keys/new.key", $KEYS];
    ok graceful(), 'comes in front';
    answer_ok me($old), 200, 'what the old one signed is good';
    $new = $stack->new_user->token;
    is kid($new), 'new', 'the new one signs';
    answer_ok me($new), 200, 'and is good';

    my ($header, $claims) = Gemclone::Token->parts($old);
    my $made = sub ($kid, $key) { Gemclone::Token->make({%$header, defined $kid ? (kid => $kid) : ()}, $claims, $key) };
    answer_ok me($made->('dev', $OLD_KEY)), 200, 'a kid and its key';
    answer_ok me($made->('new', $NEW_KEY)), 200, 'the other kid and its key';
    problem_ok me($made->('new', $OLD_KEY)), 401, 'a kid and the other\'s key';
    problem_ok me($made->('dev', $NEW_KEY)), 401, 'and the other way round';
    for my $kid ('none', '', 'dev ', 'DEV', 'dev,new', "dev\0", '../keys/token.key', 'x' x 1000, 0, undef, ['dev'], {dev => 1}) {
        my $shown = defined $kid ? ref $kid || substr $kid =~ s/\0/\\0/r, 0, 20 : 'null';
        problem_ok me(Gemclone::Token->make({%$header, kid => $kid}, $claims, $OLD_KEY)), 401, "the kid '$shown'";
    }
    delete $header->{kid};
    problem_ok me(Gemclone::Token->make($header, $claims, $OLD_KEY)), 401, 'no kid';
};

subtest 'the old key goes' => sub {
    $keys = ["GemcloneTokenKey new file:$dir/keys/new.key"];
    ok graceful(), 'all children are new';
    problem_ok me($old), 401, 'what it signed is good no more';
    answer_ok me($new), 200, 'what the new one signed is';
};

subtest 'a reply on its way' => sub {
    my $user = $stack->new_user;
    my ($room, $other) = ($user->room, $user->room);
    $stack->standin->reset;
    my $sent = $user->send($room, 'Hello [[delay=1500]]');
    ok eventually(sub { $stack->standin->requests > 0 }, 10), 'is generated';
    ok graceful(), 'while all children go';
    my $reply = $user->wait_reply($room, $sent->{reply}{id});
    is $reply->{status}, 'done', 'it is done';
    is $stack->standin->requests, 1, 'by one request: the old child saw it through';
    like $user->ask($other, 'And now?'), qr/^You said: And now\?/, 'the new children generate too';
};

subtest 'requests on their way' => sub {
    my $user = $stack->new_user;
    my (@codes, $done);
    my %old = map { $_ => 1 } $apache->children_pids;
    $apache->graceful;
    my $until = time + 20;
    while (!$done && time < $until) {
        push @codes, map { $_->code // 0 } all_at_once map { $user->transaction(GET => '/user/me') } 1 .. 10;
        my @now = $apache->children_pids;
        $done = @now == 2 && !grep { $old{$_} } @now;
    }
    ok $done, 'the children are new';
    is_deeply [grep { $_ != 200 } @codes], [], 'all of ' . @codes . ' were answered';
};

subtest 'GemcloneWorker' => sub {
    my $user = $stack->new_user;
    my $room = $user->room;
    ok graceful('GemcloneWorker Off'), 'goes off';
    my $sent = $user->send($room, 'Later');
    sleep 1.5;
    is $user->messages($room)->[1]{status}, 'pending', 'a prompt is taken and waits';
    ok graceful('GemcloneWorker On'), 'goes on';
    is $user->wait_reply($room, $sent->{reply}{id})->{status}, 'done', 'and is answered';
};
