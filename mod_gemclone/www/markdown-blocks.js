// SPDX-License-Identifier: Apache-2.0
// The blocks of a Markdown text: paragraphs, headings, lists, ... as plain objects, each with its `kind`.
const MAX_BLOCK_DEPTH = 12;

export function splitLines(text) {
  return text.replace(/\r/g, '').split('\n').map(expandIndent);
}

// Tabs in front of a line as the spaces that they stand for.
function expandIndent(line) {
  let end = 0, width = 0;
  for (; line[end] === ' ' || line[end] === '\t'; end++) width += line[end] === ' ' ? 1 : 4 - width % 4;
  return width === end ? line : ' '.repeat(width) + line.slice(end);
}

function indentOf(line) {
  let indent = 0;
  while (line[indent] === ' ') indent++;
  return indent;
}

function isBlank(line) {
  return line.trim() === '';
}

// Each block says what `kind` it is and at which `line` it begins.
export function parseBlocks(lines, depth = 0) {
  const blocks = [];
  let at = 0;
  while (at < lines.length) {
    if (isBlank(lines[at])) {
      at++;
      continue;
    }
    const [block, next] = parseBlock(lines, at, depth);
    blocks.push({...block, line: at});
    at = next;
  }
  return blocks;
}

// The block at a line, and the line after it.
function parseBlock(lines, at, depth) {
  const line = lines[at];
  const fence = readFence(line);
  if (fence) return parseCode(lines, at, fence);
  const heading = readHeading(line);
  if (heading) return [heading, at + 1];
  if (isRule(line)) return [{kind: 'rule'}, at + 1];
  if (depth < MAX_BLOCK_DEPTH) {
    if (isQuote(line)) return parseQuote(lines, at, depth);
    const marker = readMarker(line);
    if (marker) return parseList(lines, at, marker, depth);
  }
  if (isTable(lines, at)) return parseTable(lines, at);
  return parseParagraph(lines, at, depth);
}

// Whether a line ends a paragraph that stands before it.
function interrupts(lines, at, depth) {
  const line = lines[at];
  if (readFence(line) || readHeading(line) || isRule(line) || isTable(lines, at)) return true;
  if (depth >= MAX_BLOCK_DEPTH) return false;
  const marker = readMarker(line);
  return isQuote(line) || marker !== null && marker.text !== '' && (!marker.ordered || marker.start === 1);
}

function parseParagraph(lines, at, depth) {
  let end = at + 1;
  for (; end < lines.length && !isBlank(lines[end]); end++) {
    const level = underlineLevel(lines[end]);
    if (level) {
      return [{kind: 'heading', level, text: joinTrimmed(lines.slice(at, end))}, end + 1];
    }
    if (interrupts(lines, end, depth)) break;
  }
  return [{kind: 'paragraph', text: joinTrimmed(lines.slice(at, end))}, end];
}

// Two spaces at a line's end say nothing that the line's end does not: each is a break.
function joinTrimmed(lines) {
  return lines.map(line => line.trim()).join('\n');
}

function underlineLevel(line) {
  const text = line.trim();
  if (indentOf(line) > 3 || text === '') return 0;
  return isAll(text, '=') ? 1 : isAll(text, '-') ? 2 : 0;
}

function isAll(text, character) {
  for (const c of text) if (c !== character) return false;
  return true;
}

