// SPDX-License-Identifier: Apache-2.0
// The admin page. What it shows it asks for as JSON, at addresses below its own; every text of others is put in as text.

import {byId, element} from './dom.js';

const EVERY = 4000, SAMPLES = 60, TOAST = 5000;

// Without a name and a password that may stand in the page's own address: fetch takes none.
const HERE = location.origin + location.pathname;

const put = (id, text) => { byId(id).textContent = text; };

// --- Asking ------------------------------------------------------------------------------
async function ask(path, method = 'GET', body = undefined) {
  const response = await fetch(HERE + path, {
    method,
    headers: {Accept: 'application/json', ...(body && {'Content-Type': 'application/json'})},
    body: body && JSON.stringify(body),
  });
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(answer.detail || `The server answered ${response.status}.`);
  return answer;
}

const change = path => ask(path, 'POST', {});

function tell(text) {
  put('toast', text);
  clearTimeout(tell.timer);
  tell.timer = setTimeout(() => put('toast', ''), TOAST);
}

function alarm(text) {
  byId('alert').hidden = !text;
  if (byId('alert').textContent !== text) put('alert', text);
}

// Whether it is meant. `Leave it` has the focus, and Escape says the same.
function confirmed(title, text, yes) {
  const dialog = byId('confirm');
  put('confirm-title', title);
  put('confirm-text', text);
  put('confirm-yes', yes);
  dialog.returnValue = 'no';
  dialog.showModal();
  return new Promise(resolve => dialog.addEventListener('close', () => resolve(dialog.returnValue === 'yes'), {once: true}));
}

// A button that does something, once it is meant, and then has the section shown anew.
function button(text, {title, about, yes, action, danger}) {
  const node = element('button', {type: 'button', ...(danger && {class: 'danger'})}, text);
  node.addEventListener('click', async () => {
    if (!await confirmed(title, about, yes)) return;
    node.disabled = true;
    try {
      tell((await action()).message);
    } catch (error) {
      tell(error.message);
    }
    node.disabled = false;
    await show();
  });
  return node;
}

// --- Words --------------------------------------------------------------------------------
const clock = new Intl.DateTimeFormat(undefined, {dateStyle: 'medium', timeStyle: 'medium'});
const ago = new Intl.RelativeTimeFormat('en', {numeric: 'auto', style: 'short'});
const number = new Intl.NumberFormat('en');

function span(milliseconds) {
  const seconds = Math.round(milliseconds / 1000), size = Math.abs(seconds);
  if (size < 90) return ago.format(seconds, 'second');
  if (size < 5400) return ago.format(Math.round(seconds / 60), 'minute');
  if (size < 129600) return ago.format(Math.round(seconds / 3600), 'hour');
  return ago.format(Math.round(seconds / 86400), 'day');
}

function time(text) {
  if (!text) return '–';
  const at = new Date(text);
  return element('time', {datetime: text, title: clock.format(at)}, span(at - Date.now()));
}

const small = text => element('small', {}, text);
const plural = (count, one, more) => `${number.format(count)} ${count === 1 ? one : more}`;
const short = id => id.slice(0, 8);

function row(labels, cells) {
  return element('tr', {}, ...cells.map((cell, i) => element('td', {'data-label': labels[i], ...(labels[i] ? {} : {class: 'do'})},
    ...[cell].flat())));
}

// --- Lists, page by page --------------------------------------------------------------------
class List {
  constructor(name, makeRow) {
    this.name = name;
    this.makeRow = makeRow;
    this.box = byId(`${name}-list`);
    this.body = this.box.querySelector('tbody');
    this.more = this.box.querySelector('.more');
    this.more.addEventListener('click', () => this.add());
  }

