#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Webhooks that Stripe's own client has signed, at the module: accepted as they are, refused when altered.
use Mojo::Base -strict;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Gemclone::Referee;
use Gemclone::Shop;

my $shop = Gemclone::Shop->start(children => 1);
$shop->stack->log->expect('GEM0704');
my $status = Gemclone::Referee->run('webhook.mjs', $shop->stack->url . '/webhook/stripe', Gemclone::Shop::SECRET);
exit $status;
