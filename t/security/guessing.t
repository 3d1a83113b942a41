# SPDX-License-Identifier: Apache-2.0
# Guessing at full speed, from many addresses at once: what reaches the comparison is what the limits allow, exactly.
#
# Postgres counts how often the table of codes is looked into, which is the comparison; the limits have no part in that
# count. Seconds of each attack: GEMCLONE_ATTACK_SECONDS, 3 if it is not set; a slow machine takes as long as it takes to make
# as many attempts as are wanted.
# Keeps the machine busy: see Gemclone::Suite.
use Mojo::Base -strict, -signatures;

use Gemclone::Check;
use Gemclone::Client;
use Gemclone::Stack;
use Mojo::Promise;
use Mojo::UserAgent;
use POSIX ();
use Test::More;
use Time::HiRes qw(time);

use constant {
    SECONDS   => $ENV{GEMCLONE_ATTACK_SECONDS} || 3,
    ATTACKERS => 3,
    LEAST     => 300,
    PATIENCE  => 120,
    AT_ONCE   => 40,
    NUMBERS   => 20,
    TRIES     => 5,
    ADDRESS   => 30,
    PASSWORD  => 7,
};

plan tests => 6;

my $stack = Gemclone::Stack->start(
    fsync        => 0,
    postgres     => {settings => {autovacuum => 'off'}},    # which reads the table as well
    children     => 2,
    more_modules => ['remoteip'],
    log_level    => 'info',
    directives   => [
        'GemcloneSweep 1d', 'GemcloneOTPReveal Off',  'GemcloneOTPLog otp.log', 'GemcloneOTPTries ' . TRIES, 'GemcloneDatabaseWait 20s',
        'RemoteIPHeader X-Forwarded-For', 'RemoteIPInternalProxy 127.0.0.1',
        'GemcloneLimit sign-in-address ' . ADDRESS,
        'GemcloneLimit password ' . PASSWORD, 'GemclonePasswordMemory 64K', 'GemclonePasswordPasses 1',
    ],
);
$stack->log->expect(qr/GEM020[1236]/, qr/GEM0407/, qr/\[dbd:error\]/);
my ($client, $dbh) = ($stack->client, $stack->dbh);

sub new_numbers ($count) {
    return map { my $number = Gemclone::Client->new_number; $client->sign_up($number); $number } 1 .. $count;
}

# How often the codes were looked into so far. A session of Postgres tells when it ends, or else some seconds later.
sub comparisons () {
    my $ours = q{FROM pg_stat_activity WHERE usename = 'gemclone'};
    my $pids = join ',', @{$dbh->selectcol_arrayref("SELECT pid $ours")};
    $dbh->do("SELECT pg_terminate_backend(pid) $ours");
    eventually(sub { !$dbh->selectrow_array("SELECT count(*) FROM pg_stat_activity WHERE pid IN ($pids)") });
    $dbh->do('SELECT pg_stat_clear_snapshot()');
    return $dbh->selectrow_array(q{SELECT seq_scan + idx_scan FROM pg_stat_user_tables WHERE relid = 'gemclone.otps'::regclass});
}

# Attacks for so long, from processes of their own, each with so many requests at least; $request->() makes one. Returns how often
# each status was answered.
sub attack ($request) {
    my @pipes;
    for my $attacker (1 .. ATTACKERS) {
        my $pid = open my $in, '-|' // die "cannot fork: $!\n";
        if (!$pid) {
            srand $attacker;
            my %count = _attack($request);
            print map {"$_ $count{$_}\n"} keys %count;
            close STDOUT;
            POSIX::_exit(0);
        }
        push @pipes, $in;
    }
    my %count;
    for my $in (@pipes) {
        while (<$in>) { my ($code, $times) = split; $count{$code} += $times }
        close $in;
    }
    note join ', ', map {"$_: $count{$_}"} sort keys %count;
    return %count;
}

sub _attack ($request) {
    my $ua = Mojo::UserAgent->new(max_connections => AT_ONCE, inactivity_timeout => 60, request_timeout => 60);
    my ($began, $made, %count) = (time, 0);
    my $go = sub ($go) {
        my $seconds = time - $began;
        return Mojo::Promise->resolve if $seconds > SECONDS && $made >= LEAST || $seconds > PATIENCE;
        $made++;
        my ($path, $body, $address) = $request->();
        return $ua->post_p($stack->url . $path => {'X-Forwarded-For' => $address} => json => $body)
            ->then(sub ($tx) { $count{$tx->res->code}++ }, sub (@) { $count{none}++ })
            ->then(sub { $go->($go) });
    };
    Mojo::Promise->all(map { $go->($go) } 1 .. AT_ONCE)->wait;
    return %count;
}

