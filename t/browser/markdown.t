# SPDX-License-Identifier: Apache-2.0
# Markdown in replies: what is rendered how, that nothing of it ever becomes markup, and that no text takes long.
use Mojo::Base -strict, -signatures;

use Gemclone::Browser;
use Gemclone::Stack;
use Test::More;

binmode Test::More->builder->$_, ':utf8' for qw(output failure_output todo_output);

my $stack = Gemclone::Stack->start(fsync => 0, children => 1, redis => 0);
my $browser = Gemclone::Browser->start;
$browser->open($stack->url . '/')->element('#number-form');
is $browser->async(<<~'JS'), 'ready', 'the renderer is there';
    const done = arguments[arguments.length - 1];
    import('./assets/markdown.js').then(module => {
      window.markdown = module;
      window.shown = text => {
        const target = document.createElement('div');
        module.renderMarkdown(target, text);
        for (const node of target.querySelectorAll('*')) {
          for (const name of ['dir', 'rel', 'target', 'tabindex', 'role', 'aria-label']) node.removeAttribute(name);
        }
        for (const figure of target.querySelectorAll('figcaption')) figure.remove();
        return target.innerHTML;
      };
      window.grown = (text, size) => {
        const target = document.createElement('div'), view = new module.MarkdownView(target);
        for (let at = 0; at < text.length; at += size) view.append(text.slice(at, at + size));
        view.finish();
        return target.innerHTML;
      };
      window.whole = text => grown(text, text.length + 1);
      done('ready');
    }, error => done(String(error)));
    JS

