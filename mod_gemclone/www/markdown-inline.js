// SPDX-License-Identifier: Apache-2.0
// What stands within a block of Markdown: emphasis, code, links, ... as plain objects, each with its `kind`.
const MAX_INLINE_DEPTH = 24;
const MAX_RUN = 8;             // of * or _ that still mean something
const MAX_PARENTHESES = 32;    // within an address
const SPECIAL = /[\\`*_~[\]!<&\n]|https?:\/\//g;
const ADDRESS = /https?:\/\/[^\s<>"`*|]+/y;
const ANGLE = /<(?:br ?\/?|((?:https?:\/\/|mailto:)[^\s<>]+))>/yi;
const ENTITY = /&(?:(amp|lt|gt|quot|apos|nbsp)|#(\d{1,7})|#[xX]([0-9a-fA-F]{1,6}));/y;
const ASCII_PUNCTUATION = new Set('!"#$%&\'()*+,-./:;<=>?@[\\]^_`{|}~');
const OTHER_PUNCTUATION = /[\p{P}\p{S}]/u;
const WORD = /[\p{L}\p{N}]/u;
const ENTITIES = {amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", nbsp: '\u00a0'};

export function parseInline(text) {
  return new Inline(text).parse();
}

// Works on a list of nodes, linked both ways, in which delimiters stand as texts until they turn out to mean something:
// https://spec.commonmark.org/0.31.2/#phase-2-inline-structure
class Inline {
  constructor(text) {
    this.text = text;
    this.at = 0;
    this.head = {kind: 'head', next: null, previous: null};
    this.tail = this.head;
    this.lastDelimiter = null;
    this.brackets = [];
    this.fences = null;    // where runs of backticks begin, by their length
  }

  parse() {
    const {text} = this;
    while (this.at < text.length) this.#step(text[this.at]);
    this.#emphasise(null);
    return listOf(this.head.next);
  }

  #step(c) {
    switch (c) {
      case '\\': return this.#escape();
      case '`': return this.#code();
      case '*': case '_': case '~': return this.#delimiter(c);
      case '[': return this.#open(1);
      case '!': return this.text[this.at + 1] === '[' ? this.#open(2) : this.#take(1);
      case ']': return this.#close();
      case '<': return this.#angle();
      case '&': return this.#entity();
      case '\n': return this.#add({kind: 'break'}, 1);
      default: return this.#plain();
    }
  }

  // --- Nodes
  #add(node, length) {
    this.at += length;
    node.previous = this.tail;
    node.next = null;
    this.tail.next = node;
    this.tail = node;
    return node;
  }

  #write(text, length) {
    return this.#add({kind: 'text', text}, length);
  }

  #take(length) {
    return this.#write(this.text.slice(this.at, this.at + length), length);
  }

  // As far as nothing can mean anything, and addresses that stand there by themselves.
  #plain() {
    const found = matchAt(SPECIAL, this.text, this.at);
    const end = found ? found.index : this.text.length;
    if (end > this.at) return this.#take(end - this.at);
    return this.#address();
  }

  #address() {
    const found = matchAt(ADDRESS, this.text, this.at);
    const address = found && trimAddress(found[0]);
    const href = address && !WORD.test(characterBefore(this.text, this.at)) && safeAddress(address);
    return href ? this.#add({kind: 'link', href, children: [{kind: 'text', text: address}], depth: 1}, address.length)
      : this.#take(4);
  }

  #escape() {
    const next = this.text[this.at + 1];
    if (next === '\n') return this.#add({kind: 'break'}, 2);
    return ASCII_PUNCTUATION.has(next) ? this.#write(next, 2) : this.#take(1);
  }

  #entity() {
    const entity = matchAt(ENTITY, this.text, this.at);
    if (!entity) return this.#take(1);
    const code = entity[2] ? Number(entity[2]) : entity[3] ? parseInt(entity[3], 16) : 0;
    const bad = code === 0 || code > 0x10ffff || code >= 0xd800 && code <= 0xdfff;
    return this.#write(entity[1] ? ENTITIES[entity[1]] : bad ? '\ufffd' : String.fromCodePoint(code), entity[0].length);
  }

  // Of tags only <br> means anything: in cells of tables there is no other way to break a line.
  #angle() {
    const angle = matchAt(ANGLE, this.text, this.at);
    if (!angle) return this.#take(1);
    if (!angle[1]) return this.#add({kind: 'break'}, angle[0].length);
    const href = safeAddress(angle[1]);
    return href ? this.#add({kind: 'link', href, children: [{kind: 'text', text: angle[1]}], depth: 1}, angle[0].length)
      : this.#take(1);
  }

  // --- Code
  #code() {
    this.fences ??= findRuns(this.text);
    const length = runLength(this.text, this.at);
    const fences = this.fences.get(length);
    while (fences.next < fences.at.length && fences.at[fences.next] <= this.at) fences.next++;
    const close = fences.at[fences.next];
    if (close === undefined) return this.#take(length);
    let code = this.text.slice(this.at + length, close).replace(/\n/g, ' ');
    if (code.startsWith(' ') && code.endsWith(' ') && code.trim() !== '') code = code.slice(1, -1);
    return this.#add({kind: 'code', text: code}, close + length - this.at);
  }

  // --- Emphasis
  #delimiter(c) {
    const count = runLength(this.text, this.at);
    if (c === '~' ? count !== 2 : count > MAX_RUN) return this.#take(count);
    const before = characterBefore(this.text, this.at), after = characterAt(this.text, this.at + count);
    const left = !isSpace(after) && (!isPunctuation(after) || isSpace(before) || isPunctuation(before));
    const right = !isSpace(before) && (!isPunctuation(before) || isSpace(after) || isPunctuation(after));
    const at = this.at, node = this.#take(count);
    const delimiter = {
      at, node, c, count, length: count,
      opens: left && (c !== '_' || !right || isPunctuation(before)),
      closes: right && (c !== '_' || !left || isPunctuation(after)),
      previous: this.lastDelimiter, next: null,
    };
    if (this.lastDelimiter) this.lastDelimiter.next = delimiter;
    this.lastDelimiter = delimiter;
    return node;
  }

  // Makes emphasis of the delimiters behind one, and forgets them.
  #emphasise(bottom) {
    const lowest = new Map();    // up to where there is no opener for closers of a kind: none is looked at too often
    let closer = this.#firstAbove(bottom);
    while (closer) {
      if (!closer.closes) {
        closer = closer.next;
        continue;
      }
      const kind = closer.c + closer.opens + closer.length % 3;
      const end = lowest.get(kind) ?? bottom?.at ?? -1;
      let opener = closer.previous;
      while (opener && opener.at > end && !canPair(opener, closer)) opener = opener.previous;
      const paired = opener && opener.at > end && this.#wrap(opener, closer);
      if (!paired) {
        lowest.set(kind, closer.at - 1);
        const next = closer.next;
        if (!closer.opens) this.#forget(closer);
        closer = next;
      } else if (closer.count === 0) {
        const next = closer.next;
        this.#forget(closer);
        closer = next;
      }
    }
    this.lastDelimiter = bottom;
    if (bottom) bottom.next = null;
  }

  #firstAbove(bottom) {
    let first = this.lastDelimiter;
    while (first && first !== bottom && first.previous !== bottom) first = first.previous;
    return first === bottom ? null : first;
  }

  // What stands between two delimiters, as a node of its own; false where it would be too deep.
  #wrap(opener, closer) {
    const inner = listBetween(opener.node, closer.node);
    const depth = 1 + depthOf(inner);
    if (depth > MAX_INLINE_DEPTH) return false;
    const used = opener.count >= 2 && closer.count >= 2 ? 2 : 1;
    const kind = opener.c === '~' ? 'deleted' : used === 2 ? 'strong' : 'emphasis';
    const node = {kind, children: inner, depth, previous: opener.node, next: closer.node};
    opener.node.next = closer.node.previous = node;
    opener.next = closer;
    closer.previous = opener;
    for (const delimiter of [opener, closer]) {
      delimiter.count -= used;
      delimiter.node.text = delimiter.node.text.slice(used);
    }
    if (opener.count === 0) this.#forget(opener);
    return true;
  }

  #forget(delimiter) {
    if (delimiter.previous) delimiter.previous.next = delimiter.next;
    if (delimiter.next) delimiter.next.previous = delimiter.previous;
    else this.lastDelimiter = delimiter.previous;
  }

  // --- Links
  #open(length) {
    const node = this.#take(length);
    node.bottom = this.lastDelimiter;
    this.brackets.push(node);
    return node;
  }

  #close() {
    const bracket = this.brackets.pop();
    const target = bracket && readTarget(this.text, this.at + 1);
    const href = target && safeAddress(target.address);
    if (!href) return this.#take(1);
    this.#emphasise(bracket.bottom);
    const children = listOf(bracket.next);
    const depth = 1 + depthOf(children);
    if (depth > MAX_INLINE_DEPTH) {
      this.brackets.length = 0;    // what is around it would be as deep
      return this.#take(1);
    }
    this.tail = bracket.previous;
    this.tail.next = null;
    this.brackets.length = 0;    // a link is in no other one
    if (children.length === 0) children.push({kind: 'text', text: target.address});
    return this.#add({kind: 'link', href, title: target.title, children, depth}, target.end - this.at);
  }
}

