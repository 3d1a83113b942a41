# SPDX-License-Identifier: Apache-2.0
# Where things are: the checkout, the build, the programs of the system, short directories, free ports.
package Gemclone::Paths;
use Mojo::Base -strict, -signatures;

use Exporter 'import';
use File::Temp ();
use IO::Socket::IP;
use Mojo::File qw(curfile path);

our @EXPORT_OK = qw(top run_dir build_dir module_file program apxs temp_dir write_file secret_file free_port
    port_is_free need_space processors);

sub top ()       { state $top = curfile->dirname->dirname->dirname->dirname->to_abs }
sub run_dir ()   { path($ENV{GEMCLONE_RUN}   || top->child('run')) }
sub build_dir () { path($ENV{GEMCLONE_BUILD} || run_dir->child('build')) }

# The module as libtool left it.
sub module_file () {
    my $so = $ENV{GEMCLONE_MODULE};
    ($so) = grep {-e} map { "$_/.libs/mod_gemclone.so" } build_dir->child('mod_gemclone'), build_dir unless $so;
    return $so // die "mod_gemclone.so is not built: ./dev build\n";
}

# A program's path; Postgres keeps its server's in a directory a version, of which the newest will do.
sub program ($name) {
    my @postgres = sort { _version($b) <=> _version($a) } glob '/usr/lib/postgresql/*/bin';
    my ($found) = grep {-x} map {"$_/$name"} @postgres, split(/:/, $ENV{PATH}), '/usr/sbin', '/usr/local/sbin';
    return $found // die "the program $name is missing; ./dev installs it\n";
}

sub _version ($dir) { return $dir =~ m{/(\d+)/bin$} ? $1 : 0 }

sub apxs ($name) {
    state %known;
    return $known{$name} //= do {
        chomp(my $value = qx{@{[program 'apxs']} -q $name} // '');
        $value || die "apxs does not know $name\n";
    };
}

# A directory of our own with a short name, since a Unix socket's path has 107 characters at most.
# A test's own are there until its END is over: Perl drops a file's variables before that, and what servers have
# logged is looked at then.
my @kept;

sub temp_dir () {
    my $dir = File::Temp->newdir('gemclone-XXXXXXXX', DIR => '/tmp', CLEANUP => 1);
    push @kept, $dir if caller eq 'main';
    return $dir;
}

END { local $?; @kept = () }

# (Mojo::File's own method for this has another name in each release.)
sub write_file ($file, $text) {
    open my $out, '>:raw', $file or die "$file: $!\n";
    print {$out} $text;
    close $out or die "$file: $!\n";
    return "$file";
}

# A file that only we can read, with a random key in it unless $text is given.
sub secret_file ($file, $text = undef) {
    $text //= do { open my $in, '<:raw', '/dev/urandom' or die $!; read $in, my $raw, 32; unpack 'H*', $raw };
    my $old = umask 077;
    write_file($file, "$text\n");
    umask $old;
    return "$file";
}

sub port_is_free ($port) {
    return !!IO::Socket::IP->new(LocalHost => '127.0.0.1', LocalPort => $port, Listen => 1, ReuseAddr => 1);
}

# A port that nobody listens on, below the range out of which the kernel gives ports to clients: between our
# look and the server's bind only another program that picks like us can take it, and who starts a server
# tries again then.
sub free_port () {
    for (1 .. 200) {
        my $port = 20_000 + int rand 12_000;
        return $port if port_is_free($port);
    }
    die "there is no free port\n";
}

sub processors () { state $count = int qx{nproc}; return $count }

sub need_space ($dir, $megabytes) {
    my ($free) = (qx{df -Pk '$dir'} =~ /\n\S+\s+\d+\s+\d+\s+(\d+)/);
    die sprintf "disk full: %s has %d MB free, %d MB are needed\n", $dir, $free / 1024, $megabytes
        if defined $free && $free / 1024 < $megabytes;
}

1;
