// SPDX-License-Identifier: Apache-2.0
// Drives the stand-in for SMS gateways with Twilio's own client and the library of Standard Webhooks, or has that
// library verify webhooks that somebody has recorded; prints TAP.
// Usage: node sms.mjs URL-OF-THE-STAND-IN '{"account", "token", ...}'
//        node sms.mjs verify '[{"secret", "headers", "body"}, ...]'
import { deepStrictEqual, match, ok, rejects, strictEqual } from 'node:assert';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Webhook } from 'standardwebhooks';
import twilio from 'twilio';
import { run, test } from './tap.mjs';

const [where, given] = process.argv.slice(2);
const ADA = '+14155550100';

// ------------------------------------------------------- recorded webhooks ----

const verify = ({ secret, headers, body }) => new Webhook(secret).verify(body, headers);

if (where === 'verify') {
    for (const recorded of JSON.parse(given)) test(`webhook ${recorded.headers['webhook-id']}`, () => verify(recorded));
    await run();
    process.exit();
}

// ------------------------------------------------------------- the stand-in ----

const its = JSON.parse(given);

async function control(method, path, body) {
    const response = await fetch(`${where}/control${path}`, { method, body: body && JSON.stringify(body) });
    const text = await response.text();
    ok(response.ok, `${method} ${path}: ${response.status} ${text}`);
    return text ? JSON.parse(text) : undefined;
}

const fail = (...faults) => control('POST', '/faults', faults);
const requests = () => control('GET', '/requests');
// Of all requests, once all are answered: the stand-in notes it after the client has the answer.
async function statuses() {
    for (let tries = 0; ; tries++) {
        const all = (await requests()).map(({ status }) => status);
        if (tries === 100 || all.every((status) => status !== undefined)) return all;
        await new Promise((resolve) => setTimeout(resolve, 20));
    }
}

const outbox = (number) => control('GET', `/outbox/${number}`);
const codeOf = async (number) => (await outbox(number)).at(-1).code;

async function reset() {
    for (const path of ['', '/stats', '/requests']) await control('DELETE', path);
}

// ---------------------------------------------------------- Twilio's client ----

// What would go to Twilio's servers goes to the stand-in.
class Here extends twilio.RequestClient {
    request(options) {
        const { pathname, search } = new URL(options.uri);
        return super.request({ ...options, uri: where + pathname + search });
    }
}

function connect(user = its.account, password = its.token, options = {}) {
    return twilio(user, password, { accountSid: its.account, httpClient: new Here({ keepAlive: false, ...options }) });
}

const client = connect();
const send = (params = {}, by = client) => by.messages.create({ to: ADA, from: its.from, body: 'Hello', ...params });
const services = (by = client, sid = its.verify_service) => by.verify.v2.services(sid);
const start = (params = {}, by) => services(by).verifications.create({ to: ADA, channel: 'sms', ...params });
const check = (code, params = {}, by) => services(by).verificationChecks.create({ to: ADA, code, ...params });

// That a call ends with Twilio's error of that code and status.
function refused(call, code, status = 400) {
    return rejects(call, (error) => {
        ok(error instanceof twilio.RestException, `a RestException, not ${error}`);
        deepStrictEqual([error.code, error.status], [code, status]);
        strictEqual(error.moreInfo, `https://www.twilio.com/docs/errors/${code}`);
        ok(error.message);
        return true;
    });
}

// That the last answer has what the client's own declarations have, and nothing else.
function conforms(file, name) {
    const url = new URL(`./node_modules/twilio/lib/rest/${file}.d.ts`, import.meta.url);
    const body = readFileSync(url, 'utf8').match(new RegExp(`^interface ${name} \\{\\n([\\s\\S]*?)^\\}`, 'm'))[1];
    const types = Object.fromEntries([...body.matchAll(/^ {4}(\w+): (.*);$/gm)].map((found) => found.slice(1)));
    const answer = client.httpClient.lastResponse.body;
    deepStrictEqual(Object.keys(answer).sort(), Object.keys(types).sort(), name);
    for (const [member, value] of Object.entries(answer)) {
        const type = types[member];
        if (value === null || type === 'any') continue;
        if (type === 'Date') ok(!Number.isNaN(Date.parse(value)), `${member} is a time: ${value}`);
        else if (/^Array/.test(type)) ok(Array.isArray(value), `${member} is a list`);
        else if (/^Record/.test(type)) strictEqual(typeof value, 'object', member);
        else strictEqual(typeof value, /^(?:boolean|number)$/.test(type) ? type : 'string', member);
    }
}

