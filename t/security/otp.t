# SPDX-License-Identifier: Apache-2.0
# One-time codes against those who guess, replay, listen and read along. GemcloneOTPReveal is off, as in the open.
use Mojo::Base -strict, -signatures;

use Gemclone::Check;
use Gemclone::Client;
use Gemclone::Paths qw(secret_file temp_dir);
use Gemclone::Stack;
use Mojo::File qw(path);
use Test::More;
use Time::HiRes qw(sleep);

plan tests => 14;

# Virtual hosts in which one thing is otherwise; codes are shown where that makes no difference.
my %HOSTS = (
    'main.test'   => [],
    'short.test'  => ['GemcloneOTPReveal On', 'GemcloneOTPLifetime 1s', 'GemcloneOTPWindow 1s'],
    'window.test' => ['GemcloneOTPReveal On', 'GemcloneOTPLifetime 2s', 'GemcloneOTPWindow 2s', 'GemcloneOTPTries 2'],
    'four.test'   => ['GemcloneOTPReveal On', 'GemcloneOTPLength 4'],
    'eight.test'  => ['GemcloneOTPReveal On', 'GemcloneOTPLength 8'],
    'other.test'  => ['GemcloneOTPKey file:other.key', 'GemcloneSite other'],
);

my $dir = temp_dir;
secret_file("$dir/other.key");
my $stack = Gemclone::Stack->start(
    fsync => 0, dir => "$dir", log_level => 'info gemclone:trace8',
    directives => [
        'GemcloneOTPReveal Off',
        'GemcloneOTPLog otp.log',
        map { ('<VirtualHost *:*>', "ServerName $_", @{$HOSTS{$_}}, '</VirtualHost>') }
            sort { $b =~ /^main/ <=> $a =~ /^main/ } keys %HOSTS
    ],
);
my ($client, $dbh) = ($stack->client, $stack->dbh);
my $log = path("$dir/otp.log");

