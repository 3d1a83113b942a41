# SPDX-License-Identifier: Apache-2.0
# What the whole-system tests say again and again: answers, problems, many requests at once, waiting. Each check
# counts as one test.
package Gemclone::Check;
use Mojo::Base -strict, -signatures;

use Exporter 'import';
use Mojo::IOLoop;
use Mojo::JSON qw(decode_json);
use Mojo::Promise;
use Mojo::UserAgent;
use Test::More ();
use Time::HiRes qw(sleep time);

our @EXPORT = qw(answer_ok problem_ok same_answer shown all_at_once eventually random_uuid $UUID $TIME);

our $UUID = qr/[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}/;
our $TIME = qr/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z/;

# What no client is ever to see: SQL, libraries and their words, files of ours.
my $INSIDES = qr/
    \b (?: SELECT | INSERT[ ]INTO | UPDATE | DELETE[ ]FROM ) \s | SQLSTATE | gemclone\.\w | \bpg_ | postgres(?:ql)?:
    | libpq | psql | curl | hiredis | \.[ch]:\d | 0x[0-9a-f]{6} | \/tmp\/ | generativelanguage | googleapis | API[ ]key | AIza
/xi;

# An answer of success: returns its JSON.
sub answer_ok ($res, $status, $what) {
    my $json = eval { decode_json($res->body) };
    my $headers = $res->headers;
    return $json if _verdict($what, $res,
        $res->code == $status                                          || "it has the status $status",
        ($headers->content_type // '') eq 'application/json'           || 'it is JSON by its type',
        defined $json                                                  || 'and by its body',
        _is_guarded($headers) || 'browsers are told to make nothing else of it',
        ($headers->cache_control // '') =~ /no-store|private/          || 'no shared cache is to keep it',
    );
    return $json // {};
}

# An error as RFC 9457 has it; errors => [pointers, in their order] of a 422. Returns its JSON.
sub problem_ok ($res, $status, $what, %opt) {
    my $json = eval { decode_json($res->body) };
    my %is = ref $json eq 'HASH' ? %$json : ();
    my @errors = ref $is{errors} eq 'ARRAY' ? @{$is{errors}} : ();
    my ($named, $wanted) = map { join q{ }, @$_ } [map { $_->{pointer} // q{?} } @errors], $opt{errors} // [];
    _verdict(
        $what,
        $res,
        $res->code == $status || "it has the status $status",
        ($res->headers->content_type // '') eq 'application/problem+json' || 'it is a problem by its type',
        _is_guarded($res->headers) || 'browsers are told to make nothing else of it',
        ref $json eq 'HASH' || 'and by its body',
        !(grep { ref $is{$_} || !length($is{$_} // '') } qw(type title detail)) || 'type, title and detail are texts',
        ($is{status} // 0) == $status || 'the body has the status as well',
        !exists $is{errors}
            || @errors && !(grep { !length($_->{detail} // '') } @errors)
            || 'each error has a detail',
        !$opt{errors} || $named eq $wanted || "errors name '$wanted'",
        $res->body !~ $INSIDES || 'it shows nothing of our insides',
        $status != 401 || ($res->headers->www_authenticate // '') =~ /^Bearer\b/ || 'it names the scheme Bearer',
        $status != 405 || length($res->headers->header('Allow') // '') || 'it tells what is allowed',
        $status != 429 && $status != 503
            || ($res->headers->header('Retry-After') // '') =~ /^\d+$/               || 'it tells when to try again',
    );
    return \%is;
}

# What every answer of ours has for browsers, httpd's own errors under our addresses too.
sub _is_guarded ($headers) {
    my %is = map { $_ => $headers->header($_) // '' }
        qw(X-Content-Type-Options Content-Security-Policy Referrer-Policy Cross-Origin-Resource-Policy);
    return $is{'X-Content-Type-Options'} eq 'nosniff'
        && $is{'Content-Security-Policy'} eq q{default-src 'none'; frame-ancestors 'none'}
        && $is{'Referrer-Policy'} eq 'no-referrer'
        && $is{'Cross-Origin-Resource-Policy'} =~ /\A(?:same|cross)-origin\z/;
}

# Two answers that nobody can tell apart.
sub same_answer ($one, $other, $what) {
    return Test::More::is(shown($one), shown($other), $what);
}

# An answer as text, without what differs between any two.
sub shown ($res) {
    my $headers = $res->headers->to_hash(1);
    delete @$headers{qw(Date Connection Keep-Alive)};
    return join "\n", $res->code, (map { "$_: @{$headers->{$_}}" } sort keys %$headers), '', $res->body;
}

# Sends all of these transactions before it waits for any answer; returns the responses in the same order. One
# that got none is a response without a code.
sub all_at_once (@transactions) {
    my $ua = Mojo::UserAgent->new(max_connections => 0, inactivity_timeout => 60, request_timeout => 120);
    my @promises = map { my $tx = $_; $ua->start_p($tx)->catch(sub { $tx }) } @transactions;
    my @responses;
    Mojo::Promise->all(@promises)->then(sub (@all) { @responses = map { $_->[0]->res } @all })->wait;
    return @responses;
}

# Whether it comes true within so many seconds.
sub eventually ($holds, $seconds = 20) {
    my $until = time + $seconds;
    while (1) {
        if (my $found = $holds->()) { return $found }
        return undef if time > $until;
        sleep 0.05;
    }
}

sub random_uuid () {
    open my $in, '<:raw', '/dev/urandom' or die $!;
    read $in, my $bytes, 16;
    return join '-', unpack 'H8 H4 H4 H4 H12', $bytes;
}

# A finding is a number where all is well, else a text that tells what should have been.
sub _verdict ($what, $res, @findings) {
    local $Test::Builder::Level = $Test::Builder::Level + 2;
    my @bad = grep {/[a-z]/} @findings;
    return Test::More::ok(1, $what) unless @bad;
    Test::More::ok(0, $what);
    Test::More::diag("expected that $_") for @bad;
    Test::More::diag(substr shown($res), 0, 1500);
    return 0;
}

1;
