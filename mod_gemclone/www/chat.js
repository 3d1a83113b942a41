// SPDX-License-Identifier: Apache-2.0
// The page: which view is shown, where addresses lead, keys, the drawer, and what tabs tell each other.
import {awaitPayment, loadAccount, loadUsage, manage, takeLimits, tellLimit, upgrade} from './account.js';
import {call} from './api.js';
import {Conversation} from './conversation.js';
import {busy, byId} from './dom.js';
import {showEntry, wireEntry} from './entry.js';
import {pause} from './http.js';
import {dismiss, notify} from './notice.js';
import {Rooms} from './rooms.js';
import {SignedOut, forget, isSignedIn, onChange} from './session.js';

const tabs = new BroadcastChannel(`gemclone ${new URL('.', location.href).pathname}`);

const rooms = new Rooms({
  changed: () => tabs.postMessage({what: 'rooms'}),
  deleted: () => go('#/'),
  failed,
});

const conversation = new Conversation({
  createRoom: async (title, key) => {
    const room = await rooms.create(title, key);
    history.pushState(null, '', `#/room/${room.id}`);    // shown already: nothing to load
    return room;
  },
  sent: ({headers}) => takeLimits(headers),
  ended: () => loadUsage().catch(failed),    // one that failed may have been given back
  refused: tellLimit,
  changed: room => tabs.postMessage({what: 'messages', room}),
  failed,
});

// ------------------------------------------------------------------------------------------------------------------------ views
function show(view) {
  document.body.dataset.view = view;
}

async function enter() {
  show('boot');
  for (let failures = 1; ; failures++) {
    try {
      await Promise.all([loadAccount(), rooms.load()]);
      break;
    } catch (error) {
      if (error instanceof SignedOut) return leave(error.message);
      show('chat');
      notify(`${error.message} Trying again …`);
      await pause(Math.min(1000 * 2 ** failures, 15_000));
    }
  }
  dismiss();
  show('chat');
  await route();
  await cameBack();
}

function leave(reason = '') {
  closeDrawer();
  dismiss();
  conversation.open(null);
  show('entry');
  showEntry(reason);
}

function failed(error) {
  if (error instanceof SignedOut) leave(error.message);
  else if (error.name !== 'AbortError') notify(error.message);
}

// From Stripe's pages: GemcloneStripeSuccessURL and GemcloneStripeCancelURL may name this page with ?paid and ?unpaid.
async function cameBack() {
  const query = new URLSearchParams(location.search);
  if (location.search) history.replaceState(null, '', location.pathname + location.hash);
  if (query.has('paid')) await awaitPayment().catch(failed);
  else if (query.has('unpaid')) notify('Nothing was paid, and nothing has changed.');
}

// -------------------------------------------------------------------------------------------------------------------- addresses
function go(hash) {
  if (location.hash === hash) route();
  else location.hash = hash;
}

async function route() {
  if (document.body.dataset.view !== 'chat') return;
  const [, id = null] = /^#\/room\/([0-9a-f-]{36})$/.exec(location.hash) ?? [];
  closeDrawer();
  dismiss();
  try {
    await Promise.all([rooms.select(id), conversation.open(id)]);
  } catch (error) {
    failed(error);
  }
}

addEventListener('hashchange', route);

// ------------------------------------------------------------------------------------------------------------------ other tabs
tabs.addEventListener('message', ({data: {what, room}}) => {
  if (document.body.dataset.view !== 'chat') return;
  if (what === 'rooms') rooms.load().catch(failed);
  else conversation.refresh(room).catch(failed);
  loadUsage().catch(failed);
});

onChange(signedIn => {
  if (signedIn) enter();
  else leave('You have signed out.');
});

// ----------------------------------------------------------------------------------------------------------------------- drawer
const drawer = byId('drawer'), opener = byId('drawer-open'), stage = byId('stage');

function openDrawer() {
  drawer.classList.add('open');
  opener.setAttribute('aria-expanded', 'true');
  stage.inert = true;
  byId('drawer-close').focus();
}

function closeDrawer() {
  if (!drawer.classList.contains('open')) return;
  drawer.classList.remove('open');
  opener.setAttribute('aria-expanded', 'false');
  stage.inert = false;
  opener.focus();
}

opener.addEventListener('click', openDrawer);
byId('drawer-close').addEventListener('click', closeDrawer);
byId('scrim').addEventListener('click', closeDrawer);
matchMedia('(max-width: 52rem)').addEventListener('change', closeDrawer);

// ------------------------------------------------------------------------------------------------------------------------- keys
addEventListener('keydown', event => {
  if (document.body.dataset.view !== 'chat' || document.querySelector('dialog[open]')) return;
  const typing = event.target.closest?.('input, textarea');
  if (event.key === 'Escape') closeDrawer();
  else if (event.key.toLowerCase() === 'k' && (event.ctrlKey || event.metaKey) && !event.shiftKey && !event.altKey) go('#/');
  else if (event.key === '/' && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) byId('prompt').focus();
  else return;
  if (event.key !== 'Escape') event.preventDefault();
});

// ---------------------------------------------------------------------------------------------------------------------- buttons
byId('new-room').addEventListener('click', event => {
  event.preventDefault();
  go('#/');
});
byId('skip').addEventListener('click', event => {
  event.preventDefault();
  byId('prompt').focus();
});
byId('upgrade').addEventListener('click', () => upgrade().catch(failed));
byId('portal').addEventListener('click', () => manage().catch(failed));
byId('welcome').addEventListener('click', ({target}) => {
  const idea = target.closest('.idea');
  if (idea) conversation.setPrompt(idea.textContent);
});

// The session ends on the server, too; where that cannot be reached, here at least.
byId('sign-out').addEventListener('click', async () => {
  const done = busy(drawer);
  await call('POST', 'auth/logout').catch(() => {});
  done();
  forget();
  leave('');
  history.replaceState(null, '', location.pathname);
});

wireEntry(enter);
if (isSignedIn()) enter();
else leave();
