// SPDX-License-Identifier: Apache-2.0
// Messages as they are shown: prompts as the text that they are, replies as Markdown that may be growing.
import {copyOf} from './dom.js';
import {MarkdownView} from './markdown.js';

const FAILURES = {
  blocked: 'Gemini would not answer this.',
  rate_limited: 'Gemini had too much to do. Please try again later.',
  timeout: 'Gemini took too long.',
  too_long: 'The conversation is too long for Gemini.',
};

export function promptNode(content) {
  const node = copyOf('prompt-template');
  node.querySelector('.text').textContent = content;
  return node;
}

export class Reply {
  #view;
  #pending = '';    // text that has come since the last frame
  #frame = 0;

  // A message as the API has it; at least {id?, status}.
  constructor(message) {
    this.node = copyOf('reply-template');
    this.text = '';
    this.#view = new MarkdownView(this.#part('.text'));
    this.message = message;
    if (this.isOpen) this.#begin();
    else this.end(message);
  }

  // Whether more of it is to come.
  get isOpen() {
    return this.message.status === 'pending' || this.message.status === 'generating';
  }

  #part(selector) {
    return this.node.querySelector(selector);
  }

  #begin() {
    this.node.setAttribute('aria-busy', 'true');
    this.#part('.dots').hidden = false;
    this.#part('.tools').hidden = true;
    this.tell('');
  }

  // A sentence below the text: why it waits, or how it ended.
  tell(text, isError = false) {
    const state = this.#part('.state');
    state.textContent = text;
    state.hidden = text === '';
    state.classList.toggle('error', isError);
  }

  // Pieces are shown once a frame, however many come in.
  add(text) {
    this.text += text;
    this.#pending += text;
    this.tell('');
    this.#frame ||= requestAnimationFrame(() => this.#flush());
  }

  #flush() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    if (this.#pending === '') return;
    this.#view.append(this.#pending);
    this.#pending = '';
  }

  clear() {
    this.text = this.#pending = '';
    this.#flush();
    this.#view.clear();
  }

  // What came in pieces is the message's text already, or else gives way to it.
  end(message) {
    this.message = message;
    const content = message.content ?? '';
    if (!content.startsWith(this.text)) this.clear();
    this.add(content.slice(this.text.length));
    this.#flush();
    this.#view.finish();
    this.node.removeAttribute('aria-busy');
    this.#part('.dots').hidden = true;
    this.#part('.tools').hidden = false;
    this.#part('.copy-all').hidden = content === '';
    this.tell(...endOf(message));
  }

  offerAgain(offered) {
    this.#part('.again').hidden = !offered;
  }
}

// How it ended, if there is something to say about that, and whether it is an error.
function endOf({status, error, error_detail: detail, finish_reason: reason}) {
  if (status === 'cancelled') return ['Stopped.'];
  if (status === 'failed') return [detail || FAILURES[error] || 'No reply could be had.', true];
  if (reason === 'MAX_TOKENS') return ['The reply was cut off: it is as long as it may be.'];
  return [''];
}
