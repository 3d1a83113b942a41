# SPDX-License-Identifier: Apache-2.0
# The container image and compose.yaml, as far as no daemon is needed: they name only what there is, and what the image runs
# works as any user, with the paths of the image put below a directory of ours.
use Mojo::Base -strict, -signatures;

use Gemclone::Apache;
use Gemclone::Client;
use Gemclone::Paths qw(free_port module_file program temp_dir top write_file);
use Gemclone::Postgres;
use Gemclone::Process;
use Mojo::File qw(path);
use Test::More;
use YAML::PP;

plan tests => 6;

my $dockerfile = top->child('Dockerfile')->slurp =~ s/\\\n//gr;
my $compose = YAML::PP->new->load_file(top->child('compose.yaml')->to_string);
my %service = %{$compose->{services}};
my %secret = %{$compose->{secrets}};

subtest 'Dockerfile' => sub {
    my @from = $dockerfile =~ /^FROM (.*)$/mg;
    is_deeply \@from, ['debian:bookworm-slim AS build', 'debian:bookworm-slim'], 'two stages';
    my %in_context = map { $_ => 1 } top->child('.dockerignore')->slurp =~ /^!(.*)$/mg;
    for my $copy ($dockerfile =~ /^COPY (?!--from)(.*)$/mg) {
        my @sources = split ' ', $copy;
        pop @sources;
        for my $source (@sources) {
            ok -e top->child($source), "$source is there";
            ok $in_context{(split m{/}, $source)[0]}, 'and in the context';
        }
    }
    like $dockerfile, qr/^USER (?!root)/m, 'it does not run as root';
    like $dockerfile, qr/^STOPSIGNAL SIGWINCH$/m, 'it is stopped gracefully';
};

subtest 'compose.yaml' => sub {
    is_deeply [sort keys %service], [qw(migrate postgres redis web)], 'its services';
    for my $name (sort keys %service) {
        my $is = $service{$name};
        ok $service{$_}, "$name waits for $_, which there is" for sort keys %{$is->{depends_on} // {}};
        ok $secret{$_}, "$name has the secret $_, which there is" for @{$is->{secrets} // []};
        next unless $is->{build};
        ok -e top->child($is->{build}, 'Dockerfile'), "$name can be built";
        ok $is->{user} && $is->{read_only}, 'runs without rights, and changes nothing of its image';
        cmp_ok $is->{stop_grace_period} =~ s/s$//r, '>', 10, 'and has longer to end than GemcloneDrainTimeout' if $name eq 'web';
    }
    ok $service{$_}{healthcheck}, "$_ is looked after" for qw(postgres redis);
    my ($run, $conf) = map { top->child('conf', $_)->slurp } qw(docker-run docker.conf);
    my %used = map { $_ => 1 } "$run$conf" =~ m{/run/secrets/(\w+)}g, $run =~ /passfile \S+ (\w+)$/mg, $run =~ m{%s/(\w+)`}g;
    is_deeply [sort keys %used], [sort keys %secret], 'the secrets are those that the image reads';
};

# --- The image's own files, with other paths --------------------------------------
my $dir = temp_dir;
my $port = free_port;
path("$dir/$_")->make_path for qw(etc run secrets empty);
write_file("$dir/secrets/$_", "0123456789abcdef-$_-0123456789abcdef\n") for keys %secret;
write_file("$dir/secrets/gemclone_password", "it's: a \\ password\n");
chmod 0600, map {"$dir/secrets/$_"} keys %secret;

sub moved ($file) {
    my %to = ('/etc/gemclone' => "$dir/etc", '/run/gemclone' => "$dir/run", '/run/secrets' => "$dir/secrets",
        '/usr/share/mod_gemclone/sql' => top->child('sql'), '/var/empty' => "$dir/empty",
        '/usr/lib/apache2/modules/mod_gemclone.so' => module_file);
    my $any = join '|', map {quotemeta} sort { length $b <=> length $a } keys %to;
    return top->child('conf', $file)->slurp =~ s/($any)/$to{$1}/gr =~ s/\b8080\b/$port/gr
        =~ s{^(ErrorLog|CustomLog)\s+/dev/std\w+}{$1 "$dir/$1"}mgr;
}
write_file("$dir/etc/httpd.conf", moved('docker.conf'));
chmod 0755, write_file("$dir/gemclone", moved('docker-run'));

my $postgres = Gemclone::Postgres->new(dir => "$dir", sockets => "$dir", fsync => 0)->start;
$postgres->dbh(database => 'postgres')->do('CREATE DATABASE gemclone');
my %environment = ($dockerfile =~ /^ENV (.*)$/m)[0] =~ /(\w+)=(\S+)/g;
path("$dir/bin")->make_path;
symlink Gemclone::Apache->new(dir => "$dir")->httpd, "$dir/bin/apache2" or die "$dir/bin/apache2: $!\n";
%environment = (%environment, PGHOST => "$dir", PATH => "$dir/bin:/usr/sbin:$ENV{PATH}", GEMCLONE_GEMINI_URL => 'http://127.0.0.1:9/v1beta',
    GEMCLONE_REDIS => "unix:$dir/none", TZ => 'UTC', SQITCH_USER_CONFIG => '/dev/null');

sub run_image ($command) {
    local %ENV = (%ENV, %environment);
    my $said = qx{'$dir/gemclone' $command 2>&1 < /dev/null};
    return ($? >> 8, $said);
}

subtest 'configtest' => sub {
    my ($failed, $said) = run_image('configtest');
    ok !$failed, 'the configuration is good' or diag $said;
    is $said, "Syntax OK\n", 'without a warning';
};

subtest 'migrate' => sub {
    for my $time ('the first time', 'and again') {
        my ($failed, $said) = run_image('migrate');
        ok !$failed, $time or diag $said;
    }
    my ($password) = $postgres->dbh->selectrow_array(q{SELECT rolpassword FROM pg_authid WHERE rolname = 'gemclone'});
    like $password, qr/^SCRAM-SHA-256/, 'the server has its password';
    like eval { $postgres->sqitch('verify') } // $@, qr/successful/i, 'the schema is whole';
};

subtest 'serve' => sub {
    my $process = Gemclone::Process->start(name => 'the image', log => "$dir/console", own_log => "$dir/ErrorLog", env => \%environment,
        signal => 'WINCH', command => ["$dir/gemclone", 'serve']);
    my ($check) = $dockerfile =~ /^HEALTHCHECK .*?CMD \[(.*)\]$/m;
    my $healthy = join ' ', map {s/8080/$port/r} $check =~ /"([^"]*)"/g;
    $process->wait_for(sub { system("$healthy 2> /dev/null") == 0 });
    pass 'it is healthy';
    my $client = Gemclone::Client->new(url => "http://127.0.0.1:$port/api");
    is $client->get('/readyz')->json('/postgres'), 'ok', 'and ready';
    is $client->post('/auth/signup', {mobile_number => '5550100123'})->code, 201, 'at work';
    is path("$dir/run/pgpass")->slurp, "*:*:*:gemclone:it's\\: a \\\\ password\n", 'libpq has the password in its own form';
    is((stat "$dir/run/pgpass")[2] & 07777, 0600, 'and nobody else has it');
    ok $process->stop, 'SIGWINCH ends it';
};

ok $postgres->stop, 'Postgres ends in order';
