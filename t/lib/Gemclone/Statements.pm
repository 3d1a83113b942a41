# SPDX-License-Identifier: Apache-2.0
# The module's own SQL, read by a C compiler out of the header that the module is made of.
package Gemclone::Statements;
use Mojo::Base -strict, -signatures;

use Gemclone::Paths qw(temp_dir top);

# name => text
sub all ($class) {
    my $dir = temp_dir;
    my @command
        = ('gcc', '-I', top->child('mod_gemclone'), '-o', "$dir/statements", top->child('t', 'sql', 'statements.c'));
    system(@command) == 0 or die "@command failed\n";
    return map { chomp; split /\t/, $_, 2 } qx{$dir/statements};
}

# How many parameters a statement has.
sub parameters ($class, $sql) {
    my $most = 0;
    $most = $1 > $most ? $1 : $most while $sql =~ /\$(\d+)/g;
    return $most;
}

1;