  // The first page; where more of them are shown already, they stay as they are until somebody asks for less.
  async load(state, fresh) {
    if (!fresh && this.state === state && this.pages > 1) return;
    const answer = await ask(`${this.name}?state=${state}&limit=25`);
    if (current().part !== state) return;
    this.state = state;
    this.pages = 1;
    const focused = this.body.contains(document.activeElement) ? document.activeElement.closest('tr').dataset.key : null;
    this.body.replaceChildren(...this.rows(answer));
    this.end(answer);
    if (focused) this.body.querySelector(`tr[data-key="${CSS.escape(focused)}"] button`)?.focus();
  }

  async add() {
    try {
      const answer = await ask(`${this.name}?state=${this.state}&limit=25&cursor=${encodeURIComponent(this.cursor)}`);
      this.pages++;
      this.body.append(...this.rows(answer));
      this.end(answer);
    } catch (error) {
      alarm(error.message);
    }
  }

  rows(answer) {
    return answer[this.name].map(item => {
      const node = this.makeRow(item);
      node.dataset.key = item.id;
      return node;
    });
  }

  end(answer) {
    const empty = this.box.querySelector('.empty');
    this.cursor = answer.next_cursor;
    this.more.hidden = !this.cursor;
    this.box.querySelector('table').hidden = empty.hidden = false;
    if (this.body.rows.length) empty.hidden = true;
    else this.box.querySelector('table').hidden = true;
    empty.textContent = `None is ${this.state}.`;
  }
}

// --- Jobs --------------------------------------------------------------------------------------
const why = item => item.error ? [element('span', {class: 'error'}, item.error), small(item.reason ?? '')] : ['–'];

function jobRow(job) {
  const path = `jobs/${job.chatroom_id}/${job.id}`, about = `Reply ${job.id} in chatroom ${job.chatroom_id}.`;
  const when = {
    running: () => [time(job.lease_until), small(job.worker)],
    waiting: () => job.run_at ? time(job.run_at) : 'after its room’s earlier reply',
    failed: () => time(job.failed_at),
  }[job.state]();
  const doing = [];
  if (job.state !== 'running' && (job.state === 'failed' || job.run_at)) {
    doing.push(button('Retry', {title: 'Try this reply again?', yes: 'Retry', action: () => change(`${path}/retry`),
      about: job.state === 'failed' ? `${about} What was given back to the quota is charged once more.` : about}));
  }
  if (job.state !== 'failed') {
    doing.push(button('Drop', {title: 'Drop this reply?', yes: 'Drop', danger: true, action: () => change(`${path}/drop`),
      about: `${about} It ends as cancelled, and its prompt is given back to the quota.`}));
  }
  return row(['Reply', 'User', 'Asked', 'Tries', 'Why', 'When', ''], [
    [element('strong', {}, `${job.id}`), element('small', {class: 'code', title: job.chatroom_id}, `in ${short(job.chatroom_id)}`)],
    element('a', {class: 'code', href: `#users/${job.user_id}`, title: job.user_id}, short(job.user_id)),
    time(job.created_at),
    [`${job.tries}`, ...(job.lost ? [small(`${job.lost} lost`)] : [])],
    why(job), when, doing,
  ]);
}

const jobs = new List('jobs', jobRow);

// --- Webhooks ---------------------------------------------------------------------------------
function webhookRow(event) {
  return row(['Event', 'Came', 'Tries', 'Outcome', 'When', ''], [
    [event.type, element('small', {class: 'code'}, event.id)],
    time(event.received_at), `${event.tries}`,
    event.error ? [element('span', {class: 'error'}, event.error)] : event.outcome ?? '–',
    [time(event.run_at ?? event.ended_at), ...(event.worker ? [small(event.worker)] : [])],
    [button('Replay', {title: 'Work this event off again?', yes: 'Replay', about: `${event.type}, ${event.id}.`,
      action: () => change(`webhooks/${event.id}/replay`)})],
  ]);
}

const webhooks = new List('webhooks', webhookRow);

// --- The overview -----------------------------------------------------------------------------
const samples = {generating: [], owed: []};

