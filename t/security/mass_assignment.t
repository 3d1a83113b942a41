# SPDX-License-Identifier: Apache-2.0
# Members and parameters that are not the client's to give, by the names of every column that there is: they change nothing.
use Mojo::Base -strict, -signatures;

use Gemclone::Check;
use Gemclone::Routes;
use Gemclone::Shop;
use Mojo::JSON qw(decode_json true);
use Mojo::Parameters;
use Test::More;

my $shop = Gemclone::Shop->start(children => 1, directives => ['GemcloneQuota basic unlimited']);
my $dbh = $shop->stack->dbh;
my $victim = Gemclone::Routes->guest($shop);

# Values that are found again wherever they end up.
use constant {TEXT => 'mass-assigned', NUMBER => 424_242, TIME => '2099-09-09T09:09:09Z'};
my %OF_TYPE = (
    uuid => $victim->{user}->user->{id}, bigint => NUMBER, integer => NUMBER, boolean => true, jsonb => {answer => TEXT}, date => TIME,
    'timestamp with time zone' => TIME,
);

# [table, column, type] of all that is stored.
my @COLUMNS = @{$dbh->selectall_arrayref(q{
    SELECT table_name, column_name, data_type FROM information_schema.columns
    WHERE table_schema = 'gemclone' ORDER BY table_name, ordinal_position})};

# What nobody may give, beside the columns' names.
my %EVIL = (
    (map { ($_->[1] => $OF_TYPE{$_->[2]} // TEXT) } @COLUMNS),
    tier => 'pro', sender => 'gemini', status => 'done', error => 'blocked', purpose => 'login', scope => 'access',
    (map { ($_ => $victim->{user}->user->{id}) } qw(userId user_id owner owner_id account account_id sub)),
    (map { ($_ => $victim->{room}) } qw(room room_id roomId chatroom_id chatroomId)),
    (map { ($_ => $victim->{id}) } qw(message_id reply_id prompt_id parent)),
    (map { ($_ => TEXT) } qw(role roles plan token access_token refresh_token password password_hash code otp sid)),
    (map { ($_ => true) } qw(admin is_admin isAdmin verified is_verified pro unlimited deleted)),
    (map { ($_ => NUMBER) } qw(quota limit prompts_left credit expires_in exp iat)),
    user     => {id => $victim->{user}->user->{id}, tier => 'pro', name => TEXT},
    chatroom => {id => $victim->{room}, user_id => $victim->{user}->user->{id}, title => TEXT},
    data     => {id => NUMBER, sender => 'gemini', content => TEXT},
    reply    => {id => NUMBER, status => 'done', content => TEXT},
    __proto__ => {tier => 'pro'}, constructor => {prototype => {tier => 'pro'}}, '$set' => {tier => 'pro'},
);

my @routes = grep { !$_->is_raw } Gemclone::Routes->with_body;
plan tests => 3 + @routes;

# Which rows of a table are those of the account of a number.
my %has = map { ("$_->[0].$_->[1]" => 1) } @COLUMNS;
my $ACCOUNT = 'SELECT id FROM gemclone.users WHERE e164 = ?';
sub whose ($table) {
    return
          $has{"$table.e164"}    ? 'e164 = ?'
        : $has{"$table.user_id"} ? "user_id IN ($ACCOUNT)"
        : $has{"$table.room_id"} ? "room_id IN (SELECT id FROM gemclone.chatrooms WHERE user_id IN ($ACCOUNT))"
        :                          undef;
}

# All rows of a number's account, as texts. What differs between any two accounts that have done the same is masked.
sub kept ($number) {
    my %rows;
    for my $table (sort keys %{{map { $_->[0] => 1 } @COLUMNS}}) {
        my $where = whose($table) // next;
        my $rows = $dbh->selectall_arrayref("SELECT * FROM gemclone.$table WHERE $where", {Slice => {}}, $number);
        my %type = map { $_->[1] => $_->[2] } grep { $_->[0] eq $table } @COLUMNS;
        for my $row (@$rows) {
            push @{$rows{$table}}, join ', ', map { "$_=" . masked($row->{$_}, $type{$_}, $_, $number) } sort keys %$row;
        }
    }
    return {map { $_ => [sort @{$rows{$_}}] } keys %rows};
}

sub masked ($value, $type, $column, $number) {
    return 'NULL' unless defined $value;
    return $value if grep { !ref && $value eq $_ } values %EVIL;
    return $value =~ /^2099/ ? $value : 'a time' if $type =~ /^(?:timestamp|date)/;
    return 'a hash' if $column eq 'password_hash';
    return "a $type" if $type =~ /^(?:uuid|bytea|jsonb)$/ || $type eq 'bigint' && $column =~ /(?:^|_)id$/;
    return $value =~ s/\Q$number\E/NUMBER/gr;
}

# The names in an answer, without its values.
sub shape ($json) {
    return ref $json eq 'HASH' ? {map { $_ => shape($json->{$_}) } keys %$json}
        : ref $json eq 'ARRAY' ? [map { shape($_) } @$json]
        :                        '';
}

# What a guest is answered and has after asking for a route. The account is the one that the body names, if it does.
sub consequence ($route, %with) {
    my $guest = Gemclone::Routes->guest($shop);
    my $body = $route->body($guest);
    my $res = $route->ask($guest, %with, body => {%$body, %{$with{body} // {}}});
    my %number = map { $_ => 1 } $guest->{number}, $body->{mobile_number} // ();
    eventually(sub { !$dbh->selectrow_array("SELECT count(*) FROM gemclone.jobs WHERE user_id IN ($ACCOUNT)", {}, $guest->{number}) });
    return {
        status => $res->code,
        answer => shape(decode_json($res->body)),
        kept   => [map { kept($_) } sort { ($b eq $guest->{number}) <=> ($a eq $guest->{number}) } keys %number],
        evil   => [$res->body =~ /\b(@{[TEXT]}|@{[NUMBER]}|2099-)/g],
    };
}

my $before = state_of_victim();

for my $route (@routes) {
    subtest $route->title => sub {
        my %known = %{$route->example->{body}};
        my %evil = map { $_ => $EVIL{$_} } grep { !exists $known{$_} } keys %EVIL;
        my $plain = consequence($route);
        like $plain->{status}, qr/^2/, 'the example is taken';
        my $query = Mojo::Parameters->new(map { ($_ => $EVIL{$_}) } grep { !ref $EVIL{$_} } sort keys %EVIL);
        is_deeply consequence($route, body => \%evil), $plain, keys(%evil) . ' members more make no difference';
        is_deeply consequence($route, query => "$query"), $plain, 'nor do parameters';
    };
}

# As it is, whole: nothing may touch it.
sub state_of_victim () {
    my @rows;
    for my $table (sort keys %{{map { $_->[0] => 1 } @COLUMNS}}) {
        my $where = whose($table) // next;
        push @rows, map { join "\t", $table, map { $_ // 'NULL' } @$_ }
            @{$dbh->selectall_arrayref("SELECT * FROM gemclone.$table WHERE $where", {}, $victim->{number})};
    }
    return [sort @rows];
}

cmp_ok scalar(@$before), '>', 4, 'somebody else has something';
is_deeply state_of_victim(), $before, 'which is as it was';
is $dbh->selectrow_array(q{SELECT count(*) FROM gemclone.users WHERE tier <> 'basic' OR paid_until IS NOT NULL}), 0,
    'and nobody has become pro';
