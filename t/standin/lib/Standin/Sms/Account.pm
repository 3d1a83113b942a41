# SPDX-License-Identifier: Apache-2.0
# Whom the stand-in for SMS gateways knows: one account with all that belongs to it, and the secret of its webhooks.
package Standin::Sms::Account;
use Mojo::Base -strict, -signatures;

use Exporter qw(import);

our @EXPORT_OK = qw(ACCOUNT TOKEN KEY KEY_SECRET MESSAGING_SERVICE VERIFY_SERVICE FROM WEBHOOK_SECRET
    is_number is_known new_sid);

use constant {
    ACCOUNT           => 'AC0123456789abcdef0123456789abcdef',
    TOKEN             => 'auth_token_of_the_standin',
    KEY               => 'SK0123456789abcdef0123456789abcdef',
    KEY_SECRET        => 'api_secret_of_the_standin',
    MESSAGING_SERVICE => 'MG0123456789abcdef0123456789abcdef',
    VERIFY_SERVICE    => 'VA0123456789abcdef0123456789abcdef',
    FROM              => '+15005550006',
    WEBHOOK_SECRET    => 'whsec_c2VjcmV0IG9mIHRoZSBzdGFuZC1pbidzIGhvb2s=',
};

# A phone number as E.164 has it.
sub is_number ($text) { $text =~ /\A\+[1-9]\d{6,14}\z/a }

# The account's own name and password, or those of its API key.
sub is_known ($user, $password) {
    state $password_of = {ACCOUNT, TOKEN, KEY, KEY_SECRET};
    return exists $password_of->{$user} && $password_of->{$user} eq $password;
}

# A new id that begins with these two letters.
sub new_sid ($prefix) { $prefix . join '', map { sprintf '%04x', int rand 0x10000 } 1 .. 8 }

1;
