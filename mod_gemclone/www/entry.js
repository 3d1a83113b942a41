// SPDX-License-Identifier: Apache-2.0
// Signing up and in: a number, and then the code that was sent to it.
import {busy, byId} from './dom.js';
import {fetchJSON, newKey} from './http.js';
import {adopt} from './session.js';

const TEXTS = {
  in: {title: 'Welcome back', lead: 'Your phone number gets you in.', go: 'Send me a code', other: 'New here?',
    change: 'Create an account'},
  up: {title: 'Nice to meet you', lead: 'All it takes is a phone number.', go: 'Create my account',
    other: 'Been here before?', change: 'Sign in'},
};

let mode = 'in', number = '';

// done(): somebody is signed in.
export function wireEntry(done) {
  byId('switch').addEventListener('click', () => {
    setMode(mode === 'in' ? 'up' : 'in');
    byId(mode === 'up' ? 'name' : 'number').focus();
  });
  onSubmit('number-form', askForCode);
  onSubmit('code-form', async () => {
    const otp = byId('code').value.replace(/\s/g, '');
    adopt(await fetchJSON('POST', 'auth/verify-otp', {body: {mobile_number: number, otp, purpose: 'login'}}));
    byId('number-form').reset();
    done();
  });
  byId('code-again').addEventListener('click', () => attempt('code-form', async () => {
    await sendCode();
    byId('code').focus();
  }));
  byId('code-back').addEventListener('click', () => showNumber());
}

// The form from its beginning, with a reason why one is here again.
export function showEntry(reason = '') {
  setMode('in');
  showNumber();
  fail(reason);
}

function setMode(wanted) {
  mode = wanted;
  const {title, lead, go, other, change} = TEXTS[mode];
  byId('entry-title').textContent = title;
  byId('entry-lead').textContent = lead;
  byId('number-go').textContent = go;
  byId('switch-text').textContent = other;
  byId('switch').textContent = change;
  byId('name-field').hidden = mode === 'in';
  document.title = `${mode === 'in' ? 'Sign in' : 'Sign up'} · Gemclone`;
  fail('');
}

function showNumber() {
  byId('code-form').hidden = true;
  byId('number-form').hidden = false;
  byId('code').value = '';
  fail('');
  byId('number').focus();
}

async function askForCode() {
  number = byId('number').value.replace(/[\s()./-]/g, '');
  if (number === '') throw new Error('Please enter your phone number.');
  if (mode === 'up') await signUp();
  await sendCode();
  byId('number-form').hidden = true;
  byId('code-form').hidden = false;
  byId('entry-title').textContent = 'Your code, please';
  byId('entry-lead').textContent = `It is for ${number}.`;
  byId('code').focus();
}

async function signUp() {
  const name = byId('name').value.trim();
  try {
    await fetchJSON('POST', 'auth/signup', {body: {mobile_number: number, ...name ? {name} : {}}, key: newKey()});
  } catch (problem) {
    if (problem.status !== 409) throw problem;
    setMode('in');
    throw new Error('This number has an account already: just sign in.');
  }
  mode = 'in';    // whoever goes back from here has an account
}

// A server that is there for trying things out shows the code.
async function sendCode() {
  byId('code').value = '';
  const {otp} = await fetchJSON('POST', 'auth/send-otp', {body: {mobile_number: number, purpose: 'login'}});
  byId('code').value = otp ?? '';
  byId('code-hint').textContent = otp ? 'This server is for trying things out: it shows the code instead of sending it.'
    : 'If this number has an account, a code is on its way to it.';
}

// --- Forms
function onSubmit(id, act) {
  byId(id).addEventListener('submit', event => {
    event.preventDefault();
    attempt(id, act);
  });
}

async function attempt(id, act) {
  const done = busy(byId(id));
  fail('');
  try {
    await act();
  } catch (problem) {
    fail(problem.message);
    byId(id).querySelector('input:not([hidden] input)')?.focus();
  } finally {
    done();
  }
}

function fail(reason) {
  byId('entry-error').textContent = reason;
  for (const id of ['number', 'code']) byId(id).toggleAttribute('aria-invalid', false);
  if (reason) byId(byId('code-form').hidden ? 'number' : 'code').setAttribute('aria-invalid', 'true');
}
