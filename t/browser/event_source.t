# SPDX-License-Identifier: Apache-2.0
# A browser's own EventSource reads a reply: live, with tickets, over a connection that is cut, to the end.
use Mojo::Base -strict, -signatures;

use Gemclone::Browser;
use Gemclone::Check;
use Gemclone::Paths qw(temp_dir top write_file);
use Gemclone::Stack;
use Mojo::File qw(path);
use Mojo::UserAgent;
use Test::More;

plan tests => 4;

# The page is served by the same httpd: EventSource reads from its own origin. What it does is what README.md shows.
my $PAGE = <<~'HTML';
    <!doctype html><meta charset="utf-8"><title>Reader</title><p id="text"></p>
    <script>
    let token, text = '', log = [], ended = null;
    const URL = location.origin;
    function show(more) { text += more; document.getElementById('text').textContent = text; }
    function clear() { text = ''; }
    FOLLOW
    </script>
    HTML

my $dir = temp_dir;
my $stack = Gemclone::Stack->start(
    fsync        => 0,
    children     => 2,
    more_modules => [qw(alias mime dir)],
    directives   => [
        'GemcloneQuota basic unlimited', 'GemcloneLease 2s', 'GemcloneDatabaseTimeout 1s', 'TypesConfig /dev/null',
        'AddType text/html .html', '<Location "/page">', 'GemcloneEngine Off', '</Location>', "Alias /page $dir/page",
        "<Directory $dir>", 'Require all granted', '</Directory>'
    ],
);
{
    my ($follow) = top->child('README.md')->slurp =~ /^```js\n(async function follow.*?)^```/ms
        or die "README.md shows no follow()\n";
    $follow =~ s/events\.close\(\)\);/{ events.close(); ended = 'done'; });/
        or die "README.md's follow() is not what this test knows\n";
    $follow =~ s/clear\(\); \}/clear(); log.push('reset'); }/;
    $follow =~ s/(const events = )/log.push('open'); $1/;
    write_file(path("$dir")->child('page')->make_path->child('index.html'), $PAGE =~ s/FOLLOW/$follow/r);
    chmod 0755, "$dir";
}

my $browser = Gemclone::Browser->start;
my $user = $stack->new_user;
my $room = $user->room;

sub open_page ($id) {
    $browser->open($stack->url . '/page/index.html');
    $browser->script('token = arguments[0]; follow(arguments[1], arguments[2])', $user->token, $room, $id);
}

subtest 'a reply as it grows' => sub {
    my $id = $user->send($room, "Look \x{1F388} [[chunks=20]] [[gap=100]]")->{reply}{id};
    open_page($id);
    ok $browser->becomes('text.length > 5 && !ended'), 'the text is there before the end';
    ok $browser->becomes("ended === 'done'"), 'then it is done';
    my $whole = $user->wait_reply($room, $id)->{content};
    is $browser->script('return text'), $whole, 'and whole';
    is $browser->text('#text'), $whole, 'as people see it';
    is_deeply $browser->script('return log'), ['open'], 'over one connection';
};

subtest 'a finished one' => sub {
    my $id = $user->send($room, 'Finished')->{reply}{id};
    my $whole = $user->wait_reply($room, $id)->{content};
    open_page($id);
    ok $browser->becomes("ended === 'done'"), 'is done at once';
    is $browser->script('return text'), $whole, 'and whole';
};

subtest 'a connection that is cut' => sub {
    $stack->log->expect(qr/AH00052: child pid \d+ exit signal Killed/, 'GEM0007: GemcloneLease');
    my $id = $user->send($room, 'Cut [[chunks=40]] [[gap=150]] [[size=800]]')->{reply}{id};
    open_page($id);
    ok $browser->becomes('text.length > 50'), 'some has come';
    my ($worker) = map {/:(\d+)\z/} $stack->dbh->selectrow_array('SELECT worker FROM gemclone.jobs');
    $user->ua(Mojo::UserAgent->new);
    kill KILL => grep { $_ != $worker } $stack->apache->children_pids;
    eventually(sub { $stack->apache->children_pids == 2 });
    kill KILL => $worker;
    ok $browser->becomes("ended === 'done'"), 'the page comes back by itself, to the end';
    my $whole = $user->wait_reply($room, $id)->{content};
    is $browser->script('return text'), $whole, 'with the whole text';
    cmp_ok scalar @{$browser->script(q{return log.filter(l => l === 'open')})}, '>=', 2, 'over another connection';
};

subtest 'nobody else' => sub {
    my $id = $user->send($room, 'Secret')->{reply}{id};
    $user->wait_reply($room, $id);
    my $seen = $browser->async(<<~'JS', "/message/$room/$id/events?ticket=nonsense");
        const events = new EventSource(arguments[0]);
        const done = arguments[arguments.length - 1];
        events.onmessage = e => done('message');
        events.addEventListener('delta', e => done('delta'));
        events.onerror = () => done('error ' + events.readyState);
        JS
    is $seen, 'error 2', 'without a good ticket an EventSource gives up for good';
};
