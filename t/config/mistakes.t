# SPDX-License-Identifier: Apache-2.0
# `httpd -t` finds each kind of mistake, names the directive, its file and line, and tells what to write instead.
use Mojo::Base -strict, -signatures;

use Gemclone::Apache;
use Gemclone::Paths qw(program secret_file temp_dir write_file);
use Gemclone::TokenKey;
use Mojo::File qw(path);
use Test::More;

my $dir = temp_dir;
mkdir "$dir/$_" for qw(keys logs);
secret_file("$dir/keys/$_.key") for qw(token otp gemini);
my %FILE = (
    short => ['x' x 31, 0600],
    short_otp => ['x' x 15, 0600],
    empty => ['', 0600],
    newlines => ["\n\n\n", 0600],
    readable => ['x' x 64, 0644],
    writable => ['x' x 64, 0602],
    hidden => ['x' x 64, 0000],
    huge => ['x' x 70_000, 0600]
);

for my $name (keys %FILE) {
    chmod $FILE{$name}[1], write_file("$dir/$name.key", $FILE{$name}[0]);
}
write_file("$dir/silent", "#!/bin/sh\n");
write_file("$dir/says_little", "#!/bin/sh\necho short\n");
write_file("$dir/says_key", "#!/bin/sh\necho 'a key of thirty-two bytes, said by ' \"\$@\"\necho a second line\n");
chmod 0755, map {"$dir/$_"} qw(silent says_little says_key);

