#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Google's own client against the stand-in for Gemini: installs it from the lock file and passes its TAP on.
use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use File::Copy qw(copy);
use File::Temp ();

use Gemclone::Standin;

my @FILES = qw(package.json package-lock.json gemini.mjs);

sub bail { print "Bail out!  @_\n"; exit 255 }

for my $tool (qw(node npm)) {
    my $version = qx($tool --version 2>/dev/null);
    bail("$tool is missing: on Debian, apt-get install nodejs npm") if $?;
    print "# $tool $version";
}

# A copy, so that the checkout stays as it is and several runs do not meet.
my $dir = File::Temp->newdir('gemclone-referee-XXXXXX', TMPDIR => 1);
for my $file (@FILES) { copy("$FindBin::Bin/$file", "$dir/$file") or bail("$file: $!") }

my $said = qx(cd '$dir' && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error 2>&1);
if ($?) {
    print map { "# $_\n" } split /\n/, $said;
    bail('npm ci failed');
}

# The client takes proxies from the environment; the stand-in is here.
delete @ENV{grep { /_proxy\z/i } keys %ENV};
delete @ENV{qw(GEMINI_API_KEY GOOGLE_API_KEY GOOGLE_GEMINI_BASE_URL GOOGLE_GENAI_USE_VERTEXAI)};

my $standin = Gemclone::Standin->start;
my $status  = system 'node', "$dir/gemini.mjs", $standin->url;
exit($status ? 1 : 0);
