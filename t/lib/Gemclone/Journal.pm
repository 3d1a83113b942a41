# SPDX-License-Identifier: Apache-2.0
# What the clients of the tests were answered, for whoever wants to hold all of it against the OpenAPI document.
#
#   local $ENV{GEMCLONE_JOURNAL} = Gemclone::Journal->begin("$dir/journal");      # for all clients, in whatever process
#   Gemclone::Journal->watch($transaction, $path);                                # what Gemclone::Client does
#   my @complaints = Gemclone::Journal->complaints($ENV{GEMCLONE_JOURNAL}, whole => 1);
package Gemclone::Journal;
use Mojo::Base -strict, -signatures;

use Gemclone::Paths qw(top);
use Mojo::File qw(path);
use Mojo::JSON qw(encode_json);
use Mojo::Message::Response;

# Bytes of a body that are kept, and answers of one kind that a process notes: those that differ in more than numbers and ids.
use constant {BODY => 65_536, KIND => 200};

my $HIGH = qr/[0-9a-f]{8}-[0-9a-f-]{27}|[\w-]{20,}|\d+/i;

sub begin ($class, $dir) { return path($dir)->make_path->to_string }

# Notes what a transaction is answered, once it is; path: below the location that the API is mapped on.
sub watch ($class, $tx, $path) {
    return $tx unless $ENV{GEMCLONE_JOURNAL};
    $tx->on(finish => sub ($tx) {
        my ($req, $res) = ($tx->req, $tx->res);
        $class->note(method => $req->method, path => $path, headers => $req->headers->to_hash, body => $req->body, res => $res,
            cut => !!($tx->error && !$tx->error->{code})) if $res->code;
    });
    return $tx;
}

# The same of bytes that went over a socket; headers and body are what of the request is to be looked at, too.
sub watch_raw ($class, $request, $answer, %asked) {
    return unless $ENV{GEMCLONE_JOURNAL};
    my ($method, $path) = $request =~ m{\A([A-Z]+) (?:http://[^/ ]+)?(/\S*) HTTP/1\.[01]\r\n} or return;
    my $res = Mojo::Message::Response->new;
    $res->content->expect_close(1) if $res->content->can('expect_close');
    $res->content->skip_body(1) if $method eq 'HEAD';
    $res->parse($answer);
    $class->note(headers => {}, %asked, method => $method, path => $path, res => $res, cut => !$res->is_finished) if $res->code;
    return;
}

# An answer: method, path, headers and body of its request; res, a Mojo::Message::Response; cut, whether there was more of it.
sub note ($class, %is) {
    my $dir = $ENV{GEMCLONE_JOURNAL} or return;
    my $headers = $is{res}->headers->to_hash;
    return unless ($headers->{'Referrer-Policy'} // '') eq 'no-referrer';    # as all answers of the module have it
    my $body = $is{res}->body;
    return unless _is_new(@is{qw(method path)}, $is{res}->code, $headers, $body);
    my %asked = map { $_ => $is{headers}{$_} } grep {/^(?:Idempotency-Key|Last-Event-ID)$/i} keys %{$is{headers}};
    my $sent = length($is{body} // '') <= BODY ? $is{body} : undef;
    print {_file($dir)} encode_json({
        method  => $is{method}, path => $is{path}, status => $is{res}->code, headers => $headers, body => substr($body, 0, BODY),
        cut     => $is{cut} || length $body > BODY ? \1 : \0,
        request => {headers => \%asked, body => length($sent // '') ? $sent : undef},
    }), "\n";
    return;
}

# What t/openapi/check has to say of them; with whole, also of what is described and was never seen.
sub complaints ($class, $dir, %opt) {
    my @journals = map {"$_"} path($dir)->list->each or return $opt{whole} ? 'the clients noted no answer' : ();
    open my $out, '-|', top->child('t', 'openapi', 'check'), ($opt{whole} ? '--whole' : ()),
        $opt{document} // top->child('mod_gemclone', 'www', 'openapi.json'), @journals
        or return "t/openapi/check: $!";
    my @said = map { chomp; $_ } <$out>;
    return close $out ? () : @said ? @said : 't/openapi/check ended with status ' . ($? >> 8);
}

sub _is_new ($method, $path, $status, $headers, $body) {
    state %seen;
    my $kind = join ' ', $method, $path =~ s/$HIGH/#/gr, $status;
    my $what = join "\n", (join ' ', sort keys %$headers), substr($body, 0, 2000) =~ s/$HIGH/#/gr;
    return 0 if $seen{$kind}{$what}++ || keys %{$seen{$kind}} > KIND;
    return 1;
}

# Each process has its own.
sub _file ($dir) {
    state %file;
    return $file{$$} //= do {
        open my $out, '>>', "$dir/$$.jsonl" or die "$dir: $!\n";
        $out->autoflush;
        $out;
    };
}

1;