const recent = (date) => ok(Math.abs(date - Date.now()) < 60_000, `${date} is now`);

// ----------------------------------------------------------------- messages ----

test('a message', async () => {
    const message = await send({ body: 'Grüße, Zoë: 123456' });
    conforms('api/v2010/account/message', 'MessageResource');
    match(message.sid, /^SM[0-9a-f]{32}$/);
    const { status, to, body, direction, errorCode, numSegments } = message;
    deepStrictEqual([status, to, message.from, body], ['queued', ADA, its.from, 'Grüße, Zoë: 123456']);
    deepStrictEqual([direction, errorCode, numSegments], ['outbound-api', null, '1']);
    recent(message.dateCreated);
    const { id, text, from } = (await outbox(ADA)).at(-1);
    deepStrictEqual([id, text, from], [message.sid, message.body, its.from]);
});

test('a message by a Messaging Service', async () => {
    const message = await send({ from: undefined, messagingServiceSid: its.messaging_service });
    conforms('api/v2010/account/message', 'MessageResource');
    deepStrictEqual(
        [message.status, message.from, message.messagingServiceSid, message.numSegments],
        ['accepted', null, its.messaging_service, '0'],
    );
});

test('a message by an API key', async () => {
    strictEqual((await send({}, connect(its.key, its.key_secret))).status, 'queued');
});

for (const [what, params, code, status] of [
    ['no text', { body: undefined }, 21602],
    ['a long text', { body: 'x'.repeat(1601) }, 21617],
    ['a number that is none', { to: '4155550100' }, 21211],
    ['nobody to send it', { from: undefined }, 21603],
    ['a sender that is none', { from: '+1' }, 21212],
    ['another Messaging Service', { messagingServiceSid: `MG${'1'.repeat(32)}` }, 21701],
    ['Twilio\'s invalid number', { to: '+15005550001' }, 21211],
    ['its number that cannot be reached', { to: '+15005550002' }, 21612],
    ['its number of a region that is not allowed', { to: '+15005550003' }, 21408],
    ['its number that has opted out', { to: '+15005550004' }, 21610],
    ['its number that is no mobile', { to: '+15005550009' }, 21614],
    ['its number of somebody else', { from: '+15005550007' }, 21606],
    ['its number with a full queue', { from: '+15005550008' }, 21611, 429],
]) {
    test(`no message: ${what}`, () => refused(send(params), code, status));
}

test('a message that has failed', async () => {
    await fail({ failed: 30450 });
    const before = (await outbox(ADA)).length;
    const message = await send();
    conforms('api/v2010/account/message', 'MessageResource');
    deepStrictEqual([message.status, message.errorCode], ['failed', 30450]);
    strictEqual((await outbox(ADA)).length, before);
});

// ------------------------------------------------------------------- Verify ----

test('a verification', async () => {
    await reset();
    const started = await start({ locale: 'de' });
    conforms('verify/v2/service/verification', 'VerificationResource');
    match(started.sid, /^VE[0-9a-f]{32}$/);
    const { status, valid, to, channel, serviceSid, sendCodeAttempts } = started;
    deepStrictEqual([status, valid, to, channel, serviceSid], ['pending', false, ADA, 'sms', its.verify_service]);
    strictEqual(sendCodeAttempts.length, 1);
    recent(started.dateCreated);
    const code = await codeOf(ADA);
    match(code, /^\d{6}$/);

    const wrong = await check(code === '000000' ? '111111' : '000000');
    conforms('verify/v2/service/verificationCheck', 'VerificationCheckResource');
    deepStrictEqual([wrong.sid, wrong.status, wrong.valid], [started.sid, 'pending', false]);
    const right = await check(code);
    deepStrictEqual([right.sid, right.status, right.valid], [started.sid, 'approved', true]);
    await refused(check(code), 20404, 404);
});

