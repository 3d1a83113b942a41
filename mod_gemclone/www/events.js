// SPDX-License-Identifier: Apache-2.0
// Server-Sent Events out of an answer's body, as https://html.spec.whatwg.org/multipage/server-sent-events.html reads them.
// EventSource would do so by itself, but sends no Authorization, and only ever GET.

// The server breaks the silence every few seconds; a connection that says nothing for so long is dead.
const SILENCE = 90_000;

// Gives {id, name, data, retry} one after the other; throws when the connection is lost.
export async function* readEvents(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  const event = {id: '', name: '', data: []};
  let rest = '', retry;
  try {
    for (;;) {
      const {value, done} = await within(SILENCE, reader.read());
      if (done) return;
      const lines = (rest + value).split('\n');
      rest = lines.pop();
      for (const line of lines.map(text => text.replace(/\r$/, ''))) {
        if (line !== '') {
          const [field, content] = readField(line);
          if (field === 'data') event.data.push(content);
          else if (field === 'id') event.id = content;
          else if (field === 'event') event.name = content;
          else if (field === 'retry' && /^\d+$/.test(content)) retry = Number(content);
        } else {
          if (event.data.length) yield {id: event.id, name: event.name || 'message', data: event.data.join('\n'), retry};
          event.name = '';
          event.data = [];
        }
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

function readField(line) {
  const colon = line.indexOf(':');
  if (colon < 0) return [line, ''];
  return [line.slice(0, colon), line.slice(colon + (line[colon + 1] === ' ' ? 2 : 1))];
}

function within(milliseconds, promise) {
  let timer;
  const late = new Promise((resolve, reject) => {
    timer = setTimeout(() => reject(new Error('silence')), milliseconds);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
