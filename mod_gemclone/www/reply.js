// SPDX-License-Identifier: Apache-2.0
// One reply, read to its end over as many connections as that takes.
import {call} from './api.js';
import {readEvents} from './events.js';
import {Problem, backoff, pause, readJSON} from './http.js';

const EVENTS = 'text/event-stream';
const FIRST_PAUSE = 1000;

// Sends a prompt or asks for another reply (path and body), and reads the reply. The key makes it one prompt however often it has
// to be sent. Calls on.answer(answer) with what carries the limits, on.accepted({data?, reply}), and then as `followReply`.
export function sendAndRead(path, {body, key, on, signal}) {
  return read({
    on, signal, room: path.split('/')[1],
    open: () => call('POST', path, {body, key, accept: EVENTS, signal}),
  });
}

// Reads a reply that is being generated somewhere. Calls on.delta(text), on.reset(), on.lost(failures) when it will have to come
// back, and returns the message once it has ended. Throws a Problem that will not pass.
export function followReply(room, id, {on, signal}) {
  return read({on, signal, room, id});
}

async function read({on, signal, room, id, open}) {
  const state = {id, last: '', retry: FIRST_PAUSE};
  for (let failures = 0; ; failures++) {
    if (failures > 0) {
      on.lost?.(failures);
      await pause(backoff(failures, state.retry), signal);
    }
    try {
      const before = state.last;
      const message = await connect({on, signal, room, open, state});
      if (message) return message;
      if (state.last !== before) failures = 0;    // cut off, but it had got on
    } catch (problem) {
      const refused = problem.status && !state.id;
      if (signal.aborted || !(problem instanceof Problem) || !problem.passes || refused) throw problem;
    }
  }
}

// As far as one connection leads: the message, at the end of it.
async function connect({on, signal, room, open, state}) {
  const answer = state.id ? await events(room, state, signal) : await open();
  if (answer.status === 204) return (await readJSON(await call('GET', `message/${room}/${state.id}`, {signal}))).data;
  if (!state.id) on.answer?.(answer);
  try {
    for await (const event of readEvents(answer)) {
      const message = take(event, state, on);
      if (message) return message;
    }
  } catch (error) {
    if (signal.aborted || error instanceof SyntaxError) throw error;
  }
  return null;
}

function events(room, {id, last}, signal) {
  return call('GET', `message/${room}/${id}/events`, {accept: EVENTS, signal, headers: last ? {'Last-Event-ID': last} : {}});
}

function take({id, name, data, retry}, state, on) {
  const said = JSON.parse(data);
  state.last = id;
  state.retry = retry ?? state.retry;
  switch (name) {
    case 'accepted':
      if (!state.id) on.accepted?.(said);
      state.id = said.reply.id;
      return null;
    case 'delta': on.delta(said.text); return null;
    case 'reset': on.reset(); return null;
    case 'done': case 'error': return said;
    default: return null;
  }
}
