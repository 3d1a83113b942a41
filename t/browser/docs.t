# SPDX-License-Identifier: Apache-2.0
# GET /docs in Chromium: to be read, searched, signed in on, and tried; with nothing but the server that it comes from.
use Mojo::Base -strict, -signatures;

use Gemclone::Browser;
use Gemclone::Check;
use Gemclone::Client;
use Gemclone::Routes;
use Gemclone::Stack;
use Test::More;

plan tests => 8;

my $stack = Gemclone::Stack->start(fsync => 0, children => 1, directives => ['GemcloneQuota basic unlimited']);
my $browser = Gemclone::Browser->start;
my $number = Gemclone::Client->new_number;

sub open_docs ($fragment = '') {
    $browser->open('about:blank')->open($stack->url . "/docs$fragment");
    $browser->becomes('document.querySelectorAll(".operation").length > 0') or die "the page stays empty\n";
    return $browser;
}

sub text_of ($selector) { return $browser->script('return document.querySelector(arguments[0]).textContent', $selector) }

# Opens an operation and fills in its form; sends it, unless `send` is 0.
sub try_it ($id, %with) {
    $browser->script('location.hash = ""; location.hash = arguments[0]', $id);
    $browser->shows("#$id .try") or die "$id has no form\n";
    $browser->fill("#$id-$_" => $with{$_}) for grep { $_ ne 'accept' && $_ ne 'send' } sort keys %with;
    $browser->script('const s = document.getElementById(arguments[0]); s.value = arguments[1]; s.dispatchEvent(new Event("input", {bubbles: true}))',
        "$id-accept", $with{accept}) if $with{accept};
    $browser->click("#$id .try .main") if $with{send} // 1;
    return;
}

sub status ($id) {
    $browser->becomes('/^\d/.test(document.querySelector(arguments[0])?.textContent)', "#$id .answer .status");
    return text_of("#$id .answer .status");
}

subtest 'to be read' => sub {
    open_docs;
    my @ids = @{$browser->script('return [...document.querySelectorAll(".operation")].map(o => o.id)')};
    is @ids, scalar(my @all = Gemclone::Routes->all), 'each route is there';
    is $browser->title, 'Gemclone API', 'under its title';
    $browser->click('#auth_signup > summary');
    ok $browser->shows('#auth_signup .members'), 'an operation opens';
    like text_of('#auth_signup'), qr/mobile_number.*string, 1–32 characters.*required/s, 'with what its body must be';
    like text_of('#auth_signup'), qr/201.*409.*429/s, 'its answers';
    like text_of('#auth_signup'), qr/"mobile_number": "5550100123"/, 'and an example';
    is $browser->script('return [...document.querySelectorAll("[style], script:not([src])")].length'), 0, 'nothing of it is inline';
    $browser->script('document.querySelectorAll("details").forEach(d => { d.open = true })');
    ok $browser->becomes('document.querySelectorAll(".try").length === arguments[0]', scalar @ids), 'all open at once';
};

