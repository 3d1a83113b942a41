# SPDX-License-Identifier: Apache-2.0
# Apache::Test for our stack: its configuration, which its `plan`, `need_module` and Apache::TestRequest read.
#
# Apache::Test 1.43 refuses to run as root and exits 0, inherits the modules of the machine's own Apache, listens on
# every address and leaves servers behind. So it is given what it would have looked for (our modules, our user, a
# port on the loopback), and it is ours to start and stop the server.
package Gemclone::ApacheTest;
use Mojo::Base -strict, -signatures;

use Gemclone::Paths qw(program top);
use Mojo::File qw(path);

# Writes conf/httpd.conf (from t/conf/httpd.conf.in) and conf/apache_test_config.pm below the directory of a
# Gemclone::Apache; returns the first. Made for that class's `writer`.
sub configure ($apache) {
    require Apache::TestConfig;
    my $dir = path($apache->dir);
    my $conf = $dir->child('conf')->make_path;
    $_->copy_to($conf->child($_->basename)) for top->child('t', 'conf')->list->grep(qr/\.in$/)->each;
    $apache->configure;

    local $Apache::TestConfig::Argv{port};
    delete $Apache::TestConfig::Argv{port};
    my $config = Apache::TestConfig->new(
        save          => 1,
        top_dir       => top->to_string,
        t_dir         => top->child('t')->to_string,
        serverroot    => "$dir",
        documentroot  => "$dir/htdocs",
        t_conf        => "$conf",
        t_conf_file   => "$conf/httpd.conf",
        t_logs        => "$dir/logs",
        t_state       => "$dir/state",
        t_pid_file    => "$dir/httpd.pid",
        servername    => '127.0.0.1',
        remote_addr   => '127.0.0.1',
        port          => $apache->port,
        httpd         => $apache->httpd,
        apxs          => program('apxs'),
        httpd_conf    => $apache->modules,      # the LoadModule lines that it inherits
        gemclone_conf => $apache->conf_file,
    );
    $config->httpd_config;
    $config->generate_httpd_conf;
    $config->save;
    return "$conf/httpd.conf";
}

1;