function readHeading(line) {
  const head = /^ {0,3}(#{1,6})(?=[ \t]|$)/.exec(line);
  if (!head) return null;
  let text = line.slice(head[0].length).trim();
  let end = text.length;
  while (end > 0 && text[end - 1] === '#') end--;
  if (end < text.length && (end === 0 || text[end - 1] === ' ')) text = text.slice(0, end).trimEnd();
  return {kind: 'heading', level: head[1].length, text};
}

function isRule(line) {
  const text = line.trim(), mark = text[0];
  if (indentOf(line) > 3 || mark !== '-' && mark !== '*' && mark !== '_') return false;
  let count = 0;
  for (const c of text) {
    if (c === mark) count++;
    else if (c !== ' ' && c !== '\t') return false;
  }
  return count >= 3;
}

// --- Code
function readFence(line) {
  const fence = /^( {0,3})(`{3,}(?!`)|~{3,}(?!~))([^`]*)$/.exec(line);
  return fence && {indent: fence[1].length, mark: fence[2], info: fence[3].trim()};
}

// One that is not closed goes on to the end: while a reply comes in, most are of that kind.
function parseCode(lines, at, fence) {
  const text = [];
  let end = at + 1;
  for (; end < lines.length; end++) {
    if (closesFence(lines[end], fence.mark)) {
      end++;
      break;
    }
    text.push(lines[end].slice(Math.min(fence.indent, indentOf(lines[end]))));
  }
  return [{kind: 'code', language: fence.info.split(/\s/, 1)[0].slice(0, 40), text: text.join('\n')}, end];
}

function closesFence(line, mark) {
  const text = line.trim();
  return indentOf(line) <= 3 && text.length >= mark.length && isAll(text, mark[0]);
}

// --- Quotes
function isQuote(line) {
  return /^ {0,3}>/.test(line);
}

function parseQuote(lines, at, depth) {
  let end = at;
  while (end < lines.length && isQuote(lines[end])) end++;
  const inner = lines.slice(at, end).map(line => expandIndent(line.replace(/^ *> ?/, '')));
  return [{kind: 'quote', blocks: parseBlocks(inner, depth + 1)}, end];
}

// --- Lists
// `indent` is where the marker stands, `content` where its text begins.
function readMarker(line) {
  const found = /^( *)(?:([-*+])|(\d{1,9})([.)]))(?=[ \t]|$)/.exec(line);
  if (!found || found[1].length > 3) return null;
  const rest = line.slice(found[0].length);
  const spaces = rest.length - rest.trimStart().length;
  return {
    indent: found[1].length,
    content: found[0].length + (spaces >= 1 && spaces <= 4 ? spaces : 1),
    kind: found[2] ?? found[4],
    ordered: found[3] !== undefined,
    start: Number(found[3] ?? 0),
    text: rest.trimStart(),
  };
}

function parseList(lines, at, first, depth) {
  const items = [];
  let loose = false, end = at, marker = first, gap = false;
  while (marker && marker.kind === first.kind && !isRule(lines[end])) {
    if (gap) loose = true;
    const item = parseItem(lines, end, marker, depth);
    items.push(item.blocks);
    loose ||= item.loose;
    end = item.end;
    gap = item.gap;
    marker = end < lines.length ? readMarker(lines[end]) : null;
  }
  return [{kind: 'list', ordered: first.ordered, start: first.start, loose, items}, end];
}

// What belongs to an item is indented as its text is, or, as models often have it, by two spaces. `gap`: blank lines follow.
function parseItem(lines, at, marker, depth) {
  const wanted = Math.min(marker.content, marker.indent + 2);
  const inner = [marker.text];
  let end = at + 1, blanks = 0, loose = false, lazy = marker.text !== '' && !readFence(marker.text);
  for (; end < lines.length; end++) {
    const line = lines[end], indent = indentOf(line);
    if (isBlank(line)) {
      blanks++;
      lazy = false;
      continue;
    }
    if (indent < wanted && !(lazy && !interrupts(lines, end, depth) && !readMarker(line))) break;
    if (blanks > 0) {
      loose = true;
      for (; blanks > 0; blanks--) inner.push('');
    }
    const text = line.slice(Math.min(indent, marker.content));
    inner.push(text);
    lazy = indent >= wanted ? !readFence(text) && lazy : lazy;
  }
  return {blocks: parseBlocks(inner, depth + 1), end, loose, gap: blanks > 0};
}

// --- Tables
function isTable(lines, at) {
  if (at + 1 >= lines.length || !lines[at].includes('|')) return false;
  const columns = readColumns(lines[at + 1]);
  return columns !== null && columns.length === splitCells(lines[at]).length;
}

// How each column is aligned, or null where this is no line between a table's head and body.
function readColumns(line) {
  if (!/^[ \t|:-]+$/.test(line) || !line.includes('-')) return null;
  const columns = [];
  for (const cell of splitCells(line)) {
    const dashes = cell.slice(cell.startsWith(':') ? 1 : 0, cell.length > 1 && cell.endsWith(':') ? -1 : undefined);
    if (dashes === '' || !isAll(dashes, '-')) return null;
    columns.push(cell.endsWith(':') ? (cell.startsWith(':') ? 'center' : 'end') : 'start');
  }
  return columns;
}

function splitCells(line) {
  const text = line.trim(), cells = [];
  let cell = '', at = text[0] === '|' ? 1 : 0;
  for (; at < text.length; at++) {
    if (text[at] === '\\' && text[at + 1] === '|') cell += text[++at];
    else if (text[at] !== '|') cell += text[at];
    else {
      cells.push(cell.trim());
      cell = '';
    }
  }
  if (cell.trim() !== '' || cells.length === 0 || text[text.length - 1] !== '|') cells.push(cell.trim());
  return cells;
}

function parseTable(lines, at) {
  const columns = readColumns(lines[at + 1]), rows = [];
  let end = at + 2;
  for (; end < lines.length && !isBlank(lines[end]) && lines[end].includes('|'); end++) {
    rows.push(splitCells(lines[end]).slice(0, columns.length));
  }
  return [{kind: 'table', columns, head: splitCells(lines[at]), rows}, end];
}
