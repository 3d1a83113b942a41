// SPDX-License-Identifier: Apache-2.0
// The page about the API: shows the document that the server describes itself by, and has its operations tried.
import {accessOf, baseOf, examplesOf, membersOf, nameOf, resolve, tagsOf, takesToken, textOf, typeOf} from './docs-openapi.js';
import {curlOf, learn, pretty, requestOf} from './docs-try.js';
import {byId as $, copyText} from './dom.js';
import {readEvents} from './events.js';

// What the page knows: the document, where requests go, the token, what answers told (path variables by name), and what is to be
// called when one of these has changed.
const state = {api: null, base: '', token: '', known: {}, refresh: new Set()};

// --- Elements ---------------------------------------------------------------

// An element with its properties (data and ARIA ones as attributes) and children; texts are never taken for HTML.
function el(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in element && name !== 'list') { element[name] = value; } else { element.setAttribute(name, value); }
  }
  element.append(...children.flat().filter(child => child !== null && child !== undefined && child !== ''));
  return element;
}

const details = (className, summary, ...children) => el('details', {className}, el('summary', {}, summary), el('div', {}, ...children));

// Text with `code`, **strong words** and addresses.
function inline(text) {
  return text.split(/(`[^`]+`|\*\*[^*]+\*\*|https:\/\/[^\s)]+)/).map(part =>
    part.startsWith('`') ? el('code', {}, part.slice(1, -1))
      : part.startsWith('**') ? el('strong', {}, part.slice(2, -2))
        : part.startsWith('https://') ? el('a', {href: part, rel: 'noreferrer'}, part) : part);
}

// Paragraphs, and lists of lines that begin with a dash.
function prose(text) {
  return text.split('\n\n').map(block => block.startsWith('- ')
    ? el('ul', {}, block.split('\n').map(line => el('li', {}, inline(line.slice(2)))))
    : el('p', {}, inline(block)));
}

const methodBadge = operation => el('span', {className: `method ${operation.method}`}, operation.method.toUpperCase());

function pathOf(operation) {
  return el('span', {className: 'path'}, operation.path.split(/(\{\w+\})/).map(part => part.startsWith('{') ? el('var', {}, part) : part));
}

async function copy(button, text) {
  const label = button.textContent;
  try { await copyText(text); button.textContent = 'Copied'; } catch { button.textContent = 'Could not be copied'; }
  setTimeout(() => { button.textContent = label; }, 1500);
}

// --- What there is to read --------------------------------------------------

function memberList(schema, depth = 0) {
  const is = resolve(state.api, schema);
  if (is.oneOf) { return el('div', {}, is.oneOf.map(one => [el('p', {className: 'type'}, nameOf(one) || typeOf(state.api, one)), memberList(one, depth)])); }
  const members = membersOf(state.api, schema);
  return members.length ? el('ul', {className: 'members'}, members.map(member => memberItem(member, depth))) : null;
}

function memberItem({name, schema, required}, depth) {
  const is = resolve(state.api, schema);
  return el('li', {}, el('code', {}, name), ' ', el('span', {className: 'type'}, typeOf(state.api, schema)), ' ',
    required ? el('span', {className: 'required'}, 'required') : null,
    is.description ? el('p', {}, inline(is.description)) : null,
    depth < 6 ? memberList(schema, depth + 1) : null);
}

function parameterItem(parameter) {
  return el('li', {}, el('code', {}, parameter.name), ' ', el('span', {className: 'type'}, `${parameter.in}, ${typeOf(state.api, parameter.schema)}`), ' ',
    parameter.required ? el('span', {className: 'required'}, 'required') : null, el('p', {}, inline(parameter.description)));
}

function mediaBlock(type, media) {
  const schema = resolve(state.api, media.schema);
  return [el('p', {className: 'type'}, type, nameOf(media.schema) ? ` · ${nameOf(media.schema)}` : ''),
    type === 'text/event-stream' ? el('p', {}, inline(schema.description)) : memberList(media.schema),
    examplesOf(state.api, media).map(({value}) => el('pre', {tabIndex: 0}, textOf(value)))];
}

