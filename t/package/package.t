# SPDX-License-Identifier: Apache-2.0
# The Debian package: it is built from a clean copy, lintian finds nothing, and it has what it is to have.
# Keeps the machine busy: see Gemclone::Suite.
use Mojo::Base -strict, -signatures;

use Gemclone::Package;
use Gemclone::Paths qw(temp_dir top);
use Mojo::File qw(path);
use Test::More;

plan tests => 10;

my ($deb, $changes) = eval { Gemclone::Package->build('nocheck') };
ok $deb, 'it is built' or BAIL_OUT $@;

my $lintian = qx{lintian -EvIL +pedantic --tag-display-limit 0 '$changes' 2>&1};
is_deeply [grep { !/^(?:N:|W: .*unstable)/ } split /\n/, $lintian], [], 'lintian finds nothing';

my %field = map {/^ (\S+): (.*)/ ? ($1, $2) : ()} split /\n/, qx{dpkg-deb -I '$deb'};
my @needs = map {s/ .*//r} split /, /, $field{Depends};
subtest 'what it needs' => sub {
    my %needs = map { $_ => 1 } @needs;
    ok $needs{$_}, $_ for qw(apache2-api-20120211 libaprutil1-dbd-pgsql libcurl4 libpq5 libevent-2.1-7 libhiredis0.14);
    ok !$needs{apache2}, 'but not apache2 itself';
    like $field{Recommends}, qr/\bapache2\b.*\bsqitch\b/, 'which it recommends, and Sqitch';
};

my $root = temp_dir;
system('dpkg-deb', '-x', $deb, "$root");
my @files = map { '/' . path($_)->to_rel("$root") } @{path("$root")->list_tree};
my $doc = '/usr/share/doc/libapache2-mod-gemclone';
my $sql = '/usr/share/mod_gemclone/sql';
subtest 'what is in it' => sub {
    my %has = map { $_ => 1 } @files;
    ok $has{$_}, $_ for '/usr/lib/apache2/modules/mod_gemclone.so', map({"/etc/apache2/mods-available/gemclone.$_"} qw(load conf)),
        map({"$doc/$_"} qw(README.Debian README.md.gz SECURITY.md.gz copyright changelog.gz),
        map {"examples/$_.conf"} qw(gemclone example vhost front-apache front-nginx)), '/usr/share/man/man8/mod_gemclone.8.gz';
    my @migrations = map { "$sql/" . $_->to_rel(top->child('sql')) } @{top->child('sql')->list_tree};
    is_deeply [sort grep {m{^\Q$sql\E/}} @files], [sort @migrations], 'all migrations';
    is_deeply [grep { !m{^(?:/usr/lib/apache2/modules/|/etc/apache2/mods-available/|/usr/share/(?:doc|man|mod_gemclone|lintian)/)} } @files],
        [], 'and nothing elsewhere';
};

my $page = "$root/usr/share/man/man8/mod_gemclone.8.gz";
is qx{LC_ALL=C.UTF-8 MANWIDTH=80 man --warnings -E UTF-8 -l -Tutf8 -Z '$page' 2>&1 > /dev/null}, '', 'groff has no word against the man page';
like qx{lexgrog '$page'}, qr/"mod_gemclone - backend/, 'and apropos finds it';

my %script = map { $_ => scalar qx{dpkg-deb -I '$deb' $_ 2> /dev/null} } qw(preinst postinst prerm postrm);
is $script{preinst} . $script{postinst}, '', 'installing it runs nothing, so that nothing is enabled';
like $script{prerm}, qr/for conf in gemclone .*apache2_invoke dismod/s, 'removing it disables the module';

my $conf = path("$root")->child('etc', 'apache2', 'mods-available');
is_deeply [grep {/^\s*[^#\s]/} split /\n/, $conf->child('gemclone.conf')->slurp], [], 'gemclone.conf is safe: all of it is off';
is_deeply [grep {/\S/} split /\n/, $conf->child('gemclone.load')->slurp],
    ['# Depends: dbd', 'LoadModule gemclone_module /usr/lib/apache2/modules/mod_gemclone.so'], 'gemclone.load has its own line alone';
