# SPDX-License-Identifier: Apache-2.0
# The commands of ./dev once everything is installed and built. Messages for people go to standard error.
package Gemclone::Dev;
use Mojo::Base -strict, -signatures;

use Fcntl qw(LOCK_EX);
use Gemclone::Paths qw(run_dir top);
use Gemclone::Stack;
use Getopt::Long qw(GetOptionsFromArray :config no_auto_abbrev no_ignore_case);

my %COMMAND = (up => \&_up, down => \&_down, demo => \&_demo, check => \&_check, bench => \&_bench,
    chaos => \&_chaos, fuzz => \&_fuzz, analyze => \&_analyze, package => \&_package,
    screenshots => \&_screenshots);
my @PRINTED = map {"GEMCLONE_$_"} qw(URL PG REDIS STANDIN CONF PID);

# Returns the exit status.
sub run ($class, $command, @arguments) {
    chdir top;
    $| = 1;
    my $status = eval { $COMMAND{$command}->(@arguments) };
    return $status if defined $status;
    print STDERR 'dev: ', $@ =~ s/\s*\z/\n/r;
    return 1;
}

sub _up (@arguments) {
    my %opt = _options(\@arguments);
    my $lock = _lock();
    if (my $saved = Gemclone::Stack->load(_saved())) {
        die "a stack is up already at $saved->{environment}{GEMCLONE_URL} (./dev down stops it)\n";
    }
    my $dir = run_dir->child('stack');
    $dir->remove_tree;
    my $stack = Gemclone::Stack->start(%opt, dir => $dir->to_string, daemon => 1);
    $stack->save(_saved());
    my $is = $stack->environment;
    say "$_=$is->{$_}" for @PRINTED;
    say STDERR "dev: a page to chat on is at $is->{GEMCLONE_URL}/";
    return 0;
}

sub _down (@arguments) {
    die "down takes no arguments\n" if @arguments;
    my $lock = _lock();
    my $saved = Gemclone::Stack->load(_saved()) or do { say STDERR 'dev: no stack is up'; return 0 };
    my @killed = Gemclone::Stack->stop_loaded($saved);
    unlink _saved();
    say STDERR "dev: $_ did not stop when asked to and was killed" for @killed;
    return @killed ? 1 : 0;
}

sub _demo (@arguments) {
    require Gemclone::Demo;
    my %opt = _options(\@arguments, 'once');
    my $once = delete $opt{once};
    my $key = delete $ENV{GEMINI_API_KEY};
    $opt{gemini} = {url => 'https://generativelanguage.googleapis.com/v1beta', key => $key} if length($key // '');
    my $stack = Gemclone::Stack->start(%opt, log_check => 0);
    return $once ? Gemclone::Demo->new(stack => $stack)->play : Gemclone::Demo->new(stack => $stack)->hold;
}

sub _check (@arguments) {
    require Gemclone::Suite;
    my %wants = map { $_ => 1 } @arguments;
    my @prove = grep { !/^--(?:referee|browser|package)$/ } @arguments;
    return Gemclone::Suite->new(map { $_ => $wants{"--$_"} // 0 } qw(referee browser package))->run(@prove);
}

sub _package (@arguments) {
    require Gemclone::Package;
    die "package takes no arguments\n" if @arguments;
    print STDERR 'dev: building and checking, for a minute or two; the log is ', Gemclone::Package->log, "\n";
    say for (Gemclone::Package->build)[0];
    return 0;
}

sub _screenshots (@names) {
    require Gemclone::Screenshots;
    return Gemclone::Screenshots->make(@names);
}

sub _bench (@arguments) {
    my $which = ($arguments[0] // '') =~ /\A\w/ ? shift @arguments : 'run';
    my $bench = top->child('t', 'bench', $which);
    die "there is no benchmark '$which': try run or streams\n" unless -f $bench && -x $bench;
    return _program($bench, @arguments);
}

sub _analyze (@arguments) {
    die "analyze takes no arguments\n" if @arguments;
    return _program(top->child('t', 'analyze', 'run'));
}

sub _chaos (@arguments) { return _program(top->child('t', 'chaos', 'run'), @arguments) }
sub _fuzz  (@arguments) { return _program(top->child('t', 'fuzz', 'run'), @arguments) }

# Its exit status, as a shell has it.
sub _program (@command) {
    system { $command[0] } @command;
    return $? & 127 ? 128 + ($? & 127) : $? >> 8;
}

sub _options ($arguments, @flags) {
    my %opt;
    local $SIG{__WARN__} = sub ($said) { die lcfirst $said };
    GetOptionsFromArray($arguments, \%opt, 'port=i', 'children=i', 'directive=s@', 'redis!', @flags);
    die "unknown argument '$arguments->[0]': try ./dev help\n" if @$arguments;
    die "--port wants a number from 1 to 65535\n" if $opt{port} && ($opt{port} < 1 || $opt{port} > 65535);
    my $children = $opt{children} // 1;
    die "--children wants a number from 1 to 64\n" if $children < 1 || $children > 64;
    $opt{directives} = delete $opt{directive} if $opt{directive};
    return %opt;
}

sub _saved () { return run_dir->child('stack.json')->to_string }

# Two of `up` and `down` at once take turns.
sub _lock () {
    open my $lock, '>', run_dir->child('stack.lock') or die "run/stack.lock: $!\n";
    flock $lock, LOCK_EX;
    return $lock;
}

1;