function canPair(opener, closer) {
  if (opener.c !== closer.c || !opener.opens) return false;
  return !((closer.opens || opener.closes) && closer.length % 3 !== 0 && (opener.length + closer.length) % 3 === 0);
}

function listOf(first) {
  const nodes = [];
  for (let node = first; node; node = node.next) nodes.push(node);
  return nodes;
}

function listBetween(from, to) {
  const nodes = [];
  for (let node = from.next; node !== to; node = node.next) nodes.push(node);
  return nodes;
}

function depthOf(nodes) {
  let deepest = 0;
  for (const {depth = 0} of nodes) deepest = Math.max(deepest, depth);
  return deepest;
}

function runLength(text, at) {
  let end = at + 1;
  while (text[end] === text[at]) end++;
  return end - at;
}

function findRuns(text) {
  const runs = new Map();
  for (const {index, 0: run} of text.matchAll(/`+/g)) {
    if (!runs.has(run.length)) runs.set(run.length, {at: [], next: 0});
    runs.get(run.length).at.push(index);
  }
  return runs;
}

function characterAt(text, at) {
  return at < text.length ? String.fromCodePoint(text.codePointAt(at)) : ' ';
}

function characterBefore(text, at) {
  if (at === 0) return ' ';
  const low = text.charCodeAt(at - 1);
  return low >= 0xdc00 && low <= 0xdfff && at > 1 ? text.slice(at - 2, at) : text[at - 1];
}

function isSpace(c) {
  return c.trim() === '';
}

function isPunctuation(c) {
  return c < '\u0080' ? ASCII_PUNCTUATION.has(c) : OTHER_PUNCTUATION.test(c);
}

function matchAt(pattern, text, at) {
  pattern.lastIndex = at;
  return pattern.exec(text);
}

// `(address "title")`: null where it is none.
function readTarget(text, at) {
  if (text[at] !== '(') return null;
  let end = skipSpaces(text, at + 1);
  const start = end;
  if (text[end] === '<') {
    for (end++; end < text.length && !'<>\n'.includes(text[end]); end++);
    return text[end] === '>' ? readTitle(text, end + 1, text.slice(start + 1, end)) : null;
  }
  for (let depth = 0; end < text.length && text[end] > ' '; end++) {
    if (text[end] === '\\') end++;
    else if (text[end] === '(' && ++depth > MAX_PARENTHESES) return null;
    else if (text[end] === ')' && --depth < 0) break;
  }
  return readTitle(text, end, text.slice(start, end).replace(/\\([!-\/:-@[-`{-~])/g, '$1'));
}

