#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# What the documentation says of directives and log ids is what the code has, and doc/directives.md is what
# conf/gemclone.conf says. TAP; Perl alone.
use strict;
use warnings;

use Test::More;

chdir($ENV{srcdir} || '.') or die "$ENV{srcdir}: $!\n";

sub slurp {
    my ($file) = @_;
    open my $in, '<', $file or die "$file: $!\n";
    local $/;
    return scalar <$in>;
}

# Passes when nothing speaks against it.
sub verdict {
    my ($name, @findings) = @_;
    ok(!@findings, $name) or diag join "\n", @findings;
    return;
}

# --- The code: {name => {kind, default, least, most, arguments}} ----------------
my %CONSTANT = (GC_MS => 'ms', GC_SEC => 's', GC_MIN => 'min', GC_DAY => 'd', GC_KIB => 'K');
my %UNIT = (ms => 1e3, s => 1e6, min => 60e6, h => 3600e6, d => 86400e6, K => 1024, M => 1024**2, G => 1024**3);

# A number of the code, or of the documentation, in microseconds or bytes where it has a unit.
sub number_of {
    my ($text, $kind) = @_;
    return $2 * $UNIT{$CONSTANT{$1}} if $text =~ /^(GC_\w+)\((\d+)\)$/ && $CONSTANT{$1};
    return $1 * ($2 ? $UNIT{$2} : 1) if $text =~ /^(\d+)(ms|s|min|h|d|[KMG])?$/ && ($kind ne 'DURATION' || $2 || $1 == 0);
    return;
}

