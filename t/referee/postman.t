#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# The Postman collection, run by newman from top to bottom.
use Mojo::Base -strict;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Gemclone::Paths qw(top);
use Gemclone::Referee;
use Gemclone::Shop;

my $shop = Gemclone::Shop->start(children => 1);
$shop->stack->log->expect('GEM0704');    # an event that Stripe has not signed
my $status = Gemclone::Referee->run('postman.mjs', top->child('conf', 'gemclone.postman_collection.json'), $shop->stack->url);
exit $status;
