# SPDX-License-Identifier: Apache-2.0
# The same stream over TLS, over HTTP/2, under other MPMs, and behind the proxies that the documentation tells of; a long
# answer over HTTP/2.
# Takes long: see Gemclone::Suite.
use Mojo::Base -strict, -signatures;

use Gemclone::Certificate;
use Gemclone::Check;
use Gemclone::Client;
use Gemclone::Events qw(text_of);
use Gemclone::Paths qw(apxs free_port program temp_dir top write_file);
use Gemclone::Process;
use Gemclone::Stack;
use IO::Socket::IP;
use Mojo::File qw(path);
use Test::More;
use Time::HiRes qw(sleep time);

plan tests => 8;

my $dir = temp_dir;
my ($cert, $key) = Gemclone::Certificate->make("$dir");
my ($tls_port, $h2c_port) = (free_port, free_port);
my @COMMON = ('GemcloneQuota basic unlimited', 'GemcloneStreamHeartbeat 1s');
my $stack = Gemclone::Stack->start(
    fsync        => 0,
    children     => 1,
    more_modules => [qw(ssl http2)],
    directives   => [
        @COMMON, 'GemcloneBlockingStreams 6', 'SSLSessionCache none', "Listen 127.0.0.1:$tls_port",
        "<VirtualHost 127.0.0.1:$tls_port>", 'SSLEngine on', "SSLCertificateFile $cert", "SSLCertificateKeyFile $key",
        'Protocols h2 http/1.1', '</VirtualHost>',
        # As Debian's http2.conf has it: each answer then offers h2c.
        "Listen 127.0.0.1:$h2c_port", "<VirtualHost 127.0.0.1:$h2c_port>", 'Protocols h2 h2c http/1.1', '</VirtualHost>'
    ],
);
# What mod_ssl says of a certificate for tests; prefork, when all its processes are at work.
$stack->log->expect(qw(AH01882 AH01906 AH01873 AH00161));
my $user = $stack->new_user;
my $room = $user->room;

sub names (@events) { return join(' ', map { $_->{event} } @events) =~ s/(?:delta )+/delta /r }

# A stream of a prompt by some server, whose events must come one by one, as they are generated.
sub lives_ok ($what, $url, %opt) {
    my $stream = Gemclone::Events->open(url => $url, token => $user->token, path => "/message/$room", method => 'POST',
        body => {content => "$what [[chunks=6]] [[gap=250]] [[split]]"}, %opt);
    my (@events, @at);
    while (my $event = $stream->next) { push @events, $event; push @at, time }
    is names(@events), 'accepted delta done', "$what: the events" or diag $stream->{raw};
    my $whole = $user->wait_reply($room, $events[0]{data}{reply}{id})->{content};
    is text_of(@events), $whole, "$what: the text";
    cmp_ok $at[-1] - $at[0], '>', 1, "$what: they come one by one";
    is $stream->ended, 'whole', "$what: the answer is whole";
    my $id = $events[0]{data}{reply}{id};
    my @again = Gemclone::Events->open(url => $url, token => $user->token, path => "/message/$room/$id/events",
        last => $events[2]{id}, %opt)->rest;
    is text_of(@events[1, 2], @again), $whole, "$what: and from the middle";
    return $stream;
}

# Some curl processes at once, by HTTP/2; each reads a stream into a file.
sub curls ($count, $id) {
    return map {
        my $out = "$dir/curl.$_." . time;
        my $process = Gemclone::Process->start(name => 'curl', log => "$out.log", command => [
            program('curl'), qw(-sS -N --http2 -m 30 -D), "$out.head", '-o', $out, '--cacert', $cert, '-H',
            'Authorization: Bearer ' . $user->token, "https://127.0.0.1:$tls_port/message/$room/$id/events"]);
        {process => $process, out => $out};
    } 1 .. $count;
}