subtest 'to be searched' => sub {
    open_docs;
    $browser->press('/');
    is $browser->focused->{role}, 'searchbox', 'a slash leads to the filter';
    $browser->press(split //, 'ticket');
    ok $browser->becomes('document.querySelectorAll(".operation:not([hidden])").length < 5'), 'few operations are left';
    ok $browser->sees('#auth_stream_ticket'), 'one of them is what is looked for';
    ok !$browser->sees('#user_me'), 'others are gone';
    like text_of('#found'), qr/^\d of \d+ operations$/, 'and it tells how many';
    $browser->press('Escape');
    ok $browser->shows('#user_me'), 'Escape brings them back';
    $browser->fill('#filter', 'nothing like this');
    is text_of('#found') =~ s/ of.*//r, 0, 'or none is left';
};

subtest 'addresses of operations' => sub {
    open_docs('#message_send');
    ok $browser->shows('#message_send .try'), 'it is open';
    my ($top, $height) = @{$browser->script('return [document.getElementById("message_send").getBoundingClientRect().top, innerHeight]')};
    ok $top >= 0 && $top < $height, 'and in view' or diag "at $top of $height";
    is $browser->script('return document.activeElement.closest("details").id'), 'message_send', 'it has the focus';
    $browser->click('nav a[href="#chatroom_list"]');
    ok $browser->shows('#chatroom_list .try'), 'the contents lead to others';
    is $browser->address->fragment, 'chatroom_list', 'whose address it is then';
};

subtest 'signing in' => sub {
    open_docs;
    $browser->type('#number', $number)->click('#signup');
    ok $browser->becomes('/^\d{6}$/.test(document.getElementById("code").value)'), 'an account is opened, and the code that is shown filled in';
    $browser->click('#code-form button');
    ok $browser->becomes('document.getElementById("said").textContent.startsWith("Signed in.")'), 'it signs in';
    try_it('user_me');
    like status('user_me'), qr/^200/, 'and is good for what is for users';
    like text_of('#user_me .answer .body'), qr/"mobile_number": "\Q$number\E"/, 'whose answer is shown';
    like text_of('#user_me .answer'), qr/etag: "/, 'with its headers';
    unlike text_of('#user_me .try pre'), qr/eyJ/, 'the line of curl does not show the token';
};

subtest 'calls' => sub {
    try_it('chatroom_create', body => '{"title":"Tried"}');
    like status('chatroom_create'), qr/^201/, 'a room is made';
    my ($room) = text_of('#chatroom_create .answer .body') =~ /"id": "($UUID)"/;
    try_it('chatroom_get');
    like status('chatroom_get'), qr/^200/, 'its id is filled in where one is wanted';
    like text_of('#chatroom_get .answer .body'), qr/"title": "Tried"/, 'and it is that room';
    try_it('chatroom_create', body => '{"title":""}');
    $browser->becomes('document.querySelector(arguments[0])?.textContent.startsWith("422")', '#chatroom_create .answer .status');
    like text_of('#chatroom_create .answer .body'), qr{"pointer": "/title"}, 'errors are shown as well';
    try_it('chatroom_change', body => q({"title":"Ada's <b>room</b>"}));
    like status('chatroom_change'), qr/^200/, 'texts are sent as they are';
    is $browser->count('.answer b'), 0, 'and are no markup where they are shown';

    my $curl = text_of('#chatroom_change .try pre') =~ s/\$TOKEN/\$GEMCLONE_TOKEN/r;
    local $ENV{GEMCLONE_TOKEN} = Gemclone::Client->new(url => $stack->url)->sign_in($number)->token;
    my $said = do { open my $run, '-|', 'sh', '-c', "$curl 2>/dev/null"; local $/; <$run> };
    like $said, qr/"title":"Ada's <b>room<\/b>"/, 'the line of curl does the same';
};

subtest 'streams' => sub {
    try_it('message_send', body => '{"content":"Look [[chunks=20]] [[gap=100]]"}', accept => 'text/event-stream');
    like status('message_send'), qr/^201/, 'a prompt is sent';
    ok $browser->becomes('document.querySelector("#message_send .answer .text")?.textContent.length > 3'
            . ' && !document.querySelector("#message_send .answer").textContent.includes("The stream has ended")'), 'its reply grows';
    ok $browser->becomes('document.querySelector("#message_send .answer")?.textContent.includes("The stream has ended")'), 'to its end';
    my $reply = $stack->dbh->selectrow_array(q{SELECT content FROM gemclone.messages WHERE sender = 'gemini' ORDER BY id DESC LIMIT 1});
    is text_of('#message_send .answer .text'), $reply, 'and is whole';
    like text_of('#message_send .answer .events'), qr/^accepted.*delta.*done/s, 'its events stand below it';
    try_it('message_events');
    ok $browser->becomes('document.querySelector("#message_events .answer")?.textContent.includes("The stream has ended")'), 'it can be read again';
    try_it('message_send', body => '{"content":"Stop [[chunks=100]] [[gap=200]]"}', accept => 'text/event-stream');
    $browser->becomes('document.querySelector("#message_send .answer .text")?.textContent.length > 3');
    $browser->click('#message_send .row button:nth-child(2)');
    ok $browser->becomes('document.querySelector("#message_send .answer")?.textContent.includes("Stopped.")'), 'and reading can be stopped';
};

subtest 'by keyboard, and on a small screen' => sub {
    open_docs;
    $browser->press('Tab');
    is $browser->focused->{label}, 'Skip to the operations', 'the first key leads past the contents';
    $browser->press('Enter', 'Tab', 'Enter');
    ok $browser->shows('#auth_signup .try'), 'to the first operation, which opens';
    my @unnamed = @{$browser->script(<<~'JS')};
        return [...document.querySelectorAll('input, textarea, select')].filter(e => !e.labels.length && !e.ariaLabel).map(e => e.id);
        JS
    is_deeply \@unnamed, [], 'each field has a name';
    $browser->look(size => [360, 740], dark => 1);
    ok $browser->becomes('document.documentElement.scrollWidth <= innerWidth'), 'nothing is wider than the screen';
    like $browser->script('return getComputedStyle(document.body).backgroundColor'), qr/rgb\(\d\d, /, 'and it is dark where that is liked';
};

subtest 'what it asks for' => sub {
    is_deeply [grep { !m{^(?:chrome|data|about)} } $browser->hosts_asked], [$stack->url], 'nothing but its own server';
    is_deeply [$browser->complaints(qr/422 \(/)], [], 'neither its policy nor a script complained';
};
