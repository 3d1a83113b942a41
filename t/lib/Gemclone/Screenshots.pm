# SPDX-License-Identifier: Apache-2.0
# ./dev screenshots: makes the pictures in doc/screenshots anew, with texts, times and fonts that do not change. They are made
# in run/screenshots, and copied from there unless doc/screenshots belongs to somebody else.
#
# A picture is a line of @PICTURES: its name, the look that Gemclone::Browser knows, and what leads there from a browser in
# which nobody is signed in.
package Gemclone::Screenshots;
use Mojo::Base -base, -signatures;

use Gemclone::Browser;
use File::Copy qw(copy);
use Gemclone::Paths qw(run_dir temp_dir top write_file);
use Gemclone::Stack;

use constant {LARGE => [1200, 800], SMALL => [390, 760]};

has [qw(stack browser)];

my @PICTURES = (
    ['chat', {size => LARGE}, \&_conversation],
    ['chat-dark', {size => LARGE, dark => 1}, \&_conversation],
    ['chat-phone', {size => SMALL, scale => 1.5}, \&_conversation],
    ['docs', {size => LARGE}, \&_operation],
    ['admin', {size => LARGE}, \&_failures],
    ['admin-dark', {size => LARGE, dark => 1}, \&_account],
    ['admin-phone', {size => SMALL, scale => 1.5}, \&_failures],
);

my $PROMPT = 'How does a hash table work?';
my $ANSWER = <<~'END';
    A **hash table** finds a value by its key: a function says to which of its *buckets* a key belongs.

    1. The key is hashed: `hash("ada") % 8` is 3.
    2. The pair is put into bucket 3.
    3. Whoever looks for it later comes to the same bucket.

    ```python
    def put(table, key, value):
        table[hash(key) % len(table)].append((key, value))
    ```

    | Operation | On average | At worst |
    |:----------|-----------:|---------:|
    | Find      |       O(1) |     O(n) |
    | Insert    |       O(1) |     O(n) |

    Keep it roomy, and the worst stays rare.
    END

# Makes all of them, or those that are named; returns the exit status.
sub make ($class, @names) {
    my %wanted = map { $_ => 1 } @names;
    my @pictures = grep { !@names || delete $wanted{$_->[0]} } @PICTURES;
    die 'there is no picture ', join(', ', sort keys %wanted), "\n" if %wanted;
    my $dir = run_dir->child('screenshots')->make_path;
    my $fonts = temp_dir;
    my $stack = Gemclone::Stack->start(fsync => 0, children => 1, redis => 0, log_check => 0,
        directives => ['<Location "/admin">', 'SetHandler gemclone-admin', 'Require local', '</Location>']);
    for my $picture (@pictures) {
        my ($name, $look, $steps) = @$picture;
        my $browser = Gemclone::Browser->start(%$look, motion => 0, env => {FONTCONFIG_FILE => _fonts("$fonts")});
        $steps->($class->new(stack => $stack, browser => $browser));
        $browser->script(q{document.activeElement?.blur(); const box = document.querySelector('#scroll'); if (box) box.scrollTop = 0});
        $browser->screenshot("$dir/$name.png");
        say "$dir/$name.png";
    }
    return _put($dir, map {"$_->[0].png"} @pictures);
}

sub _put ($from, @files) {
    my $to = top->child('doc', 'screenshots');
    if (-w $to) { copy("$from/$_", "$to/$_") or die "$to/$_: $!\n" for @files }
    else        { say "cp $from/*.png $to/" }
    return 0;
}

# --- Steps
sub open ($self, $path) { return $self->browser->open($self->stack->url . $path) }

# Ada, who has some rooms.
sub _sign_in ($self) {
    my $user = $self->stack->client;
    my $number = '+15550100123';
    $self->stack->dbh->do('DELETE FROM gemclone.users');
    $user->sign_up($number, 'Ada')->sign_in($number);
    $user->room($_) for 'A weekend in Lisbon', 'Names for a cat', 'Polite refusals';
    $self->open('/assets/icon.svg');
    $self->browser->script(q{localStorage.setItem('gemclone /', arguments[0])}, $user->refresh_token);
    return $self->open('/');
}

sub _conversation ($self) {
    $self->stack->standin->control({say => $ANSWER});
    $self->_sign_in->type('#prompt', $PROMPT)->press('Enter')->element('.tools');
    return;
}

sub _operation ($self) {
    $self->open('/docs#message_send')->becomes('document.querySelector("#message_send .try")');
    $self->browser->script('document.querySelector("#message_send").scrollIntoView()');
    return;
}