sub send_otp ($number, %opt) {
    return $client->post('/auth/send-otp', {mobile_number => $number, purpose => $opt{purpose} // 'login'},
        Host => $opt{host} // 'main.test');
}

sub verify ($number, $otp, %opt) { return $client->request(_verification($number, $otp, %opt)) }

sub _verification ($number, $otp, %opt) {
    my $body = {mobile_number => $number, otp => $otp, purpose => $opt{purpose} // 'login'};
    return (POST => '/auth/verify-otp', $body, Host => $opt{host} // 'main.test');
}

# The code that was delivered last.
sub delivered ($number) {
    eventually(sub { !$dbh->selectrow_array('SELECT count(*) FROM gemclone.deliveries') });
    my @lines = grep {/ \Q$number\E /} split /\n/, $log->slurp;
    return (split / /, $lines[-1] // '')[-1];
}

sub new_number () {
    my $number = Gemclone::Client->new_number;
    $client->sign_up($number);
    return $number;
}

# A code that is not $otp.
sub wrong ($otp, $by = 1) { return sprintf '%0*d', length $otp, ($otp + $by) % 10**length $otp }

sub tries ($number) {
    return ($dbh->selectrow_array('SELECT count FROM gemclone.limits WHERE kind = ?::text AND subject = ?', {}, 'otp-try', $number))[0];
}

my $REFUSAL = do {
    my $number = new_number;
    send_otp($number);
    verify($number, wrong(delivered($number)));
};
problem_ok $REFUSAL, 400, 'a wrong code';

subtest 'delivery' => sub {
    my $number = new_number;
    my $json = answer_ok(send_otp($number), 200, 'a code is sent');
    is_deeply [keys %$json], ['message'], 'and not shown';
    is $log->stat->mode & 07777, 0600, 'the file is its owner\'s alone';
    delivered($number);
    like $log->slurp, qr/^$TIME \Q$number\E login \d{6}\n/m, 'it holds time, number, purpose and code';
    my $otp = delivered($number);
    answer_ok verify($number, $otp), 200, 'which is good';
    send_otp($number, purpose => 'reset_password');
    delivered($number);
    like $log->slurp, qr/ \Q$number\E reset_password \d{6}\n\z/, 'another purpose is told';
};

subtest 'nobody learns which numbers have an account' => sub {
    my ($known, $unknown) = (new_number, Gemclone::Client->new_number);
    for my $purpose (qw(login reset_password)) {
        same_answer send_otp($unknown, purpose => $purpose), send_otp($known, purpose => $purpose),
            "sending for $purpose";
        same_answer verify($unknown, '000000', purpose => $purpose), $REFUSAL,
            "an unknown number verified for $purpose";
        same_answer verify($known, wrong(delivered($known)), purpose => $purpose), $REFUSAL, 'and a known one';
    }
    is delivered($unknown), undef, 'nothing is delivered to a number without an account';
    my ($rows)
        = $dbh->selectrow_array('SELECT count(*) FROM gemclone.otps WHERE e164 IN (?, ?)', {}, $known, $unknown);
    is $rows, 4, 'though the same is stored, and takes the same time';
    is tries($unknown), tries($known), 'and tries are counted for both';
    verify($unknown, '000000') for 1 .. 6;
    same_answer verify($unknown, '000000'), $REFUSAL, 'also when there are no more';
};

subtest 'a code that was not asked for by an account' => sub {
    my $number = Gemclone::Client->new_number;
    send_otp($number);
    $client->sign_up($number);
    my $dump = join ' ',
        map {"$_"} @{$dbh->selectcol_arrayref('SELECT expires_at FROM gemclone.otps WHERE e164 = ?', {}, $number)};
    ok $dump, 'is there, but nobody has it';
    same_answer verify($number, '000000'), $REFUSAL, 'an account made later is not open by it' ;
};

subtest 'one and the same refusal' => sub {
    my $number = new_number;
    same_answer verify($number, '123456'), $REFUSAL, 'none was sent';
    send_otp($number);
    my $otp = delivered($number);
    same_answer verify($number, wrong($otp)), $REFUSAL, 'wrong';
    same_answer verify($number, $otp, purpose => 'reset_password'), $REFUSAL, 'for something else';
    same_answer verify($number, "$otp "), $REFUSAL, 'with a space';
    same_answer verify($number, $otp + 0 . '.0'), $REFUSAL, 'as another form of the number';

    $number = new_number;
    send_otp($number);
    $otp = delivered($number);
    answer_ok verify($number, $otp), 200, 'right';
    same_answer verify($number, $otp), $REFUSAL, 'used';
    send_otp($number);
    $dbh->do(q{UPDATE gemclone.otps SET expires_at = now() WHERE e164 = ?}, {}, $number);
    same_answer verify($number, delivered($number)), $REFUSAL, 'expired';
};

subtest 'five tries' => sub {
    my $number = new_number;
    send_otp($number);
    my $otp = delivered($number);
    same_answer verify($number, wrong($otp, $_)), $REFUSAL, "wrong, $_" for 1 .. 5;
    same_answer verify($number, $otp), $REFUSAL, 'then the right one is refused, by the same words';
    send_otp($number);
    same_answer verify($number, delivered($number)), $REFUSAL, 'a new code gives no new tries';
    send_otp($number, purpose => 'reset_password');
    same_answer verify($number, delivered($number), purpose => 'reset_password'), $REFUSAL,
        'nor does another purpose';
    my $written = $number =~ s/^\+1(...)/+1 ($1) /r;
    same_answer verify($written, delivered($number), purpose => 'reset_password'), $REFUSAL,
        'nor another way to write the number';
    send_otp($number);
    $dbh->do('UPDATE gemclone.limits SET window_ends = now() WHERE subject = ?', {}, $number);
    answer_ok verify($number, delivered($number)), 200, 'the next window does';
};

subtest 'a right code gives a guesser nothing' => sub {
    my $number = new_number;
    my $sign_in = sub { send_otp($number); verify($number, delivered($number)) };
    $sign_in->();
    for my $wrong (1 .. 4) {
        verify($number, wrong(delivered($number)));
        answer_ok $sign_in->(), 200, "after $wrong wrong ones its owner can sign in";
    }
    is tries($number), 4, 'which takes none of them back';
    verify($number, wrong(delivered($number)));
    same_answer $sign_in->(), $REFUSAL, 'the fifth shuts the door';
};

subtest 'guessing at once cannot overshoot' => sub {
    my $number = new_number;
    send_otp($number);
    my $otp = delivered($number);
    my @answers = all_at_once map { $client->transaction(_verification($number, wrong($otp, $_))) } 1 .. 50;
    is_deeply [map { $_->code } @answers], [(400) x 50], 'fifty wrong ones are refused';
    is tries($number), 5, 'five were tried';
    same_answer verify($number, $otp), $REFUSAL, 'the right one comes too late';

    $number = new_number;
    send_otp($number);
    $otp = delivered($number);
    @answers = all_at_once map { $client->transaction(_verification($number, $otp)) } 1 .. 50;
    is scalar(grep { $_->code == 200 } @answers), 1, 'of fifty right ones one gets in';
};

subtest 'codes expire' => sub {
    my $number = new_number;
    my $otp = send_otp($number, host => 'short.test')->json->{otp};
    answer_ok verify($number, $otp, host => 'short.test'), 200, 'at once it is good';
    $otp = send_otp($number, host => 'short.test')->json->{otp};
    sleep 1.2;
    same_answer verify($number, $otp, host => 'short.test'), $REFUSAL, 'after its second it is not';
};

subtest 'windows end' => sub {
    my $number = new_number;
    my $ask = sub { send_otp($number, host => 'window.test')->json->{otp} };
    my $otp = $ask->();
    verify($number, wrong($otp, $_), host => 'window.test') for 1, 2;
    same_answer verify($number, $otp, host => 'window.test'), $REFUSAL, 'two tries are two';
    sleep 2.2;
    answer_ok verify($number, $ask->(), host => 'window.test'), 200, 'the next window has two of its own';
};

subtest 'lengths' => sub {
    for my $case (['four.test', 4], ['eight.test', 8]) {
        my ($host, $digits) = @$case;
        my $number = new_number;
        my $otp = send_otp($number, host => $host)->json->{otp};
        like $otp, qr/\A\d{$digits}\z/, "$digits digits";
        answer_ok verify($number, $otp, host => $host), 200, 'are good';
    }
};

subtest 'what is stored is of no use' => sub {
    my $number = new_number;
    send_otp($number);
    my $otp = delivered($number);
    my ($hash)
        = $dbh->selectrow_array(q{SELECT encode(code_hash, 'hex') FROM gemclone.otps WHERE e164 = ?}, {}, $number);
    is length $hash, 64, 'a hash of 256 bits';
    unlike $hash, qr/@{[unpack 'H*', $otp]}/, 'in which the code does not stand';
    my $plain = qx{printf %s '$otp' | b2sum -l 256};
    unlike $plain, qr/$hash/, 'and which is not the plain one';
    my $row = join '|',
        map { $_ // '' } $dbh->selectrow_array('SELECT * FROM gemclone.otps WHERE e164 = ?', {}, $number);
    unlike $row, qr/\b$otp\b/, 'nor does the code stand anywhere else';
    same_answer verify($number, $otp, host => 'other.test'), $REFUSAL,
        'a server with another GemcloneOTPKey does not know it';
    answer_ok verify($number, $otp), 200, 'ours does';
    is $dbh->selectrow_array('SELECT count(*) FROM gemclone.otps WHERE e164 = ?', {}, $number), 0,
        'and nothing of it is left';
};

subtest 'logs hold no secret' => sub {
    my $number = new_number;
    send_otp($number);
    my $otp = delivered($number);
    my $tokens = verify($number, $otp)->json;
    my $user = $stack->client(token => $tokens->{access_token});
    my $room = $user->room('A room with a telling title');
    my $sent = $user->send($room, 'A very private prompt');
    $user->wait_reply($room, $sent->{reply}{id});
    $user->get('/user/me', Authorization => "Bearer $tokens->{access_token}x");
    my @errors = $stack->log->lines;
    ok scalar(grep {/GEM0101/} @errors), 'the error log says that a code was sent';
    ok scalar(grep {/GEM0401/} @errors), 'and that a reply has ended';
    my ($key, $otp_key) = map { path("$dir/keys/$_.key")->slurp =~ s/\n//r } qw(token otp);
    my $signature = (split /\./, $tokens->{access_token})[2];
    my %secret = (
        'the code' => qr/(?<!\d)$otp(?!\d)/,
        'the whole number' => qr/\Q$number\E/,
        'the access token' => qr/\Q$tokens->{access_token}\E/,
        'its signature' => qr/\Q$signature\E/,
        'the refresh token' => qr/\Q$tokens->{refresh_token}\E/,
        'the prompt' => qr/very private/,
        'the reply' => qr/You said/,
        'the title' => qr/telling title/,
        'the key of tokens' => qr/$key/,
        'the key of codes' => qr/$otp_key/,
    );
    for my $what (sort keys %secret) {
        is_deeply [grep {/$secret{$what}/} @errors], [], "never $what";
        unlike path($stack->apache->access_log)->slurp, $secret{$what}, '... nor does the access log';
    }
};

is scalar(grep {/ (?:login|reset_password) (?!\d{4,8}$)/} split /\n/, $log->slurp), 0,
    'every line of the file is whole';
