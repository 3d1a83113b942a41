#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Twilio's own client and the library of Standard Webhooks against the stand-in for SMS gateways.
use Mojo::Base -strict;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Mojo::JSON qw(to_json);

use Gemclone::Referee;
use Gemclone::SmsStandin;

my $standin = Gemclone::SmsStandin->start;
$ENV{NODE_EXTRA_CA_CERTS} = $standin->ca_file;
exit(Gemclone::Referee->run('sms.mjs', $standin->url, to_json($standin->credentials)));