function responseBlock([status, response]) {
  const good = /^[23]/.test(status);
  const headers = Object.entries(response.headers || {});
  return details('response',
    el('span', {}, el('span', {className: good ? 'status good' : 'status'}, status === 'default' ? 'other' : status), ' ', inline(response.description)),
    headers.length ? el('ul', {className: 'members'}, headers.map(([name, header]) =>
      el('li', {}, el('code', {}, name), el('p', {}, inline(resolve(state.api, header).description))))) : null,
    Object.entries(response.content || {}).map(([type, media]) => mediaBlock(type, media)));
}

function operationBlock(operation) {
  const body = operation.requestBody && operation.requestBody.content['application/json'];
  const access = accessOf(operation);
  const content = el('div');
  const block = el('details', {className: 'operation', id: operation.id},
    el('summary', {}, el('h3', {}, methodBadge(operation), pathOf(operation), el('span', {className: 'title'}, operation.summary)),
      access ? el('span', {className: 'badge'}, access) : null), content);
  // What is in it is made when it is wanted: all of it at once would be thousands of elements.
  block.fill = () => {
    block.fill = () => {};
    content.append(...[prose(operation.description),
      operation.parameters.length ? [el('h4', {}, 'Parameters'), el('ul', {className: 'members'}, operation.parameters.map(parameterItem))] : [],
      body ? [el('h4', {}, 'Body'), memberList(body.schema)] : [],
      el('h4', {}, 'Answers'), operation.responses.map(responseBlock), tryBlock(operation, body)].flat());
  };
  block.addEventListener('toggle', () => { if (block.open) { block.fill(); } });
  return block;
}

// --- Trying it --------------------------------------------------------------

function field(id, label, input) {
  input.id = id;
  return el('div', {className: 'field'}, el('label', {htmlFor: id}, label), input);
}

// The types that an operation may be asked to answer with, where there is a choice.
function choicesOf(operation) {
  return [...new Set(operation.responses.filter(([status]) => status.startsWith('2')).flatMap(([, response]) => Object.keys(response.content || {})))];
}

function tryBlock(operation, body) {
  const inputs = operation.parameters.map(parameter => ({parameter, input: el('input', {autocomplete: 'off', spellcheck: false, required: !!parameter.required,
    placeholder: String(parameter.example ?? '')})}));
  const accept = el('select', {}, choicesOf(operation).map(type => el('option', {value: type}, type)));
  const text = el('textarea', {spellcheck: false, value: body ? textOf(examplesOf(state.api, body)[0].value) : ''});
  const curl = el('pre', {tabIndex: 0, 'aria-label': 'The same with curl'});
  const send = el('button', {className: 'main'}, 'Send');
  const stop = el('button', {type: 'button', hidden: true}, 'Stop');
  const answer = el('div', {className: 'answer', hidden: true, role: 'region', 'aria-label': 'Answer'});
  const copyCurl = el('button', {type: 'button'}, 'Copy the line');
  const form = el('form', {className: 'try', noValidate: false, 'aria-label': `Try ${operation.summary}`},
    el('h4', {}, 'Try it'),
    inputs.map(({parameter, input}) => field(`${operation.id}-${parameter.in}-${parameter.name}`, parameter.name, input)),
    choicesOf(operation).length > 1 ? field(`${operation.id}-accept`, 'Accept', accept) : null,
    body ? field(`${operation.id}-body`, 'Body', text) : null,
    el('div', {className: 'row'}, send, stop, copyCurl), curl, answer);

  const described = () => requestOf(state.base, operation, {
    ...Object.fromEntries(['path', 'query', 'header'].map(where => [where, inputs.filter(({parameter}) => parameter.in === where)
      .map(({parameter, input}) => [parameter.name, input.value])])),
    accept: choicesOf(operation).length > 1 || accept.value === 'text/event-stream' ? accept.value : '',
    body: body ? text.value : undefined}, takesToken(operation) ? state.token : '');
  const refresh = () => {
    for (const {parameter, input} of inputs) {
      if (parameter.in === 'path' && !input.dataset.changed && state.known[parameter.name]) { input.value = state.known[parameter.name]; }
    }
    curl.textContent = curlOf(described());
  };
  inputs.forEach(({input}) => input.addEventListener('input', () => { input.dataset.changed = 'yes'; }));
  form.addEventListener('input', refresh);
  form.addEventListener('submit', async event => {
    event.preventDefault();
    const control = new AbortController();
    stop.onclick = () => control.abort();
    stop.hidden = false;
    send.disabled = true;
    await ask(described(), control.signal, answer);
    stop.hidden = true;
    send.disabled = false;
    state.refresh.forEach(again => again());
  });
  copyCurl.onclick = () => copy(copyCurl, curl.textContent);
  state.refresh.add(refresh);
  refresh();
  return form;
}

