# SPDX-License-Identifier: Apache-2.0
# Chromium without a screen, driven over WebDriver (https://www.w3.org/TR/webdriver2/), both as Debian has them.
#
#   my $browser = Gemclone::Browser->start(size => [390, 844], dark => 1);
#   $browser->open($url);
#   $browser->type('#number' => '5550100123')->press('Enter')->click('main button');
#   ok $browser->becomes('document.title === arguments[0]', 'Rooms');
#   is_deeply [$browser->complaints], [], 'nothing was refused by the policy, nothing failed';
#
# It reaches nothing but this machine, and ends with the variable. Elements are named by CSS selectors; what is done to one waits until it is there and can be
# seen. Methods that tell nothing return the browser, and all die of what WebDriver refuses.
package Gemclone::Browser;
use Mojo::Base -base, -signatures;

use Carp qw(croak);
use Gemclone::Check qw(eventually);
use Gemclone::Paths qw(free_port program temp_dir);
use Gemclone::Process;
use Mojo::File qw(path);
use Mojo::JSON qw(decode_json);
use Mojo::URL;
use Mojo::UserAgent;
use Mojo::Util qw(b64_decode);

use constant {ELEMENT => 'element-6066-11e4-a52e-4f735466cecf', PATIENCE => 30};

has [qw(driver session)];
has ua => sub { Mojo::UserAgent->new(inactivity_timeout => 120, request_timeout => 120) };

# Keys as `press` takes them, beside single characters: a chord is 'Control+k'.
my %KEY = (
    Enter     => "\x{E007}", Tab     => "\x{E004}", Escape   => "\x{E00C}", Backspace => "\x{E003}", Space => q{ },
    ArrowLeft => "\x{E012}", ArrowUp => "\x{E013}", ArrowRight => "\x{E014}", ArrowDown => "\x{E015}",
    Home      => "\x{E011}", End     => "\x{E010}", PageUp   => "\x{E00E}", PageDown  => "\x{E00F}",
    Shift     => "\x{E008}", Control => "\x{E009}", Alt      => "\x{E00A}", Delete    => "\x{E017}",
);

