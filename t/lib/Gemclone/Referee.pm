# SPDX-License-Identifier: Apache-2.0
# Programs of npm's registry as referees, such as a vendor's own client against a stand-in: installs them from the lock file in
# t/referee and passes the TAP of what asks them on.
package Gemclone::Referee;
use Mojo::Base -strict, -signatures;

use File::Copy qw(copy);
use File::Temp ();
use Gemclone::Npm;
use Gemclone::Paths qw(top);

# What clients would take from the environment: other servers than the stand-in, keys, notices and telemetry.
my $MEDDLING = qr/_proxy\z|\A(?:GEMINI|GOOGLE|STRIPE|TWILIO)_/i;

# Runs that program of t/referee with these arguments; returns what is to be the exit status.
sub run ($class, $program, @arguments) {
    for my $tool (qw(node npm)) {
        my $version = qx($tool --version 2>/dev/null);
        _bail("$tool is missing: on Debian, apt-get install nodejs npm") if $?;
        print "# $tool $version";
    }

    # A copy, so that the checkout stays as it is.
    my $installed = eval { Gemclone::Npm->install('referee') } // _bail($@ =~ s/\n(?=.)/\n# /gr);
    my $dir = File::Temp->newdir('gemclone-referee-XXXXXX', TMPDIR => 1);
    for my $file ('tap.mjs', $program) {
        copy(top->child('t', 'referee', $file), "$dir/$file") or _bail("$file: $!");
    }
    symlink "$installed/node_modules", "$dir/node_modules" or _bail("$dir/node_modules: $!");

    delete local @ENV{grep {/$MEDDLING/} keys %ENV};
    return system('node', "$dir/$program", @arguments) ? 1 : 0;
}

sub _bail ($why) { print "Bail out!  $why\n"; exit 255 }

1;