# [text, the HTML that the browser makes of its nodes], without what all of a kind have.
my @BLOCKS = (
    ['One', '<p>One</p>'],
    ["One\nline  \nand\\\nmore", '<p>One<br>line<br>and<br>more</p>'],
    ["One\n\nTwo", '<p>One</p><p>Two</p>'],
    ["# One\n## Two ##\n####### no\n#no", '<h3>One</h3><h4>Two</h4><p>####### no<br>#no</p>'],
    ["One\n===\nTwo\n---", '<h3>One</h3><h4>Two</h4>'],
    ["a\n***\nb\n- - -\n___", '<p>a</p><hr><p>b</p><hr><hr>'],
    ["- a\n- b\n  - c\n    1. d\n- e", '<ul><li>a</li><li>b<ul><li>c<ol><li>d</li></ol></li></ul></li><li>e</li></ul>'],
    ["3. a\n4. b", '<ol start="3"><li>a</li><li>b</li></ol>'],
    ["1. a\n  - b\n2. c", '<ol><li>a<ul><li>b</li></ul></li><li>c</li></ol>'],
    ["- a\n\n  more\n- b", '<ul><li><p>a</p><p>more</p></li><li><p>b</p></li></ul>'],
    ["- a\nlazy", '<ul><li>a<br>lazy</li></ul>'],
    ["In 1986. That was\n1986. Good", '<p>In 1986. That was<br>1986. Good</p>'],
    ["```js\na  <b>\n\n  c\n```\nd", "<figure class=\"code\"><pre><code>a  &lt;b&gt;\n\n  c</code></pre></figure><p>d</p>"],
    ["~~~\n```\n~~~~", "<figure class=\"code\"><pre><code>```</code></pre></figure>"],
    ["1. a\n   ```\n   b\n   ```", '<ol><li>a<figure class="code"><pre><code>b</code></pre></figure></li></ol>'],
    ["```\nopen", '<figure class="code"><pre><code>open</code></pre></figure>'],
    ["> a\n> > b\n>\n> - c", '<blockquote><p>a</p><blockquote><p>b</p></blockquote><ul><li>c</li></ul></blockquote>'],
    ["| a | b |\n|:--|:-:|\n| `x\\|y` | *z*<br>w |\n| only |\nend",
        '<div class="table"><table><thead><tr><th class="start">a</th><th class="center">b</th></tr></thead><tbody><tr>'
            . '<td class="start"><code>x|y</code></td><td class="center"><em>z</em><br>w</td></tr>'
            . '<tr><td class="start">only</td></tr></tbody></table></div><p>end</p>'],
    ["a | b\n--|--\n1 | 2 | 3",
        '<div class="table"><table><thead><tr><th class="start">a</th><th class="start">b</th></tr></thead><tbody><tr>'
            . '<td class="start">1</td><td class="start">2</td></tr></tbody></table></div>'],
    ["a | b\nno table", '<p>a | b<br>no table</p>'],
);
my @INLINE = (
    ['*a* _b_ **c** __d__ ***e*** ~~f~~', '<em>a</em> <em>b</em> <strong>c</strong> <strong>d</strong> '
        . '<em><strong>e</strong></em> <del>f</del>'],
    ['**a *b* c** *a **b** c*', '<strong>a <em>b</em> c</strong> <em>a <strong>b</strong> c</em>'],
    ['snake_case_name 2 * 3 * 4 **open', 'snake_case_name 2 * 3 * 4 **open'],
    ["\x{5F37}*\x{8ABF}*\x{3002}", "\x{5F37}<em>\x{8ABF}</em>\x{3002}"],
    ['`a*b*` ``c`d`` `open', '<code>a*b*</code> <code>c`d</code> `open'],
    ['\\*a\\* \\<b\\> c:\\d', '*a* &lt;b&gt; c:\\d'],
    ['&lt;b&gt; &amp; &#65; &#x42; &nope; &#0;', "&lt;b&gt; &amp; A B &amp;nope; \x{FFFD}"],
    ['[a](https://b.c/d "T") [**e**](http://f.g)', '<a href="https://b.c/d" title="T">a</a> '
        . '<a href="http://f.g/"><strong>e</strong></a>'],
    ['[a](https://b.c/d(e)f) [g](<https://h.i/j>)', '<a href="https://b.c/d(e)f">a</a> <a href="https://h.i/j">g</a>'],
    ['See https://a.b/c_d_e. (https://f.g/h_(i))', 'See <a href="https://a.b/c_d_e">https://a.b/c_d_e</a>. '
        . '(<a href="https://f.g/h_(i)">https://f.g/h_(i)</a>)'],
    ['<https://a.b/> <mailto:a@b.c>', '<a href="https://a.b/">https://a.b/</a> <a href="mailto:a@b.c">mailto:a@b.c</a>'],
    ['![a picture](https://a.b/c.png)', '<a href="https://a.b/c.png">a picture</a>'],
    ['[a] [b][c] [d]: e', '[a] [b][c] [d]: e'],
);
my @HOSTILE = (
    ['<script>hacked()</script>', '&lt;script&gt;hacked()&lt;/script&gt;'],
    ['<img src=x onerror=hacked()>', '&lt;img src=x onerror=hacked()&gt;'],
    ['a <b onclick="hacked()">b</b>', 'a &lt;b onclick="hacked()"&gt;b&lt;/b&gt;'],
    ['&lt;script&gt;hacked()&lt;/script&gt;', '&lt;script&gt;hacked()&lt;/script&gt;'],
    ['[a](javascript:hacked())', '[a](javascript:hacked())'],
    ['[a](JaVaScRiPt:hacked())', '[a](JaVaScRiPt:hacked())'],
    ["[a](<java\tscript:hacked()>)", "[a](&lt;java\tscript:hacked()&gt;)"],
    ['[a](&#106;avascript:hacked())', '[a](javascript:hacked())'],
    ['[a](data:text/html,<script>hacked()</script>)', '[a](data:text/html,&lt;script&gt;hacked()&lt;/script&gt;)'],
    ['[a](vbscript:hacked()) [b](file:///etc/passwd) [c](//d.e) [f](g)', '[a](vbscript:hacked()) [b](file:///etc/passwd) [c](//d.e) [f](g)'],
    ['<javascript:hacked()>', '&lt;javascript:hacked()&gt;'],
    ['![a](javascript:hacked())', '![a](javascript:hacked())'],
    ['[a](https://b.c/"onmouseover="hacked())', '<a href="https://b.c/%22onmouseover=%22hacked()">a</a>'],
    ['[a](https://b.c "x\'onclick=hacked()")', '<a href="https://b.c/" title="x\'onclick=hacked()">a</a>'],
    ['<svg><style><!--</style><img src=x onerror=hacked()>-->', '&lt;svg&gt;&lt;style&gt;&lt;!--&lt;/style&gt;&lt;img src=x onerror=hacked()&gt;--&gt;'],
);

subtest 'blocks' => sub {
    is $browser->script('return shown(arguments[0])', $_->[0]), $_->[1], $_->[0] =~ s/\n/\\n/gr for @BLOCKS;
};

subtest 'within blocks' => sub {
    is $browser->script('return shown(arguments[0])', $_->[0]), "<p>$_->[1]</p>", $_->[0] for @INLINE;
};

