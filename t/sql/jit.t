# SPDX-License-Identifier: Apache-2.0
# Postgres as it comes would compile what is planned for an index that does not pay yet, which takes far longer than to
# run it. The module's sessions have none of that.
use Mojo::Base -strict, -signatures;

use Gemclone::Stack;
use Mojo::File qw(path);
use Test::More;

plan tests => 4;

# Every plan is logged, those inside functions, too, and with each what was compiled for it.
my %EXPLAIN = (shared_preload_libraries => 'auto_explain', 'auto_explain.log_min_duration' => 0,
    'auto_explain.log_nested_statements' => 'on', 'auto_explain.log_analyze' => 'on');
my $stack = Gemclone::Stack->start(fsync => 0, children => 1, threads => 16, directives => ['GemcloneSweep 1s'],
    postgres => {settings => {jit => 'on', %EXPLAIN}});

sub plans () { return path($stack->postgres->log)->slurp }

my $user = $stack->new_user;
like $user->ask($user->room, 'Hello'), qr{Hello}, 'a reply';
ok $stack->log->wait_for(qr/GEM0414/), 'a sweep';
like plans, qr{gemclone LOG: .*plan:\n\tQuery Text:.*gemclone\.job_claim}s, 'plans are logged' or diag substr plans, -3000;
my $ours = plans =~ s/^.*? postgres (?:LOG|DETAIL):.*\n(?:\t.*\n)*//mgr;
is scalar(() = $ours =~ /^\tJIT:/mg), 0, 'and nothing is compiled';