sub finish ($curl) {
    eventually(sub { !$curl->{process}->alive }, 30);
    my ($status) = -e "$curl->{out}.head" && path("$curl->{out}.head")->slurp =~ m{\AHTTP/2 (\d+)};
    my $text = -e $curl->{out} ? path($curl->{out})->slurp : '';
    return ($status // 0, $text);
}

subtest 'TLS' => sub {
    my $stream = lives_ok('TLS', "https://127.0.0.1:$tls_port", ca => $cert);
    my $waits = Gemclone::Events->open(url => "https://127.0.0.1:$tls_port", token => $user->token, ca => $cert,
        path => "/message/$room", method => 'POST', body => {content => 'Late [[delay=2600]]'});
    is names($waits->rest), 'accepted delta done', 'one that is silent for long';
    cmp_ok $waits->comments, '>=', 2, 'gets comments';
};

subtest 'HTTP/2' => sub {
    my $id = $user->send($room, 'Two [[chunks=10]] [[gap=150]] [[split]]')->{reply}{id};
    my @all = map { [finish($_)] } curls(3, $id);
    my $whole = $user->wait_reply($room, $id)->{content};
    is $_->[0], 200, 'the answer' for @all;
    is text_of(Gemclone::Events->parse($_->[1])), $whole, 'the text' for @all;
    cmp_ok scalar(Gemclone::Events->parse($_->[1])), '>', 5, 'in pieces' for @all;
    my $long = $user->send($room, 'Many [[delay=4000]]')->{reply}{id};
    my @many = curls(9, $long);
    sleep 2;
    my $began = time;
    is $user->get('/healthz')->code, 200, 'threads are left for others';
    cmp_ok time - $began, '<', 10, 'at once';
    my %count;
    $count{(finish($_))[0]}++ for @many;
    is_deeply \%count, {200 => 6, 503 => 3}, 'as many as may block, and no more';
    is +(finish((curls(1, $long))[0]))[0], 200, 'later there is room again';
};

# Begins to read an export by HTTP/2, as fast as it is told; returns a handle that gives curl's exit status at its end.
sub export ($user, $rate) {
    my @command = (program('curl'), qw(-s --http2 -m 60 -o /dev/null -w %{exitcode} --limit-rate), $rate, '--cacert', $cert, '-H',
        'Authorization: Bearer ' . $user->token, "https://127.0.0.1:$tls_port/user/me/export");
    open my $out, '-|', @command or die "curl: $!";
    return $out;
}

subtest 'a long answer over HTTP/2' => sub {
    $stack->log->expect('GEM0502');
    my $user = $stack->new_user;
    $stack->dbh->do(q{INSERT INTO gemclone.messages (room_id, sender, status, content, tokens)
        SELECT ?::uuid, 'user', 'done', repeat('x', 20000), 2 FROM generate_series(1, 6000)}, {}, $user->room);
    is readline(export($user, '1G')), 0, 'is whole';
    my $slow = export($user, '2M');
    sleep 1;
    $user->delete('/user/me');
    ok $stack->log->wait_for(qr/GEM0502/), 'one is cut off';
    isnt readline($slow), 0, 'and no client takes for whole what is cut off';
};
for my $mpm (qw(worker prefork)) {
    subtest "the $mpm MPM" => sub {
        my $host = $stack->another_host(mpm => $mpm, children => $mpm eq 'prefork' ? 8 : 1,
            directives => [@COMMON, 'GemcloneBlockingStreams 4']);
        my $log = Gemclone::ErrorLog->of($host->dir);
        ok $log->wait_for(qr/GEM0601: streams: MPM $mpm: a thread each/i, 5), 'start-up says what it chose';
        lives_ok($mpm, $host->url);
        my $id = $user->send($room, "$mpm [[delay=2500]]")->{reply}{id};
        my $there = Gemclone::Client->new(url => $host->url, token => $user->token);
        my @readers = map {
            Gemclone::Events->of_reply($there, $room, $id)->answered
        } 1 .. 4;
        is_deeply [map { $_->status } @readers], [(200) x 4], 'as many as may block';
        problem_ok $there->get("/message/$room/$id/events"), 503, 'one more';
        $there->ua(Mojo::UserAgent->new);
        is $there->get('/healthz')->code, 200, 'others are answered';
        is names($_->rest), 'delta done', 'the readers have it all' for @readers;
        ok eventually(sub { Gemclone::Events->of_reply($there, $room, $id)->answered->status == 200 }, 5),
            'then there is room again';
        my $gone = $user->send($room, "Gone [[delay=6000]]")->{reply}{id};
        my @vanish = map { Gemclone::Events->of_reply($there, $room, $gone)->answered } 1 .. 4;
        $_->reset for @vanish;
        ok eventually(sub { Gemclone::Events->of_reply($there, $room, $gone)->answered->status == 200 }, 5),
            'clients that vanish make room within the heartbeat';
        $user->post("/message/$room/$gone/cancel", '');
        my $began = time;
        ok $host->stop, 'it stops in order';
        cmp_ok time - $began, '<', 20, 'soon';
    };
}

# A line of configuration files in conf/, for a test: other ports, other paths.
sub front ($name, $port) {
    return path(top->child('conf', $name))->slurp =~ s{127\.0\.0\.1:8080}{127.0.0.1:$port}gr
        =~ s{/gemclone"}{/"}gr =~ s{location /gemclone}{location /}r =~ s{/var/log/[\w.]+}{$dir}gr;
}

sub listens ($port) { return IO::Socket::IP->new(PeerHost => '127.0.0.1', PeerPort => $port) }

subtest 'behind mod_proxy' => sub {
    my $port = free_port;
    my $modules = apxs('LIBEXECDIR');
    my $conf = write_file("$dir/front.conf", join "\n", "ServerRoot $dir", 'ServerName front',
        "Listen 127.0.0.1:$port", "PidFile $dir/front.pid", "DefaultRuntimeDir $dir", "ErrorLog $dir/front_error",
        map({"<IfModule !$_\_module>\nLoadModule $_\_module $modules/mod_$_.so\n</IfModule>"}
            qw(mpm_event unixd log_config authz_core proxy proxy_http)), front('front-apache.conf', $stack->apache->port), '');
    my $front = Gemclone::Process->start(name => 'front Apache', log => "$dir/front.log",
        command => [program('apache2'), qw(-D FOREGROUND -d), "$dir", '-f', $conf]);
    $front->wait_for(sub { listens($port) });
    lives_ok('mod_proxy', "http://127.0.0.1:$port");
    unlike path("$dir/access.log")->slurp, qr/\?/, 'no query in its log';
    ok $front->stop, 'it stops';
};

subtest 'behind nginx' => sub {
    my ($port, $tls) = (free_port, free_port);
    my ($server, $rest) = split /^# And in the http block: */m, front('front-nginx.conf', $h2c_port);
    my $conf = write_file("$dir/nginx.conf", <<~"END");
        daemon off;
        pid $dir/nginx.pid;
        error_log $dir/nginx_error.log;
        events {}
        http {
            @{[map {"${_}_temp_path $dir/$_;"} qw(client_body proxy fastcgi uwsgi scgi)]}
            gzip on; gzip_types *; access_log off;
            $rest
            server {
                listen 127.0.0.1:$port;
                listen 127.0.0.1:$tls ssl http2;
                ssl_certificate $cert; ssl_certificate_key $key;
                $server
            }
        }
        END
    my $front = Gemclone::Process->start(name => 'nginx', log => "$dir/nginx.log", signal => 'QUIT',
        command => [program('nginx'), '-p', "$dir", '-e', "$dir/nginx_error.log", '-c', $conf]);
    $front->wait_for(sub { listens($port) });
    lives_ok('nginx', "http://127.0.0.1:$port");
    is qx{@{[program 'curl']} -s --http2 --cacert $cert -o /dev/null -w '%{http_version} %{http_code}' https://127.0.0.1:$tls/healthz}, '2 200',
        'also by HTTP/2, though Apache offers another protocol';
    unlike path("$dir/gemclone.log")->slurp, qr/\?/, 'no query in its log';
    ok $front->stop, 'it stops';
};

subtest 'what start-up warns of' => sub {
    my $host = Gemclone::Apache->new(
        dir        => path("$dir/warn")->make_path->to_string,
        values     => {DBDPARAMS => $stack->postgres->params, REDIS => '', GEMINI => $stack->standin->api_url},
        directives => ['GemcloneMaxStreams 50000'],
        threads    => 32,
    );
    symlink $stack->dir . '/keys', $host->dir . '/keys';
    my ($status, $said) = $host->test;
    is $status, 0, 'the configuration is good';
    like $said, qr/GEM0007: GemcloneMaxStreams \S+: a child takes 6400 connections .* write AsyncRequestWorkerFactor 1563/,
        'too few connections';
    like $said, qr/GEM0007: GemcloneMaxStreams \S+: a child may open \d+ files and needs 50\d\d\d/, 'too few files'
        if (qx{sh -c 'ulimit -Hn'} =~ /(\d+)/ ? $1 : 1e9) < 50_000;
    like $stack->log->wait_for(qr/GEM0601/), qr/MPM event: suspended connections/, 'and says what it chose';
};