subtest 'what would be markup' => sub {
    is $browser->script('return shown(arguments[0])', $_->[0]), "<p>$_->[1]</p>", $_->[0] for @HOSTILE;
    is $browser->script('return shown(arguments[0])', "```<script>\n</code></pre><script>hacked()</script>"),
        '<figure class="code"><pre><code>&lt;/code&gt;&lt;/pre&gt;&lt;script&gt;hacked()&lt;/script&gt;</code></pre></figure>', 'in code';
    my $names = join ' ', @{$browser->script(<<~'JS', [grep { !/open/ } map { $_->[0] } @BLOCKS, @INLINE, @HOSTILE])};
        const target = document.createElement('div');
        markdown.renderMarkdown(target, arguments[0].join('\n\n'));
        return [...new Set([...target.querySelectorAll('*')].map(({localName}) => localName))].sort();
        JS
    is $names, join(q{ }, sort split / /, 'a blockquote br button code del div em figcaption figure h3 h4 hr li ol p pre span strong '
        . 'table tbody td th thead tr ul'), 'no other elements are ever made';
    is_deeply $browser->script(<<~'JS'), ['_blank', 'noopener noreferrer nofollow'], 'links leave the page alone';
        const target = document.createElement('div');
        markdown.renderMarkdown(target, '[a](https://b.c)');
        return ['target', 'rel'].map(name => target.querySelector('a').getAttribute(name));
        JS
};

subtest 'a text that grows' => sub {
    my $text = join "\n\n", grep { !/open/ } map { $_->[0] } @BLOCKS, @INLINE;
    my $whole = $browser->script('return whole(arguments[0])', $text);
    for my $size (1, 2, 3, 7, 50) {
        ok $browser->script('return grown(arguments[0], arguments[1])', $text, $size) eq $whole, "comes to the same by $size characters";
    }
    is_deeply $browser->script(<<~'JS'), ['same', 'same', 'One. Two **', 'x = 1'], 'and changes nothing but its last block';
        const target = document.createElement('div'), view = new markdown.MarkdownView(target), found = [];
        view.append('First\n\nOne.');
        const [first] = target.children;
        view.append(' Two **');
        const paragraph = target.lastChild.textContent;
        view.append('\n\n```py\nx ');
        const code = target.lastChild;
        view.append('= 1');
        return [target.firstChild === first ? 'same' : 'another', target.lastChild === code ? 'same' : 'another', paragraph,
          code.querySelector('code').textContent];
        JS
};

# A quarter of a megabyte of what makes parsers look through a text again and again. Whatever took a time that grows with the
# square of that would not be done when the browser gives up.
subtest 'texts that want to take long' => sub {
    $browser->command(POST => '/timeouts', {script => 20_000});
    my @hostile = ('*', '*a', 'a**b', '*a _b ', '~~a', '[', '[a](', '[a](b "', '[a](<', '![', '[[a](https://b.c)', '|', "|\n", '&',
        '<https://', 'https://a.b/)', '>', '> ', '- ', "- a\n", ' #', "a\n=", '\\', q{ }, '`');
    my $links = 8000;    # around what is nested as deep as may be
    for my $text ('~' x (1 << 18) . 'x`', '[' x $links . '*a _b ' x 12 . 'c' . '_*' x 12 . '](http://a)' x $links) {
        ok $browser->script('markdown.renderMarkdown(document.createElement("div"), arguments[0]); return true', $text),
            substr($text, 0, 10) . '…';
    }
    for my $unit (@hostile, join q{ }, map { '`' x $_ } 1 .. 700) {
        ok $browser->script(<<~'JS', $unit), substr $unit =~ s/\n/\\n/gr, 0, 20;
            const target = document.createElement('div');
            markdown.renderMarkdown(target, arguments[0].repeat((1 << 18) / arguments[0].length));
            return target.childNodes.length >= 0;
            JS
    }
    ok $browser->script(<<~'JS', $_), 'a megabyte of ' . $_ for '*', '[', '|';
        const target = document.createElement('div');
        markdown.renderMarkdown(target, 'x' + arguments[0].repeat(1 << 20));
        return target.textContent.length === 1 + (1 << 20);
        JS
};

subtest 'depth' => sub {
    my $deepest = $browser->script(<<~'JS', '> ' x 500 . 'a', '- ' x 500 . 'a', '*a **b ' x 500 . 'c** d*' x 500, '[' x 500 . 'a' . '](https://b.c)' x 500);
        return Math.max(...[...arguments].map(text => {
          const target = document.createElement('div');
          markdown.renderMarkdown(target, text);
          let depth = 0;
          for (let nodes = [target]; nodes.length; nodes = nodes.flatMap(({children}) => [...children])) depth++;
          return depth;
        }));
        JS
    cmp_ok $deepest, '<', 60, 'nesting has an end';
};

is_deeply [$browser->complaints], [], 'the browser had nothing to complain about';

done_testing;
