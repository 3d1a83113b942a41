#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Stripe's own client against the stand-in for Stripe, and against the signatures that tests make.
use Mojo::Base -strict;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Mojo::JSON qw(to_json);

use Gemclone::Referee;
use Gemclone::StripeStandin;

# What the client is to compute, too.
my %signed = (
    payload   => qq({"id":"evt_1","name":"Zo\x{EB}"}),
    secret    => 'whsec_of_the_referee',
    timestamp => 1_700_000_000
);
utf8::encode(my $bytes = $signed{payload});
$signed{header} = Gemclone::StripeStandin->signature($bytes, @signed{qw(secret timestamp)});

my $standin   = Gemclone::StripeStandin->start;
my $arguments = to_json(\%signed);
utf8::encode($arguments);
exit(Gemclone::Referee->run('stripe.mjs', $standin->url, $arguments));
