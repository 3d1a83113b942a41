// SPDX-License-Identifier: Apache-2.0
// The messages of one room, and the prompt below them.
import {ask} from './api.js';
import {announce, byId, copyText} from './dom.js';
import {newKey} from './http.js';
import {Reply, promptNode} from './message.js';
import {dismiss, notify} from './notice.js';
import {followReply, sendAndRead} from './reply.js';
import {SignedOut} from './session.js';

const ANNOUNCED = 1000;    // characters of a reply
const NEAR = 60;           // pixels from the end that are as good as the end

const scroll = byId('scroll'), list = byId('messages'), box = byId('prompt');

// on: createRoom(title) → room, sent(answer) with the answer's headers, ended(reply), refused(problem) → whether that has told
// of it, failed(error), changed(room).
export class Conversation {
  #on;
  #room = null;          // its id; null for one that the first prompt will make
  #replies = [];         // in their order
  #current = null;       // {reply, controller}: what is being sent or read
  #visit = new AbortController();
  #follows = true;       // whether the end is to stay in view
  #unsent = null;        // {text, key} of a prompt that may have been accepted
  #stale = false;

  constructor(on) {
    this.#on = on;
    byId('composer').addEventListener('submit', event => {
      event.preventDefault();
      this.send();
    });
    byId('stop').addEventListener('click', () => this.stop());
    byId('jump').addEventListener('click', () => this.#toEnd());
    box.addEventListener('keydown', event => {
      if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.send();
    });
    box.addEventListener('input', () => this.#fitBox());
    list.addEventListener('click', event => this.#clicked(event));
    scroll.addEventListener('scroll', () => this.#scrolled(), {passive: true});
    new ResizeObserver(() => this.#grown()).observe(list);
    this.#fitBox();
  }

  get room() {
    return this.#room;
  }

  // Shows a room, or an empty one that is not there yet.
  async open(room) {
    this.#visit.abort();
    this.#visit = new AbortController();
    this.#room = room;
    this.#follows = true;
    this.#setCurrent(null);
    this.#clear();
    if (room) await this.#load();
    if (matchMedia('(pointer: fine)').matches) box.focus();
  }

  // Something was said in a room in another tab.
  async refresh(room) {
    if (room !== this.#room) return;
    if (this.#current) this.#stale = true;
    else await this.#load();
  }

  setPrompt(text) {
    box.value = text;
    this.#fitBox();
    box.focus();
  }

  // --- Reading
  #clear() {
    list.replaceChildren();
    this.#replies = [];
    byId('welcome').hidden = this.#room !== null;
    byId('room-problem').hidden = true;
  }

  async #load() {
    const {signal} = this.#visit;
    scroll.setAttribute('aria-busy', 'true');
    try {
      const messages = await ask('GET', `message/${this.#room}`, {signal});
      if (signal.aborted) return;
      this.#clear();
      this.#stale = false;
      for (const message of messages) {
        if (message.sender === 'user') list.append(promptNode(message.content));
        else this.#addReply(new Reply(message));
      }
      this.#offerAgain();
      this.#followOpen(signal);
    } catch (error) {
      if (signal.aborted) return;
      if (error.status !== 404) throw error;
      byId('room-problem').textContent = 'There is no such room, or not any more.';
      byId('room-problem').hidden = false;
    } finally {
      if (!signal.aborted) scroll.removeAttribute('aria-busy');
    }
  }

  // Replies that were on their way already when the page came: one after the other, as they are generated.
  async #followOpen(signal) {
    for (const reply of this.#replies.filter(({isOpen}) => isOpen)) {
      const room = this.#room;
      await this.#run(reply, controller =>
        followReply(room, reply.message.id, {on: this.#handlers(reply), signal: controller.signal}));
      if (signal.aborted) return;
    }
  }

  #addReply(reply) {
    this.#replies.push(reply);
    list.append(reply.node);
  }

  #handlers(reply) {
    return {
      delta: text => reply.add(text),
      reset: () => reply.clear(),
      lost: failures => failures > 1 && reply.tell('The connection is lost. Trying again …'),
    };
  }

  // Whatever reads a reply: the only one at a time.
  async #run(reply, read) {
    const controller = new AbortController(), visit = this.#visit.signal;
    visit.addEventListener('abort', () => controller.abort());
    this.#setCurrent({reply, controller});
    try {
      const message = await read(controller);
      reply.end(message);
      announce(`Gemini: ${reply.node.querySelector('.text').textContent.slice(0, ANNOUNCED)}`);
      this.#on.ended(message);
    } catch (error) {
      if (visit.aborted) return;
      if (reply.message.id) this.#stale = true;    // it goes on, but what became of it is not known here
      if (error.name !== 'AbortError') this.#refused(error);
    } finally {
      if (!visit.aborted) {
        this.#setCurrent(null);
        this.#offerAgain();
        if (this.#stale) this.#load().catch(this.#on.failed);
      }
    }
  }

  #refused(error) {
    if (error instanceof SignedOut) this.#on.failed(error);
    else if (!this.#on.refused(error)) notify(error.message);
  }

  #setCurrent(current) {
    this.#current = current;
    byId('stop').hidden = !current;
    byId('stop').disabled = false;
    byId('send').hidden = !!current;
  }

  #offerAgain() {
    const last = this.#replies[this.#replies.length - 1];
    for (const reply of this.#replies) reply.offerAgain(reply === last && !this.#current);
  }

  // --- Sending
  async send() {
    const text = box.value.trim();
    if (text === '' || this.#current) return;
    dismiss();
    const key = this.#unsent?.text === text ? this.#unsent.key : newKey();
    this.#unsent = {text, key};
    const prompt = promptNode(text), reply = new Reply({status: 'pending'});
    this.#showSent(prompt, reply);
    let accepted = false;
    await this.#run(reply, async controller => {
      this.#room ??= (await this.#on.createRoom(titleOf(text), `room-${key}`)).id;
      return this.#sendTo(`message/${this.#room}`, {body: {content: text}, key, reply, controller, accepted: () => {
        accepted = true;
        this.#unsent = null;
      }});
    });
    if (accepted || this.#visit.signal.aborted) return;
    prompt.remove();
    this.#remove(reply);
    byId('welcome').hidden = list.childElementCount > 0 || this.#room !== null;
    if (box.value === '') this.setPrompt(text);
  }