test('a code is sent again, but not for ever', async () => {
    await reset();
    const { sid } = await start();
    const code = await codeOf(ADA);
    const again = await start();
    deepStrictEqual([again.sid, again.sendCodeAttempts.length, await codeOf(ADA)], [sid, 2, code]);
    for (let sent = 2; sent < 5; sent++) await start();
    await refused(start(), 60203, 429);
    strictEqual((await check(code)).status, 'approved');
    ok((await start()).sid !== sid);
});

test('five wrong codes are all', async () => {
    await reset();
    await start({ customCode: '4711' });
    for (let wrong = 0; wrong < 5; wrong++) strictEqual((await check('0815')).status, 'pending');
    await refused(check('4711'), 60202, 429);
    await refused(start(), 60202, 429);
});

test('one that has expired', async () => {
    await reset();
    await start({ customCode: 'abc1234567' });
    await control('POST', `/verifications/${ADA}/expire`);
    await refused(check('abc1234567'), 20404, 404);
});

for (const [what, params, code, status] of [
    ['a number that is none', { to: '0815' }, 60200],
    ['another channel', { channel: 'pigeon' }, 60200],
    ['another locale', { locale: 'Klingon' }, 60200],
    ['a short code', { customCode: '123' }, 60200],
    ['a region that is not allowed', { to: '+15005550003' }, 60605, 403],
    ['fraud', { to: '+15005550004' }, 60410, 403],
    ['a landline', { to: '+15005550009' }, 60205, 403],
]) {
    test(`no verification: ${what}`, () => refused(start(params), code, status));
}

test('no check: nothing to check', () => refused(check('123456', { to: '+14155550199' }), 20404, 404));
test('no check: no code', () => refused(check('123'), 60200));

// -------------------------------------------------------------- credentials ----

for (const [what, by] of [
    ['token', connect(its.account, 'wrong')],
    ['key', connect(`SK${'1'.repeat(32)}`, its.key_secret)],
]) {
    test(`another ${what}`, async () => {
        await refused(send({}, by), 20003, 401);
        await refused(start({}, by), 20003, 401);
        await refused(check('123456', {}, by), 20003, 401);
    });
}

test('another account, another service', async () => {
    const account = twilio(its.key, its.key_secret, { accountSid: `AC${'1'.repeat(32)}`, httpClient: new Here() });
    await refused(send({}, account), 20404, 404);
    const service = services(client, `VA${'1'.repeat(32)}`);
    await refused(service.verifications.create({ to: ADA, channel: 'sms' }), 20404, 404);
});

// ------------------------------------------------------------------- faults ----

test('errors on demand', async () => {
    await reset();
    await fail({ status: 429 }, { status: 500 }, { status: 503 }, { code: 21610 }, { status: 403, code: 60410 });
    await refused(send(), 20429, 429);
    await refused(start(), 20500, 500);
    await refused(check('123456'), 20503, 503);
    await refused(send(), 21610);
    await refused(start(), 60410, 403);
});

test('the client tries again when it is told to, and is not refused for ever', async () => {
    await reset();
    await fail({ status: 429, times: 2 });
    strictEqual((await send({}, connect(its.account, its.token, { autoRetry: true }))).status, 'queued');
    deepStrictEqual(await statuses(), [429, 429, 201]);
});

test('answers that do not come', async () => {
    await reset();
    await fail({ how: 'close' }, { how: 'reset' }, { how: 'cut' }, { how: 'hang' }, { how: 'close', after: true });
    const hasty = connect(its.account, its.token, { timeout: 300 });
    for (const code of [/ECONNRESET/, /ECONNRESET/, /ECONNRESET|ERR_BAD_RESPONSE/]) await rejects(send(), { code });
    await rejects(send({}, hasty), { code: /ECONNABORTED/ });
    await rejects(send(), { code: /ECONNRESET/ });
    strictEqual((await outbox(ADA)).length, 2, 'the cut one and the last have been sent');
});

test('answers that are none', async () => {
    await reset();
    await fail({ how: 'garbage' }, { how: 'torn' }, { status: 502, body: '<html>Bad Gateway</html>' });
    for (const what of ['garbage', 'torn']) await rejects(send(), undefined, what);
    await rejects(send(), (error) => error.status === 502 && error.code === undefined);
});

// ----------------------------------------------------------------- webhooks ----

