# SPDX-License-Identifier: Apache-2.0
# Assertions about answers of the API that many tests make.
package Gemclone::Test;
use Mojo::Base -strict, -signatures;

use Exporter 'import';
use Test::More;

our @EXPORT = qw(problem_ok);

# Words that would tell a client how the server works.
my $INNARDS = qr/\b(?:SELECT|INSERT INTO|UPDATE|ERROR:|SQLSTATE|relation|libpq|apr_|stack|0x[0-9a-f]{6,}|\.c:\d+)\b/;

# That a Mojo::Message::Response is this status with a problem (RFC 9457) as its body, which gives nothing away.
sub problem_ok ($res, $status, $name = "a problem $status") {
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return subtest $name => sub {
        is $res->code, $status, 'status';
        is $res->headers->content_type, 'application/problem+json', 'content type';
        my $problem = $res->json // {};
        is $problem->{status}, $status, 'the status is in the body too';
        ok length($problem->{$_} // '') && !ref $problem->{$_}, "$_ is a text" for qw(type title detail);
        unlike $res->body, $INNARDS, 'nothing of the inside shows';
        like $res->headers->www_authenticate, qr/^Bearer/, 'WWW-Authenticate' if $status == 401;
        ok $res->headers->header('Allow'), 'Allow' if $status == 405;
        like $res->headers->header('Retry-After'), qr/^\d+$/, 'Retry-After' if $status == 429;
    };
}

1;