function draw(name, value) {
  const list = samples[name], top = Math.max(1, ...list, value);
  list.push(value);
  if (list.length > SAMPLES) list.shift();
  const points = list.map((v, i) => `${(100 * i / (SAMPLES - 1)).toFixed(1)} ${(23 - 22 * v / top).toFixed(1)}`);
  byId(`spark-${name}`).firstElementChild.setAttribute('d', points.length > 1 ? `M${points.join('L')}` : '');
}

function workerItem(worker, most) {
  return element('li', {}, element('span', {class: 'code'}, worker.worker), element('span', {}, plural(worker.replies, 'reply', 'replies')),
    element('meter', {min: 0, max: most, value: worker.replies, 'aria-label': `Replies of ${worker.worker}`}));
}

async function overview() {
  const {status} = await ask('status'), {replies, webhooks: events, workers} = status;
  put('site', status.site);
  put('n-generating', number.format(replies.generating));
  put('n-owed', number.format(replies.owed));
  put('n-due', number.format(replies.due));
  put('n-oldest', replies.due ? `for ${plural(replies.oldest_due_seconds, 'second', 'seconds')} at most` : 'nobody waits');
  put('n-failed', number.format(replies.failed_today));
  put('n-failing', events ? number.format(events.failing) : '–');
  put('n-events', events ? `${number.format(events.waiting)} to be worked off` : 'nothing is sold here');
  byId('tile-due').dataset.is = replies.oldest_due_seconds > 10 ? 'wait' : '';
  byId('tile-failed').dataset.is = replies.failed_today ? 'bad' : '';
  byId('tile-webhooks').dataset.is = events?.failing ? 'bad' : '';
  draw('generating', replies.generating);
  draw('owed', replies.owed);
  const most = Math.max(1, ...workers.map(worker => worker.replies));
  byId('workers').replaceChildren(...(workers.length ? workers.map(worker => workerItem(worker, most))
    : [element('li', {class: 'empty'}, 'None has a reply at the moment.')]));
  put('s-site', status.site);
  put('s-version', status.version);
  put('s-postgres', 'ok');
  put('s-redis', status.redis);
  byId('s-time').replaceChildren(clock.format(new Date(status.time)));
}

// --- Users ---------------------------------------------------------------------------------------
function sessionRow(user, session) {
  return row(['Client', 'Signed in', 'Used', 'Until', ''], [
    session.client ?? 'unknown', time(session.created_at), time(session.used_at), time(session.expires_at),
    [button('End', {title: 'End this session?', yes: 'End it', danger: true, about: `${session.client ?? 'A client'} is signed out within a second.`,
      action: () => ask(`users/${user}/sessions/${session.id}`, 'DELETE')})],
  ]);
}

const tokens = count => `${plural(count.prompts, 'prompt', 'prompts')}, ${number.format(count.input_tokens)} + ${number.format(count.output_tokens)} tokens`;

// What somebody has chosen stays chosen, until they change the tier or look at somebody else.
function showSetTier({id, set_tier: tier}) {
  const select = byId('u-set'), shown = `${id} ${tier}`;
  if (select.dataset.shown === shown) return;
  select.dataset.shown = shown;
  select.value = tier;
}

function showUser({user, usage, subscription, sessions}) {
  const {today, month, limit} = usage, meter = byId('u-meter');
  put('u-name', user.name ?? 'Without a name');
  put('u-number', user.mobile_number);
  put('u-id', user.id);
  byId('u-created').replaceChildren(time(user.created_at));
  put('u-password', user.has_password ? 'set' : 'none');
  put('u-rooms', number.format(user.chatrooms));
  put('u-messages', number.format(user.messages));
  put('u-owed', plural(user.replies_owed, 'reply', 'replies'));
  put('u-tier', user.tier);
  put('u-subscription', subscription.status
    ? `A subscription is ${subscription.status}${subscription.cancel_at_period_end ? ', and ends with its period' : ''}.` : 'Never subscribed.');
  showSetTier(user);
  put('u-today', `${tokens(today)}; ${limit === null ? 'no limit' : `the limit is ${number.format(limit)}`}`);
  put('u-month', tokens(month));
  meter.hidden = !limit;
  meter.max = limit || 1;
  meter.high = 0.8 * meter.max;
  meter.value = today.prompts;
  byId('sessions').replaceChildren(...sessions.map(session => sessionRow(user.id, session)));
  byId('sessions-none').hidden = sessions.length > 0;
  byId('end-all').disabled = !sessions.length;
}

