// SPDX-License-Identifier: Apache-2.0
// Requests to the API, which is where this page is: all addresses are relative to it.

// What went wrong, in words for people. Without a status nothing was answered at all.
export class Problem extends Error {
  constructor(message, {status = 0, type = '', errors = [], retryAfter = 0} = {}) {
    super(message);
    Object.assign(this, {status, type, errors, retryAfter});
  }

  // Whether the same may work in a while.
  get passes() {
    return this.status === 0 || this.status === 502 || this.status === 503 || this.status === 504;
  }
}

// The answer, when it is one of success. Options: body, to be sent as JSON; accept; token; headers; key, for a request that
// may be sent again without anything being done twice; signal.
export async function fetchAnswer(method, path, {body, accept = 'application/json', token, headers = {}, key, signal} = {}) {
  const all = {Accept: accept, ...headers};
  if (token) all.Authorization = `Bearer ${token}`;
  if (key) all['Idempotency-Key'] = key;
  if (body !== undefined) all['Content-Type'] = 'application/json';
  let answer;
  try {
    answer = await fetch(path, {method, headers: all, signal, body: body && JSON.stringify(body), credentials: 'same-origin'});
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new Problem('The server cannot be reached.');
  }
  if (!answer.ok) throw await problemOf(answer);
  return answer;
}

export async function fetchJSON(method, path, options) {
  return readJSON(await fetchAnswer(method, path, options));
}

export async function readJSON(answer) {
  try {
    return await answer.json();
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new Problem('The answer was cut off.');
  }
}

async function problemOf(answer) {
  const told = await answer.json().catch(() => ({}));
  const errors = Array.isArray(told.errors) ? told.errors : [];
  return new Problem(errors.map(({detail}) => detail).join(' ') || told.detail || `The server answered ${answer.status}.`, {
    status: answer.status,
    type: told.type,
    errors,
    retryAfter: Number(answer.headers.get('Retry-After')) || 0,
  });
}

// A key for one act of the user's. (crypto.randomUUID is for pages with TLS only.)
export function newKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), byte => byte.toString(16).padStart(2, '0')).join('');
}

// Waits so many milliseconds, or until the network is back, or the signal.
export function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const end = () => {
      clearTimeout(timer);
      removeEventListener('online', end);
      signal?.removeEventListener('abort', end);
      if (signal?.aborted) reject(signal.reason);
      else resolve();
    };
    const timer = setTimeout(end, milliseconds);
    addEventListener('online', end);
    signal?.addEventListener('abort', end);
    if (signal?.aborted) end();
  });
}

// Growing, and not the same for everybody.
export function backoff(failures, first = 1000) {
  return Math.min(first * 2 ** (failures - 1), 30_000) * (0.75 + Math.random() / 2);
}