my $list = slurp('mod_gemclone/config_list.h') =~ s{/\*.*?\*/}{}gsr;
my %code;
while ($list =~ /^(FLAG|INTEGER|DURATION|SIZE|TEXT|SECRET|LIST)\s*\(\w+, "(\w+)",\s*(.*?)"(?:[^"\\]|\\.)*"\)$/msg) {
    my ($kind, $name, @values) = ($1, $2, split /,\s*(?![^"]*"[^"]*(?:,|$))/, $3);
    $code{$name} = $kind =~ /^(?:LIST|SECRET)$/ ? {kind => $kind, arguments => $values[0]}
        : {kind => $kind, default => $values[0], least => $values[1], most => $values[2]};
}

# --- The documentation: {name => {Description, Syntax, Default, Context, text}} --
my %said;
my $conf = slurp('conf/gemclone.conf');
while ($conf =~ /^## (.+)\n((?:#.*\n)*)/mg) {
    my ($name, $body) = ($1, $2);
    $said{$name} = {$body =~ /^# (Description|Syntax|Default|Context): (.*)/mg, text => $body =~ s/\n# ?/ /gr};
}

cmp_ok scalar(keys %code), '>', 90, 'config_list.h was read';
verdict 'each directive of config_list.h is documented', grep { !$said{$_} } sort keys %code;
my @both = grep { $said{$_} } sort keys %code;

sub default_finding {
    my ($name, $code, $said) = @_;
    my $want = $code->{default};
    if ($code->{kind} eq 'FLAG') { return $said =~ ($want ? qr/^On\b/ : qr/^Off\b/) ? () : "$name: $said is not $want" }
    if ($code->{kind} eq 'TEXT') {
        return () if $want eq 'NULL' ? $said =~ /^(?:none|Twilio's own|the system's)\b/ : $said =~ /^"?\Q@{[$want =~ s{^"|"$}{}gr]}\E"?(?:;|$)/;
        return "$name: $said is not $want";
    }
    my ($first) = split /;/, $said;
    my $is = number_of($first, $code->{kind});
    return defined $is && $is == number_of($want, $code->{kind}) ? () : "$name: $said is not $want";
}

verdict 'defaults are what the code has',
    map { defined $code{$_}{default} ? default_finding($_, $code{$_}, $said{$_}{Default}) : () } @both;

sub bounds_finding {
    my ($name, $code, $text) = @_;
    my ($least, $most) = $text =~ /From (\w+) to (\w+)/ or return "$name: no bounds are told";
    my @is = map { number_of($_, $code->{kind}) // -1 } $least, $most;
    my @want = map { number_of($_, $code->{kind}) } $code->{least}, $code->{most};
    return "@is" eq "@want" ? () : "$name: from $least to $most is not from $code->{least} to $code->{most}";
}

verdict 'bounds are what the code has',
    map { defined $code{$_}{most} ? bounds_finding($_, $code{$_}, $said{$_}{text}) : () } @both;

# How many arguments the syntax has is how many httpd takes.
my %SYNTAX = (
    FLAG => qr/^On\|Off$/, INTEGER => qr/^NUMBER$/, DURATION => qr/^DURATION$/, SIZE => qr/^SIZE$/, SECRET => qr/^SOURCE$/,
    TEXT => qr/^\S+$/, TAKE1 => qr/^\S+$/, TAKE2 => qr/^\S+ \S+$/, TAKE3 => qr/^\S+ \S+ \S+$/, TAKE12 => qr/^\S+ \[\S+\]$/,
    TAKE23 => qr/^\S+ \S+ \[\S+\]$/, ITERATE => qr/\.\.\.(?:\||$)/,
);
verdict 'the syntax is what httpd takes', map {
    my ($name, $arguments) = split / /, $said{$_}{Syntax}, 2;
    my $form = $SYNTAX{$code{$_}{kind} eq 'LIST' ? $code{$_}{arguments} : $code{$_}{kind}};
    $name eq $_ && $form && $arguments =~ $form ? () : "$_: $said{$_}{Syntax}"
} @both;

# RSRC_CONF, all of them; GemcloneEngine is ACCESS_CONF.
verdict 'contexts are what httpd allows',
    map { $said{$_}{Context} eq 'server config, virtual host' ? () : "$_: $said{$_}{Context}" } @both;

my ($taken_whole) = $conf =~ /That holds for (.*?)\.\n/s or die 'conf/gemclone.conf does not say what is taken as a whole';
is join(' ', sort $taken_whole =~ /Gemclone\w+/g), join(' ', sort grep { $code{$_}{kind} eq 'LIST' } keys %code),
    'what virtual hosts take or replace as a whole';

# --- GemcloneLimit: its kinds are a table of core/limit.c ------------------------
my %SPAN = (apr_time_from_sec => 's', MINUTES => 'min', HOURS => 'h');
my $limits = slurp('mod_gemclone/core/limit.c');
my @limits;
while ($limits =~ /\[GC_LIMIT_\w+\] = \{"([\w-]+)", \{(\d+), (\w+)\((\d+)\)\}\}/g) {
    push @limits, "$1 $2 " . $4 * $UNIT{$SPAN{$3}} unless $1 eq 'otp-try';    # that is GemcloneOTPTries
}
my @told = map { /^ +([a-z-]+) +(\d+)(?: (\d+[a-z]+))? / ? "$1 $2 " . number_of($3 || '1d', 'DURATION') : () }
    split /\n/, $conf =~ s/.*^## GemcloneLimit\n(.*?)\n\n.*/$1/msr =~ s/^#//mgr;
is join("\n", sort @told), join("\n", sort @limits), 'the limits and their defaults';

# --- Log ids ---------------------------------------------------------------------
my %LEVEL = (ERR => 'error', WARNING => 'warn', NOTICE => 'notice', INFO => 'info', DEBUG => 'debug');
my (%listed, %explained);
my $log_list = slurp('mod_gemclone/core/log_list.h');
$listed{$1} = "$LEVEL{$2}: $3" while $log_list =~ /^X\((GEM\d+), (\w+),\s+"(.*)"\)$/mg;
my $troubleshooting = slurp('doc/troubleshooting.md');
$explained{$1} = "$2: $3" while $troubleshooting =~ /^\| <a id="gem\d+"><\/a>(GEM\d+) \| (\w+) \| (.*?) \| .* \|$/mg;
verdict 'doc/troubleshooting.md explains each log id, with the level and the meaning that log_list.h gives it',
    map { ($explained{$_} // '') eq ($listed{$_} // '') ? () : "$_: " . ($explained{$_} // 'not explained') . ', not '
        . ($listed{$_} // 'listed') } sort keys %{{%listed, %explained}};
verdict 'each can be linked to', grep { $troubleshooting !~ /<a id="\L$_\E"><\/a>$_ / } sort keys %listed;

# --- The reference ---------------------------------------------------------------
verdict 'doc/directives.md is what doc/directives makes of conf/gemclone.conf',
    slurp('doc/directives.md') eq qx{$^X doc/directives} ? () : 'run: doc/directives > doc/directives.md';

done_testing;
