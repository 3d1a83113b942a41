# SPDX-License-Identifier: Apache-2.0
# A vendor's own client against a stand-in: installs it from the lock file in t/referee and passes its TAP on.
package Gemclone::Referee;
use Mojo::Base -strict, -signatures;

use File::Copy qw(copy);
use File::Temp ();
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

    # A copy, so that the checkout stays as it is and several runs do not meet.
    my $dir = File::Temp->newdir('gemclone-referee-XXXXXX', TMPDIR => 1);
    for my $file ('package.json', 'package-lock.json', 'tap.mjs', $program) {
        copy(top->child('t', 'referee', $file), "$dir/$file") or _bail("$file: $!");
    }
    my $said = qx(cd '$dir' && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error 2>&1);
    if ($?) {
        print map {"# $_\n"} split /\n/, $said;
        _bail('npm ci failed');
    }

    delete local @ENV{grep {/$MEDDLING/} keys %ENV};
    return system('node', "$dir/$program", @arguments) ? 1 : 0;
}

sub _bail ($why) { print "Bail out!  $why\n"; exit 255 }

1;
