# SPDX-License-Identifier: Apache-2.0
# The admin page in Chromium: what an admin sees and does, by mouse, by keyboard, on a phone, in the dark.
use Mojo::Base -strict, -signatures;

use Digest::SHA qw(sha1_base64);
use Gemclone::Browser;
use Gemclone::Check;
use Gemclone::Client;
use Gemclone::Paths qw(temp_dir write_file);
use Gemclone::Shop;
use Test::More;

plan tests => 11;

my $dir = temp_dir;
chmod 0755, "$dir";
my $users = write_file("$dir/users", 'ada:{SHA}' . sha1_base64('secret') . "=\n");
chmod 0644, $users;
my $shop = Gemclone::Shop->start(
    children     => 1,
    more_modules => [qw(authn_core authn_file auth_basic authz_user)],
    directives   => [
        'GemcloneGeminiBackoff 1min', 'GemcloneGeminiFallback none', '<Location "/admin">', 'SetHandler gemclone-admin', 'AuthType Basic',
        'AuthName admins', 'AuthBasicProvider file', "AuthUserFile $users", 'Require valid-user', '</Location>'
    ],
);
my ($stack, $stripe) = ($shop->stack, $shop->stripe);
$stack->log->expect('GEM0403', 'GEM0409', 'GEM0703');
my $dbh = $stack->dbh;

# What an admin may find on a bad day. Names are what users like to try.
my $EVIL = '<img src=x onerror="document.title=\'owned\'">';
my $user = Gemclone::Client->new_user(url => $stack->url, number => '+15550100123', name => $EVIL);
my ($slow, $down, $bad, $chain) = map { $user->room } 1 .. 4;
sub reply ($room, $prompt) { return $user->send($room, $prompt)->{reply}{id} }
$dbh->do('UPDATE gemclone.users SET tier = ? WHERE id = ?', {}, 'pro', $user->user->{id});
my %reply = (
    running => reply($slow, 'Slow [[delay=90000]]'),
    waiting => reply($down, 'Down [[status=503]] [[times=1]]'),
    failed  => reply($bad, 'Bad [[status=400]] [[times=1]]'),
    first   => reply($chain, 'Slower [[delay=90000]]'),
);
$reply{behind} = reply($chain, 'Next');
sub status ($room, $name) { return $user->get("/message/$room/$reply{$name}")->json->{data}{status} }
eventually(sub { status($bad, 'failed') eq 'failed' && status($slow, 'running') eq 'generating'
    && $dbh->selectrow_array('SELECT worker IS NULL AND tries = 1 FROM gemclone.jobs WHERE reply_id = ?', {}, $reply{waiting}) })
    or die "nothing goes on\n";

