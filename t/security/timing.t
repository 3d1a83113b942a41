# SPDX-License-Identifier: Apache-2.0
# A clock does not tell which numbers have an account: answers take as long for those that have none.
# Keeps the machine busy: see Gemclone::Suite. (Or rather: others are not to, while this one measures.)
use Mojo::Base -strict, -signatures;

use Gemclone::Client;
use Gemclone::Raw;
use Gemclone::Stack;
use List::Util qw(shuffle);
use Mojo::JSON qw(encode_json);
use Test::More;
use Time::HiRes qw(time);

# NUMBERS of each kind take turns. What the median of one kind may be of the other's; a noisy machine has TRIES.
use constant {NUMBERS => 25, LEAST => 0.8, MOST => 1.25, TRIES => 3, COST => 'GemclonePasswordMemory 8M'};

plan tests => 6;

my $stack = Gemclone::Stack->start(
    fsync      => 1,    # whoever writes less would be known by it
    children   => 1,
    threads    => 32,
    directives => ['GemcloneOTPReveal Off', 'GemcloneOTPLog otp.log', 'GemcloneOTPTries 20', 'GemcloneLimit password 1000000', COST,
        'GemcloneSweep 1d'],
);
# Another one, where codes are shown, to set things up.
my $open = $stack->another_host(children => 1, threads => 32, directives => [COST]);
my $dbh = $stack->dbh;

# So many new numbers, with an account or without.
sub numbers ($known) {
    my @numbers = map { Gemclone::Client->new_number } 1 .. NUMBERS;
    if ($known) { $stack->client->sign_up($_) for @numbers }
    return @numbers;
}

sub set_password ($number) {
    my $user = Gemclone::Client->new(url => $open->url)->sign_in($number);
    $user->post('/auth/change-password', {new_password => 'correct horse'})->code == 200 or die 'no password could be set';
    return;
}

# The seconds that one request takes once there is a connection (httpd closes it after a 400); dies when the answer is not
# the one that is meant.
sub seconds ($path, $body, $status) {
    my $json = encode_json $body;
    my $request = join "\r\n", "POST $path HTTP/1.1", 'Host: x', 'Content-Type: application/json', 'Content-Length: ' . length $json, '', $json;
    my $raw = Gemclone::Raw->new(url => $stack->url);
    my ($socket, $answer, $length) = ($raw->socket, '');
    my $began = time;
    $raw->send($request);
    until (defined $length && length $answer >= $length) {
        sysread $socket, $answer, 65_536, length $answer or die "$path: the server hung up\n";
        my ($head) = $answer =~ /\A(.*?\r\n\r\n)/s or next;
        $length //= length($head) + ($head =~ /^Content-Length: (\d+)/m)[0];
    }
    my $took = time - $began;
    die "$path: $answer\n" if $answer !~ /\AHTTP\/1\.1 $status /;
    return $took;
}

sub median (@seconds) { return (sort { $a <=> $b } @seconds)[@seconds / 2] }

# The median for @$one in terms of that for @$other, by so many of each, in random order.
sub ratio ($path, $status, $samples, $make, $one, $other) {
    my @seconds = ([], []);
    for my $at (0 .. $samples - 1) {
        for my $kind (shuffle 0, 1) {
            my $number = ($one, $other)[$kind][$at % NUMBERS];
            push @{$seconds[$kind]}, seconds($path, $make->($number), $status);
        }
    }
    my ($of_one, $of_other) = map { median(@$_) } @seconds;
    note sprintf '%s: %.2f ms and %.2f ms', $path, 1000 * $of_one, 1000 * $of_other;
    return $of_one / $of_other;
}

sub alike_ok ($what, @arguments) {
    my $ratio;
    for (1 .. TRIES) {
        $dbh->do('DELETE FROM gemclone.limits');
        $ratio = ratio(@arguments);
        last if $ratio > LEAST && $ratio < MOST;
    }
    return ok($ratio > LEAST && $ratio < MOST, $what) || diag "one takes $ratio times as long as the other";
}

my @known = numbers(1);
my @unknown = numbers(0);
my @with_password = numbers(1);
set_password($_) for @with_password;

for my $purpose (qw(login reset_password)) {
    alike_ok "a code for $purpose is asked for", '/auth/send-otp', 200, 300,
        sub ($number) { {mobile_number => $number, purpose => $purpose} }, \@known, \@unknown;
}
alike_ok 'a wrong code is tried', '/auth/verify-otp', 400, 300,
    sub ($number) { {mobile_number => $number, otp => '000000', purpose => 'login'} }, \@known, \@unknown;
alike_ok 'and again, when there are no more tries', '/auth/verify-otp', 400, 900,
    sub ($number) { {mobile_number => $number, otp => '000000', purpose => 'login'} }, \@known, \@unknown;
alike_ok 'a wrong password is tried', '/auth/login', 400, 100,
    sub ($number) { {mobile_number => $number, password => 'wrong password'} }, \@with_password, \@unknown;
alike_ok 'or one where none was set', '/auth/login', 400, 100,
    sub ($number) { {mobile_number => $number, password => 'wrong password'} }, \@known, \@unknown;