// Sends a request and shows its answer as it comes.
async function ask({url, options}, signal, answer) {
  const started = performance.now();
  const line = el('p', {role: 'status'}, 'Waiting …');
  answer.replaceChildren(line);
  answer.hidden = false;
  try {
    const response = await fetch(url, {...options, signal});
    const good = response.ok || response.status === 304;
    line.replaceChildren(el('span', {className: good ? 'status good' : 'status'}, `${response.status} ${response.statusText}`), ` after ${Math.round(performance.now() - started)} ms`);
    answer.append(details('', 'Headers', el('pre', {tabIndex: 0}, [...response.headers].map(([name, value]) => `${name}: ${value}`).join('\n'))));
    await ((response.headers.get('Content-Type') || '').startsWith('text/event-stream') ? showEvents(response, answer) : showBody(response, answer));
  } catch (error) {
    answer.append(el('p', {role: 'status'}, error.name === 'AbortError' ? 'Stopped.' : `There is no answer: ${error.message}`));
  }
}

function note(text) {
  try { Object.assign(state.known, learn(JSON.parse(text))); } catch { /* it is no JSON, of which nothing can be learned */ }
}

async function showBody(response, answer) {
  const text = await response.text();
  if (text) { answer.append(el('pre', {tabIndex: 0, className: 'body'}, pretty(text))); }
  note(text);
}

// The text as it grows, and each event below it.
async function showEvents(response, answer) {
  const text = el('p', {className: 'text', 'aria-live': 'polite'});
  const list = el('div', {className: 'events', role: 'log', tabIndex: 0, 'aria-label': 'Events', 'aria-live': 'off'});
  answer.append(text, list);
  for await (const {name, id, data} of readEvents(response)) {
    if (name === 'delta') { text.append(JSON.parse(data).text); }
    if (name === 'reset') { text.textContent = ''; }
    if (name === 'accepted') { note(data); }
    list.append(el('div', {className: 'event'}, el('b', {}, name), el('code', {title: id}, data)));
    list.scrollTop = list.scrollHeight;
  }
  answer.append(el('p', {role: 'status'}, 'The stream has ended.'));
}

// --- Signing in -------------------------------------------------------------

const say = text => { $('said').textContent = text; };

function keep(token, whose) {
  state.token = token;
  $('signed-in').hidden = !token;
  say(token ? `${whose} Requests go with the token from now on.` : 'The token is forgotten.');
  state.refresh.forEach(again => again());
}

async function post(path, body) {
  const response = await fetch(state.base + path, {method: 'POST', headers: {'Content-Type': 'application/json'}, body: JSON.stringify(body), credentials: 'omit'});
  const json = await response.json();
  return {good: response.ok, json, why: [json.detail, ...(json.errors || []).map(error => error.detail)].filter(Boolean).join(' ')};
}

async function sendCode() {
  const {good, json, why} = await post('/auth/send-otp', {mobile_number: $('number').value, purpose: 'login'});
  say(good ? json.message : why);
  if (good) {
    $('code').value = json.otp || '';
    $('code').focus();
  }
}

async function signUp() {
  const {good, why} = await post('/auth/signup', {mobile_number: $('number').value});
  if (good) { await sendCode(); } else { say(why); }
}

async function signIn() {
  const {good, json, why} = await post('/auth/verify-otp', {mobile_number: $('number').value, otp: $('code').value, purpose: 'login'});
  if (good) { keep(json.access_token, 'Signed in.'); } else { say(why); }
}

