// SPDX-License-Identifier: Apache-2.0
// The list of rooms, and what is done with one: made, changed, deleted.
import {ask} from './api.js';
import {byId, element, wireDialog} from './dom.js';

const PAGE = 40;

const list = byId('rooms');

// on: changed() when other tabs should look again, deleted(id), failed(error).
export class Rooms {
  #on;
  #rooms = [];         // newest first
  #cursor = null;
  #current = null;     // the id of the one that is shown

  constructor(on) {
    this.#on = on;
    byId('more-rooms').addEventListener('click', () => this.#more().catch(on.failed));
    byId('room-edit').addEventListener('click', () => this.#openEdit());
    byId('room-delete').addEventListener('click', () => this.#openDelete());
    this.editDialog = wireDialog('edit', () => this.#save());
    this.deleteDialog = wireDialog('delete', () => this.#delete());
  }

  async load() {
    const page = await ask('GET', `chat/chatroom?limit=${Math.min(Math.max(PAGE, this.#rooms.length), 100)}`);
    this.#take([], page);
  }

  async #more() {
    const before = this.#rooms.length;
    this.#take(this.#rooms, await ask('GET', `chat/chatroom?limit=${PAGE}&cursor=${encodeURIComponent(this.#cursor)}`));
    list.children[before]?.querySelector('a').focus();
  }

  #take(before, {chatrooms, next_cursor: cursor}) {
    this.#rooms = [...before, ...chatrooms];
    this.#cursor = cursor ?? null;
    this.#show();
  }

  // Marks one as shown, and puts its title above the conversation; null is the one that is not there yet.
  async select(id) {
    this.#current = id;
    this.#show();
    if (!id || this.#room()) return;
    try {    // one that is further down the list
      const {chatroom} = await ask('GET', `chat/chatroom/${id}`);
      this.#rooms.push(chatroom);
      this.#show();
    } catch (problem) {
      if (problem.status !== 404) throw problem;
    }
  }

  async create(title, key) {
    const {chatroom} = await ask('POST', 'chat/chatroom', {body: {title}, key});
    this.#rooms = [chatroom, ...this.#rooms.filter(({id}) => id !== chatroom.id)];
    this.#current = chatroom.id;
    this.#show();
    this.#on.changed();
    return chatroom;
  }

  #room() {
    return this.#rooms.find(({id}) => id === this.#current);
  }

  #show() {
    const room = this.#room(), title = room?.title ?? (this.#current ? 'A room' : 'New room');
    this.#showList();
    byId('no-rooms').hidden = this.#rooms.length > 0;
    byId('more-rooms').hidden = !this.#cursor;
    byId('room-title').textContent = title;
    byId('room-deeds').hidden = !room;
    document.title = room ? `${title} · Gemclone` : 'Gemclone';
  }

  // Links stay as long as their rooms do: one of them may have the focus.
  #showList() {
    const links = new Map([...list.querySelectorAll('a')].map(link => [link.hash, link]));
    const items = this.#rooms.map(({id, title}) => {
      const hash = `#/room/${id}`, link = links.get(hash) ?? element('a', {href: hash, dir: 'auto'});
      link.textContent = title;
      if (id === this.#current) link.setAttribute('aria-current', 'page');
      else link.removeAttribute('aria-current');
      return link.parentElement ?? element('li', {}, link);
    });
    const focused = document.activeElement;
    if (items.length !== list.children.length || items.some((item, at) => item !== list.children[at])) {
      list.replaceChildren(...items);
      if (list.contains(focused)) focused.focus();
    }
  }

  // --- Dialogs
  #openEdit() {
    const {title, system_prompt: system} = this.#room();
    byId('edit-title').value = title;
    byId('edit-system').value = system ?? '';
    this.editDialog.open();
    byId('edit-title').select();
  }

  async #save() {
    const title = byId('edit-title').value.trim(), system = byId('edit-system').value.trim();
    if (title === '') throw new Error('A room needs a title.');
    const room = this.#room();
    const {chatroom} = await ask('PATCH', `chat/chatroom/${room.id}`, {body: {title, system_prompt: system || null}});
    this.#rooms = this.#rooms.map(other => other.id === chatroom.id ? chatroom : other);
    this.#show();
    this.#on.changed();
  }

  #openDelete() {
    byId('delete-title').textContent = this.#room().title;
    this.deleteDialog.open();
  }

  async #delete() {
    const {id} = this.#room();
    await ask('DELETE', `chat/chatroom/${id}`);
    this.#rooms = this.#rooms.filter(room => room.id !== id);
    this.#show();
    this.#on.changed();
    this.#on.deleted(id);
  }
}
