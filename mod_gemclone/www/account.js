// SPDX-License-Identifier: Apache-2.0
// Who is signed in, what is left of the day's prompts, and Pro.
import {ask} from './api.js';
import {byId} from './dom.js';
import {pause} from './http.js';
import {notify} from './notice.js';

const QUOTA = 'urn:gemclone:problem:quota-exceeded';
const PAYMENT_LOOKS = 20;    // at whether a payment has arrived, one a second

let usage = null;

export async function loadAccount() {
  const [{user}] = await Promise.all([ask('GET', 'user/me'), loadUsage()]);
  const name = user.name ?? '';
  byId('account-name').textContent = name || user.mobile_number;
  byId('account-number').textContent = name ? user.mobile_number : '';
  byId('avatar').textContent = [...name || '#'][0].toUpperCase();
  byId('welcome-title').textContent = name ? `What shall we look into, ${name}?` : 'What shall we look into?';
}

export async function loadUsage() {
  usage = (await ask('GET', 'user/me/usage')).usage;
  show();
}

// What an answer's fields say of the limit: https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/
export function takeLimits(headers) {
  const left = /"prompts";r=(\d+)/.exec(headers.get('RateLimit') ?? '');
  if (!left || !usage) return;
  usage.remaining = Number(left[1]);
  show();
}

function show() {
  const isPro = usage.tier === 'pro', {limit, remaining, resets_at: resets} = usage;
  byId('tier').textContent = isPro ? 'Pro' : 'Basic';
  byId('tier').classList.toggle('pro', isPro);
  byId('quota-text').textContent = limit === null ? 'As many prompts as you like' : `${remaining} of ${limit} prompts left today`;
  byId('quota-reset').textContent = limit === null ? '' : `More at ${timeOf(resets)}`;
  const meter = byId('quota-meter');
  meter.hidden = limit === null;
  meter.max = limit ?? 1;
  meter.low = (limit ?? 1) / 4;
  meter.optimum = limit ?? 1;
  meter.value = remaining ?? 1;
  byId('upgrade').hidden = isPro;
  byId('portal').hidden = !isPro;
}

function timeOf(time) {
  return new Date(time).toLocaleTimeString([], {hour: '2-digit', minute: '2-digit'});
}

// Tells of a limit that is used up and returns true; false for any other problem.
export function tellLimit(problem) {
  if (problem.status !== 429) return false;
  if (problem.type !== QUOTA) {
    notify(problem.message);
    return true;
  }
  loadUsage().catch(() => {});
  const isPro = usage?.tier === 'pro';
  notify(`${problem.message} There will be more at ${timeOf(Date.now() + problem.retryAfter * 1000)}.`,
    isPro ? null : {name: 'Upgrade to Pro', act: () => upgrade()});
  return true;
}

// --- Pro
export async function upgrade() {
  await leaveFor('subscribe/pro', 'checkout_url');
}

export async function manage() {
  await leaveFor('subscribe/portal', 'portal_url');
}

async function leaveFor(path, member) {
  try {
    go((await ask('POST', path))[member]);
  } catch (problem) {
    if (problem.status === 409 && path === 'subscribe/pro') {
      notify('You have a subscription already.', {name: 'Look after it', act: () => manage()});
    } else if (problem.status) notify(problem.message);
    else throw problem;
  }
}

// To a page of Stripe's: over TLS, or, where somebody tries things out, on this machine.
function go(address) {
  const {protocol, hostname} = new URL(address);
  const isLocal = protocol === 'http:' && ['127.0.0.1', '[::1]', 'localhost'].includes(hostname);
  if (protocol === 'https:' || isLocal) location.assign(address);
  else notify('The address of the page to pay on is none to go to.');
}

// After paying, the browser is often here before Stripe's word of it.
export async function awaitPayment() {
  notify('Thank you! Waiting for word of your payment …');
  for (let looks = 0; looks < PAYMENT_LOOKS; looks++) {
    await loadUsage();
    if (usage.tier === 'pro') {
      notify('You are Pro now. Thank you!');
      return;
    }
    await pause(1000);
  }
  notify('There is no word of your payment yet. Pro begins as soon as there is.');
}
