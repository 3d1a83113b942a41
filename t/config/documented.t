# SPDX-License-Identifier: Apache-2.0
# What README.md and doc/ say to write can be written: every configuration of httpd and nginx passes their own test, every
# statement runs on a migrated database, shells can read the commands, and every link leads somewhere.
use Mojo::Base -strict, -signatures;

use Gemclone::Apache;
use Gemclone::Certificate;
use Gemclone::Paths qw(free_port program secret_file temp_dir top write_file);
use Gemclone::Postgres;
use Mojo::File qw(path);
use Mojo::JSON qw(from_json);
use Mojo::Util qw(decode encode);
use Test::More;

plan tests => 8;

my $dir = temp_dir;
my @files = map { $_->to_rel(top)->to_string } map { path($_) } glob(top . '/*.md'), sort @{top->child('doc')->list_tree->grep(qr/\.md$/)};
my %text = map { $_ => decode('UTF-8', top->child($_)->slurp) } @files;

# Fenced blocks: {file, line, label, text}. In a list they are set in.
my @blocks = map { _blocks($_) } @files;

sub _blocks ($file) {
    my ($line, $open, @found) = (0);
    for my $text (split /\n/, $text{$file}) {
        $line++;
        if ($text =~ /^( *)```(\S*)$/) {
            if ($open) { push @found, $open; undef $open }
            else       { $open = {file => $file, line => $line, label => $2, indent => $1, text => ''} }
        }
        elsif ($open) { $open->{text} .= ($text =~ s/^$open->{indent}//r) . "\n" }
    }
    die "$file:$open->{line}: a block does not end\n" if $open;
    return @found;
}

sub labelled ($label, $file = qr/./) { return grep { $_->{label} eq $label && $_->{file} =~ $file } @blocks }
sub where ($block) { return "$block->{file}:$block->{line}" }

# Passes when there are some, and nothing speaks against any; $check returns what does.
sub each_ok ($what, $blocks, $check) {
    my @bad = map { my $why = $check->($_); $why ? where($_) . ": $why" : () } @$blocks;
    ok @$blocks && !@bad, "$what: " . @$blocks or diag join "\n", @bad;
    return;
}

# ------------------------------------------------------------------- httpd ----
# The files that the documentation names are in a directory of ours, and each can be read.
path("$dir/$_")->make_path for qw(keys logs tls);
my ($cert, $key) = Gemclone::Certificate->make("$dir/tls");
my %SECRET = ('sms' => 'whsec_' . 'AAAA' x 8, 'stripe' => 'sk_test_1', 'stripe-webhook' => 'whsec_1', 'stripe-webhook-2' => 'whsec_2');

sub here ($text) {
    $text =~ s{/etc/ssl/example/fullchain\.pem}{$cert}g;
    $text =~ s{/etc/ssl/example/privkey\.pem}{$key}g;
    $text =~ s{/var/log/[\w-]+/}{$dir/logs/}g;
    $text =~ s{/etc/apache2/gemclone/}{$dir/keys/}g;
    for my $file ($text =~ m{\Q$dir\E/keys/(\S+\.(?:key|secret|password|pem))}g) {
        next if -e "$dir/keys/$file";
        $file =~ /\.pem$/ ? path($cert)->copy_to("$dir/keys/$file") : secret_file("$dir/keys/$file", $SECRET{$file =~ s/\.\w+$//r});
    }
    return $text;
}

here("/etc/apache2/gemclone/$_.key") for qw(token otp gemini);
secret_file("$dir/keys/pgpass", '127.0.0.1:5432:gemclone:gemclone:secret');

# Of Stripe's, all are there or none.
my %STRIPE = (GemcloneStripeKey => 'file:/etc/apache2/gemclone/stripe.key', GemcloneStripePrice => 'price_1',
    GemcloneStripeWebhookSecret => 'file:/etc/apache2/gemclone/stripe-webhook.secret',
    map { ("GemcloneStripe$_" => 'https://app.example.com/') } qw(SuccessURL CancelURL ReturnURL));

# What `httpd -t` says against a piece of configuration beside that of the tests; '' is nothing. What both have is the piece's.
sub against ($text) {
    my $template = top->child('conf', 'dev.conf.in')->slurp =~ s/^GemcloneOTPReveal .*\n//mr;
    for my $directive ($text =~ /^\s*(DBD\w+) /mg) { $template =~ s/^$directive .*\n//m }
    $text .= join '', map {"$_ $STRIPE{$_}\n"} grep { $text !~ /^$_ /m } sort keys %STRIPE if $text =~ /^GemcloneStripe/m;
    $text .= "GemcloneOTPLog $dir/logs/otp.log\n" unless $text =~ /^Gemclone(?:OTPLog|OTPDelivery|SMS)/m;
    my ($status, $said) = Gemclone::Apache->new(
        dir => "$dir", directives => [here($text)], template => write_file("$dir/frame.conf.in", $template),
        more_modules => [qw(status remoteip proxy proxy_http ssl socache_shmcb http2 reqtimeout setenvif authn_core authn_file auth_basic authz_user)],
        values => {DBDPARAMS => 'host=/nowhere connect_timeout=2', REDIS => '', GEMINI => 'http://127.0.0.1:1/v1beta'}
    )->test;
    return $status || $said ne 'Syntax OK' ? $said : '';
}

each_ok 'configurations of httpd', [grep { $_->{file} ne 'doc/directives.md' } labelled('apache')], sub ($block) { against($block->{text}) };

# An example of the reference stands beside those that it needs: all of them are one configuration.
my @examples = labelled('apache', qr{^doc/directives\.md$});
cmp_ok scalar(@examples), '>', 30, 'the reference has examples';
is against(join '', map { $_->{text} } @examples), '', 'which make a configuration';

# ------------------------------------------------------------------- nginx ----
each_ok 'configurations of nginx', [labelled('nginx')], sub ($block) {
    my $conf = write_file("$dir/nginx.conf", join "\n", "pid $dir/nginx.pid; error_log $dir/nginx.log; events {}", 'http {',
        map({"${_}_temp_path $dir/$_;"} qw(client_body proxy fastcgi uwsgi scgi)), 'access_log off;', here($block->{text}) =~ s/listen \K443\b/@{[free_port]}/gr, '}');
    my $said = qx{@{[program 'nginx']} -t -p '$dir' -e '$dir/nginx.log' -c '$conf' 2>&1};
    return $? || $said =~ /\[(?:warn|emerg|error)\](?!.*"user" directive)/ ? $said : '';
};

# ---------------------------------------------------------------- Postgres ----
my $postgres = Gemclone::Postgres->new(dir => "$dir", sockets => "$dir", fsync => 0)->start->migrate;
my $dbh = $postgres->dbh;
each_ok 'statements', [labelled('sql')], sub ($block) {
    $dbh->begin_work;
    my $good = eval { $dbh->do($block->{text}) };
    my $why = $@;
    $dbh->rollback;
    return $good ? '' : $why;
};

# ------------------------------------------------------------------ others ----
each_ok 'commands', [labelled('sh')], sub ($block) {
    my $file = write_file("$dir/block.sh", encode('UTF-8', $block->{text}));
    return qx{bash -n '$file' 2>&1};
};

# What has no label is looked at by nobody: in README.md, which shows terminals, no configuration may be that.
subtest 'labels' => sub {
    is join("\n", map { where($_) } grep { $_->{label} eq '' && $_->{file} =~ m{^doc/} } @blocks), '', 'in doc/ all blocks have one';
    my @bare = grep { $_->{label} =~ /^(?:text)?$/ && $_->{file} !~ m{^doc/directives}
            && $_->{text} =~ /^ *(?:Gemclone\w+ |<(?:Location|VirtualHost)|(?:DBD|SSL|Proxy)\w+ |Header |(?:SELECT|UPDATE|DELETE) .*;)/m } @blocks;
    is join("\n", map { where($_) } @bare), '', 'configurations and statements have their own';
    is join("\n", map { where($_) } grep { !eval { from_json($_->{text}); 1 } } labelled('json')), '', 'JSON is JSON';
};

# ------------------------------------------------------------------- links ----
# The anchors of a page, as GitHub makes them of headings, and those that it sets itself.
sub anchors ($file) {
    my $prose = $text{$file} =~ s/^ *```.*?^ *```$//msgr;
    my %seen;
    my @headings = map { my $name = lc(s/[`*]//gr) =~ s/[^\w -]//gr =~ tr/ /-/r; $seen{$name}++ ? "$name-" . ($seen{$name} - 1) : $name } $prose =~ /^#+ +(.+?) *$/mg;
    return map { $_ => 1 } @headings, $prose =~ /<a id="([^"]+)">/g;
}

subtest 'links' => sub {
    my %anchors = map { $_ => {anchors($_)} } @files;
    my ($count, @bad) = (0);
    for my $file (@files) {
        my $prose = $text{$file} =~ s/^ *```.*?^ *```$//msgr =~ s/`[^`\n]*`//gr;
        for my $link ($prose =~ /\]\(([^)\s]+)\)/g, $prose =~ /(?:src|href|srcset)="([^"]+)"/g) {
            next if $link =~ /^(?:https?|mailto):/;
            $count++;
            my ($to, $anchor) = split /#/, $link, 2;
            my $target = length $to ? top->child($file)->sibling($to) : top->child($file);
            if (!-e $target) { push @bad, "$file: $link: there is no such file"; next }
            next unless defined $anchor;
            my $name = $target->realpath->to_rel(path(top)->realpath)->to_string;
            push @bad, "$file: $link: there is no such heading" unless $anchors{$name}{$anchor};
        }
    }
    cmp_ok $count, '>', 100, 'there are some';
    is join("\n", @bad), '', 'and each leads somewhere';
};
