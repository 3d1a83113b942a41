# SPDX-License-Identifier: Apache-2.0
# The Debian package of this checkout, in run/package.
package Gemclone::Package;
use Mojo::Base -strict, -signatures;

use Fcntl qw(LOCK_EX);
use File::Find ();
use Gemclone::Paths qw(run_dir top);
use Mojo::File qw(path);

my $NAME = 'libapache2-mod-gemclone';

sub dir () { return run_dir->child('package') }
sub log ($class) { return run_dir->child('log')->make_path->child('package.log') }

# The .deb and its .changes. They are built from a copy of the checkout, as anybody would, unless they are newer than
# all of it. Options of DEB_BUILD_OPTIONS: nocheck leaves `make check` out.
sub build ($class, @options) {
    dir->make_path;
    open my $lock, '>', dir->child('lock') or die "run/package: $!\n";
    flock $lock, LOCK_EX;
    my @sources = _sources();
    my ($changes) = $class->files('*.changes');
    if (!$changes || grep { (stat top->child($_))[9] >= (stat $changes)[9] } @sources) {
        unlink $class->files("$NAME*");
        _copy(@sources);
        _build(@options);
    }
    return $class->files("${NAME}_*.deb"), $class->files('*.changes');
}

sub files ($class, $pattern) { return glob dir->child($pattern) }

# All that belongs to the checkout: not what was built in it.
sub _sources () {
    my @found;
    my $look = sub {
        my $name = path($File::Find::name)->to_rel(top)->to_string;
        $File::Find::prune = 1 if $name =~ m{^(?:\.git|run|autom4te\.cache|build-aux|.*/node_modules)$};
        push @found, $name if -f && $name !~ m{^(?:aclocal\.m4|configure|configure~|Makefile\.in)$};
    };
    File::Find::find($look, top->to_string);
    return sort @found;
}

sub _copy (@sources) {
    my $copy = dir->child('source')->remove_tree->make_path;
    for my $name (@sources) {
        my $file = $copy->child($name);
        $file->dirname->make_path;
        top->child($name)->copy_to($file);
        chmod -x top->child($name) ? 0755 : 0644, "$file";
    }
}

sub _build (@options) {
    local $ENV{DEB_BUILD_OPTIONS} = join ' ', 'parallel=2', @options;
    delete local @ENV{grep {/^GEMCLONE_|^(?:MAKEFLAGS|MAKELEVEL)$/} keys %ENV};
    my ($source, $log) = (dir->child('source'), Gemclone::Package->log);
    system("cd '$source' && dpkg-buildpackage -us -uc -b > '$log' 2>&1 < /dev/null") == 0
        or die "the package cannot be built: $log tells why\n";
}

1;
