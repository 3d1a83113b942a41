// SPDX-License-Identifier: Apache-2.0
// Trying an operation: the request that a form describes, and its line of curl; what is made of an answer.

// {url, options}: what fetch takes. form: {path, query, header: [[name, value]], accept, body}, of which empty values are left out.
export function requestOf(base, operation, form, token) {
  const path = form.path.reduce((text, [name, value]) => text.replace(`{${name}}`, encodeURIComponent(value)), operation.path);
  const query = form.query.filter(([, value]) => value !== '').map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join('&');
  const headers = Object.fromEntries(form.header.filter(([, value]) => value !== ''));
  if (form.accept) { headers.Accept = form.accept; }
  if (token) { headers.Authorization = `Bearer ${token}`; }
  if (form.body !== undefined) { headers['Content-Type'] = 'application/json'; }
  return {
    url: base + path + (query && `?${query}`),
    options: {method: operation.method.toUpperCase(), headers, body: form.body, cache: 'no-store', credentials: 'omit'},
  };
}

const quoted = text => `'${text.replace(/'/g, `'\\''`)}'`;

// The same for a shell, which has the token in $TOKEN.
export function curlOf({url, options}) {
  const first = ['curl'];
  if ((options.headers.Accept || '').includes('event-stream')) { first.push('-N'); }
  if (options.method !== (options.body === undefined ? 'GET' : 'POST')) { first.push(`-X ${options.method}`); }
  const parts = [[...first, quoted(url)].join(' ')];
  for (const [name, value] of Object.entries(options.headers)) {
    parts.push(name === 'Authorization' ? '-H "Authorization: Bearer $TOKEN"' : `-H ${quoted(`${name}: ${value}`)}`);
  }
  if (options.body !== undefined) { parts.push(`-d ${quoted(options.body)}`); }
  return parts.join(' \\\n  ');
}

// What an answer is shown as: JSON with its lines, anything else as it is.
export function pretty(text) {
  try { return JSON.stringify(JSON.parse(text), null, 2); } catch { return text; }
}

// What later requests may want of an answer: {room, id, session}, of which some may be missing.
export function learn(json) {
  const message = json.reply || json.data || {};
  const found = {
    room: (json.chatroom || (json.chatrooms || [])[0] || {}).id || message.chatroom_id,
    id: message.id,
    session: ((json.sessions || []).find(session => !session.current) || {}).id,
  };
  return Object.fromEntries(Object.entries(found).filter(([, value]) => value !== undefined).map(([name, value]) => [name, String(value)]));
}
