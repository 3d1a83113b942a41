# SPDX-License-Identifier: Apache-2.0
# JSON as Google writes it.
package Standin::Gemini::JSON;
use Mojo::Base -strict, -signatures;

use Exporter   qw(import);
use JSON::PP   ();
use Mojo::JSON qw(encode_json);
use Mojo::Util qw(decode);

our @EXPORT_OK = qw(ascii_json compact_json pretty_json);

# On one line, for events.
sub compact_json ($tree) { _escape_html(encode_json($tree)) }

# Over several lines, for everything else.
sub pretty_json ($tree) {
    state $printer = JSON::PP->new->utf8->canonical->indent->space_after->indent_length(2);
    return _escape_html($printer->encode($tree));
}

# On one line, the characters beyond ASCII as escapes: pairs of them where one is not enough.
sub ascii_json ($tree) { decode('UTF-8', compact_json($tree)) =~ s/([^\x00-\x7F])/_escape(ord $1)/ger }

# Google escapes what HTML could take for its own. Outside of strings JSON has none of these characters.
sub _escape_html ($json) { $json =~ s/([<>&'=])/_escape(ord $1)/ger }

sub _escape ($code) {
    return sprintf '\u%04x', $code if $code < 0x10000;
    return sprintf '\u%04x\u%04x', 0xD800 + ($code - 0x10000 >> 10), 0xDC00 + ($code - 0x10000 & 0x3FF);
}

1;
