# SPDX-License-Identifier: Apache-2.0
# The chat page can be used by everybody, by day and by night, on large screens and small ones: axe-core finds nothing.
use Mojo::Base -strict, -signatures;

use Gemclone::Axe;
use Gemclone::Browser;
use Gemclone::Stack;
use Test::More;

my $ANSWER = <<~'END';
    # A title
    Some *text* with `code` and a [link](https://example.org/).

    1. One
       - inside

    ```js
    const wide = 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa';
    ```

    | a | b |
    |---|--:|
    | 1 | 2 |

    > Said by somebody.
    END

my $stack = Gemclone::Stack->start(fsync => 0, children => 1, directives => ['GemcloneQuota basic 2']);
my $browser = Gemclone::Browser->start(motion => 0);
my $axe = Gemclone::Axe->new;

# In every look: light and dark, large and small.
sub good_ok ($what) {
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my @found;
    for my $dark (0, 1) {
        for my $size ([1280, 800], [390, 844]) {
            $browser->look(dark => $dark, size => $size, motion => 0);
            push @found, map { ($dark ? 'dark' : 'light') . " $size->[0]: $_" } $axe->findings($browser);
        }
    }
    $browser->look(motion => 0);
    return is_deeply \@found, [], $what;
}

$browser->open($stack->url . '/')->element('#number-form');
good_ok 'the number';
$browser->click('#switch')->type('#name', 'Ada')->type('#number', Gemclone::Client->new_number)->click('#number-go')->element('#code');
good_ok 'the code';
$browser->fill('#code', '1')->click('#code-go');
ok $browser->becomes('document.querySelector("#entry-error").textContent'), 'a code that is wrong';
good_ok 'what is wrong with it';
$browser->click('#code-again');
ok $browser->becomes('document.querySelector("#code").value.length > 3'), 'another code';
$browser->click('#code-go')->element('#welcome');
good_ok 'an empty room';
$stack->standin->control({say => $ANSWER});
$browser->type('#prompt', 'Everything, please')->press('Enter')->element('.tools');
good_ok 'a conversation';
$browser->type('#prompt', 'More [[block]]')->press('Enter')->element('.state.error');
ok $browser->becomes('!document.querySelector("#send").hidden'), 'a reply that failed';
$browser->type('#prompt', 'And more')->press('Enter');
ok $browser->becomes('document.querySelectorAll(".tools:not([hidden])").length === 3'), 'and one that did not';
$browser->type('#prompt', 'One too many')->press('Enter')->element('#notice');
good_ok 'a failure, and a notice';
$browser->click('#room-edit')->element('#edit-title');
good_ok 'a room to change';
$browser->press('Escape')->click('#room-delete')->element('#delete-text');
good_ok 'a room to delete';
$browser->press('Escape')->look(size => [390, 844], motion => 0)->click('#drawer-open')->element('#sign-out');
is_deeply [$axe->findings($browser)], [], 'the drawer';

done_testing;
