# SPDX-License-Identifier: Apache-2.0
# A short run of the chaos program (t/chaos/run): nothing is lost, nothing is doubled.
# Keeps the machine busy: see Gemclone::Suite.
use Mojo::Base -strict, -signatures;

use Gemclone::Paths qw(top);
use Mojo::JSON qw(decode_json);
use Test::More;

use constant {SECONDS => 25, SEED => 20261124};

plan tests => 8;

my $program = top->child('t', 'chaos', 'run');
my $printed = qx{'$^X' '$program' --json --seconds @{[SECONDS]} --seed @{[SEED]} --rooms 18 --gap 0.7};
is $?, 0, 'all is as it should be';
my $is = eval { decode_json($printed) } // {};
cmp_ok $is->{faults} // 0, '>=', 15, 'much went wrong';
cmp_ok $is->{killed} // 0, '>=', 8, 'processes were killed';
cmp_ok $is->{accepted} // 0, '>=', 100, 'prompts were accepted all the same';
is $is->{lost}, 0, 'none is lost';
is $is->{doubled}, 0, 'none is doubled';
is $is->{jobs}, 0, 'no job is left';
is_deeply $is->{complaints}, [], 'there is nothing else to complain of' or diag $printed;
