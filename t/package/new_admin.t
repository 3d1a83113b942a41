# SPDX-License-Identifier: Apache-2.0
# A new admin: a stock Debian apache2 with a site on it, the package, and what its README.Debian says. Then the API answers
# under /api, the site is as before, and configtest explains each mistake that one makes on such a day.
# Keeps the machine busy: see Gemclone::Suite.
use Mojo::Base -strict, -signatures;

use Gemclone::Client;
use Gemclone::Package;
use Gemclone::Paths qw(secret_file temp_dir write_file);
use Gemclone::Postgres;
use Gemclone::Standin;
use Gemclone::StockApache;
use Mojo::File qw(path);
use Mojo::UserAgent;
use Test::More;
use Time::HiRes qw(sleep time);

plan tests => 12;

my ($deb) = Gemclone::Package->build('nocheck');
my $dir = temp_dir;
my $apache = Gemclone::StockApache->new(dir => "$dir")->install;
my $ua = Mojo::UserAgent->new(inactivity_timeout => 30);
my $old = write_file("$dir/var/www/html/old.txt", "the old site\n");
my $readme;

sub get ($path) { return $ua->get($apache->url . $path)->res }
sub conf_text () { return $apache->conf('mods-available/gemclone.conf')->slurp }

subtest 'before' => sub {
    my ($failed, $said) = $apache->configtest;
    ok !$failed, 'a stock apache2' or diag $said;
    $apache->start;
    is get('/old.txt')->body, "the old site\n", 'with a site on it';
    is get('/api/healthz')->code, 404, 'and no API';
    $apache->stop;
};

subtest 'the package is installed' => sub {
    $apache->unpack($deb);
    $readme = path("$dir/usr/share/doc/libapache2-mod-gemclone/README.Debian")->slurp;
    $apache->edit('mods-available/gemclone.load', sub {s{ /usr/lib/}{ $dir/usr/lib/}r});
    my ($failed, $said) = $apache->configtest;
    ok !$failed, 'which changes nothing' or diag $said;
    ok !-e $apache->conf('mods-enabled/gemclone.load'), 'and enables nothing';
};

subtest 'enabled, with nothing configured' => sub {
    my ($failed, $said) = $apache->run('a2enmod', 'gemclone');
    ok !$failed, 'a2enmod gemclone' or diag $said;
    ok -e $apache->conf('mods-enabled/dbd.load'), 'brings mod_dbd along';
    ($failed, $said) = $apache->configtest;
    ok !$failed, 'and the configuration is good' or diag $said;
    unlike $said, qr/GEM\d/, 'with nothing to tell';
    $apache->start;
    is get('/old.txt')->body, "the old site\n", 'the site is there';
    is get('/api/healthz')->code, 404, 'the API is not';
    $apache->stop;
};