function readTitle(text, at, address) {
  let end = skipSpaces(text, at), title = '';
  if (end > at && (text[end] === '"' || text[end] === "'")) {
    const close = text.indexOf(text[end], end + 1);
    if (close < 0 || close - end > 1024) return null;
    title = text.slice(end + 1, close);
    end = skipSpaces(text, close + 1);
  }
  return text[end] === ')' ? {address, title, end: end + 1} : null;
}

// No more than a few: a line break and an indent.
function skipSpaces(text, at) {
  let end = at;
  while (end - at < 64 && (text[end] === ' ' || text[end] === '\n' || text[end] === '\t')) end++;
  return end;
}

// The full stop after an address is the sentence's, and a parenthesis that was not opened in it, too.
function trimAddress(address) {
  let end = address.length, open = 0;
  for (const c of address) open += c === '(' ? 1 : c === ')' ? -1 : 0;
  for (; end > 0; end--) {
    const c = address[end - 1];
    if (c === ')' && open < 0) open++;
    else if (!'.,;:!?\'_~]'.includes(c)) break;
  }
  return address.slice(0, end);
}

// The address as the browser will read it, when it is absolute and of a kind that runs nothing.
function safeAddress(address) {
  let url;
  try {
    url = new URL(address);
  } catch {
    return null;
  }
  return ['http:', 'https:', 'mailto:'].includes(url.protocol) ? url.href : null;
}
