# SPDX-License-Identifier: Apache-2.0
# Line ends and what terminals obey, in all that is logged: a record is one line of plain text, and none tells a secret, a
# number or what users write.
use Mojo::Base -strict, -signatures;

use Gemclone::Check;
use Gemclone::Paths qw(temp_dir);
use Gemclone::Raw;
use Gemclone::Routes;
use Gemclone::Shop;
use Mojo::File qw(path);
use Mojo::Util qw(encode url_escape);
use Test::More;

my @routes = Gemclone::Routes->all;
plan tests => 8;

# What forges a record, paints the screen, rings, or ends the field that it stands in.
my $RECORD = '[Thu Jan 01 00:00:00.000000 1970] [gemclone:emerg] [pid 1:tid 1] GEM0001: forged';
my @EVIL = (
    "x\n$RECORD", "x\r\n$RECORD\r\n", "x\r$RECORD", "\e[2J\e[31mforged\e[0m", "\e]0;forged\a", "\b\b\b\bforged", "x\0$RECORD",
    "\x{9b}31mforged", "x\x{85}$RECORD", "x\x{2028}$RECORD", "\x{202e}degrof", "x\" 200 0 \"forged", "x\\\n$RECORD", "\t\x0b\x0cforged\x7f",
    '%n%s%s%x %{forged}i', '${jndi:ldap://forged/x}',
);

my $dir = temp_dir;
my $FORMAT = join ' ', '%h %l %u %t \"%r\" %>s %O user=%{gemclone-user}n route=%{gemclone-route}n reply=%{gemclone-reply}n',
    map {qq{\\"%{$_}i\\"}} qw(Referer User-Agent Idempotency-Key Last-Event-ID Origin);
my $shop = Gemclone::Shop->start(
    children   => 1,
    dir        => "$dir/server",
    log_level  => 'debug gemclone:trace8',
    directives => [
        'GemcloneQuota basic unlimited', 'GemcloneOTPLog otp.log', 'GemcloneCORSOrigin https://app.example.com',
        qq{LogFormat "$FORMAT" all}, qq{CustomLog "$dir/all_log" all}, qq{CustomLog "$dir/combined_log" "%h %l %u %t \\"%r\\" %>s %b \\"%{Referer}i\\" \\"%{User-agent}i\\""},
    ],
);
my $stack = $shop->stack;
$stack->log->expect('GEM0704', 'AH10244', 'GEM0403', 'GEM0409');
my $guest = Gemclone::Routes->guest($shop);
my $asked = 0;

# Sends the bytes of a request; what is answered is no matter of this.
sub say_it ($bytes) {
    Gemclone::Raw->request($bytes, url => $stack->url);
    return $asked++;
}

sub count_lines ($file) { return scalar split /\n/, path("$dir/$file")->slurp }
my $before = count_lines('all_log');