  #showSent(prompt, reply) {
    byId('welcome').hidden = true;
    list.append(prompt);
    this.#addReply(reply);
    this.#offerAgain();
    box.value = '';
    this.#fitBox();
    this.#toEnd();
  }

  #remove(reply) {
    reply.node.remove();
    this.#replies = this.#replies.filter(other => other !== reply);
    this.#offerAgain();
  }

  // Another reply in place of the last one.
  async again() {
    const old = this.#replies[this.#replies.length - 1];
    if (!old || this.#current) return;
    dismiss();
    const reply = new Reply({status: 'pending'});
    old.node.replaceWith(reply.node);
    this.#replies[this.#replies.length - 1] = reply;
    let accepted = false;
    await this.#run(reply, controller => this.#sendTo(`message/${this.#room}/${old.message.id}/regenerate`, {
      key: newKey(), reply, controller, accepted: () => {
        accepted = true;
      },
    }));
    if (accepted || this.#visit.signal.aborted) return;
    reply.node.replaceWith(old.node);
    this.#replies[this.#replies.length - 1] = old;
    this.#offerAgain();
  }

  #sendTo(path, {body, key, reply, controller, accepted}) {
    const room = this.#room;
    return sendAndRead(path, {body, key, signal: controller.signal, on: {
      ...this.#handlers(reply),
      answer: answer => this.#on.sent(answer),
      accepted: ({reply: {id}}) => {
        reply.message = {...reply.message, id};
        accepted();
        this.#on.changed(room);
      },
    }});
  }

  // The server stops and says what came of it; what was not accepted yet is just not sent.
  async stop() {
    const {reply, controller} = this.#current ?? {};
    if (!reply) return;
    if (!reply.message.id) {
      controller.abort();
      return;
    }
    byId('stop').disabled = true;
    try {
      await ask('POST', `message/${this.#room}/${reply.message.id}/cancel`);
    } catch (problem) {
      byId('stop').disabled = false;
      if (problem.status !== 409) this.#refused(problem);    // 409: it has just ended
    }
  }

  // --- What is done with messages
  #clicked({target}) {
    const button = target.closest('button');
    if (!button) return;
    if (button.classList.contains('again')) this.again();
    else if (button.classList.contains('copy')) this.#copy(button, button.closest('figure').querySelector('code').textContent);
    else if (button.classList.contains('copy-all')) {
      const reply = this.#replies.find(({node}) => node.contains(button));
      this.#copy(button.querySelector('span'), reply.text);
    }
  }

  async #copy(label, text) {
    const before = label.textContent;
    try {
      await copyText(text);
      label.textContent = 'Copied';
      announce('Copied.');
    } catch {
      label.textContent = 'Not allowed';
    }
    setTimeout(() => {
      label.textContent = before;
    }, 1500);
  }

  // --- Staying where the reader is
  #atEnd() {
    return scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < NEAR;
  }

  #scrolled() {
    this.#follows = this.#atEnd();
    byId('jump').hidden = this.#follows;
  }

  #grown() {
    if (this.#follows) scroll.scrollTop = scroll.scrollHeight;
    else byId('jump').hidden = this.#atEnd();
  }

  #toEnd() {
    this.#follows = true;
    byId('jump').hidden = true;
    scroll.scrollTop = scroll.scrollHeight;
  }

  // The box is as high as its text; browsers that know field-sizing do so by themselves.
  #fitBox() {
    if (CSS.supports('field-sizing', 'content')) return;
    box.style.height = 'auto';
    box.style.height = `${box.scrollHeight}px`;
  }
}

// The beginning of a prompt, as a room's title.
function titleOf(text) {
  const line = [...text.split('\n', 1)[0].replace(/\s+/g, ' ').trim()];
  if (line.length <= 60) return line.join('') || 'A room';
  const cut = line.slice(0, 60).join('');
  return `${cut.slice(0, Math.max(cut.lastIndexOf(' '), 30))} …`;
}
