# SPDX-License-Identifier: Apache-2.0
# The script of an answer: what goes onto the wire, byte by byte, with its pauses and its faults.
package Standin::Gemini::Script;
use Mojo::Base -strict, -signatures;

use Exporter qw(import);

use Standin::Gemini::Error;
use Standin::Gemini::JSON qw(ascii_json compact_json pretty_json);

our @EXPORT_OK = qw(error_script answer_script);

use constant {
    ENDLESS_BYTES => 1024,    # of text in each event that [[endless]] sends
    SPLIT_PAUSE   => 20,      # ms between the two halves of a character

    GARBAGE   => qq(data: {"candidates": oops \xFF\xFE),
    JSON_TYPE => 'application/json; charset=UTF-8',
    SSE_TYPE  => 'text/event-stream',
};

# The steps are those that Standin::Player knows.
# The mode of an answer is sse, array (a stream without alt=sse) or unary (:generateContent).

# What Google answers instead of a 200. The body of an error is JSON in whatever mode, but with alt=sse its
# Content-Type is that of an event stream, and without it the stream is an array of one error.
sub error_script ($error, $mode, $force = {}) {
    my $form = $force->{body} // ($mode eq 'array' ? 'array' : $error->code == 502 ? 'html' : 'json');
    my $type = $mode eq 'sse' || $form eq 'event' ? SSE_TYPE : JSON_TYPE;
    $type = 'text/html; charset=UTF-8' unless $form =~ /array|event|json/;
    return [
        [pause => $force->{delay} // 0],
        [head  => $error->code, $type],
        [write => $error->body($form)],
        ['end']
    ];
}

sub answer_script ($answer, $mode) {
    my $force = $answer->force;
    return [[pause => $force->{delay}], ['hang']] if $force->{hang};

    my $eol    = $force->{lf} ? "\n" : $force->{cr} ? "\r" : "\r\n";
    my @frames = _frames($answer, $mode, $eol);
    my @steps  = (
        [pause => $force->{delay}],
        [head  => 200, $mode eq 'sse' ? SSE_TYPE : JSON_TYPE],
        _spoiled($force, $mode, $eol, @frames)
    );
    return [map { $_->[0] eq 'write' ? _fragments($force, $_->[1]) : $_ } @steps];
}

# One byte string for each response.
sub _frames ($answer, $mode, $eol) {
    my $ascii = $answer->force->{ascii};
    if ($mode eq 'sse') {
        my $json = $ascii ? \&ascii_json : \&compact_json;
        return map { 'data: ' . $json->($_) . $eol x 2 } $answer->responses;
    }
    my $json = $ascii ? \&ascii_json : \&pretty_json;
    return $json->($answer->whole) if $mode eq 'unary';

    my @frames = map { ",\r\n" . $json->($_) } $answer->responses;
    substr $frames[0], 0, length ",\r\n", '[';
    $frames[-1] .= ']';
    return @frames;
}

# The frames as steps, with the one fault that comes after so many of them.
my %SPOIL = (
    cut      => sub ($force, $eol, @rest) { (_half(@rest), ['close']) },
    reset    => sub ($force, $eol, @rest) { (_half(@rest), ['reset']) },
    torn     => sub ($force, $eol, @rest) { (_half(@rest), ['end']) },
    stall    => sub ($force, $eol, @rest) { ['hang'] },
    garbage  => sub ($force, $eol, @rest) { ([write => GARBAGE . $eol x 2], _paced($force, @rest), ['end']) },
    miderror => sub ($force, $eol, @rest) { ([write => _late_error($force)], ['end']) },
);

sub _spoiled ($force, $mode, $eol, @frames) {
    return _endless($force, $mode, $eol, @frames) if $force->{endless};
    my ($fault) = grep { defined $force->{$_} } sort keys %SPOIL;
    return (_paced($force, @frames), ['end']) unless $fault;

    my @sent = splice @frames, 0, $mode eq 'unary' ? 0 : $force->{$fault};
    my $gap  = [pause => @sent ? $force->{gap} : 0];
    return (_paced($force, @sent), $gap, $SPOIL{$fault}->($force, $eol, @frames));
}

sub _paced ($force, @frames) {
    my @steps = map { ([pause => $force->{gap}], [write => $_]) } @frames;
    return @steps[1 .. $#steps];
}

sub _half (@frames) { @frames ? [write => substr $frames[0], 0, length($frames[0]) / 2] : () }

sub _late_error ($force) { Standin::Gemini::Error->by_code($force->{code})->body($force->{body} // 'json') }

sub _endless ($force, $mode, $eol, @frames) {
    my $text = 'x' x ENDLESS_BYTES;
    return ([write => substr $frames[0], 0, length($frames[0]) / 2], [repeat => $force->{gap}, $text])
        if $force->{endless} eq 'line' || $mode ne 'sse';
    my %candidate = (index => 0, content => {role => 'model', parts => [{text => $text}]});
    return [repeat => $force->{gap}, 'data: ' . compact_json({candidates => [\%candidate]}) . $eol x 2];
}

# A write as the writes that it is broken into.
sub _fragments ($force, $bytes) {
    if (my $size = $force->{dribble}) {
        my @pieces = unpack "(a$size)*", $bytes;
        return map { ([write => $_], [pause => 1]) } @pieces;
    }
    if ($force->{split} && $bytes =~ /[\xC0-\xFF]|\\u/) {
        return ([write => substr $bytes, 0, $+[0]], [pause => SPLIT_PAUSE], [write => substr $bytes, $+[0]]);
    }
    return [write => $bytes];
}

1;
