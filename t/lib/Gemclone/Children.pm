# SPDX-License-Identifier: Apache-2.0
# A connection to each child of a server, for what is to hold in all of them.
#
#   my $apache = Gemclone::Apache->new(directives => [Gemclone::Children->DIRECTIVES], ...)->start;
#   my @clients = Gemclone::Children->of($apache);    # a Gemclone::Client each, in the order of the children's pids
package Gemclone::Children;
use Mojo::Base -strict, -signatures;

use Gemclone::Client;
use Mojo::File  qw(path);
use Time::HiRes qw(sleep time);

# What the server has to say of itself, and connections that stay. The event MPM leaves each with its child.
use constant DIRECTIVES => ('LogFormat "%P %q" child', 'CustomLog children_log child', 'KeepAliveTimeout 300');

use constant SECONDS => 20;

sub of ($class, $apache) {
    my $log = path($apache->dir)->child('children_log');
    my ($until, %client) = time + SECONDS;
    while (1) {
        my @pids = sort { $a <=> $b } $apache->children_pids;
        return @client{@pids} if @pids == $apache->children && !grep { !$client{$_} } @pids;
        die "not all children of @{[$apache->url]} take a connection\n" if time > $until;
        my ($client, $mark) = (Gemclone::Client->new(url => $apache->url), int rand 1e12);
        $client->get("/healthz?$mark");
        $client{_who($log, $mark)} //= $client;
    }
}

# The child that has answered; it logs a moment after.
sub _who ($log, $mark) {
    while (1) {
        return $1 if $log->slurp =~ /^(\d+) \?$mark$/m;
        sleep 0.005;
    }
}

1;