sub some (@of) { return $of[rand @of] }
sub address () { return sprintf '198.51.%d.%d', rand 256, 1 + rand 254 }

my @numbers = new_numbers(NUMBERS);
$client->post('/auth/send-otp', {mobile_number => $_, purpose => 'login'}) for @numbers;
eventually(sub { grep {/GEM0414/} $stack->log->lines });    # the sweep at the beginning looks into them as well
my $before = comparisons();

subtest 'codes, from everywhere' => sub {
    my %count = attack(sub { ('/auth/verify-otp', {mobile_number => some(@numbers), purpose => some(qw(login reset_password)), otp => sprintf '%06d', rand 1_000_000}, address()) });
    my $after = comparisons();
    is $after - $before, NUMBERS * TRIES, 'each number has its tries';
    cmp_ok $count{400} // 0, '>', 5 * NUMBERS * TRIES, 'of far more';
    is $count{none} // 0, 0, 'all are answered';
    is_deeply [grep { !/400|200/ } keys %count], [], 'with nothing but a refusal';
    $before = $after;
};

subtest 'codes, with sends in between' => sub {
    my @others = new_numbers(NUMBERS);
    my $send = sub ($number) { ('/auth/send-otp', {mobile_number => $number, purpose => 'login'}, address()) };
    my $try = sub ($number) { ('/auth/verify-otp', {mobile_number => $number, purpose => 'login', otp => sprintf '%06d', rand 1_000_000}, address()) };
    attack(sub { rand > 0.2 ? $try->(some(@others)) : $send->(some(@others)) });
    is_deeply [map { $_->[0] } @{$dbh->selectall_arrayref(q{SELECT DISTINCT count FROM gemclone.limits WHERE kind = 'otp-try'})}], [TRIES],
        'new codes give no new tries';
    $before = comparisons();
};

subtest 'codes of many numbers, from one address' => sub {
    my @many = new_numbers(100);
    my %count = attack(sub { ('/auth/verify-otp', {mobile_number => some(@many), purpose => 'login', otp => '000000'}, '203.0.113.5') });
    my $after = comparisons();
    is $after - $before, ADDRESS, 'the address has its tries';
    is $count{400}, ADDRESS, 'which are refused as wrong';
    cmp_ok $count{429}, '>', ADDRESS, 'and then as too many';
    $before = $after;
};

subtest 'codes of many numbers, from one network of IPv6' => sub {
    my @many = new_numbers(100);
    my %count = attack(sub { ('/auth/verify-otp', {mobile_number => some(@many), purpose => 'login', otp => '000000'},
        sprintf '2001:db8:1:2:%x:%x:%x:%x', map { rand 65536 } 1 .. 4) });
    my $after = comparisons();
    is $after - $before, ADDRESS, 'the network has its tries';
    $before = $after;
};

subtest 'passwords, from everywhere' => sub {
    my ($number) = new_numbers(1);
    my $user = $stack->client;
    $stack->dbh->do(q{UPDATE gemclone.users SET password_hash = (SELECT '$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA') WHERE e164 = ?}, {}, $number);
    my %count = attack(sub { ('/auth/login', {mobile_number => $number, password => 'guess ' . rand}, address()) });
    my @refused = grep {/GEM0108/} $stack->log->lines;
    is scalar(grep { !/too many/ } @refused), PASSWORD, 'the account has its tries';
    cmp_ok scalar(grep {/too many/} @refused), '>', PASSWORD, 'of far more';
    is_deeply [sort grep { !/400|503/ } keys %count], [], 'and nobody is told how far they went';
};

subtest 'sends' => sub {
    my ($number) = new_numbers(1);
    $dbh->do(q{DELETE FROM gemclone.limits WHERE kind LIKE 'otp-%'});
    $stack->apache->directives([@{$stack->apache->directives}, 'GemcloneLimit otp-number 4', 'GemcloneLimit otp-address 9']);
    $stack->apache->restart;
    my %count = attack(sub { ('/auth/send-otp', {mobile_number => $number, purpose => 'login'}, address()) });
    is $count{200}, 4, 'a number is sent what its limit allows';
    my @many = new_numbers(50);
    %count = attack(sub { ('/auth/send-otp', {mobile_number => some(@many), purpose => 'login'}, '203.0.113.9') });
    is $count{200}, 9, 'an address may ask for what its limit allows';
};