# Keys of other algorithms, right and wrong.
Gemclone::TokenKey->make("$dir/$_->[0].key", @$_[1 .. $#$_])
    for ['rsa', 'RS256'], ['rsa1024', 'RS256', 'rsa_keygen_bits:1024'], ['ec', 'ES256'], ['p384', 'ES256', 'ec_paramgen_curve:P-384'];
my $openssl = program('openssl');
system("$openssl pkey -in $dir/rsa.key -pubout -out $dir/public.key && $openssl pkey -in $dir/rsa.key -aes256 -passout pass:x"
        . " -out $dir/locked.key && $openssl genpkey -algorithm ED25519 -out $dir/ed.key") == 0 or die 'openssl failed';
write_file("$dir/cut.key", substr path("$dir/rsa.key")->slurp, 0, 800);
chmod 0600, map {"$dir/$_.key"} qw(public locked ed cut);

# What the gateways need.
my @TWILIO = ('GemcloneOTPDelivery twilio', 'GemcloneSMSAccount AC' . '0' x 32, "GemcloneSMSKey file:$dir/keys/otp.key",
    'GemcloneSMSFrom +15550009999');
my @VERIFY = ('GemcloneOTPReveal Off', 'GemcloneOTPDelivery twilio-verify', @TWILIO[1, 2], 'GemcloneSMSService VA' . '0' x 32);
secret_file("$dir/webhook.key", 'whsec_' . 'AAAA' x 8);
my @WEBHOOK = ('GemcloneOTPDelivery webhook', "GemcloneSMSKey file:$dir/webhook.key", 'GemcloneSMSURL https://sms.example.com/otp');

# (status, what httpd said, the configuration's lines) for our configuration with lines added, and some taken out.
sub check ($add, $without = undef) {
    my @lines;
    my $writer = sub ($apache) {
        my $text = path($apache->configure)->slurp;
        $text =~ s/^$without.*\n//mg if $without;
        @lines = split /\n/, $text;
        return write_file($apache->conf_file, $text);
    };
    my ($status, $said) = Gemclone::Apache->new(dir => "$dir", directives => $add, writer => $writer, more_modules => ['authn_core'],
        values => {DBDPARAMS => 'host=/nowhere connect_timeout=2', REDIS => '', GEMINI => 'http://127.0.0.1:1/v1beta'})->test;
    return ($status, $said, @lines);
}

# The places that messages name: "line 7 of FILE" and "FILE:7".
sub places ($said) {
    return map { /line (\d+) of \Q$dir\E/ ? $1 : /\Q$dir\E\S*?dev\.conf:(\d+)/ ? $1 : () } split /\n/, $said;
}

sub fault_ok ($what, $add, @mend) {
    my ($status, $said, @lines) = check($add);
    my ($directive) = map { (split ' ')[0] } grep {/^Gemclone|^DBD/} reverse @$add;
    my ($line) = grep { $lines[$_ - 1] =~ /^\s*$directive\b/ } reverse 1 .. @lines;
    my @bad = (
        $status ? () : 'it is accepted',
        $said =~ /\b$directive\b/ ? () : "$directive is not named",
        (grep { $_ == $line } places($said)) ? () : "line $line is not named",
        map { $said =~ $_ ? () : "no $_" } @mend
    );
    ok(!@bad, $what) or diag join '; ', @bad, "\n$said";
    return;
}

sub missing_ok ($what, $without, @wanted) {
    my ($status, $said) = check([], $without);
    my @bad = ($status ? () : 'it is accepted', map { $said =~ $_ ? () : "no $_" } @wanted);
    ok(!@bad, $what) or diag join '; ', @bad, "\n$said";
    return;
}

subtest 'what is right' => sub {
    for my $good (
        [],
        ['GemcloneLease 1min'],
        ['GemclonePoll 250ms'],
        ['GemcloneCacheSize 1M'],
        ['GemcloneQuota basic unlimited'],
        ['GemcloneQuota pro 0'],
        ['GemcloneGeminiThinking high'],
        ['GemcloneGeminiThinking -1'],
        ['GemcloneGeminiThinking 1024'],
        ['GemcloneGeminiFallback none'],
        ['GemcloneGeminiGeneration temperature 0.5'],
        ['GemcloneGeminiGeneration stopSequences "[\"END\"]"'],
        ['GemcloneGeminiSafety HARASSMENT BLOCK_NONE'],
        ['GemcloneGeminiSafety HARM_CATEGORY_HARASSMENT BLOCK_ONLY_HIGH'],
        ['GemcloneGeminiModels gemini-3.8-flash gemini-3.6-flash'],
        ['GemcloneRedis redis://127.0.0.1:6379/1'],
        ['GemcloneRedis unix:/run/redis.sock'],
        ['GemcloneRedis redis://redis.example'],
        ['GemcloneTokenKey old exec:' . "$dir/says_key"],
        ['GemcloneCountryCode +91'],
        ['GemcloneRedisTimeout 200ms'],
        ['GemcloneRedisTimeout 1s 100ms'],
        ['GemcloneSystemPrompt "Be brief."'],
        ['GemcloneTokenKey a.b-c_9 file:keys/otp.key'],
        ['GemcloneCORSOrigin https://app.example.com http://localhost:3000', 'GemcloneCORSOrigin http://[::1]:8080'],
        ['GemcloneCORSOrigin capacitor://localhost chrome-extension://abcdefghijklmnop'],
        ['GemcloneCORSOrigin *'],
        ['GemcloneCORSOrigin https://app.example.com', 'GemcloneCORSCredentials On'],
        ['GemcloneCORSOrigin *', 'GemcloneCORSCredentials Off'],
        ['GemcloneTokenKey other file:keys/otp.key HS256'],
        ['GemcloneTokenKey rsa file:rsa.key RS256', 'GemcloneTokenKey ec file:ec.key ES256'],
        ['GemcloneLimit otp-number 3 1h'],
        ['GemcloneLimit otp-cooldown unlimited'],
        ['GemcloneLimit otp-budget 100'],
        ['GemcloneLimit otp-budget 100 1d'],
        ['GemcloneOTPCountries +1 +44', 'GemcloneOTPCountries +4479'],
        ['GemcloneOTPTestNumber +15550001111 246810 2028-02-29', 'GemcloneOTPTestNumber +15550001112 1234 2020-01-01'],
        [@TWILIO],
        [@TWILIO, 'GemcloneSMSFrom MG' . 'a' x 32, 'GemcloneSMSKeyId SK' . 'F' x 32],
        [@VERIFY],
        [@WEBHOOK],
        ['GemcloneOTPDelivery reveal'],
    ) {
        my ($status, $said) = check($good);
        is $status, 0, $good->[0] // 'the configuration of the tests' or diag $said;
        like $said, qr/^Syntax OK$/m, '... and httpd says so';
        is_deeply [grep {!/GEM0003|Syntax OK/} split /\n/, $said], [], '... and no more';
    }
};

subtest 'secrets' => sub {
    for my $directive ('GemcloneTokenKey second', 'GemcloneOTPKey', 'GemcloneGeminiKey') {
        fault_ok "$directive: no file", ["$directive file:$dir/none.key"], qr/\Q$dir\E\/none\.key/,
            qr/make it|mend the path/;
        fault_ok "$directive: a directory", ["$directive file:$dir"], qr/mend the path/;
        fault_ok "$directive: a file that everybody can read", ["$directive file:$dir/readable.key"], qr/chmod o-rwx/;
        fault_ok "$directive: a file that everybody can write", ["$directive file:$dir/writable.key"],
            qr/chmod o-rwx/;
        fault_ok "$directive: a file that we cannot read", ["$directive file:$dir/hidden.key"], qr/cannot be read/
            if $>;
        fault_ok "$directive: an empty file", ["$directive file:$dir/empty.key"], qr/0 bytes; it needs at least/;
        fault_ok "$directive: nothing but line ends", ["$directive file:$dir/newlines.key"],
            qr/0 bytes; it needs at least/;
        fault_ok "$directive: a file too large", ["$directive file:$dir/huge.key"], qr/that is no key/;
        fault_ok "$directive: no command", ["$directive exec:"], qr/command/;
        fault_ok "$directive: no such command", ["$directive exec:$dir/none"], qr/none/;
        fault_ok "$directive: a command that says nothing", ["$directive exec:$dir/silent"], qr/gave no line/;
    }
    fault_ok 'a short key for tokens', ["GemcloneTokenKey second file:$dir/short.key"], qr/31 bytes/,
        qr/at least 32/, qr/openssl rand/;
    fault_ok 'a short key for codes', ["GemcloneOTPKey file:$dir/short_otp.key"], qr/15 bytes/, qr/at least 16/;
    fault_ok 'a command that says little', ["GemcloneTokenKey second exec:$dir/says_little"], qr/5 bytes/;
    fault_ok 'a short literal', ['GemcloneTokenKey second secret'], qr/6 bytes/;

    my $literal = 'GemcloneTokenKey second ' . 'x' x 40;
    my ($status, $said, @lines) = check([$literal]);
    is $status, 0, 'a long literal is accepted';
    my ($line) = grep { $lines[$_ - 1] eq $literal } 1 .. @lines;
    like $said, qr/GEM0004: GemcloneTokenKey \(\S+:$line\).*use file: or exec:/, 'with a warning';
    unlike $said, qr/xxxx/, 'which does not show it';
    (undef, $said) = check(['GemcloneTokenKey second tooshort-secret']);
    unlike $said =~ s/GemcloneTokenKey second//r, qr/tooshort-secret/, 'nor does an error';
};

subtest 'keys of other algorithms' => sub {
    my $fault = sub ($what, $key, $algorithm, @mend) { fault_ok $what, ["GemcloneTokenKey second file:$dir/$key.key $algorithm"], @mend };
    $fault->("the algorithm $_", 'rsa', $_, qr/'\Q$_\E' is none of HS256, RS256 and ES256/)
        for qw(RS512 PS256 ES384 EdDSA none rs256 hs256);
    for my $algorithm (qw(RS256 ES256)) {
        $fault->("$algorithm by $_->[0]", $_->[1], $algorithm, qr/second for $algorithm/, qr/no private key in PEM/)
            for ['no PEM', 'keys/otp'], ['what was cut short', 'cut'], ['a public key', 'public'], ['a key with a passphrase', 'locked'];
        $fault->("$algorithm by one of Ed25519", 'ed', $algorithm, qr/openssl (?:genrsa|ecparam)/);
    }
    $fault->('an RSA key of 1024 bits', 'rsa1024', 'RS256', qr/2048 bits at least/, qr/openssl genrsa 2048/);
    $fault->('a key on P-384', 'p384', 'ES256', qr/P-256/, qr/openssl ecparam -name prime256v1/);
    $fault->('ES256 by an RSA key', 'rsa', 'ES256', qr/P-256/);
    $fault->('RS256 by an elliptic one', 'ec', 'RS256', qr/no RSA key/);
    my (undef, $said) = check(["GemcloneTokenKey second file:$dir/rsa1024.key RS256"]);
    unlike $said, qr/BEGIN|MII/, 'nothing of the key is shown';
};

subtest 'limits' => sub {
    fault_ok "the kind $_", ["GemcloneLimit $_ 5"], qr/'\Q$_\E' is none of signup-address, .* and otp-budget/ for qw(otp otp-try OTP-number sms);
    fault_ok "so many: $_", ["GemcloneLimit password $_"], qr/'\Q$_\E' is neither a number from 1 to 1000000000 nor unlimited/
        for qw(0 -1 1.5 many 1000000001 99999999999999999999);
    fault_ok "in $_", ["GemcloneLimit password 5 $_"], qr/'\Q$_\E' is no duration from 1s to 31d/ for qw(0 999ms 32d soon -1s 5m);
    fault_ok 'a budget that is not of a day', ['GemcloneLimit otp-budget 5 1h'], qr/for a day; leave its time out/;
    fault_ok "$_->[0] arguments", ["GemcloneLimit $_->[1]"], qr/takes two or three/ for ['too few', 'password'], ['too many', 'password 5 1h 2'];
};

subtest 'numbers that codes go to' => sub {
    fault_ok "numbers that begin with $_", ["GemcloneOTPCountries +1 $_"], qr/like \+1 or \+4479/ for qw(1 + 0044 +12345678901 +1x us);
    my $test = sub ($what, $arguments, @mend) { fault_ok "a number for tests: $what", ["GemcloneOTPTestNumber $arguments"], @mend };
    $test->("the number $_", "$_ 1234 2030-01-01", qr/like \+15550001111/) for qw(5550001111 + +12 +1x +12345678901234567);
    $test->("the code $_", "+15550001111 $_ 2030-01-01", qr/4 to 8 digits/) for qw(123 123456789 12a4 -123);
    $test->("the day $_", "+15550001111 1234 $_", qr/like 2026-12-31/)
        for qw(tomorrow 2030-02-29 2030-13-01 2030-00-10 2030-01-00 2030-1-1 30-01-01 2030/01/01 2030-01-01T00:00:00Z);
    $test->('no day', '+15550001111 1234', qr/takes three/);
    my (undef, $said) = check(['GemcloneOTPTestNumber +15550001111 24681x 2030-01-01']);
    unlike $said =~ s/.*Syntax error.*//r, qr/24681/, 'its code is not shown';
};

subtest 'gateways' => sub {
    my $gateway = sub ($what, $settings, $wrong, @mend) { fault_ok "$what: $wrong", [@$settings, $wrong], @mend };
    $gateway->('Twilio', \@TWILIO, "GemcloneSMSAccount $_", qr/AC and 32 hexadecimal digits/) for 'AC1', 'XX' . '0' x 32, 'AC' . 'g' x 32;
    $gateway->('Twilio', \@TWILIO, 'GemcloneSMSKeyId AC' . '0' x 32, qr/SK and 32/);
    $gateway->('Twilio', \@TWILIO, 'GemcloneSMSFrom MG1', qr/MG and 32/);
    $gateway->('Twilio', \@TWILIO, "GemcloneSMSURL $_", qr{like https://sms\.example\.com/}) for 'sms.example.com', 'ftp://x';
    $gateway->('Twilio', \@TWILIO, 'GemcloneSMSText "Your code"', qr/\{code\}/);
    $gateway->('Twilio', \@TWILIO, "GemcloneSMSCAFile $dir/none.pem", qr/cannot be read/);
    $gateway->('Twilio', \@TWILIO, "GemcloneSMSKey file:$dir/none.key", qr/make it|mend the path/);
    $gateway->('Twilio', \@TWILIO, "GemcloneSMSKey file:$dir/readable.key", qr/chmod o-rwx/);
    $gateway->('Twilio Verify', \@VERIFY, "GemcloneSMSService $_", qr/VA and 32/) for 'VA1', 'MG' . '0' x 32;
    $gateway->('Twilio Verify', \@VERIFY, 'GemcloneOTPReveal On', qr/twilio-verify: the codes are Twilio's own/);
    my %bad = (few => 'AAAA' x 7, many => 'AAAA' x 22, nothing => '', words => 'not base64!' x 4);
    for my $name (sort keys %bad) {
        secret_file("$dir/$name.key", "whsec_$bad{$name}");
        $gateway->('a webhook', \@WEBHOOK, "GemcloneSMSKey file:$dir/$name.key", qr/whsec_ and 24 to 64 bytes in base64/);
    }
    for my $case ([\@TWILIO, 1, 'GemcloneSMSAccount'], [\@TWILIO, 2, 'GemcloneSMSKey'], [\@TWILIO, 3, 'GemcloneSMSFrom'],
        [\@VERIFY, 4, 'GemcloneSMSService'], [\@WEBHOOK, 1, 'GemcloneSMSKey'], [\@WEBHOOK, 2, 'GemcloneSMSURL']) {
        my ($settings, $without, $directive) = @$case;
        my ($status, $said) = check([map { $settings->[$_] } grep { $_ != $without } keys @$settings]);
        ok $status && $said =~ /GEM0006: $directive\b/, "no $directive" or diag $said;
    }
    fault_ok 'codes that are revealed to nobody', ['GemcloneOTPReveal Off', 'GemcloneOTPDelivery reveal'], qr/GemcloneOTPReveal On/;
};

subtest 'key ids' => sub {
    fault_ok 'one that is taken', ["GemcloneTokenKey dev file:$dir/keys/otp.key"], qr/'dev' already/;
    fault_ok 'one too long', ['GemcloneTokenKey ' . 'x' x 33 . " file:$dir/keys/otp.key"], qr/at most 32/;
    fault_ok "one with $_->[1]", ["GemcloneTokenKey \"$_->[0]\" file:$dir/keys/otp.key"], qr/letters, digits/
        for ['a b', 'a space'], ['a/b', 'a slash'];
};

subtest 'numbers, durations and sizes' => sub {
    my %range = (
        GemcloneOTPLength => [3, 9],
        GemcloneOTPTries => [0, 21],
        GemcloneMaxPrompt => [0, 1_000_001],
        GemcloneThreads => [0, 8],
        GemcloneMaxReplies => [0, 100_001],
        GemcloneDatabaseConnections => [0, 1001],
        GemcloneGeminiTries => [0, 21],
        GemcloneContextTokens => [99, 10_000_001],
        GemcloneRedisConnections => [0, 1001],
        GemcloneTokenLifetime => ['9s', '31d'],
        GemcloneOTPLifetime => ['0s', '2d'],
        GemcloneOTPWindow => ['0s', '2d'],
        GemcloneLease => ['999ms', '11min'],
        GemclonePoll => ['49ms', '2min'],
        GemcloneDrainTimeout => [undef, '61min'],
        GemcloneDatabaseTimeout => ['9ms', '6min'],
        GemcloneGeminiIdleTimeout => ['9ms', '61min'],
        GemcloneGeminiBackoff => ['0s', '11min'],
        GemcloneCacheTTL => ['0s', '25h'],
        GemcloneMaxBody => [1023, '17M'],
        GemcloneCacheSize => ['255K', '5G'],
        GemcloneMaxReply => [1023, '65M'],
        GemcloneSessionIdle => ['59s', '3651d'],
        GemcloneSessionLifetime => ['59s', '3651d'],
        GemcloneRefreshReuse => [undef, '301s'],
        GemcloneMaxSessions => [0, 1001],
        GemclonePasswordMin => [5, 129],
        GemclonePasswordMemory => ['7K', '5G'],
        GemclonePasswordPasses => [0, 101],
        GemclonePasswordHashes => [0, 65],
        GemcloneSMSTimeout => ['9ms', '61s'],
    );
    for my $directive (sort keys %range) {
        fault_ok "$directive $_", ["$directive $_"], qr/from \S+ to \S+/ for grep {defined} @{$range{$directive}};
        fault_ok "$directive $_", ["$directive $_"], qr/$directive takes (?:a|one)|from \S+ to/
            for 'x', '-1', '""', '5 5', '1.5', '99999999999999999999', '0x10';
    }
    fault_ok "a duration in $_", ["GemcloneLease 5$_"], qr/a duration such as 250ms/ for qw(m sec minutes us w K);
    fault_ok "a size in $_", ["GemcloneMaxBody 5$_"], qr/a size such as/ for qw(B KB T s);
    fault_ok 'a flag that is none', ['GemcloneOTPReveal Perhaps'], qr/On or Off/i;
};

subtest 'words' => sub {
    fault_ok 'a tier that is not known', ['GemcloneQuota gold 5'], qr/basic and pro/;
    fault_ok "a quota of $_", ["GemcloneQuota basic $_"], qr/unlimited/ for 'many', '-1', '1.5', '10000000000';
    fault_ok "the country code $_", ["GemcloneCountryCode $_"], qr/\+1 or \+91/
        for '1', '+', '+0', '+12345', '+1x', '"+ 1"';
    fault_ok 'a delivery that is not known', ['GemcloneOTPDelivery pigeon'], qr/write log/;
    fault_ok "the model $_", ["GemcloneGeminiFallback $_"], qr/gemini-3\.8-flash/
        for '"gemini 3"', 'models/gemini', 'GEMINI';
    fault_ok 'a model in the list', ['GemcloneGeminiModels gemini-3.8-flash ../x'], qr/gemini-3\.8-flash/;
    fault_ok "the site of 65 characters", ['GemcloneSite ' . 'x' x 65], qr/64/;
    fault_ok "tracing $_", ["GemcloneTraceParent $_"], qr/'\Q$_\E' is not known; write Off, Accept or Generate/ for qw(On propagate 00);
    fault_ok 'a directive that does not exist', ['GemcloneNonsense On'], qr/Invalid command/;
    fault_ok "$_->[0] arguments", ["$_->[1]"], qr/takes? (?:one|two|1|2)/
        for ['no', 'GemcloneTokenKey'], ['too many', 'GemcloneOTPKey a b'];
};

subtest 'Gemini' => sub {
    fault_ok "the URL $_", ["GemcloneGeminiURL $_"], qr/URL of Gemini/
        for 'example.org', 'ftp://example.org', '"https://x y"', 'https://example.org/v1?key=x';
    fault_ok 'a model', ['GemcloneGeminiModel Gemini'], qr/model/;
    fault_ok "thinking $_", ["GemcloneGeminiThinking $_"], qr/thinking/ for '12x', '"very high"';
    fault_ok "generation $_", ["GemcloneGeminiGeneration $_"], qr/@{[(split ' ')[0]]}/
        for 'candidateCount 2', 'thinkingConfig "{}"', 'responseModalities "[]"', 'stopSequences "[\"END\""';
    fault_ok 'a safety setting', ['GemcloneGeminiSafety harassment none'], qr/CATEGORY THRESHOLD/;
    fault_ok 'authorities that are not there', ["GemcloneGeminiCAFile $dir/none.pem"], qr/cannot be read/;
    fault_ok 'a total shorter than its parts', ['GemcloneGeminiTotalTimeout 10s'], qr/shorter/, qr/make it longer/;
};

subtest 'Redis' => sub {
    fault_ok "the URL $_", ["GemcloneRedis $_"], qr{redis://host}, qr{unix:/path}
        for 'localhost', 'redis://', 'http://x', 'redis://host:99999', 'redis://:secret@host',
        'redis://host/x', 'unix:', 'redis://host:0';
    my (undef, $said) = check(['GemcloneRedis redis://:very-secret@host']);
    unlike $said =~ s/.*Syntax error.*//r, qr/very-secret/, 'a password is not shown';
    fault_ok 'a name without a password', ['GemcloneRedis unix:/x', 'GemcloneRedisUsername x'],
        qr/GemcloneRedisPassword/;
    fault_ok 'a password without a Redis', ["GemcloneRedisPassword file:$dir/keys/otp.key"], qr/GemcloneRedis\b/;
    fault_ok "a timeout of $_", ["GemcloneRedisTimeout $_"], qr/1ms to 1min/ for 'x', '0', '2min', '1s 2min';
};

subtest 'origins' => sub {
    fault_ok "the origin $_", ["GemcloneCORSOrigin $_"], qr{is no origin; write each one whole, like https://app\.example\.com}
        for 'app.example.com', '//app.example.com', 'https://*.example.com', 'https://app.example.*', 'https://', 'file:///',
        'https:app.example.com', '"https://app example.com"', 'https://a.example,https://b.example', 'https://b\xc3\xbccher.example',
        'https://app.example.com:port';
    fault_ok "the origin $_->[0]", ["GemcloneCORSOrigin $_->[0]"], qr/how browsers write an origin; write \Q$_->[1]\E$/m
        for ['https://app.example.com/', 'https://app.example.com'], ['https://app.example.com/path', 'https://app.example.com'],
        ['https://app.example.com?x', 'https://app.example.com'], ['https://app.example.com#x', 'https://app.example.com'],
        ['HTTPS://App.example.com', 'https://app.example.com'], ['https://app.example.com:443', 'https://app.example.com'],
        ['http://localhost:80', 'http://localhost'], ['http://localhost:3000/', 'http://localhost:3000'],
        ['https://me@app.example.com', 'https://app.example.com'], ['http://[::1]:80', 'http://[::1]'];
    fault_ok 'the origin null', ['GemcloneCORSOrigin null'], qr/cannot be allowed/;
    fault_ok "any origin beside $_", ["GemcloneCORSOrigin $_"], qr/\* stands alone/
        for '* https://app.example.com', 'https://app.example.com *', '* *';
    fault_ok 'and on another line', ['GemcloneCORSOrigin https://app.example.com', 'GemcloneCORSOrigin *'], qr/\* stands alone/;
    fault_ok 'credentials for any origin', ['GemcloneCORSOrigin *', 'GemcloneCORSCredentials On'], qr/GemcloneCORSOrigin is \*/,
        qr/name the origins there, or write Off/;
    fault_ok 'credentials for any origin in a virtual host',
        ['GemcloneCORSOrigin *', '<VirtualHost *:*>', 'ServerName x', 'GemcloneCORSCredentials On', '</VirtualHost>'], qr/write Off/;
    my ($status, $said) = check(['GemcloneCORSCredentials On']);
    is $status, 0, 'credentials for no origin are accepted';
    like $said, qr/GEM0007: GemcloneCORSCredentials \(\S+:\d+\).*GemcloneCORSOrigin/, 'with a warning';
};

subtest 'what contradicts' => sub {
    fault_ok 'a window shorter than a code\'s life', ['GemcloneOTPWindow 4min'], qr/GemcloneOTPLifetime/,
        qr/at least as long/;
    fault_ok 'more connections than DBDMax', ['GemcloneDatabaseConnections 17'], qr/16 that DBDMax allows/,
        qr/lower the one or raise the other/;
    my ($status, $said) = check(['GemcloneLease 5s']);
    is $status, 0, 'a short lease is accepted';
    like $said, qr/GEM0007: GemcloneLease \(\S+:\d+\)/, 'with a warning';
    ($status, $said) = check(['GemclonePasswordHashes 64', 'GemclonePasswordMemory 4G']);
    is $status, 0, 'more memory for passwords than the machine has is accepted';
    like $said, qr/GEM0007: GemclonePasswordHashes \(\S+:\d+\).*more than half of this machine's .* lower it/, 'with a warning';
    ($status, $said) = check(['GemcloneOTPReveal Off']);
    is $status, 0, 'codes that reach nobody are accepted';
    like $said, qr/GEM0007: .*GemcloneOTPLog/, 'with a warning';
};

subtest 'what is missing' => sub {
    missing_ok "no $_->[0]", $_->[0], qr/GEM0006: $_->[0] /, qr/write $_->[0]/
        for ['GemcloneTokenKey'], ['GemcloneOTPKey'], ['GemcloneGeminiKey'], ['DBDParams'], ['DBDriver'];
    my ($status, $said) = check(['GemcloneWorker Off'], 'GemcloneGeminiKey');
    is $status, 0, 'who generates no replies needs no key for Gemini' or diag $said;
    ($status, $said) = check([], '(?:Gemclone(?!Engine)|DBD)\w+');
    my @told = $said =~ /GEM0006: (\w+)/g;
    is_deeply [sort @told], [qw(DBDParams DBDriver GemcloneGeminiKey GemcloneOTPKey GemcloneTokenKey)],
        'all that is missing is told at once';
    ($status, $said) = check([], '(?:Gemclone|DBD|    GemcloneEngine).*');
    is $status, 0, 'a server without us needs nothing' or diag $said;
};

subtest 'the database' => sub {
    my ($status, $said) = check(['DBDriver mysql']);
    isnt $status, 0, 'another driver is refused';
    like $said, qr/line \d+ of \S+dev\.conf/, 'by its place';
    ($status, $said) = check(['DBDParams "host=/nowhere"']);
    is $status, 0, 'connections without a bound on connecting are taken';
    like $said, qr/GEM0007: DBDParams .*connect_timeout=2/, 'with a warning';
    fault_ok "the connection string $_->[0]", ["DBDParams \"$_->[0]\""], $_->[1], qr/write "host=/
        for ['host=/nowhere gemclone', qr/missing "=" after "gemclone"/], ['hots=/nowhere', qr/invalid connection option "hots"/];
    my $passfile = sub ($what, $mend) {
        ($status, $said) = check(["DBDParams \"host=/nowhere connect_timeout=2 passfile=$dir/pgpass\""]);
        is $status, 0, "a file of passwords $what is let pass";
        like $said, qr/GEM0007: DBDParams \(\S+:\d+\): .*$mend/, 'with a warning';
    };
    $passfile->('that is not there', qr/there is no file \Q$dir\E\/pgpass: make it/);
    secret_file("$dir/pgpass", 'x');
    chmod 0640, "$dir/pgpass";
    $passfile->('that others can read', qr/chmod 600 \Q$dir\E\/pgpass/);
    chmod 0600, "$dir/pgpass";
    (undef, $said) = check(["DBDParams \"host=/nowhere connect_timeout=2 passfile=$dir/pgpass\""]);
    unlike $said, qr/DBDParams/, 'of one that is right nothing is said';
    my $apache = Gemclone::Apache->new(dir => "$dir", values => {DBDPARAMS => 'x', REDIS => '', GEMINI => 'http://x'},
        writer => sub ($apache) {
            my $file = $apache->configure;
            write_file($apache->modules, path($apache->modules)->slurp =~ s/^\s*LoadModule dbd_module.*\n//mr);
            return write_file($file, path($file)->slurp =~ s/^DBD.*\n//mgr);
        });
    ($status, $said) = $apache->test;
    isnt $status, 0, 'no mod_dbd';
    like $said, qr/mod_dbd is not loaded; write LoadModule dbd_module/, 'is told, and what to write';
};

subtest 'places' => sub {
    my $engine_ok = sub ($what, @lines) {
        my ($status, $said) = check(\@lines);
        ok $status && $said =~ /GemcloneEngine belongs into a <Location "\/path">/ && $said =~ /line \d+ of /, $what or diag $said;
    };
    $engine_ok->('GemcloneEngine in the server', 'GemcloneEngine On');
    $engine_ok->("GemcloneEngine in <$_->[0]>", "<$_->[0]>", 'GemcloneEngine On', "</$_->[1]>")
        for ['Directory /srv', 'Directory'], ['LocationMatch ^/x', 'LocationMatch'], ['Files x', 'Files'],
        ['Location "~ ^/x"', 'Location'],
        ['VirtualHost *:*', 'VirtualHost'];
    for my $case (['Directory /srv', 'Directory'], ['LocationMatch ^/x', 'LocationMatch'], ['Files x', 'Files'], ['Location "~ ^/x"', 'Location'],
        ['VirtualHost *:*', 'VirtualHost']) {
        my ($status, $said) = check(["<$case->[0]>", 'SetHandler gemclone-admin', "</$case->[1]>"]);
        ok $status && $said =~ /SetHandler gemclone-admin belongs into a <Location/, "the admin page in <$case->[0]>" or diag $said;
        ($status, $said) = check(["<$case->[0]>", 'SetHandler something-else', "</$case->[1]>"]);
        is $status, 0, 'where another handler is nobody\'s business' or diag $said;
    }
    for my $section (['<Location "/x">', '</Location>'], ['<Directory "/srv">', '</Directory>']) {
        my ($status, $said) = check([$section->[0], 'GemcloneLease 5s', $section->[1]]);
        isnt $status, 0, "a directive of the server in $section->[0]";
        like $said, qr/GemcloneLease(?: not allowed| cannot occur)/, 'is refused by its name';
    }
    fault_ok 'a mistake in a virtual host',
        ['<VirtualHost *:*>', 'ServerName x', 'GemcloneOTPLength 9', '</VirtualHost>'], qr/4 to 8/;
    fault_ok 'a contradiction in a virtual host',
        ['<VirtualHost *:*>', 'ServerName x', 'GemcloneOTPWindow 1s', '</VirtualHost>'], qr/at least as long/;
    fault_ok 'a missing file in a virtual host',
        ['<VirtualHost *:*>', 'ServerName x', "GemcloneOTPKey file:$dir/none.key", '</VirtualHost>'], qr/make it/;
    write_file("$dir/more.conf", "\n\nGemcloneLease never\n");
    my ($status, $said) = check(["Include $dir/more.conf"]);
    like $said, qr/line 3 of \Q$dir\E\/more\.conf/, 'a mistake in an included file is found there';
};

subtest 'doors' => sub {
    my @door = ('<Location "/x">', 'AuthType Gemclone');
    my $fault = sub ($what, $without, $wrong, $lines, @mend) {
        my ($status, $said, @lines) = check($lines, $without);
        my ($line) = grep { $lines[$_ - 1] =~ /^$wrong/ } 1 .. @lines;
        my @bad = ($status ? () : 'it is accepted', (grep { $_ == $line } places($said)) ? () : "line $line is not named",
            map { $said =~ $_ ? () : "no $_" } @mend);
        return ok(!@bad, $what) || diag join '; ', @bad, "\n$said";
    };
    $fault->("Require gemclone-tier $_->[0]", undef, 'Require gemclone', [@door, "Require gemclone-tier $_->[0]", '</Location>'], qr/$_->[1]/)
        for ['', 'name one or more; the tiers are basic and pro'], ['free', "the tiers are basic and pro, not 'free'"],
        ['pro gold', "not 'gold'"], ['Pro', "not 'Pro'"];
    my $any = '(?:Gemclone|DBD|    GemcloneEngine).*';
    my @mend = (qr/GEM0006: AuthType \(\S+:\d+\): Gemclone, but nothing says whose tokens are good here/, qr/write GemcloneTokenKey/);
    $fault->('AuthType Gemclone without Gemclone', $any, 'AuthType', [@door, '</Location>'], @mend);
    $fault->('in a virtual host', $any, 'AuthType',
        ['<VirtualHost *:*>', 'ServerName a', '<Directory "/srv">', '<Files "x">', 'AuthType "gemclone"', '</Files>', '</Directory>', '</VirtualHost>'], @mend);
    $fault->('beside one that has it', $any, 'AuthType', ['<VirtualHost *:*>', 'ServerName a', @door, '</Location>', '</VirtualHost>',
        '<VirtualHost *:*>', 'ServerName b', "GemcloneTokenKey x file:$dir/keys/token.key", '</VirtualHost>'], @mend);
    for my $good (
        ['where the API is', [@door, 'Require gemclone-tier pro', '</Location>']],
        ['where it is not', [@door, 'Require gemclone-tier basic pro', '</Location>'], '    GemcloneEngine'],
        ['in a virtual host with the main server\'s settings',
            ['<VirtualHost *:*>', 'ServerName a', @door, '</Location>', '</VirtualHost>'], '    GemcloneEngine'],
        ['of another kind', ['<Location "/x">', 'AuthType Basic', '</Location>'], $any],
    ) {
        my ($status, $said) = check($good->[1], $good->[2]);
        is $status, 0, "a door $good->[0] is right" or diag $said;
    }
    my ($status, $said) = check([@door, '</Location>'], '(?:    GemcloneEngine|GemcloneOTPKey).*');
    ok $status && $said =~ /GEM0006: GemcloneOTPKey/, 'a host with a door needs what the API needs' or diag $said;
};

done_testing;