function onSubmit(id, does) {
  $(id).addEventListener('submit', event => {
    event.preventDefault();
    Promise.resolve(does()).catch(error => say(`There is no answer: ${error.message}`));
  });
}

function setUpSession() {
  onSubmit('number-form', sendCode);
  onSubmit('code-form', signIn);
  onSubmit('token-form', () => { keep($('token').value.trim(), 'It is not looked at here.'); $('token').value = ''; });
  $('signup').onclick = () => { if ($('number-form').reportValidity()) { signUp().catch(error => say(`There is no answer: ${error.message}`)); } };
  $('copy-token').onclick = () => copy($('copy-token'), state.token);
  $('forget').onclick = () => keep('');
}

// --- Finding things ---------------------------------------------------------

// What an operation is found by.
const wordsOf = operation => [operation.method, operation.path, operation.id, operation.summary, operation.description].join(' ').toLowerCase();

function setUpFilter(tags) {
  const entries = tags.flatMap(({operations}) => operations.map(operation => ({id: operation.id, words: wordsOf(operation)})));
  const show = () => {
    const wanted = $('filter').value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = entries.filter(({words}) => wanted.every(word => words.includes(word)));
    const is = new Set(found.map(({id}) => id));
    for (const {id} of entries) {
      $(id).hidden = !is.has(id);
      document.querySelector(`nav a[href="#${id}"]`).parentElement.hidden = !is.has(id);
    }
    for (const group of document.querySelectorAll('.tag, nav .group')) {
      group.hidden = !group.querySelector('.operation:not([hidden]), li:not([hidden])');
    }
    $('found').textContent = `${found.length} of ${entries.length} operations`;
    if (wanted.length) { $('contents').open = true; }
  };
  $('filter').addEventListener('input', show);
  document.addEventListener('keydown', event => {
    const typing = event.target.closest('input, textarea, select');
    if (event.key === '/' && !typing) { event.preventDefault(); $('filter').focus(); }
    if (event.key === 'Escape' && event.target === $('filter')) { $('filter').value = ''; show(); }
  });
  show();
}

// The operation that the address names is opened and looked at.
function followAddress() {
  const id = decodeURIComponent(location.hash.slice(1));
  const block = id && $(id);
  for (const link of document.querySelectorAll('nav a[aria-current]')) { link.removeAttribute('aria-current'); }
  if (!block || !block.classList.contains('operation')) { return; }
  block.hidden = block.parentElement.hidden = false;
  block.fill();
  block.open = true;
  block.scrollIntoView();
  block.querySelector('summary').focus({preventScroll: true});
  document.querySelector(`nav a[href="#${id}"]`).setAttribute('aria-current', 'true');
}

// --- The page ---------------------------------------------------------------

function contents(tags) {
  return tags.map(({tag, operations}) => el('div', {className: 'group'}, el('h2', {}, tag.name),
    el('ul', {}, operations.map(operation => el('li', {}, el('a', {href: `#${operation.id}`}, methodBadge(operation), operation.summary))))));
}

function show(api) {
  state.api = api;
  state.base = baseOf(api, new URL('openapi.json', location.href));
  document.title = `${api.info.title} API`;
  const tags = tagsOf(api);
  $('about').append(el('h2', {}, api.info.summary), el('p', {className: 'faint'}, `Version ${api.info.version}, at `, el('code', {}, state.base || '/')), ...prose(api.info.description));
  $('contents').append(...contents(tags));
  $('contents').open = matchMedia('(min-width: 60rem)').matches;
  $('operations').append(...tags.map(({tag, operations}) => el('section', {className: 'tag', 'aria-label': tag.name},
    el('h2', {}, tag.name), el('p', {className: 'faint'}, inline(tag.description)), operations.map(operationBlock))));
  setUpFilter(tags);
  setUpSession();
  addEventListener('hashchange', followAddress);
  followAddress();
}

fetch('openapi.json').then(response => response.json()).then(show)
  .catch(error => { $('about').append(el('p', {role: 'alert'}, `openapi.json cannot be read: ${error.message}`)); });