# Options: size => [width, height] of the page in CSS pixels; dark => 1 for a browser that prefers dark pages;
# motion => 0 for one that wants little of it; scale => 2 for a screen with that many pixels to each of CSS;
# arguments => [...], more of Chromium's own; env => {...}.
sub start ($class, %opt) {
    my $dir = temp_dir;
    my $port = free_port;
    my $self = $class->new(dir => $dir, url => "http://127.0.0.1:$port", owner => $$);
    $self->driver(Gemclone::Process->start(
        name    => 'chromedriver',
        log     => "$dir/chromedriver.log",
        env     => {HOME => "$dir", TZ => 'UTC', %{$opt{env} // {}}},
        command => [program('chromedriver'), "--port=$port"],
    ));
    $self->driver->wait_for(sub { ($self->ua->get("$self->{url}/status")->res->json // {})->{value}{ready} });
    my $opened = $self->_ask(POST => '/session', {capabilities => {alwaysMatch => {
        browserName              => 'chrome',
        'goog:loggingPrefs'      => {browser => 'ALL', performance => 'ALL'},
        'goog:chromeOptions'     => {
            binary => program('chromium'),
            args   => ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
                '--disable-background-networking', '--disable-component-update', '--disable-sync',
                '--disable-dev-shm-usage', '--hide-scrollbars', '--lang=en-US', "--user-data-dir=$dir/profile",
                '--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1',
                @{$opt{arguments} // []}],
        },
    }}});
    $self->session($opened->{sessionId});
    $self->command(POST => '/timeouts', {script => 60_000, pageLoad => 60_000});
    $self->look(%opt);
    return $self;
}

# ------------------------------------------------------------------ the window ----
# What it looks like, as `start` takes it: size, scale, dark, motion. What is not given is as usual.
sub look ($self, %opt) {
    my ($width, $height) = @{$opt{size} // [1280, 800]};
    my $small = $width < 600;
    $self->devtools('Emulation.setDeviceMetricsOverride',
        {width => $width, height => $height, deviceScaleFactor => $opt{scale} // 1, mobile => $small ? \1 : \0});
    return $self->devtools('Emulation.setEmulatedMedia', {features => [
        {name => 'prefers-color-scheme',   value => $opt{dark}        ? 'dark'          : 'light'},
        {name => 'prefers-reduced-motion', value => $opt{motion} // 1 ? 'no-preference' : 'reduce'},
    ]});
}

sub open    ($self, $url) { $self->command(POST => '/url', {url => "$url"}); return $self }
sub reload  ($self)       { $self->command(POST => '/refresh');              return $self }
sub back    ($self)       { $self->command(POST => '/back');                 return $self }
sub address ($self)       { return Mojo::URL->new($self->command(GET => '/url')) }
sub title   ($self)       { return $self->command(GET => '/title') }

# A tab more, which is looked at from now on; its handle, by which `tab` comes back to it. Each has a look of its own.
sub new_tab ($self, %look) {
    my $handle = $self->command(POST => '/window/new', {type => 'tab'})->{handle};
    $self->tab($handle)->look(%look);
    return $handle;
}

sub tab ($self, $handle = undef) {
    return $self->command(GET => '/window') unless defined $handle;
    $self->command(POST => '/window', {handle => $handle});
    return $self;
}

sub close_tab ($self) { $self->command(DELETE => '/window'); return $self }

# A PNG of what is seen, or of one element; into a file, if one is named.
sub screenshot ($self, $file = undef, $selector = undef) {
    my $path = defined $selector ? '/element/' . $self->element($selector) . '/screenshot' : '/screenshot';
    my $png = b64_decode $self->command(GET => $path);
    return $png unless defined $file;
    CORE::open my $out, '>:raw', $file or die "$file: $!\n";
    print {$out} $png;
    close $out or die "$file: $!\n";
    return $self;
}

# -------------------------------------------------------------------- the page ----
# What a script returns, which is the body of a function. Characters are Perl's own.
sub script ($self, $text, @arguments) {
    return $self->command(POST => '/execute/sync', {script => $text, args => [@arguments]});
}

# The same of one that calls the last of its arguments with what it has found, some time or other.
sub async ($self, $text, @arguments) {
    return $self->command(POST => '/execute/async', {script => $text, args => [@arguments]});
}

# Whether an expression comes to be true: its value, once it is.
sub becomes ($self, $expression, @arguments) {
    return eventually(sub { $self->script("return $expression", @arguments) }, PATIENCE);
}

# How many elements there are, seen or not.
sub count ($self, $selector) { return $self->script('return document.querySelectorAll(arguments[0]).length', $selector) }

# Whether there is such an element to be seen, at once or in a while; or whether it goes.
sub sees  ($self, $selector) { return $self->script(_SEEN() . 'return !!seen(arguments[0])', $selector) }
sub shows ($self, $selector) { return eventually(sub { $self->sees($selector) },  PATIENCE) }
sub hides ($self, $selector) { return eventually(sub { !$self->sees($selector) }, PATIENCE) }

# The text of the first element, as it is read; once it is there.
sub text ($self, $selector) { return $self->_on($selector, GET => '/text') }

# The text of the focused element's accessible name, and its role.
sub focused ($self) {
    my $element = $self->command(GET => '/element/active')->{ELEMENT()};
    return {map { $_ => $self->command(GET => "/element/$element/computed$_") } qw(label role)};
}

# WebDriver's name of the first element that can be seen.
sub element ($self, $selector) {
    my $found = eventually(sub { $self->script(_SEEN() . 'return seen(arguments[0])', $selector) }, PATIENCE)
        or croak "no '$selector' is to be seen";
    return $found->{ELEMENT()};
}

sub click ($self, $selector) {
    $self->_on($selector, POST => '/click');
    return $self;
}

# Types into an element, behind what is there already; `fill` in its place.
sub type ($self, $selector, $text) {
    $self->_on($selector, POST => '/value', {text => $text});
    return $self;
}

sub fill ($self, $selector, $text) {
    $self->_on($selector, POST => '/clear');
    return $self->type($selector, $text);
}

# Presses keys where the focus is, one after the other: names of %KEY, characters, or chords of them.
sub press ($self, @keys) {
    my @actions;
    for my $chord (@keys) {
        my @held = map { $KEY{$_} // (length == 1 ? $_ : croak "there is no key '$_'") }
            $chord eq q{+} ? $chord : split /\+/, $chord;
        push @actions, map { {type => 'keyDown', value => $_} } @held;
        push @actions, map { {type => 'keyUp',   value => $_} } reverse @held;
    }
    $self->command(POST => '/actions', {actions => [{type => 'key', id => 'keyboard', actions => \@actions}]});
    return $self;
}

# ------------------------------------------------------------- what it has seen ----
# What the console has had to say since the last call, as warnings and errors: of scripts, of the content security
# policy, and of answers that were errors. Those that match one of @expected are left out.
sub complaints ($self, @expected) {
    my @said = map { $_->{message} } grep { $_->{level} =~ /^(?:WARNING|SEVERE)$/ } $self->_log('browser');
    return grep { my $text = $_; !grep { $text =~ $_ } @expected } @said;
}

# The servers that were asked since the last call, as 'http://host:port'.
sub hosts_asked ($self) {
    my %seen;
    for my $event (map { decode_json($_->{message})->{message} } map { _bytes($_) } $self->_log('performance')) {
        next unless $event->{method} =~ /^Network\.(?:requestWillBeSent|webSocketCreated)$/;
        my $url = Mojo::URL->new($event->{params}{url} // $event->{params}{request}{url});
        $seen{$url->scheme . '://' . $url->host_port}++ if $url->scheme =~ /^(?:http|ws)s?$/;
    }
    return sort keys %seen;
}

sub _log ($self, $type) { return @{$self->command(POST => '/se/log', {type => $type})} }

sub _bytes ($entry) {
    utf8::encode(my $message = $entry->{message});
    return {message => $message};
}

# ---------------------------------------------------------------------- below ----
# A command of Chromium's DevTools protocol: https://chromedevtools.github.io/devtools-protocol/
sub devtools ($self, $method, $params = {}) {
    $self->{answer} = $self->command(POST => '/goog/cdp/execute', {cmd => $method, params => $params});
    return $self;
}

# A command of WebDriver's, with its path below that of the session.
sub command ($self, $method, $path, $body = {}) {
    return $self->_ask($method, '/session/' . $self->session . $path, $method eq 'POST' ? $body : undef);
}

# A command about an element. The page may put another one in its place between two commands.
sub _on ($self, $selector, $method, $path, @body) {
    for (1 .. 5) {
        my $value = eval { [$self->command($method, '/element/' . $self->element($selector) . $path, @body)] };
        return $value->[0] if $value;
        die $@ unless $@ =~ /stale element reference/;
    }
    die $@;
}

sub stop ($self) {
    my $driver = $self->driver or return;
    eval { $self->command(DELETE => '') } if $self->session;
    $self->session(undef)->driver(undef);
    $driver->stop;
    return;
}

sub DESTROY ($self) {
    return if ${^GLOBAL_PHASE} eq 'DESTRUCT' || ($self->{owner} // 0) != $$;
    local ($?, $!, $@);
    $self->stop;
}

# The first element of a selector that takes up room, has not been made invisible, and is in view or can be scrolled to.
sub _SEEN () {
    return <<~'JS';
        const seen = selector => [...document.querySelectorAll(selector)].find(element =>
            element.checkVisibility({visibilityProperty: true, opacityProperty: true}) && element.getClientRects().length);
        JS
}

sub _ask ($self, $method, $path, $body) {
    my $tx = $self->ua->build_tx($method => $self->{url} . $path => $body ? (json => $body) : ());
    my $res = $self->ua->start($tx)->res;
    my $value = ($res->json // croak 'chromedriver: ' . ($tx->error ? $tx->error->{message} : $res->body))->{value};
    croak "chromedriver: $value->{error}: $value->{message}" if ref $value eq 'HASH' && $value->{error};
    return $value;
}

1;
