# SPDX-License-Identifier: Apache-2.0
# The chat page in Chromium, as people use it: from signing up to signing out.
use Mojo::Base -strict, -signatures;

use Gemclone::Browser;
use Gemclone::Check;
use Gemclone::Client;
use Gemclone::Paths qw(free_port);
use Gemclone::Shop;
use Mojo::File;
use Mojo::UserAgent;
use Test::More;

my $LONG = join q{ }, map {"word $_ of *many*"} 1 .. 60;
my $MARKDOWN = <<~'END';
    # Two steps
    1. **Bold** and *soft*
    2. `code`

    ```perl
    say "<b>hello</b>";
    ```

    | Key | Value |
    |-----|------:|
    | a   | 1     |

    <script>window.hacked = 1</script><img src="x" onerror="window.hacked = 2">
    [good](https://example.org/) [bad](javascript:window.hacked=3) ![seen](https://example.org/spy.png)
    END

my $port = free_port;
my $shop = Gemclone::Shop->start(
    port       => $port,
    children   => 1,
    directives => [
        'GemcloneQuota basic 30', 'GemcloneTokenLifetime 10s',
        "GemcloneStripeSuccessURL http://127.0.0.1:$port/?paid", "GemcloneStripeCancelURL http://127.0.0.1:$port/?unpaid",
    ],
);
my $stack = $shop->stack;
my $browser = Gemclone::Browser->start;
my $number = Gemclone::Client->new_number;

# What is in the console for any answer that is an error; tokens run out all the time here.
my $EXPIRED = qr/status of 401/;
sub answered ($status) { return qr/status of $status/ }

sub quiet_ok (@expected) {
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return is_deeply [$browser->complaints($EXPIRED, @expected)], [], 'the browser had nothing else to complain about';
}

# Elements of the last reply.
sub reply ($selector = '') { return ".theirs:last-child $selector" }
sub idle { return $browser->becomes(q{!document.querySelector('[aria-busy]') && !document.querySelector('#send').hidden}) }
sub ask ($text) { return $browser->type('#prompt', $text)->press('Enter') }
sub says ($text, %how) { $stack->standin->control({say => $text, %how}); return }
sub room { return ($browser->address->fragment // '') =~ m{\A/room/($UUID)\z} ? $1 : '' }

# Somebody new, known to the API and signed in here.
sub as_somebody ($name = 'Bo') {
    my $user = Gemclone::Client->new(url => $stack->url);
    my $theirs = Gemclone::Client->new_number;
    $user->sign_up($theirs, $name)->sign_in($theirs);
    $browser->open($stack->url . '/assets/icon.svg')
        ->script(q{localStorage.setItem('gemclone /', arguments[0])}, Gemclone::Client->new(url => $stack->url)->sign_in($theirs)->refresh_token);
    $browser->open($stack->url . '/')->element('#welcome');
    return $user;
}

subtest 'what is served' => sub {
    my $ua = Mojo::UserAgent->new;
    my $page = $ua->get($stack->url . '/', {Accept => 'text/html,*/*;q=0.8'})->res;
    is $page->headers->content_type, 'text/html; charset=utf-8', 'a page';
    like $page->headers->header('Content-Security-Policy'), qr/default-src 'none'; script-src 'self'; style-src 'self';/, 'under a policy';
    unlike $page->body, qr/<script>|<style|\son\w+=|\sstyle=/, 'with neither scripts nor styles in it';
    is $ua->get($stack->url . '/')->res->json->{name}, 'mod_gemclone', 'but to programs what they know';
    my $off = $stack->another_host(children => 1, directives => [$shop->directives, 'GemcloneDemoPage Off']);
    is $ua->get($off->url . '/', {Accept => 'text/html'})->res->json->{name}, 'mod_gemclone', 'and to all where the page is off';
    for my $file ($page->body =~ /(?:href|src)="(assets\/[^"]+)"/g) {
        is $ua->get($stack->url . "/$file")->res->code, 200, $file;
    }
};

subtest 'signing up, and in' => sub {
    $browser->open($stack->url . '/');
    ok $browser->shows('#number-form'), 'one is asked for a number';
    like $browser->title, qr/Sign in/, 'and the title says so';
    $browser->click('#number-go');
    ok $browser->becomes(q{document.querySelector('#entry-error').textContent.includes('phone number')}), 'which is needed';
    $browser->type('#number', $number)->click('#number-go');
    ok $browser->becomes(q{document.querySelector('#entry-error').textContent.length > 30}), 'a number without an account is told of';
    $browser->click('#switch')->type('#name', 'Ada')->click('#number-go');
    ok $browser->shows('#code-form'), 'signed up, the code is next';
    like $browser->script(q{return document.querySelector('#code').value}), qr/\A\d{4,8}\z/, 'which such a server shows';
    $browser->fill('#code', '000')->click('#code-go');
    ok $browser->becomes(q{document.querySelector('#entry-error').textContent.length > 10}), 'a wrong one is none';
    $browser->click('#code-again');
    ok $browser->becomes(q{document.querySelector('#code').value.length > 3}), 'another one comes';
    $browser->press('Enter');
    ok $browser->shows('#welcome'), 'and leads in';
    like $browser->text('#welcome-title'), qr/Ada\?/, 'one is known by name';
    is $browser->text('#quota-text'), '30 of 30 prompts left today', 'and told what is left';
    quiet_ok(answered(404), answered(400));
};

subtest 'a reply in Markdown' => sub {
    says($MARKDOWN, chunks => 30, gap => 40);
    ask('Show me');
    ok $browser->becomes(q{document.querySelector('[aria-busy] .text').textContent.length > 20}), 'it is there while it grows';
    ok idle(), 'and ends';
    like room(), $UUID, 'the room has an address';
    is $browser->text('.rooms a[aria-current]'), 'Show me', 'is listed, under the prompt';
    like $browser->title, qr/\AShow me /, 'and so is the page';
    is $browser->text(reply('strong')), 'Bold', 'bold';
    is $browser->count(reply('ol li')), 2, 'a list';
    is $browser->text(reply('pre code')), 'say "<b>hello</b>";', 'code';
    is $browser->text(reply('td.end')), '1', 'a table';
    like $browser->text(reply('.text')), qr/<script>window\.hacked = 1<\/script><img src="x" onerror="window\.hacked = 2">/, 'tags are text';
    like $browser->text(reply('.text')), qr/\[bad\]\(javascript:window\.hacked=3\)/, 'and so are links that run something';
    is $browser->count('#messages :is(script, img, [onerror], [style], a:not([rel][target]))'), 0, 'nothing else came of them';
    ok !$browser->script('return window.hacked'), 'and nothing was run';
    is $browser->script(q{return document.querySelector('#announce').textContent.includes('Two steps')}), 1, 'a screen reader is told the whole';
    is $browser->text('#quota-text'), '29 of 30 prompts left today', 'a prompt less';
    quiet_ok();
};

subtest 'several lines' => sub {
    says('Well.');
    $browser->type('#prompt', 'One')->press('Shift+Enter')->type('#prompt', 'Two')->press('Enter');
    ok idle(), 'sent';
    is $browser->script(q{return [...document.querySelectorAll('.mine .text')].pop().textContent}), "One\nTwo", 'as they were written';
    quiet_ok();
};

subtest 'stop' => sub {
    says($LONG, chunks => 100, gap => 200);
    ask('Go on and on');
    ok $browser->becomes(q{document.querySelector('[aria-busy] .text')?.textContent.length > 20}), 'some has come';
    $browser->click('#stop');
    ok $browser->becomes(q{[...document.querySelectorAll('.state')].pop().textContent === 'Stopped.'}), 'it is stopped';
    my $text = $browser->text(reply('.text'));
    cmp_ok length $text, '<', 600, 'on its way';
    my ($status, $stored) = $stack->dbh->selectrow_array(q{SELECT status, content FROM gemclone.messages ORDER BY id DESC LIMIT 1});
    is $status, 'cancelled', 'on the server, too';
    is $stored =~ s/\*|\s+\z//gr, $text =~ s/\*//gr, 'which keeps what is shown';
    quiet_ok();
};

subtest 'another reply' => sub {
    says('Another one.');
    my $replies = $browser->count('.theirs');
    is $browser->count('.again:not([hidden])'), 1, 'of the last one alone';
    $browser->click('.again');
    ok $browser->becomes(q{[...document.querySelectorAll('.theirs .text')].pop().textContent === 'Another one.'}), 'it comes';
    ok idle(), 'and ends';
    is $browser->count('.theirs'), $replies, 'in place of the old one';
    quiet_ok();
};

subtest 'a reload in the middle' => sub {
    says($LONG, chunks => 60, gap => 60);
    my $replies = $browser->count('.theirs');
    ask('Once more');
    ok $browser->becomes(q{document.querySelector('[aria-busy] .text')?.textContent.length > 20}), 'some has come';
    $browser->reload;
    ok $browser->becomes(q{document.querySelector('.theirs[aria-busy] .text')?.textContent.length > 20}), 'it goes on after it';
    ok idle(), 'and ends';
    is $browser->text(reply('.text')), $LONG =~ s/\*//gr, 'whole, and nothing twice';
    is $browser->count('.theirs'), $replies + 1, 'as one reply';
    quiet_ok();
};

subtest 'a try that fails, and one that is refused' => sub {
    says('A good beginning, and a good end.', chunks => 8, cut => 4, times => 1);
    ask('Cut it');
    ok $browser->becomes(q{[...document.querySelectorAll('.theirs .text')].pop().textContent.includes('end.')}), 'another try begins';
    ok idle(), 'and ends';
    is $browser->text(reply('.text')), 'A good beginning, and a good end.', 'without what was void';
    says('x', block => 'SAFETY');
    ask('Refuse it');
    ok $browser->shows('.state.error'), 'a failure is told';
    like $browser->text('.state.error'), qr/\A\w.{10,}\.\z/, 'in words';
    ok idle(), 'and that is the end of it';
    quiet_ok();
};

subtest 'without a network for a while' => sub {
    my %on = (latency => 0, downloadThroughput => -1, uploadThroughput => -1);
    says($LONG, chunks => 60, gap => 60);
    $browser->devtools('Network.enable')->devtools('Network.emulateNetworkConditions', {%on, offline => \1});
    ask('Are you there?');
    ok $browser->becomes(q{[...document.querySelectorAll('.state')].pop().textContent.includes('connection is lost')}), 'it says what it waits for';
    $browser->devtools('Network.emulateNetworkConditions', {%on, offline => \0});
    ok $browser->becomes(q{document.querySelector('[aria-busy] .text')?.textContent.length > 20}), 'then it comes';
    ok idle(), 'to its end';
    is $browser->text(reply('.text')), $LONG =~ s/\*//gr, 'whole';
    is $stack->dbh->selectrow_array(q{SELECT count(*) FROM gemclone.messages WHERE content = 'Are you there?'}), 1, 'the prompt was sent once';
    quiet_ok(qr/ERR_INTERNET_DISCONNECTED/);
};

subtest 'rooms' => sub {
    says('Yes.');
    my $first = room();
    $browser->press('Control+k')->element('#welcome');
    is $browser->address->fragment, '/', 'a new one';
    ask('Second room');
    ok idle(), 'is made by its first prompt';
    my $second = room();
    isnt $second, $first, 'and is another';
    is join(q{|}, @{$browser->script(q{return [...document.querySelectorAll('.rooms a')].map(a => a.textContent)})}), 'Second room|Show me', 'newest first';
    $browser->click('.rooms li:last-child a');
    ok $browser->becomes(q{document.querySelectorAll('.mine').length > 3}), 'the other one can be gone back to';
    $browser->back;
    ok $browser->becomes(q{document.querySelector('#room-title').textContent === 'Second room'}), 'and the browser knows the way back';

    $browser->click('#room-edit')->fill('#edit-title', 'Renamed')->type('#edit-system', 'Be brief.')->press('Tab', 'Tab', 'Enter');
    ok $browser->becomes(q{document.querySelector('#room-title').textContent === 'Renamed'}), 'it can be renamed';
    is_deeply [$stack->dbh->selectrow_array('SELECT title, system_prompt FROM gemclone.chatrooms WHERE id = ?', undef, $second)],
        ['Renamed', 'Be brief.'], 'and given instructions';

    $browser->click('#room-delete')->element('#delete-dialog');
    is $browser->focused->{label}, 'Keep it', 'to delete it one must mean it';
    $browser->press('Escape');
    ok $browser->hides('#delete-dialog'), 'Escape leaves it';
    $browser->click('#room-delete')->click('#delete-form .danger');
    ok $browser->shows('#welcome'), 'then it is gone';
    is $browser->count('.rooms a'), 1, 'from the list';
    is $stack->dbh->selectrow_array('SELECT count(*) FROM gemclone.chatrooms WHERE id = ?', undef, $second), 0, 'and from the server';
    $browser->open($stack->url . "/#/room/$second");
    ok $browser->shows('#room-problem'), 'its address leads nowhere';
    quiet_ok(answered(404));
};

subtest 'a token that runs out' => sub {
    my $log = Mojo::File->new($stack->dir)->child('access_log');
    my $before = length $log->slurp;
    ok eventually(sub {
        $browser->press('Control+k')->click('.rooms a');
        return substr($log->slurp, $before) =~ m{"GET /\S+ HTTP/1\.1" 401 .*"POST /auth/refresh HTTP/1\.1" 200}s;
    }, 30), 'is renewed';
    ok $browser->shows('.theirs'), 'and what was asked for comes';
    quiet_ok();
};

subtest 'by keys alone' => sub {
    says('By keys.');
    $browser->open($stack->url . '/#/')->reload->element('#welcome');
    $browser->script(q{document.querySelector('.rooms a').focus()});
    $browser->press('Enter')->element('.theirs');
    is $browser->focused->{label}, 'Show me', 'a room keeps the focus when it is chosen';
    $browser->open($stack->url . '/#/')->reload->element('#welcome');
    $browser->script('document.activeElement.blur()');
    $browser->press('Tab');
    is $browser->focused->{label}, 'Skip to the prompt', 'the first stop';
    $browser->press('Enter');
    is_deeply $browser->focused, {label => 'Prompt', role => 'textbox'}, 'leads to the prompt';
    $browser->press(split(//, 'keys'), 'Enter');
    ok idle(), 'which is sent';
    $browser->press('Shift+Tab');
    is $browser->focused->{label}, 'Regenerate', 'what can be done with the reply is next to it';
    $browser->script('document.activeElement.blur()');
    $browser->press('/');
    is $browser->focused->{label}, 'Prompt', '/ goes to the prompt';
    $browser->press('/');
    is $browser->script(q{return document.querySelector('#prompt').value}), '/', 'where it is a slash';
    $browser->press('Backspace');
    my @stops;
    $browser->script(q{document.body.tabIndex = -1; document.body.focus()});
    for (1 .. 8) { $browser->press('Tab'); push @stops, $browser->focused->{label} }
    is_deeply [@stops[0 .. 4]], ['Skip to the prompt', 'New room', 'keys', 'Show me', 'Upgrade to Pro'], 'the order is that of the page'
        or diag join q{ | }, @stops;
    ok $browser->script(q{return getComputedStyle(document.activeElement).outlineStyle !== 'none'}), 'and one sees where one is';
    quiet_ok();
};

subtest 'two tabs' => sub {
    says('For both.');
    my $one = $browser->tab;
    my $address = $browser->address;
    my $two = $browser->new_tab;
    $browser->open($address)->element('.theirs');
    ask('From the other tab');
    ok idle(), 'one sends';
    $browser->tab($one);
    ok $browser->becomes(q{[...document.querySelectorAll('.mine .text')].pop()?.textContent === 'From the other tab'}), 'the other shows it';
    ok idle(), 'with its reply';
    is $browser->text(reply('.text')), 'For both.', 'which is the same';
    $browser->reload->element('.theirs');
    $browser->tab($two)->reload->element('.theirs');
    ok 1, 'both renew their tokens, and neither is taken for a thief';
    $browser->click('#sign-out');
    ok $browser->shows('#number-form'), 'signed out in one';
    $browser->close_tab->tab($one);
    ok $browser->shows('#number-form'), 'is signed out in both';
    is $browser->script('return localStorage.length'), 0, 'and nothing is left';
    is $stack->dbh->selectrow_array('SELECT count(*) FROM gemclone.sessions s JOIN gemclone.users u ON u.id = s.user_id WHERE u.e164 = ?',
        undef, $number), 0, 'here or on the server';
    quiet_ok();
};

subtest 'a session that was ended elsewhere' => sub {
    my $user = as_somebody();
    $user->delete('/auth/sessions');
    $stack->dbh->do('DELETE FROM gemclone.sessions');
    ok $browser->becomes(<<~'JS'), 'leads back to the beginning';
        document.querySelector('#number-form').checkVisibility()
            || (document.querySelector('#prompt').value = 'Still there?', document.querySelector('#send').click(), false)
        JS
    like $browser->text('#entry-error'), qr/session has ended/, 'and says why';
    quiet_ok();
};

subtest 'all prompts used, and Pro' => sub {
    says('Fine.');
    my $user = as_somebody('Cy');
    my $id = $user->get('/user/me')->json->{user}{id};
    my $room = $user->room('Busy');
    $user->ask($room, "Prompt $_") for 1 .. 2;
    $stack->dbh->do('UPDATE gemclone.usage SET prompts = 29 WHERE user_id = ?', undef, $id);
    $browser->reload->click('.rooms a');
    ask('The last one');
    ok idle(), 'the last one is sent';
    is $browser->text('#quota-text'), '0 of 30 prompts left today', 'none is left';
    ask('One too many');
    ok $browser->shows('#notice'), 'the next is refused';
    like $browser->text('#notice-text'), qr/\AToday's 30 prompts are used up\. There will be more at 12:00/, 'with when there will be more';
    is $browser->script(q{return document.querySelector('#prompt').value}), 'One too many', 'its text is kept';
    is $browser->count('.mine'), 3, 'and not shown as sent';
    is $browser->text('#notice-deed'), 'Upgrade to Pro', 'there is a way out';
    quiet_ok(answered(429));
    $browser->hosts_asked;
    $browser->click('#notice-deed');
    ok eventually(sub { $browser->address->host ne '127.0.0.1' }), 'which leads';
    is $browser->address->host, 'checkout.stripe.com', 'to pay';
    $shop->stripe->act($shop->session_of($browser->address) => 'complete');
    $browser->complaints;
    $browser->hosts_asked;
    $browser->open($stack->url . '/?paid');
    ok $browser->becomes(q{document.querySelector('#notice-text').textContent.includes('You are Pro now')}), 'back from there, one is Pro';
    is $browser->text('#tier'), 'Pro', 'and sees it';
    is $browser->address->query->to_string, '', 'the address is as ever';
    is $browser->text('#quota-text'), 'As many prompts as you like', 'without a limit';
    ok !$browser->sees('#upgrade'), 'with nothing to buy';
    $browser->click('.rooms a');
    ask('And now?');
    ok idle(), 'and prompts';
    is $browser->text(reply('.text')), 'Fine.', 'are answered';
    quiet_ok();
};

subtest 'a small screen' => sub {
    says("```\n" . 'wide ' x 100 . "\n```\n\n| " . 'column | ' x 12 . "\n|" . '---|' x 12 . "\n\n" . 'unbreakable' x 30);
    as_somebody('Di');
    $browser->look(size => [390, 844]);
    ask('Wide things');
    ok idle(), 'wide things';
    is $browser->script('return document.documentElement.scrollWidth'), 390, 'make the page no wider';
    is $browser->script('return innerWidth'), 390, 'nor smaller';
    ok $browser->script('const {scrollWidth, clientWidth} = document.querySelector("#scroll"); return scrollWidth <= clientWidth'),
        'and scroll by themselves';
    ok $browser->hides('#drawer .new'), 'the rooms are out of the way';
    $browser->click('#drawer-open');
    ok $browser->shows('#drawer .new'), 'until they are called for';
    is $browser->focused->{label}, 'Close the list of rooms', 'which takes the focus there';
    $browser->press('Escape');
    ok $browser->hides('#drawer .new'), 'Escape puts them away';
    is $browser->focused->{label}, 'Open the list of rooms', 'and the focus back';
    $browser->click('#drawer-open')->click('#new-room');
    ok $browser->shows('#welcome'), 'a choice does so, too';
    ok $browser->hides('#drawer .new'), 'they are away';
    $browser->look(dark => 1);
    is $browser->script(q{return getComputedStyle(document.body).color}), 'rgb(231, 236, 232)', 'by night the page is dark';
    quiet_ok();
};

is_deeply [$browser->hosts_asked], [$stack->url], 'no other server was asked for anything';

done_testing;
