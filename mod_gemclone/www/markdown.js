// SPDX-License-Identifier: Apache-2.0
// Markdown as models write it, made into nodes of the page.
//
// What a model says is whatever somebody has talked it into saying, so none of it may become markup. Libraries that make HTML
// of Markdown need another one to take out of it again what is dangerous. This one makes no HTML: it only ever creates elements
// by names that stand in this file, and texts. Nothing in a reply can be an element, an attribute, a handler or an address of
// another kind than http, https and mailto; tags are shown as the text that they are. Pictures are links, as they would tell
// their server who reads what.
//
// Time is linear in the length of the text, whatever it is: no expression backtracks, brackets and delimiters are looked at a
// bounded number of times, and nesting has bounds, too. What is left out of CommonMark: references, HTML, indented code.
import {parseBlocks, splitLines} from './markdown-blocks.js';
import {parseInline} from './markdown-inline.js';

const UNDECIDED = /^[\s\d.):*+#>`~|=_-]*$/;

// Puts the text's nodes into an element.
export function renderMarkdown(target, text) {
  const view = new MarkdownView(target);
  view.append(text);
  view.finish();
}

// A text that grows: `append` changes nothing of what stands before the last block, so that nothing flickers, selections stay,
// and a long reply costs no more with each piece. A line that has only begun, and may yet become anything, is held back until
// more of it is there; `finish` tells that there is no more.
export class MarkdownView {
  #target;
  #open = '';       // the text of the last block, which may go on
  #last = null;     // its node, and
  #block = null;    // what it was made of

  constructor(target) {
    this.#target = target;
    this.clear();
  }

  clear() {
    this.#target.replaceChildren();
    this.#open = '';
    this.#last = this.#block = null;
  }

  append(text) {
    this.#open += text;
    const lines = splitLines(this.#open);
    const held = UNDECIDED.test(lines[lines.length - 1]) ? lines.pop() : null;
    this.#parse(lines);
    if (held !== null) this.#open = [...this.#open === '' ? [] : [this.#open], held].join('\n');
  }

  finish() {
    this.#parse(splitLines(this.#open));
  }

  #parse(lines) {
    this.#open = lines.join('\n');
    const blocks = parseBlocks(lines);
    if (blocks.length === 0) return;
    this.#show(blocks);
    const last = blocks[blocks.length - 1];
    if (blocks.length > 1) this.#open = lines.slice(last.line).join('\n');
    this.#block = last;
  }

  #show([first, ...rest]) {
    if (this.#last && sameCode(this.#block, first)) {
      this.#last.querySelector('code').textContent = first.text;
    } else {
      const node = renderBlock(first);
      if (this.#last) this.#last.replaceWith(node);
      else this.#target.append(node);
      this.#last = node;
    }
    for (const block of rest) this.#target.append(this.#last = renderBlock(block));
  }
}

function sameCode(one, other) {
  return one?.kind === 'code' && other.kind === 'code' && one.language === other.language;
}

// --- Nodes: the only place where any are made. `dir` lets each block be written in its own direction; it is set when all is
// there, as browsers look through an element's text for its direction whenever something is put in.
function element(name, attributes, children) {
  const node = document.createElement(name);
  for (const child of children) node.append(child);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  return node;
}

function renderBlock(block) {
  switch (block.kind) {
    case 'heading': return element(`h${Math.min(block.level + 2, 6)}`, {dir: 'auto'}, renderInline(block.text));
    case 'rule': return element('hr', {}, []);
    case 'code': return renderCode(block);
    case 'quote': return element('blockquote', {dir: 'auto'}, block.blocks.map(renderBlock));
    case 'list': return renderList(block);
    case 'table': return renderTable(block);
    default: return element('p', {dir: 'auto'}, renderInline(block.text));
  }
}

// What is wider than the page scrolls by itself, and so can be reached by the keyboard.
function renderCode({language, text}) {
  const label = element('figcaption', {}, [element('span', {}, [language || 'code']),
    element('button', {type: 'button', class: 'copy', 'aria-label': `Copy ${language || 'code'}`}, ['Copy'])]);
  return element('figure', {class: 'code', dir: 'ltr'}, [label,
    element('pre', {tabindex: '0'}, [element('code', {}, [text])])]);
}

function renderList({ordered, start, loose, items}) {
  const attributes = ordered && start !== 1 ? {start: String(start)} : {};
  return element(ordered ? 'ol' : 'ul', attributes, items.map(blocks =>
    element('li', {dir: 'auto'}, blocks.flatMap(block =>
      !loose && block.kind === 'paragraph' ? renderInline(block.text) : [renderBlock(block)]))));
}

function renderTable({columns, head, rows}) {
  const cells = (name, row) => row.map((text, column) =>
    element(name, {dir: 'auto', class: columns[column] ?? 'start'}, renderInline(text)));
  return element('div', {class: 'table', tabindex: '0', role: 'group', 'aria-label': 'Table'}, [element('table', {}, [
    element('thead', {}, [element('tr', {}, cells('th', head))]),
    element('tbody', {}, rows.map(row => element('tr', {}, cells('td', row)))),
  ])]);
}

const INLINE_ELEMENT = {strong: 'strong', emphasis: 'em', deleted: 'del'};

function renderInline(text) {
  return renderNodes(parseInline(text));
}

// Texts side by side are put together.
function renderNodes(nodes) {
  const rendered = [];
  let text = [];
  const flush = () => {
    const all = text.join('');
    if (all !== '') rendered.push(document.createTextNode(all));
    text = [];
  };
  for (const node of nodes) {
    if (node.kind === 'text') {
      text.push(node.text);
      continue;
    }
    flush();
    rendered.push(renderNode(node));
  }
  flush();
  return rendered;
}

function renderNode(node) {
  switch (node.kind) {
    case 'break': return element('br', {}, []);
    case 'code': return element('code', {}, [node.text]);
    case 'link': return renderLink(node);
    default: return element(INLINE_ELEMENT[node.kind], {}, renderNodes(node.children));
  }
}

function renderLink({href, title, children}) {
  const attributes = {href, target: '_blank', rel: 'noopener noreferrer nofollow'};
  return element('a', title ? {...attributes, title} : attributes, renderNodes(children));
}
