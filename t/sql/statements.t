# SPDX-License-Identifier: Apache-2.0
# Every statement of the module can be prepared by its role, and says what it wants.
use Mojo::Base -strict, -signatures;

use Apache::Test qw(-withtestmore);
use Gemclone::Paths qw(top);
use Gemclone::Stack;
use Gemclone::Statements;

my %SQL = Gemclone::Statements->all;
my ($MOST) = top->child('mod_gemclone', 'store', 'db.h')->slurp =~ /GC_DB_PARAMS = (\d+)/;

plan tests => 1 + 3 * keys %SQL, need 'gemclone';

my $dbh = Gemclone::Stack->shared->dbh(user => 'gemclone');

cmp_ok scalar keys %SQL, '>=', 15, 'there are statements';
for my $name (sort keys %SQL) {
    my $sql = $SQL{$name};
    ok eval { $dbh->do("PREPARE statement_\L$name\E AS $sql", {pg_direct => 1}) }, "$name can be prepared"
        or diag $@, $sql;
    my %used = map { $_ => 1 } $sql =~ /\$(\d+)/g;
    is_deeply [sort { $a <=> $b } keys %used], [1 .. Gemclone::Statements->parameters($sql)],
        'its parameters are numbered without a gap';
    cmp_ok scalar keys %used, '<=', $MOST, 'and not too many';
}