subtest 'everywhere' => sub {
    my @headers = grep { !/^(?:Content-Length|Transfer-Encoding)$/ } Gemclone::Routes->headers, qw(User-Agent Referer);
    for my $evil (@EVIL) {
        my $bytes = encode('UTF-8', $evil);
        my $line = $bytes =~ tr/\r\n\0//dr;    # as it can stand in a header
        for my $route (grep { !$_->ends } @routes) {
            my $path = $route->path($guest);
            say_it($route->bytes($guest, target => "$path/$line"));
            say_it($route->bytes($guest, target => "$path/" . url_escape $bytes));
            say_it($route->bytes($guest, query  => "ticket=$line"));
            say_it($route->bytes($guest, query  => 'limit=' . url_escape $bytes));
            say_it($route->bytes($guest, headers => {map { $_ => $line } grep { !/^(?:Authorization|Content-Type|Stripe-Signature)$/ } @headers}));
            say_it($route->bytes($guest, headers => {map { $_ => $bytes } qw(User-Agent Referer)}));
            say_it($route->bytes($guest, headers => {Authorization => "Bearer $line"}));
            say_it($route->bytes($guest, method => "GET$line"));
            say_it($route->bytes($guest, body => {$_ => $evil})) for sort keys %{$route->example->{body} // {}};
            say_it($route->bytes($guest, body => {map { $_ => $evil } keys %{$route->stored}})) if %{$route->stored};
            say_it($route->bytes($guest, path => {$_ => url_escape $bytes})) for $route->pattern =~ /\{(\w+)\}/g;
        }
    }
    cmp_ok $asked, '>', 1000, "$asked requests";
};

# What nobody is to find in a log: a user's whole way, with texts and numbers that are told apart from all others.
my $NEEDLE = 'needle in a haystack';
my %secret;
subtest 'a user\'s way' => sub {
    my $number = Gemclone::Client->new_number;
    my $user = $stack->client;
    $user->sign_up($number, "$NEEDLE, a name");
    my $otp = $user->otp($number);
    my $tokens = $user->post('/auth/verify-otp', {mobile_number => $number, purpose => 'login', otp => $otp})->json;
    $user->token($tokens->{access_token});
    my $room = $user->post('/chat/chatroom', {title => "$NEEDLE, a title", system_prompt => "$NEEDLE, an instruction"})->json->{chatroom}{id};
    my $sent = $user->send($room, "$NEEDLE, a prompt\n$RECORD");
    my $reply = $user->wait_reply($room, $sent->{reply}{id});
    like $reply->{content}, qr/$NEEDLE/, 'is a conversation';
    my $failed = $user->wait_reply($room, $user->send($room, "$NEEDLE [[status=400]]")->{reply}{id});
    is $failed->{status}, 'failed', 'with a failure in it';
    my $ticket = $user->post('/auth/stream-ticket', {message_id => $reply->{id}})->json->{ticket};
    is $stack->client->get("/message/$room/$reply->{id}/events?ticket=$ticket")->code, 200, 'read by a ticket';
    $user->patch("/chat/chatroom/$room", {title => "$NEEDLE, another title"});
    $user->patch('/user/me', {name => "$NEEDLE, another name"});
    $user->post('/auth/change-password', {new_password => "$NEEDLE, a password"});
    is $user->post('/auth/login', {mobile_number => $number, password => "$NEEDLE, a password"})->code, 200, 'signed in by a password';
    $user->post('/auth/login', {mobile_number => $number, password => "$NEEDLE, a wrong one"});
    $user->post('/auth/refresh', {refresh_token => $tokens->{refresh_token}}) for 1 .. 2;
    $user->get('/user/me', Authorization => "Bearer $tokens->{access_token}x");
    $user->post('/auth/verify-otp', {mobile_number => $number, purpose => 'login', otp => '000000'});
    $user->post('/auth/signup', {mobile_number => $number});
    %secret = (
        'what is written' => $NEEDLE, 'what is written, in part' => 'haystack', 'the number' => $number, 'its digits' => substr($number, 1),
        'the end of it that is shown to nobody' => substr($number, 2, 8), 'the code' => " $otp", 'the access token' => $tokens->{access_token},
        "the token's signature" => (split /\./, $tokens->{access_token})[2], 'the refresh token' => $tokens->{refresh_token}, 'the ticket' => $ticket,
        map { ("the key of $_" => path("$dir/server/keys/$_.key")->slurp =~ s/\n//r) } qw(token otp gemini),
    );
};

# An event of Stripe's may have any type.
subtest 'events' => sub {
    my ($route) = grep { $_->name eq 'webhook_stripe' } @routes;
    for my $n (0 .. $#EVIL) {
        my $res = $route->ask($guest, body => {id => "evt_log_$n", type => $EVIL[$n]});
        like $res->code, qr/^(?:200|400)$/, "of a type that is none, $n";
    }
    $shop->settle;
};

eventually(sub { count_lines('all_log') >= $before + $asked });

# (httpd gives no form to what is said while it reads its configuration.)
my @errors = grep { !/\AGEM0003: / } split /\n/, path($stack->apache->error_log)->slurp;
my $DATE = qr/\w{3} \w{3} \d\d \d\d:\d\d:\d\d\.\d{6} 20\d\d/;
is_deeply [grep { !/\A\[$DATE\] \[[\w.]*:\w+\] \[pid \d+:tid \d+\] /a } @errors], [], 'each line of the error log is a record';
is_deeply [grep {/[^ -~]/} @errors], [], 'of plain text';

my $RECORD_OF_ACCESS = qr/\A127\.0\.0\.1 - (?:-|$UUID) \[[^]]+\] "(?:[^"\\]|\\.)*" \d{3} \d+ user=(?:-|$UUID) route=[a-z_-]+ reply=[-\d]+(?: "(?:[^"\\]|\\.)*"){5}\z/;
subtest 'access logs' => sub {
    my @lines = split /\n/, path("$dir/all_log")->slurp;
    is_deeply [grep { $_ !~ $RECORD_OF_ACCESS } @lines], [], 'each line is a record, and whole';
    is_deeply [grep {/[^ -~]/} @lines, split /\n/, path("$dir/combined_log")->slurp], [], 'of plain text';
    is scalar(@lines), count_lines('combined_log'), 'as many as in a log of a usual form';
    cmp_ok scalar(@lines), '>=', $before + $asked, 'each request has one';
    is_deeply [grep {/ticket=(?!-)/} @lines], [], 'without tickets';
};

subtest 'codes' => sub {
    my @lines = split /\n/, path("$dir/server/otp.log")->slurp;
    cmp_ok scalar(@lines), '>', 1, 'have been sent';
    is_deeply [grep { !/\A$TIME \+\d{7,15} (?:login|reset_password) \d{6}\z/a } @lines], [], 'each by a line of its own';
};

subtest 'secrets' => sub {
    my %log = ('the error log' => \@errors, map { ("the $_" => [split /\n/, path("$dir/$_")->slurp]) } qw(all_log combined_log));
    for my $what (sort keys %secret) {
        is_deeply [grep {/\Q$secret{$what}\E/} @{$log{$_}}], [], "$what is not in $_" for sort keys %log;
    }
};
