# SPDX-License-Identifier: Apache-2.0
# Reads what a server said: whatever a test did not announce, at `warn` or above, or from a crash, is a failure.
package Gemclone::ErrorLog;
use Mojo::Base -base, -signatures;

use Mojo::File  qw(path);
use Time::HiRes qw(sleep time);

# dir: where the server writes; from: where to start in each of its files, in bytes; announced: a file in which
# the tests of one server share what they expect.
has dir       => undef;
has from      => sub { {} };
has announced => sub ($self) { $self->dir . '/announced' };

# What every server of ours says, and rightly: codes are revealed here, and the number of children is fixed.
my @ALWAYS = (qr/GemcloneOTPReveal/, qr/AH10159: server is within MinSpareThreads of MaxRequestWorkers/);

my $GRAVE = qr/^(?:emerg|alert|crit|error|warn)$/;
my $CRASH = qr/Sanitizer|runtime error:|exit signal|core dump|double free|corrupted|stack smashing|[Aa]ssertion/;

# The log of the server whose files are in $dir, from its beginning or from now on.
sub of ($class, $dir, %opt) {
    my $self = $class->new(dir => "$dir");
    $self->from({map { $_ => -s $_ // 0 } $self->files}) if $opt{from_now};
    return $self;
}

# Its own log, what it said before that was open, and the reports of a sanitizer.
sub files ($self) { return grep {-e} map { $self->dir . "/$_" } 'httpd.log', 'error_log', $self->_reports }

sub _reports ($self) { return map { path($_)->basename } glob $self->dir . '/tsan.*' }

# Announces lines: each pattern is a regular expression or a text such as 'GEM0042'.
sub expect ($self, @patterns) {
    my @texts = map { ref $_ ? "$_" : quotemeta } @patterns;
    open my $out, '>>', $self->announced or die $self->announced . ": $!\n";
    print {$out} map {"$_\n"} @texts;
    close $out;
    return $self;
}

sub lines ($self, $pattern = qr//) {
    my @lines;
    for my $file ($self->files) {
        open my $in, '<:raw', $file or next;
        seek $in, $self->from->{$file} // 0, 0;
        push @lines, grep { /\S/ && /$pattern/ } map {s/\s+$//r} <$in>;
    }
    return @lines;
}

# Waits for a line; returns the first, or nothing after so many seconds.
sub wait_for ($self, $pattern, $seconds = 10) {
    my $until = time + $seconds;
    while (1) {
        if (my ($line) = $self->lines($pattern)) { return $line }
        return undef if time > $until;
        sleep 0.05;
    }
}

sub unexpected ($self) {
    my @expected = (@ALWAYS, $self->_announced);
    return grep {
        my $line = $_;
        _matters($line) && !grep { $line =~ $_ } @expected
    } $self->lines;
}

# Whatever is not httpd's own format was printed by something that does not log: that matters too.
sub _matters ($line) {
    my ($level) = $line =~ /^\[[^]]+\] \[[^]:]*:([a-z]+)[0-9]?\]/ or return 1;
    return $level =~ $GRAVE || $line =~ $CRASH;
}

sub _announced ($self) {
    my $file = $self->announced;
    return -e $file ? map {qr/$_/} split /\n/, path($file)->slurp : ();
}

1;