# The packaged migrations, in both of the ways that README.Debian has.
my $postgres = Gemclone::Postgres->new(dir => "$dir", sockets => "$dir", fsync => 0, sql => "$dir/usr/share/mod_gemclone/sql")->start;
subtest 'the database' => sub {
    my ($loop) = $readme =~ /^(  sed .*? done)\n/ms;
    ok $loop, 'README.Debian does without Sqitch' or return;
    local %ENV = (%ENV, $postgres->libpq_environment);
    $postgres->dbh(database => 'postgres')->do('CREATE DATABASE gemclone');
    my $said = qx{cd '$dir/usr/share/mod_gemclone/sql'\n@{[$loop =~ s/runuser -u postgres -- //r]} 2>&1};
    is $said, '', 'which does it';
    my $schema = qx{pg_dump --schema-only} =~ s/^\\(?:un)?restrict .*\n//mgr;
    $postgres->dbh(database => 'postgres')->do($_) for 'DROP DATABASE gemclone', 'DROP ROLE gemclone';
    ok eval { $postgres->migrate }, 'and so does Sqitch' or diag $@;
    is qx{pg_dump --schema-only --exclude-schema=sqitch} =~ s/^\\(?:un)?restrict .*\n//mgr, $schema, 'with the same outcome';
};

my $standin = Gemclone::Standin->start(quiet => 1);
my $keys = $apache->conf('gemclone')->make_path;
path("$dir/var/log/gemclone")->make_path;
secret_file($keys->child("$_.key")) for qw(token otp gemini);
secret_file($keys->child('pgpass'), '*:*:gemclone:gemclone:none');

# README.Debian's own command; then what is the admin's, and where our directory is not /. No word goes to Google.
my @lines;
subtest 'ten lines of configuration' => sub {
    my ($sed) = $readme =~ /^  (sed -i .*?\.conf)\n/ms;
    $sed =~ s{ /etc/apache2/}{ @{[$apache->conf_dir]}/};
    is system($sed), 0, 'README.Debian tells how';
    @lines = grep {/^[^#]/} split /\n/, conf_text;
    is @lines, 10, 'they are ten' or diag conf_text;
    like "@lines", qr{<Location "/api">}, 'and map the API under /api';
    $apache->edit('mods-available/gemclone.conf', sub {
        s{/(etc/apache2|var/log)/gemclone/}{$dir/$1/gemclone/}gr =~ s/host=127\.0\.0\.1/host=$dir/r;
    });
    my $more = $apache->conf('conf-available/more.conf');
    write_file($more, join "\n", 'GemcloneGeminiURL ' . $standin->api_url, 'GemcloneMaxStreams 50', '');
    $apache->run('a2enconf', 'more');
    my ($failed, $said) = $apache->configtest;
    ok !$failed, 'configtest is content' or diag $said;
    unlike $said, qr/GEM\d/, 'and warns of nothing' or diag $said;
};

sub code_of ($number, $seconds = 20) {
    my ($file, $until) = (path("$dir/var/log/gemclone/otp.log"), time + $seconds);
    while (time < $until) {
        return $1 if -e $file && $file->slurp =~ /^\S+ \Q$number\E login (\d+)$/m;
        sleep 0.05;
    }
    die "no code came for $number\n";
}

my $client = Gemclone::Client->new(url => $apache->url . '/api');
my $room;
subtest 'the API answers under /api' => sub {
    $apache->start;
    is get('/api/readyz')->json('/postgres'), 'ok', 'it has its database';
    ok $client->sign_up('5550100123', 'Ada'), 'signing up';
    my $asked = $client->post('/auth/send-otp', {mobile_number => '5550100123', purpose => 'login'});
    is $asked->code, 200, 'asking for a code';
    ok $client->verify('5550100123', code_of('+15550100123'))->token, 'which signs in';
    $room = $client->room;
    like $client->ask($room, 'Hello'), qr/You said: Hello/, 'a prompt is answered';
};

subtest 'the old site is as before' => sub {
    is get('/old.txt')->body, "the old site\n", 'its page';
    like get('/')->body, qr/Apache2 Debian Default Page/, 'its front page';
    is get('/nothing')->code, 404, 'what it has not got';
    like get('/nothing')->headers->content_type, qr{^text/html}, 'is told in its own way';
    is get('/apiary')->code, 404, 'and what only begins like our path is its own, too';
};

# Each: what is done to which file, and what configtest is to say beside the line of it.
my $conf = 'mods-available/gemclone.conf';
sub mistake_ok ($what, $file, $change, @mend) {
    my $before = $apache->conf($file)->slurp;
    $apache->edit($file, $change);
    my ($failed, $said) = $apache->configtest;
    write_file($apache->conf($file), $before);
    my @bad = ($failed ? () : 'it is accepted', map { $said =~ $_ ? () : "no $_" } @mend);
    ok(!@bad, $what) or diag join '; ', @bad, "\n$said";
    return;
}

my $place = qr/gemclone\.conf:\d+|line \d+ of \S+gemclone\.conf/;
subtest 'mistakes in the configuration' => sub {
    mistake_ok 'a directive misspelt', $conf, sub {s/GemcloneTokenKey/GemcloneTokenkeys/r}, qr/GemcloneTokenkeys/, $place;
    for my $directive (qw(GemcloneTokenKey GemcloneOTPKey GemcloneGeminiKey DBDriver DBDParams)) {
        mistake_ok "$directive left out", $conf, sub {s/^$directive.*\n//mr}, qr/GEM0006: $directive /, qr/write $directive/;
    }
    mistake_ok 'another database', $conf, sub {s/DBDriver pgsql/DBDriver mysql/r}, qr/DBDriver|mysql/, $place;
    mistake_ok 'a country code without +', $conf, sub {s/ \+1/ 1/r}, qr/\+1 or \+91/, $place;
    mistake_ok 'GemcloneEngine outside of a location', $conf, sub {s/^<.*\n//mgr}, qr/GemcloneEngine/, qr/Location/, $place;
    mistake_ok 'GemcloneEngine in a directory', $conf, sub {s/Location "\/api"/Directory "\/var\/www"/r =~ s/Location>/Directory>/r},
        qr/GemcloneEngine/, qr/Location/, $place;
    mistake_ok 'a location that is not closed', $conf, sub {s/^<.Location>\n//mr}, qr/<Location>? was not closed|<Location/, $place;
    mistake_ok 'a path that is wrong', $conf, sub {s/token\.key/tokens.key/r}, qr/GemcloneTokenKey/, qr/there is no file \S+tokens\.key/, $place;
    mistake_ok 'file: forgotten', $conf, sub {s/OTPKey file:\S+/OTPKey x/r}, qr/GemcloneOTPKey/, qr/at least 16/, $place;
    mistake_ok 'a directory that is not there', $conf, sub {s{/gemclone/otp\.log}{/nowhere/otp.log}r}, qr/GemcloneOTPLog/, qr/nowhere/, $place;
    mistake_ok 'a directory as key', $conf, sub {s{/token\.key}{}r}, qr/GemcloneTokenKey/, $place;
    mistake_ok 'a Redis that is none', $conf, sub {s/^#(GemcloneRedis).*/$1 localhost/mr}, qr{redis://host}, $place;
    mistake_ok 'mod_dbd not loaded', 'mods-available/dbd.load', sub {s/^LoadModule/#LoadModule/mr}, qr/DBDriver/, $place;
};

subtest 'mistakes in the files beside it' => sub {
    my $file_ok = sub ($what, $name, $do, @mend) {
        my $file = $keys->child($name);
        my ($text, $mode) = ($file->slurp, (stat $file)[2] & 07777);
        $do->("$file");
        my ($failed, $said) = $apache->configtest;
        chmod 0600, "$file";
        write_file($file, $text);
        chmod $mode, "$file";
        my @bad = map { $said =~ $_ ? () : "no $_" } @mend;
        ok(!@bad, $what) or diag join '; ', @bad, "\n$said";
        return $failed;
    };
    for my $name (qw(token otp gemini)) {
        ok $file_ok->("$name.key that all can read", "$name.key", sub ($file) { chmod 0644, $file }, qr/chmod o-rwx/, $place), 'is refused';
        ok $file_ok->("$name.key that we cannot read", "$name.key", sub ($file) { chmod 0, $file }, qr/cannot be read/, $place), 'is refused';
        ok $file_ok->("an empty $name.key", "$name.key", sub ($file) { write_file($file, '') }, qr/0 bytes/, $place), 'is refused';
    }
    # With it, Postgres may still let us in without a password: warnings.
    ok !$file_ok->('no pgpass', 'pgpass', sub ($file) { unlink $file }, qr/GEM0007: DBDParams .*there is no file \S+pgpass/, $place), 'is let pass';
    ok !$file_ok->('a pgpass that libpq takes for unsafe', 'pgpass', sub ($file) { chmod 0640, $file }, qr/GEM0007: DBDParams .*chmod 600/, $place),
        'is let pass';
};

subtest 'a reload' => sub {
    $apache->edit('conf-available/more.conf', sub { $_ . "GemcloneQuota basic 7\n" });
    my ($failed, $said) = $apache->run('apache2ctl', 'graceful');
    ok !$failed, 'apache2ctl graceful' or diag $said;
    my ($until, $limit) = (time + 20, 0);
    while ($limit != 7 && time < $until) {
        ($limit) = $client->get('/user/me/usage')->body =~ /"limit": ?(\d+)/ or die "no limit\n";
        sleep 0.1;
    }
    is $limit, 7, 'the new settings count, and the old token is good';
    like $client->ask($room, 'Again'), qr/You said: Again/, 'prompts are answered';
    is get('/old.txt')->body, "the old site\n", 'the old site is as before';
};

subtest 'the module is disabled again' => sub {
    my ($failed, $said) = $apache->run('a2dismod', 'gemclone');
    ok !$failed, 'a2dismod gemclone' or diag $said;
    $apache->run('a2disconf', 'more');
    ($failed, $said) = $apache->configtest;
    ok !$failed, 'what is left is good' or diag $said;
    ok $apache->stop && $apache->start, 'and starts';
    is get('/api/healthz')->code, 404, 'without the API';
    is get('/old.txt')->body, "the old site\n", 'with the site';
    $apache->stop;
};

my @grave = grep {/:(?:emerg|alert|crit|error)\]/} split /\n/, $apache->error_log->slurp;
is_deeply \@grave, [], 'the error log has no error';
