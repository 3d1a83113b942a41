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
    my $stack = Gemclone::Stack->start(fsync => 0, children => 1, redis => 0, log_check => 0);
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
