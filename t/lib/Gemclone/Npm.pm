# SPDX-License-Identifier: Apache-2.0
# Programs of npm's registry that tests need: what a lock file below t/ names, installed once for all that come with the same
# one, in run/.
#
#   my $dir = Gemclone::Npm->install('referee');    # by t/referee/package-lock.json; "$dir/node_modules" has them
package Gemclone::Npm;
use Mojo::Base -strict, -signatures;

use Fcntl qw(LOCK_EX);
use File::Copy qw(copy);
use Gemclone::Paths qw(run_dir top);
use Mojo::Util qw(sha1_sum);

# Dies with what npm said where it fails.
sub install ($class, $name) {
    my $from = top->child('t', $name);
    my $to = run_dir->child('npm', sha1_sum $from->child('package-lock.json')->slurp)->make_path;
    open my $lock, '>', "$to/lock" or die "$to/lock: $!\n";
    flock $lock, LOCK_EX or die "$to/lock: $!\n";
    return $to if -e "$to/done";
    for my $file ('package.json', 'package-lock.json') {
        copy($from->child($file), "$to/$file") or die "$file: $!\n";
    }
    my $said = qx(cd '$to' && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error 2>&1);
    die "npm ci failed\n$said" if $?;
    open my $done, '>', "$to/done" or die "$to/done: $!\n";
    return $to;
}

1;
