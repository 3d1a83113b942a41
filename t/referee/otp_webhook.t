#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# The module's own webhooks, which bring codes to a gateway, before the library of Standard Webhooks.
use Mojo::Base -strict;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Mojo::JSON qw(to_json);

use Gemclone::Check;
use Gemclone::Client;
use Gemclone::Paths qw(secret_file temp_dir);
use Gemclone::Referee;
use Gemclone::SmsStandin;
use Gemclone::Stack;

my $sms = Gemclone::SmsStandin->start;
my $secret = $sms->credentials->{webhook_secret};
my $keys = temp_dir;
my $stack = Gemclone::Stack->start(
    children   => 1,
    fsync      => 0,
    directives => [
        'GemcloneOTPReveal Off', 'GemcloneOTPDelivery webhook', 'GemcloneSMSURL ' . $sms->hook_url, 'GemcloneSMSCAFile ' . $sms->ca_file,
        'GemcloneSMSKey file:' . secret_file("$keys/whsec", $secret), 'GemcloneSMSText "Schlüssel: {code} 🔑"',
    ],
);
for my $purpose (qw(login reset_password)) {
    my $number = Gemclone::Client->new_number;
    $stack->client->sign_up($number);
    $stack->client->post('/auth/send-otp', {mobile_number => $number, purpose => $purpose});
}
eventually(sub { 2 == grep { $_->{path} eq '/hook' } $sms->requests }) or die "the codes do not come\n";
my @webhooks = map { {secret => $secret, headers => $_->{headers}, body => $_->{body}} } $sms->requests;
exit(Gemclone::Referee->run('sms.mjs', 'verify', to_json(\@webhooks)));
