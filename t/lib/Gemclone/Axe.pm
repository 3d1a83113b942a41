# SPDX-License-Identifier: Apache-2.0
# Whether everybody can use a page, as far as a program can tell: axe-core's rules (https://github.com/dequelabs/axe-core),
# installed from the lock file in t/browser.
#
#   my $axe = Gemclone::Axe->new;
#   is_deeply [$axe->findings($browser)], [], 'the page as it is now';
package Gemclone::Axe;
use Mojo::Base -base, -signatures;

use Gemclone::Npm;
use Mojo::File qw(path);

has source => sub { path(Gemclone::Npm->install('browser'), 'node_modules', 'axe-core', 'axe.min.js')->slurp };

# What it finds wrong with what a Gemclone::Browser shows, as texts: rule, what it wants, and where.
sub findings ($self, $browser) {
    $browser->script($self->source) unless $browser->script('return !!window.axe');
    return @{$browser->async(<<~'JS')};
        const done = arguments[arguments.length - 1];
        const told = ({id, help, nodes}) => `${id}: ${help}: ${nodes.map(({target}) => target.join(' ')).join(', ')}`;
        axe.run(document, {resultTypes: ['violations']}).then(
            ({violations}) => done(violations.map(told)), error => done([String(error)]));
        JS
}

1;
