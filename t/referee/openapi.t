#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# The OpenAPI document before a linter that others use as well.
use Mojo::Base -strict;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Gemclone::Paths qw(top);
use Gemclone::Referee;

exit(Gemclone::Referee->run('openapi.mjs', top->child('mod_gemclone', 'www', 'openapi.json')));