(my $url = $stack->url . '/admin') =~ s{//}{//ada:secret@};
my $browser = Gemclone::Browser->start(size => [1280, 900])->open($url);

# The row of a list that has an id, as a selector.
sub row ($list, $id) { return qq{#$list-list tr[data-key="$id"]} }
sub seen_ok ($selector, $what) { local $Test::Builder::Level = $Test::Builder::Level + 1; return ok $browser->shows($selector), $what }

# Presses a button, and means it.
sub press ($selector) { $browser->click($selector)->shows('#confirm[open]') or die "nobody asks\n"; $browser->click('#confirm-yes'); return }
sub toast_ok ($text) {
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return ok $browser->becomes('document.getElementById("toast").textContent === arguments[0]', $text), "it says: $text";
}

subtest 'the overview' => sub {
    like $browser->address->path, qr{/admin/$}, 'the page has its slash';
    ok $browser->becomes('document.getElementById("n-generating").textContent === "2"'), 'two are generated';
    is $browser->text('#n-failed'), '1', 'one has failed';
    is $browser->text('#s-site'), 'default', 'the site is named';
    is $browser->count('#workers li'), 1, 'and who works';
    ok $browser->becomes('document.querySelector("#spark-owed path").getAttribute("d")'), 'it goes on asking';
    is $browser->script('return document.getElementById("pulse").dataset.is'), 'up', 'and says that it does';
};

subtest 'what runs, waits and has failed' => sub {
    $browser->click('nav a[href="#jobs"]');
    seen_ok row(jobs => $reply{running}), 'what runs';
    is $browser->count('#jobs-list tbody tr'), 2, 'and nothing else';
    is $browser->script('return document.activeElement.id'), 'jobs-title', 'the focus goes along';
    like $browser->title, qr/jobs, running/, 'and the title';
    $browser->click('a[href="#jobs/waiting"]');
    seen_ok row(jobs => $reply{waiting}), 'what waits';
    like $browser->text(row(jobs => $reply{waiting})), qr/upstream\s+unavailable/, 'and why';
    like $browser->text(row(jobs => $reply{behind})), qr/earlier reply/, 'be it for another';
    is $browser->count(row(jobs => $reply{behind}) . ' button'), 1, 'which cannot be hurried';
    $browser->click('a[href="#jobs/failed"]');
    like $browser->text(row(jobs => $reply{failed})), qr/upstream\s+invalid_argument/, 'what has failed, and why';
};

subtest 'retry' => sub {
    my $retry = row(jobs => $reply{failed}) . ' button';
    $browser->click($retry)->shows('#confirm[open]');
    is $browser->focused->{label}, 'Leave it', 'whoever hits Enter in haste does no harm';
    $browser->press('Enter');
    ok $browser->hides('#confirm'), 'it is left';
    is status($bad, 'failed'), 'failed', 'as it was';
    press($retry);
    toast_ok 'The reply is tried again.';
    is $user->wait_reply($bad, $reply{failed})->{status}, 'done', 'it comes';
    ok $browser->becomes('!document.querySelector(arguments[0])', row(jobs => $reply{failed})), 'and is gone from the list';
    ok $browser->shows('#jobs-list .empty'), 'which is empty then';
    $browser->click('a[href="#jobs/waiting"]');
    press(row(jobs => $reply{waiting}) . ' button');
    is $user->wait_reply($down, $reply{waiting})->{status}, 'done', 'so does what waited';
};

subtest 'drop, by keyboard' => sub {
    $browser->click('a[href="#jobs/running"]');
    seen_ok row(jobs => $reply{running}), 'it runs';
    $browser->script('document.querySelector(arguments[0]).focus()', row(jobs => $reply{running}) . ' button');
    $browser->press('Enter');
    ok $browser->shows('#confirm[open]'), 'asked by Enter';
    $browser->press('Tab', 'Enter');
    is $user->wait_reply($slow, $reply{running})->{status}, 'cancelled', 'meant by the next button';
    toast_ok 'The reply is being stopped.';
    ok $browser->becomes('!document.querySelector(arguments[0])', row(jobs => $reply{running})), 'it is gone by itself';
};

subtest 'a user is found by number' => sub {
    $browser->click('nav a[href="#users"]')->fill('#number', '(555) 010-0123')->press('Enter');
    seen_ok '#user', 'there';
    is $browser->text('#u-name'), $EVIL, 'whose name is text';
    like $browser->text('#u-number'), qr/5550100123/, 'with the number';
    like $browser->text('#u-today'), qr/^\d+ prompts.*no limit/, 'what was used';
    is $browser->title, 'Gemclone: users', 'nobody\'s name does anything';
    is $browser->script('return document.getElementById("u-set").value'), 'pro', 'the tier as it was set';
    like $browser->address->fragment, qr/^users\/$UUID$/, 'the address has the id, and no number';
    $browser->fill('#number', '5550100124')->press('Enter');
    ok $browser->hides('#user') && $browser->shows('#user-none'), 'one that nobody has';
    $browser->back;
    seen_ok '#user', 'back to the one before';
};

subtest 'their tier' => sub {
    $browser->script('document.getElementById("u-set").value = "basic"');
    press('#tier button');
    toast_ok 'Tier changed.';
    ok $browser->becomes('document.getElementById("u-tier").textContent === "basic"'), 'is shown';
    is $shop->tier($user), 'basic', 'and counts';
};

subtest 'their sessions' => sub {
    my $second = Gemclone::Client->new(url => $stack->url)->sign_in('+15550100123');
    ok $browser->becomes('document.querySelectorAll("#sessions tr").length === 2'), 'all are shown, also later ones';
    press('#sessions tr:first-child button');
    toast_ok 'Session ended.';
    ok $browser->becomes('document.querySelectorAll("#sessions tr").length === 1'), 'one less';
    is $second->get('/user/me')->code, 401, 'signed out';
    press('#end-all');
    toast_ok 'All sessions ended.';
    seen_ok '#sessions-none', 'none is left';
    ok eventually(sub { $user->get('/user/me')->code == 401 }, 2), 'also of those';
};

subtest 'webhooks' => sub {
    $shop->listen(hold => Mojo::JSON->true);
    my $buyer = $stack->new_user;
    my $paid = $stripe->act($shop->checkout($buyer) => 'complete');
    $stripe->go_wrong(map { {status => 500, path => '/v1/'} } 1 .. 400);
    my ($event) = grep { $_->{type} eq 'customer.subscription.created' } @{$paid->{events}};
    $stripe->deliver([$event]);
    $browser->click('nav a[href="#webhooks"]');
    seen_ok row(webhooks => $event->{id}), 'one that fails';
    like $browser->text(row(webhooks => $event->{id})), qr/customer\.subscription\.created/, 'what it is about';
    ok eventually(sub { $dbh->do(q{UPDATE gemclone.stripe_events SET due_at = now() + interval '1 h'
        WHERE worker IS NULL AND due_at < now() + interval '50 min'}); !$dbh->selectrow_array(
            q{SELECT count(*) FROM gemclone.stripe_events WHERE due_at < now() + interval '50 min'}) }), 'it would be long';
    $stripe->end_faults;
    press(row(webhooks => $event->{id}) . ' button');
    toast_ok 'The event is worked off again.';
    ok eventually(sub { $shop->tier($buyer) eq 'pro' }), 'and is worked off';
    $browser->click('a[href="#webhooks/done"]');
    like $browser->text(row(webhooks => $event->{id})), qr/done/, 'as the list says';
};

subtest 'in the hand, and in the dark' => sub {
    $browser->look(size => [390, 844], dark => 1);
    for my $section (qw(overview jobs/running jobs/waiting jobs/failed users/x webhooks/done)) {
        my $to = $section eq 'users/x' ? 'users/' . $user->user->{id} : $section;
        $browser->script('location.hash = arguments[0]', "#$to");
        my ($name) = split m{/}, $section;
        seen_ok "#$name", $section;
        ok $browser->becomes('document.documentElement.scrollWidth <= innerWidth'), 'nothing sticks out';
    }
    is $browser->script('return getComputedStyle(document.body).backgroundColor'), 'rgb(18, 23, 21)', 'it is dark';
    $browser->look(size => [1280, 900]);
    isnt $browser->script('return getComputedStyle(document.body).backgroundColor'), 'rgb(18, 23, 21)', 'and light again';
};

subtest 'when the server is away' => sub {
    is_deeply [$browser->complaints], [], 'until now there was nothing to complain of';
    is_deeply [grep {/^(?:http|ws)/} $browser->hosts_asked], [$stack->url], 'and nobody else was asked';
    $stack->apache->stop;
    $browser->script('location.hash = "#overview"');
    ok $browser->becomes('document.getElementById("alert").textContent === "The server cannot be reached."'), 'the page says so';
    is $browser->script('return document.getElementById("pulse").dataset.is'), 'down', 'and that it is out of date';
    $stack->apache->start;
    ok $browser->becomes('document.getElementById("alert").hidden'), 'and goes on by itself';
};

is scalar(grep {/5550100123|owned/} $stack->log->lines), 0, 'nothing of it is logged';
