// SPDX-License-Identifier: Apache-2.0
// What of their page the other files ask for all the time.

// The element with an id: the page has all that is asked for.
export function byId(id) {
  return document.getElementById(id);
}

export function element(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

// A copy of the one element in a <template>.
export function copyOf(id) {
  return byId(id).content.firstElementChild.cloneNode(true);
}

// Has a screen reader say something when it has the time.
export function announce(text) {
  byId('announce').textContent = text;
}

// A dialog that closes by its buttons; what `save` throws is shown in it, and it stays open.
export function wireDialog(name, save) {
  const dialog = byId(`${name}-dialog`), form = byId(`${name}-form`), error = byId(`${name}-error`);
  dialog.querySelector('[data-close]').addEventListener('click', () => dialog.close());
  form.addEventListener('submit', async event => {
    event.preventDefault();
    error.textContent = '';
    const done = busy(form);
    try {
      await save();
      dialog.close();
    } catch (problem) {
      error.textContent = problem.message;
    } finally {
      done();
    }
  });
  return {
    open() {
      error.textContent = '';
      dialog.showModal();
    },
  };
}

// Buttons that have been pressed wait for what they began; call what this returns at its end.
export function busy(form) {
  const buttons = [...form.querySelectorAll('button:not([data-close])')];
  for (const button of buttons) button.disabled = true;
  return () => {
    for (const button of buttons) button.disabled = false;
  };
}

// Copies a text, in old ways too: pages without TLS have no other.
export async function copyText(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const box = element('textarea', {class: 'hidden'});
  box.value = text;
  document.body.append(box);
  box.select();
  document.execCommand('copy');
  box.remove();
}
