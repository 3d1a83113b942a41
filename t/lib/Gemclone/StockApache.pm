# SPDX-License-Identifier: Apache-2.0
# A Debian machine's own apache2 without root: what the package apache2 puts below /etc/apache2, with its a2enmod and
# apache2ctl, below a directory of ours. Another are only the port and the directories that nobody but root may write to.
package Gemclone::StockApache;
use Mojo::Base -base, -signatures;

use Gemclone::Paths qw(free_port run_dir write_file);
use Gemclone::Process;
use IO::Socket::IP;
use Mojo::File qw(path);

# dir: what stands for /.
has [qw(dir process)];
has port => sub { free_port };

# What the package enables when it is installed.
my @MODULES = qw(mpm_event authz_core authn_core authz_host auth_basic access_compat authn_file authz_user alias dir autoindex
    env mime negotiation setenvif filter deflate status reqtimeout);

sub conf_dir  ($self)        { return path($self->dir)->child('etc', 'apache2') }
sub conf      ($self, $file) { return $self->conf_dir->child($file) }
sub error_log ($self)        { return path($self->dir)->child('var', 'log', 'apache2', 'error.log') }
sub url       ($self)        { return 'http://127.0.0.1:' . $self->port }

# The machine after `apt install apache2`, with a page on its site.
sub install ($self) {
    my $dir = path($self->dir);
    $self->unpack(glob run_dir->child('debian', '*.deb'));
    $dir->child($_)->make_path for qw(run/apache2/socks run/lock var/log/apache2 var/www/html var/lib/apache2);
    $dir->child('usr', 'share', 'apache2', 'default-site', 'index.html')->copy_to($dir->child('var', 'www', 'html', 'index.html'));
    $self->edit('envvars', sub {s{=/var/(run|lock|log)/}{"=$dir/" . ($1 eq 'log' ? 'var/log' : $1 eq 'lock' ? 'run/lock' : 'run') . '/'}ger});
    $self->edit('envvars', sub { $_ . "export APACHE_RUN_USER=\$(id -un) APACHE_RUN_GROUP=\$(id -gn)\n" });
    $self->edit('ports.conf', sub {s/^Listen 80$/'Listen 127.0.0.1:' . $self->port/mer});
    $self->edit('sites-available/000-default.conf', sub {s/\*:80/'*:' . $self->port/er =~ s{/var/www/html}{$dir/var/www/html}r});
    $self->edit('apache2.conf', sub {s{/var/www/}{$dir/var/www/}r});
    $self->run('a2enmod', '-q', @MODULES);
    $self->run('a2ensite', '-q', '000-default');
    return $self;
}

# Puts a package's files below our directory.
sub unpack ($self, @packages) {
    system('dpkg-deb', '-x', $_, $self->dir) == 0 or die "$_ cannot be unpacked\n" for @packages;
    return $self;
}

# Rewrites a file below /etc/apache2: $change gets its text as $_.
sub edit ($self, $file, $change) {
    local $_ = $self->conf($file)->slurp;
    write_file($self->conf($file), $change->());
    return $self;
}

# a2enmod and its like, apache2ctl: (exit status, what it said).
sub run ($self, $command, @arguments) {
    my $dir = $self->dir;
    local %ENV = (%ENV, APACHE_CONFDIR => $self->conf_dir, APACHE_STATE_DIRECTORY => "$dir/var/lib/apache2",
        APACHE_ULIMIT_MAX_FILES => '');
    delete $ENV{APACHE_ENVVARS};
    open my $out, '-|', join(' ', map { "'$_'" } "$dir/usr/sbin/$command", @arguments) . ' 2>&1' or die "$command: $!\n";
    my $said = do { local $/; <$out> } // '';
    close $out;
    return ($? >> 8, $said);
}

sub configtest ($self) { return $self->run('apache2ctl', 'configtest') }

# As the service does, but in the foreground.
sub start ($self) {
    my $conf = $self->conf_dir;
    my $process = Gemclone::Process->start(
        name    => 'apache2',
        log     => $self->dir . '/console.log',
        own_log => $self->error_log->to_string,
        port    => $self->port,
        command => ['/bin/sh', '-c', "APACHE_CONFDIR='$conf'; . '$conf/envvars'; exec apache2 -d '$conf' -D FOREGROUND"],
        env     => {PATH => "/usr/sbin:$ENV{PATH}"},
    );
    $process->wait_for(sub { $self->_listens });
    return $self->process($process);
}

sub stop ($self) { return $self->process ? $self->process->stop : 1 }

sub _listens ($self) { return IO::Socket::IP->new(PeerHost => '127.0.0.1', PeerPort => $self->port) }

1;
