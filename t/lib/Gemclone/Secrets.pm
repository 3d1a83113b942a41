# SPDX-License-Identifier: Apache-2.0
# What only its owner may know, as clients of the tests sent and got it; and where of all places it stands afterwards.
#
#   local $ENV{GEMCLONE_SECRETS} = Gemclone::Secrets->begin("$dir/secrets");    # for all clients, in whatever process
#   Gemclone::Secrets->watch($transaction);                                     # what Gemclone::Client does
#   my @found = Gemclone::Secrets->search($stack);                              # 'error_log: an otp', …
package Gemclone::Secrets;
use Mojo::Base -strict, -signatures;

use Fcntl qw(:flock);
use Gemclone::Paths qw(write_file);
use Mojo::File qw(path);
use Mojo::JSON qw(decode_json encode_json);
use Mojo::Util qw(encode);

# Complaints, of one search.
use constant MOST => 20;

# Members of bodies, and what they are.
my %KIND = (
    mobile_number => 'number', otp => 'otp', access_token => 'token', refresh_token => 'token', ticket => 'token',
    map { $_ => 'password' } qw(password new_password current_password),
);

my $MEMBER = do { my $any = join '|', sort keys %KIND; qr/\A\s*\{.*"(?:$any)"/s };

# Shorter ones would be found everywhere.
my %LEAST = (number => 10, otp => 6, token => 40, password => 8);

# Passwords of tests that stand in other texts as well.
my $COMMON = qr/\A(?:\s*|[a-z]+|(.)\g1*)\z/i;

# Where a number belongs: table.column, and Redis' copies of GET /user/me.
my %BELONGS = map { $_ => 1 } qw(users.e164 users.mobile_number otps.e164 deliveries.e164 limits.subject);

# ------------------------------------------------------------- noting them ----
sub begin ($class, $file) { return write_file($file, '') }

# Notes what a transaction sends and gets.
sub watch ($class, $tx) {
    my $file = $ENV{GEMCLONE_SECRETS} // return $tx;
    $tx->on(finish => sub ($tx) {
        my @found = map { _in_json($_->body) } $tx->req, $tx->res;
        push @found, ['token', $_] for grep { defined && length } $tx->req->url->query->param('ticket');
        _note($file, @found) if @found;
    });
    return $tx;
}

sub _in_json ($bytes) {
    return () unless $bytes =~ $MEMBER && length $bytes < 100_000;
    return _walk(scalar eval { decode_json($bytes) });
}

sub _walk ($json) {
    return map { _walk($_) } @$json if ref $json eq 'ARRAY';
    return ref $json eq 'HASH' ? map {
        my ($kind, $value) = ($KIND{$_}, $json->{$_});
        !ref $value && defined $value && $kind && length $value >= $LEAST{$kind} ? [$kind, $value] : _walk($value)
    } keys %$json : ();
}

sub _note ($file, @found) {
    open my $out, '>>', $file or die "cannot write to $file: $!\n";
    flock $out, LOCK_EX;
    print {$out} map { encode_json($_) . "\n" } @found;
    close $out or die "cannot write to $file: $!\n";
}

# --------------------------------------------------------- looking for them ----
# Complaints of all places in which one stands that has no business there.
sub search ($class, $stack, $file = $ENV{GEMCLONE_SECRETS}) {
    my %is = map { $_ => {} } values %KIND;
    for my $line (split /\n/, path($file)->slurp) {
        my ($kind, $value) = @{decode_json($line)};
        next if $kind eq 'password' && $value =~ $COMMON;
        $is{$kind}{$_} = 1 for $value, encode('UTF-8', $value);
    }
    my $keys = _keys($stack);
    my @found;
    my $look = sub ($where, $text) {
        push @found, "$where: a whole number" if !$BELONGS{$where} && $where !~ /^Redis, u:/ && _has_number($text, $is{number});
        push @found, "$where: an otp" if _has_code($text, $is{otp});
        push @found, "$where: a token" if grep { $is{token}{$_} } $text =~ /[\w.-]{40,}/g;
        push @found, "$where: a password" if grep { index($text, $_) >= 0 } keys %{$is{password}};
        push @found, "$where: a key" if grep { index($text, $_) >= 0 } @$keys;
    };
    _each_log($stack, $look);
    _each_column($stack->dbh, $look);
    _each_key($stack->redis, $look) if $stack->redis;
    my %seen;
    return grep { !$seen{$_}++ && keys %seen <= MOST } @found;
}

# How much it has to go by: {kind => count}.
sub counts ($class, $file = $ENV{GEMCLONE_SECRETS}) {
    my %seen;
    for my $line (split /\n/, path($file)->slurp) {
        my ($kind, $value) = @{decode_json($line)};
        $seen{$kind}{$value} = 1;
    }
    return {map { $_ => scalar keys %{$seen{$_}} } keys %seen};
}

sub _has_number ($text, $numbers) {
    return grep { $numbers->{$_} || $numbers->{"+$_"} } $text =~ /(?<![\w.-])\+?\d{10,15}(?![\w.-])/g;
}

# Six digits alone may be anything: parts of a time, of an id or of a size are taken out before.
sub _has_code ($text, $codes) {
    my $plain = $text =~ s/\d+:\d\d:\d\d(?:\.\d+)?|\b(?:pid|tid|port) \d+|:\d+|(?<=\" )\d{3} \d+|\d+ us\b|\.\d+//gr;
    return grep { $codes->{$_} } $plain =~ /(?<![\w.+-])\d{6,8}(?![\w.-])/g;
}

sub _keys ($stack) {
    return [grep { length >= 16 } map { path($_)->slurp =~ s/\s+\z//r } glob $stack->dir . '/keys/*.key'];
}

sub _each_log ($stack, $look) {
    for my $name (qw(error_log access_log httpd.log redis.log postgres.log)) {
        my $log = path($stack->dir)->child($name);
        next unless -e $log;
        open my $in, '<:raw', $log or die "cannot read $log: $!\n";
        while (<$in>) { $look->("$name, line $.", $_) }
    }
    return;
}

# Of bytes, what they would be as text.
sub _each_column ($dbh, $look) {
    my $columns = $dbh->selectall_arrayref(<<~'SQL');
        SELECT table_name, column_name, data_type FROM information_schema.columns
        WHERE table_schema = 'gemclone' AND data_type IN ('text', 'jsonb', 'bytea')
        SQL
    for my $column (@$columns) {
        my ($table, $name, $type) = @$column;
        my $value = $type eq 'bytea' ? "encode($name, 'escape')" : "$name\::text";
        my $rows = $dbh->selectcol_arrayref("SELECT DISTINCT $value FROM gemclone.$table WHERE $name IS NOT NULL");
        $look->("$table.$name", $_) for @$rows;
    }
    return;
}

sub _each_key ($redis, $look) {
    for my $key (split /\n/, $redis->command('KEYS', '*')) {
        my $short = $key =~ s/^gemclone://r;
        $look->("Redis, $short", $redis->command('GET', $key)) if $redis->command('TYPE', $key) =~ /string/;
    }
    return;
}

1;