# Two users with ids that stay, on a day on which some replies have failed.
my $BAD_DAY = <<~'SQL';
    DELETE FROM gemclone.users;
    INSERT INTO gemclone.users (id, e164, mobile_number, name, tier, created_at) VALUES
        ('08d2bfca-a4a6-454a-bfbd-8158d8edff46', '+15550100123', '+1 555 010 0123', 'Ada', 'basic', now() - interval '40 days'),
        ('57406f67-434c-482a-ad90-33ee5631eddf', '+15550100124', '+1 555 010 0124', 'Grace', 'pro', now() - interval '9 days');
    INSERT INTO gemclone.chatrooms (id, user_id, title)
        SELECT (n || 'e5a1c20-7b4d-4f0e-9d3b-2c6a8f1e0d47')::uuid,
               CASE WHEN n IN (2, 5) THEN '57406f67-434c-482a-ad90-33ee5631eddf' ELSE '08d2bfca-a4a6-454a-bfbd-8158d8edff46' END::uuid, 'Room'
        FROM generate_series(1, 6) n;
    INSERT INTO gemclone.messages (room_id, id, parent_id, sender, status, content, error, tokens)
        SELECT r.id, m.id, m.parent, m.sender, m.status, '', m.error, 0
        FROM (SELECT id, left(id::text, 1)::int AS n FROM gemclone.chatrooms) r
        CROSS JOIN LATERAL (VALUES (4100 + 2 * r.n, NULL, 'user', 'done', NULL),
                                   (4101 + 2 * r.n, 4100 + 2 * r.n, 'gemini', 'failed', 'upstream')) AS m (id, parent, sender, status, error);
    INSERT INTO gemclone.failures (room_id, reply_id, user_id, site, tries, lost, error, reason, refunded, charged_on, created_at, failed_at)
        SELECT r.id, 4101 + 2 * r.n, r.user_id, 'default', 1 + 6 % (r.n + 1), (r.n = 6)::int * 3, f.error, f.reason, true, current_date,
               now() - r.n * interval '7 min' - interval '10 s', now() - r.n * interval '6 min'
        FROM (SELECT id, user_id, left(id::text, 1)::int AS n FROM gemclone.chatrooms) r
        JOIN (VALUES (1, 'upstream', 'unavailable'), (2, 'rate_limited', 'rate_limit'), (3, 'timeout', 'timeout_first'),
                     (4, 'upstream', 'unavailable'), (5, 'blocked', 'prompt_safety'), (6, 'poison', 'not_asked')) AS f (n, error, reason)
        ON f.n = r.n;
    INSERT INTO gemclone.usage (user_id, day, prompts, input_tokens, output_tokens)
        VALUES ('08d2bfca-a4a6-454a-bfbd-8158d8edff46', (now() AT TIME ZONE 'UTC')::date, 3, 1240, 2811);
    INSERT INTO gemclone.sessions (id, user_id, purpose, used_at, access_until, expires_at, ends_at, client, created_at)
        SELECT gen_random_uuid(), '08d2bfca-a4a6-454a-bfbd-8158d8edff46', 'login', now() - s.used, now(), now() + interval '29 days',
               now() + interval '60 days', s.client, now() - s.began
        FROM (VALUES (interval '4 min', interval '2 days', 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'),
                     (interval '3 hours', interval '8 days', 'Gemclone-Android/2.4')) AS s (used, began, client);
    SQL

sub _admin ($self, $hash) {
    my $dbh = $self->stack->dbh;
    $dbh->do($_) for split /;\n/, $BAD_DAY;
    $self->open("/admin/#$hash");
    return $self->browser;
}

sub _failures ($self) { $self->_admin('jobs/failed')->element('#jobs-list tbody tr'); return }
sub _account  ($self) { $self->_admin('users/08d2bfca-a4a6-454a-bfbd-8158d8edff46')->element('#sessions tr'); return }

# The same fonts everywhere: those of packages that ./dev installs.
sub _fonts ($dir) {
    my $alias = sub ($family, $font) {
        "<match><test name=\"family\"><string>$family</string></test>"
            . "<edit name=\"family\" mode=\"prepend\" binding=\"strong\"><string>$font</string></edit></match>"
    };
    return write_file("$dir/fonts.conf", join "\n", '<?xml version="1.0"?>', '<!DOCTYPE fontconfig SYSTEM "fonts.dtd">',
        '<fontconfig>', '<include>/etc/fonts/fonts.conf</include>', $alias->('system-ui', 'Inter'), $alias->('sans-serif', 'Inter'),
        $alias->('serif', 'P052'), $alias->('monospace', 'JetBrains Mono'), "</fontconfig>\n");
}

1;
