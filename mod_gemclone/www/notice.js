// SPDX-License-Identifier: Apache-2.0
// The one notice above the prompt: what went wrong, and what can be done about it.
import {byId} from './dom.js';

let act = null;

// deed: {name, act}, a button that goes along with it.
export function notify(text, deed = null) {
  byId('notice-text').textContent = text;
  byId('notice-deed').hidden = !deed;
  byId('notice-deed').textContent = deed?.name ?? '';
  act = deed?.act ?? null;
  byId('notice').hidden = false;
}

export function dismiss() {
  byId('notice').hidden = true;
  act = null;
}

byId('notice-close').addEventListener('click', dismiss);
byId('notice-deed').addEventListener('click', () => act?.());
