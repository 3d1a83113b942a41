#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Google's own client against the stand-in for Gemini.
use Mojo::Base -strict;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Gemclone::Referee;
use Gemclone::Standin;

my $standin = Gemclone::Standin->start;
exit(Gemclone::Referee->run('gemini.mjs', $standin->url));