const signer = new Webhook(its.webhook_secret);
const now = (skew = 0) => new Date(Date.now() + skew * 1000);
const hook = (text) => JSON.stringify({ to: ADA, text }, null, 2);
const TEXT = hook('Zoë: 123456');
const OTHER = 'whsec_YW5vdGhlciBzZWNyZXQgb2Ygc29tZWJvZHkgZWxzZQ==';
const other = new Webhook(OTHER);

// The status that a webhook is answered with; the signature is for `body`, whatever is sent.
async function deliver(id, { body = TEXT, sent = body, time = now(), by = signer, version = 'v1', headers = {} } = {}) {
    const signed = {
        'content-type': 'application/json',
        'webhook-id': id,
        'webhook-timestamp': `${Math.floor(time / 1000)}`,
        'webhook-signature': by.sign(id, time, body).replace(/^v1/, version),
        ...headers,
    };
    for (const name of Object.keys(signed)) if (signed[name] === undefined) delete signed[name];
    return (await fetch(`${where}/hook`, { method: 'POST', headers: signed, body: sent })).status;
}

test('a webhook is taken', async () => {
    await reset();
    strictEqual(await deliver('msg_1'), 200);
    strictEqual(await deliver('msg_1'), 200);
    const got = (await outbox(ADA)).map(({ via, id, text }) => [via, id, text]);
    deepStrictEqual(got, [['hook', 'msg_1', 'Zoë: 123456']], 'once only');
});

test('what has been recorded can be verified', async () => {
    const [first] = await requests();
    const recorded = { secret: its.webhook_secret, headers: first.headers, body: first.body };
    deepStrictEqual(verify(recorded), { to: ADA, text: 'Zoë: 123456' });

    const here = fileURLToPath(import.meta.url);
    const judge = (...all) => new Promise((resolve) => {
        const child = execFile(process.execPath, [here, 'verify', JSON.stringify(all)], (error, said) => {
            resolve([child.exitCode, said.replace(/^#.*\n/gm, '')]);
        });
    });
    deepStrictEqual(await judge(recorded), [0, '1..1\nok 1 - webhook msg_1\n']);
    deepStrictEqual(await judge(recorded, { ...recorded, body: `${first.body} ` }), [
        1,
        '1..2\nok 1 - webhook msg_1\nnot ok 2 - webhook msg_1\n',
    ]);
});

test('one of several signatures is enough', async () => {
    const [body, time] = [hook('rolled'), now()];
    const both = `${other.sign('msg_2', time, body)} ${signer.sign('msg_2', time, body)}`;
    strictEqual(await deliver('msg_2', { body, time, headers: { 'webhook-signature': both } }), 200);
});

test('a secret that was set', async () => {
    strictEqual(await deliver('msg_3', { by: other }), 401);
    await control('PUT', '', { hook: { secrets: [its.webhook_secret, OTHER] } });
    strictEqual(await deliver('msg_3', { by: other }), 200);
    strictEqual(await deliver('msg_4'), 200);
    await control('PUT', '', {});
});

test('four minutes old, and four ahead', async () => {
    strictEqual(await deliver('msg_5', { time: now(-240) }), 200);
    strictEqual(await deliver('msg_6', { time: now(240) }), 200);
});

for (const [what, how] of [
    ['another body', { sent: hook('another') }],
    ['one byte more', { sent: `${TEXT}\n` }],
    ['the same JSON, written otherwise', { sent: JSON.stringify(JSON.parse(TEXT)) }],
    ['another secret', { by: other }],
    ['another id', { headers: { 'webhook-id': 'msg_8' } }],
    ['another time', { headers: { 'webhook-timestamp': `${Math.floor(now(-1) / 1000)}` } }],
    ['six minutes old', { time: now(-360) }],
    ['six minutes ahead', { time: now(360) }],
    ['no id', { headers: { 'webhook-id': undefined } }],
    ['no time', { headers: { 'webhook-timestamp': undefined } }],
    ['no signature', { headers: { 'webhook-signature': undefined } }],
    ['another version of signatures', { version: 'v2' }],
]) {
    test(`no webhook: ${what}`, async () => strictEqual(await deliver('msg_7', how), 401));
}

test('no webhook: not JSON, but signed', async () => strictEqual(await deliver('msg_7', { body: 'hello' }), 400));

await run();
// Answers that never end would keep this program so, too.
process.exit();
