// SPDX-License-Identifier: Apache-2.0
// The session of this browser: its two tokens, and how they are renewed.
//
// The access token is kept in memory and is gone with the page. The refresh token is in localStorage, which all tabs share: a
// reload goes on where it was, and tabs take turns with one token instead of coming with copies of it, which the server would
// take for theft. It stays there when the browser is closed; on a machine that others use, sign out. Against a script of
// somebody else's in this page no place in a browser would be safe: the content security policy is what keeps those out, and
// the server ends a session whose refresh token turns up twice.
import {fetchJSON} from './http.js';

const BASE = new URL('.', location.href).pathname;    // several chats on one host are strangers to each other
const KEY = `gemclone ${BASE}`;

let access = null;
let renewal = null;    // that is under way in this tab
const listeners = [];

export class SignedOut extends Error {
  constructor() {
    super('Your session has ended. Please sign in again.');
  }
}

export function isSignedIn() {
  return localStorage.getItem(KEY) !== null;
}

export function accessToken() {
  return access;
}

// Takes what a sign-in or a renewal was answered with.
export function adopt({access_token: token, refresh_token: refresh}) {
  access = token;
  localStorage.setItem(KEY, refresh);
}

// Forgets the session, here and in all tabs.
export function forget() {
  access = null;
  localStorage.removeItem(KEY);
}

// Calls back when the session has ended or begun in another tab.
export function onChange(listener) {
  listeners.push(listener);
}

addEventListener('storage', event => {
  if (event.key !== KEY && event.key !== null) return;
  const began = event.oldValue === null, ended = event.newValue === null;
  if (ended) access = null;
  if (began !== ended) for (const listener of listeners) listener(!ended);
});

// Another access token in place of the one that was refused. However many ask, there is one request, in this tab by its
// promise, among tabs by a lock; where there are no locks (without TLS), the server gives those that come within a few seconds
// the same successor.
export function renew() {
  renewal ??= locked(renewNow).finally(() => {
    renewal = null;
  });
  return renewal;
}

function locked(work) {
  return navigator.locks ? navigator.locks.request(KEY, work) : work();
}

async function renewNow() {
  const refresh = localStorage.getItem(KEY);
  if (refresh === null) throw new SignedOut();
  try {
    adopt(await fetchJSON('POST', 'auth/refresh', {body: {refresh_token: refresh}}));
  } catch (problem) {
    if (!problem.status || problem.status >= 500 || problem.status === 429) throw problem;    // it may be good yet
    if (localStorage.getItem(KEY) === refresh) forget();
    throw new SignedOut();
  }
}
