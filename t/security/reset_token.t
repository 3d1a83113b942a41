# SPDX-License-Identifier: Apache-2.0
# A token from reset_password is for a new password, and for nothing else.
use Mojo::Base -strict, -signatures;

use Apache::Test qw(-withtestmore);
use Gemclone::Check;
use Gemclone::Client;
use Gemclone::Routes;
use Gemclone::Stack;
use Gemclone::Token;
use Mojo::File qw(path);

my $stack = Gemclone::Stack->shared;
my $number = Gemclone::Client->new_number;
my $owner = $stack->client;
$owner->sign_up($number);
$owner->sign_in($number);
my $room = $owner->room;
my $id = $owner->send($room, 'Hello')->{data}{id};

my $resetter = $stack->client;
$resetter->verify($number, $resetter->otp($number, 'reset_password'), 'reset_password');

my @ROUTES = map { [$_->method, $_->pattern] } grep { $_->access eq 'GC_FOR_USERS' } Gemclone::Routes->all;
my %BODY = (PATCH => {title => 'x'}, POST => {title => 'x', content => 'x'});

plan tests => 4 + @ROUTES, need 'gemclone';

my ($header, $claims) = Gemclone::Token->parts($resetter->token);
is $claims->{scope}, 'reset_password', 'the token says what it is for';
is $claims->{exp} - $claims->{iat}, 600, 'and is good for ten minutes';

problem_ok $resetter->request(
    $_->[0] => $_->[1] =~ s/\{(?:room|session)\}/$room/r =~ s/\{id\}/$id/r,
    $BODY{$_->[0]}
    ),
    403, "$_->[0] $_->[1]"
    for @ROUTES;
is_deeply [map { $_->{id} } @{$owner->rooms}], [$room], 'nothing has come of it';

delete $claims->{scope};
my $forged = Gemclone::Token->make($header, $claims, 'x' x 64);
problem_ok $resetter->get('/user/me', Authorization => "Bearer $forged"), 401, 'nobody else can take the scope away';
