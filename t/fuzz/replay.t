# SPDX-License-Identifier: Apache-2.0
# What runs fuzz targets on their corpora in `make check`: an input that breaks one, and a corpus that is not there, are
# failures.
use Mojo::Base -strict, -signatures;

use File::Temp ();
use Gemclone::Paths qw(top write_file);
use Mojo::File qw(path);
use Test::More;

my $dir = path(my $temp = File::Temp->newdir('gemclone-XXXXXXXX', DIR => '/tmp'));
write_file($dir->child('target.c'), <<'END');
#include <stdlib.h>
#include "fuzz.h"
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size && data[0] == '!') {
        abort();
    }
    return 0;
}
END
my $fuzz = top->child('t', 'fuzz');
chomp(my $apr = qx{pkg-config --cflags apr-1});
system "cc -I'$fuzz' $apr -o '$dir/fuzz_target' '$fuzz/replay.c' '$dir/target.c'" and BAIL_OUT('it cannot be built');

# (exit status, what it printed), with the corpus that is below our directory, or with files.
sub replay (@files) {
    local $ENV{srcdir} = "$dir";
    my $printed = qx{'$dir/fuzz_target' @files 2>&1};
    return ($?, $printed);
}

my $corpus = $dir->child('t', 'fuzz', 'corpus', 'target');
my ($status, $printed) = replay();
isnt $status, 0, 'without a corpus it fails';
is $printed, "Bail out! no corpus in $corpus\n", 'and says so';

$corpus->make_path;
($status, $printed) = replay();
isnt $status, 0, 'and so it does with an empty one';
is $printed, "Bail out! no corpus in $corpus\n", 'in the same words';

write_file($corpus->child('b'), 'good');
write_file($corpus->child('a'), '');
($status, $printed) = replay();
is $status, 0, 'with inputs that are good it succeeds';
is $printed, "# $corpus/a\nok 1 - a\n# $corpus/b\nok 2 - b\n1..2\n", 'as TAP has it';

write_file($corpus->child('c'), '!');
($status, $printed) = replay();
isnt $status, 0, 'with one that breaks the target it fails';
like $printed, qr{^# \Q$corpus\E/c\n(?!ok)}m, 'and its name is told before';

is((replay("$corpus/a", "$corpus/b"))[1], "# $corpus/a\nok 1 - a\n# $corpus/b\nok 2 - b\n1..2\n", 'files that are named');
isnt((replay("$corpus/d"))[0], 0, 'must be there');

done_testing;
