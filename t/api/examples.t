# SPDX-License-Identifier: Apache-2.0
# The examples of README.md for clients: each is run as it stands there, but for the address and the number.
use Mojo::Base -strict, -signatures;

use Gemclone::Client;
use Gemclone::Paths qw(program temp_dir top write_file);
use Gemclone::Stack;
use Mojo::File qw(path);
use Test::More;

# What runs it, by the language of its block; and the title of the room that it opens.
my %RUNS = (sh => ['bash', 'From a shell'], js => ['node', 'From JavaScript'], python => ['python3', 'From Python']);
my %ENDING = (sh => 'sh', js => 'mjs', python => 'py');

plan tests => 3;

my $dir = temp_dir;
my $stack = Gemclone::Stack->start(fsync => 0, children => 1, threads => 32);
my ($section) = top->child('README.md')->slurp =~ /^## Client examples\n(.*?)^## /ms;

for my $language (sort keys %RUNS) {
    subtest $language => sub {
        my ($program, $title) = @{$RUNS{$language}};
        my ($text) = $section =~ /^```\Q$language\E\n(.*?)^```$/ms or die "README.md has no example in $language\n";
        my ($url, $number) = ($stack->url, Gemclone::Client->new_number);
        is $text =~ s{http://127\.0\.0\.1:8080}{$url}g, 1, 'it has an address';
        is $text =~ s{5550100123}{$number}g, 1, 'and a number';
        my $file = write_file("$dir/example.$ENDING{$language}", $text);
        my $run = program($program);
        my $said = qx{$run '$file' 2>&1 < /dev/null};
        is $?, 0, "$program runs it" or return diag $said;
        like $said, qr/Hello, Gemini!/, 'the reply is shown';
        my ($stored) = $stack->dbh->selectrow_array(<<~'SQL', undef, $title, $number);
            SELECT content FROM gemclone.messages m JOIN gemclone.chatrooms c ON c.id = m.room_id
            JOIN gemclone.users u ON u.id = c.user_id WHERE c.title = ? AND u.mobile_number = ? AND m.sender = 'gemini' AND m.status = 'done'
            SQL
        ok length $stored, 'and stored';
        my $times = () = $said =~ /\Q$stored\E/g;
        cmp_ok $times, '>=', $language eq 'sh' ? 1 : 2, 'to its end, once as it grew';
    };
}
