# SPDX-License-Identifier: Apache-2.0
# The stand-in for SMS gateways: started, told and stopped as any Gemclone::Standin. It speaks https, so that whoever
# talks to it has to trust its ca_file.
#
#   my $sms = Gemclone::SmsStandin->start;
#   $sms->control({lifetime => 60});                             # of the codes of Verify
#   $sms->code_for('+14155550100');                              # the last one that this number has got
#   $sms->go_wrong({code => 21610, path => '/2010-04-01/'});     # the next message is refused
#
# Clients have its api_url in place of https://api.twilio.com and https://verify.twilio.com, and hook_url for webhooks.
package Gemclone::SmsStandin;
use Mojo::Base 'Gemclone::Standin', -signatures;

use File::Basename qw(dirname);

use lib dirname(__FILE__) . '/../../standin/lib';
use Standin::Sms::Account ();

sub program  ($class) { 'sms' }
sub api_path ($class) { '' }

sub start ($class, %opt) { $class->SUPER::start(tls => 1, %opt) }

sub hook_url ($self) { $self->url . '/hook' }

# {account, token}, or {key, key_secret} in place of these; {messaging_service, verify_service}; {from}, a number to
# send from; {webhook_secret}.
sub credentials ($class) {
    return {map { (lc $_ => Standin::Sms::Account->$_) }
            qw(ACCOUNT TOKEN KEY KEY_SECRET MESSAGING_SERVICE VERIFY_SERVICE FROM WEBHOOK_SECRET)};
}

# The messages that this number has got, or all of them, oldest first: {id, time, via, to, from, text, code}.
sub outbox ($self, $to = undef) { @{$self->_ask(GET => '/control/outbox' . (defined $to ? "/$to" : ''))} }

# The code in the last of them: the one of Verify, or the first number of four to ten digits in the text; undef if
# there is none.
sub code_for ($self, $to) {
    my $last = ($self->outbox($to))[-1] // return undef;
    return $last->{code} // (($last->{text} // '') =~ /\b(\d{4,10})\b/a)[0];
}

# The code of this number is good no more.
sub expire ($self, $to) { $self->_ask(POST => "/control/verifications/$to/expire") }

# Faults of the next requests, one after the other.
sub go_wrong ($self, @faults) { $self->_ask(POST => '/control/faults', \@faults) }

sub faults     ($self) { @{$self->_ask(GET => '/control/faults')} }
sub end_faults ($self) { $self->_ask(DELETE => '/control/faults') }

1;