async function users(id) {
  byId('user').hidden = !id || showing !== id;
  byId('user-none').hidden = Boolean(id);
  if (!id) return;
  const answer = await ask(`users/${id}`);
  if (current().part !== id) return;
  showUser(answer);
  showing = id;
  byId('user').hidden = false;
}

let showing = null;

byId('find').addEventListener('submit', async event => {
  event.preventDefault();
  try {
    const found = (await ask(`users?number=${encodeURIComponent(byId('number').value)}`)).users;
    byId('user-none').textContent = 'No account has that number.';
    location.hash = found.length ? `#users/${found[0].id}` : '#users';
    if (!found.length) tell('No account has that number.');
  } catch (error) {
    tell(error.message);
  }
});

byId('tier').addEventListener('submit', async event => {
  event.preventDefault();
  const tier = byId('u-set').value, user = showing;
  if (await confirmed(`Set the tier to ${tier}?`, 'It counts with the next prompt, wherever that is sent.', 'Set it')) {
    try {
      tell((await ask(`users/${user}`, 'PATCH', {tier})).message);
    } catch (error) {
      tell(error.message);
    }
  }
  await show();
});

byId('end-all').addEventListener('click', async () => {
  const user = showing;
  if (!await confirmed('End all sessions?', 'The user is signed out everywhere within a second.', 'End all')) return;
  try {
    tell((await change(`users/${user}/sessions/end`)).message);
  } catch (error) {
    tell(error.message);
  }
  await show();
});

// --- Which section is shown ---------------------------------------------------------------------
const SECTIONS = {
  overview: {first: null, load: overview},
  jobs: {first: 'running', load: (part, fresh) => jobs.load(part, fresh)},
  users: {first: null, load: users},
  webhooks: {first: 'failing', load: (part, fresh) => webhooks.load(part, fresh)},
};

const WHEN = {running: 'Lease until', waiting: 'Next try', failed: 'Failed', failing: 'Next try', done: 'Done'};

function current() {
  const [name, part] = location.hash.slice(1).split('/');
  const section = Object.hasOwn(SECTIONS, name) ? name : 'overview';
  return {section, part: section === name && part || SECTIONS[section].first};
}

// What is asked for is shown, or why it cannot be.
async function show(fresh = true) {
  const {section, part} = current();
  try {
    await SECTIONS[section].load(part, fresh);
    alarm('');
    byId('pulse').dataset.is = 'up';
    put('pulse-text', 'up to date');
  } catch (error) {
    alarm(error instanceof TypeError ? 'The server cannot be reached.' : error.message);
    byId('pulse').dataset.is = 'down';
    put('pulse-text', 'not up to date');
  }
}

function mark(links, path) {
  for (const link of links) {
    if (link.getAttribute('href') === path) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
}

function go(focus) {
  const {section, part} = current();
  for (const name of Object.keys(SECTIONS)) byId(name).hidden = name !== section;
  mark(document.querySelectorAll('nav a'), `#${section}`);
  mark(document.querySelectorAll('.choice a'), `#${section}/${part}`);
  if (byId(`${section}-when`)) put(`${section}-when`, WHEN[part] ?? 'When');
  document.title = `Gemclone: ${section}${section === 'users' || !part ? '' : `, ${part}`}`;
  if (focus) byId(`${section}-title`).focus();
  return show();
}

addEventListener('hashchange', () => go(!document.activeElement.closest?.('.choice')));
document.addEventListener('visibilitychange', () => { if (!document.hidden) show(false); });
setInterval(() => { if (!document.hidden && !byId('confirm').open) show(false); }, EVERY);

if (current().section !== 'overview') overview().catch(() => {}); // the site's name
go(false);
