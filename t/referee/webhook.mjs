// SPDX-License-Identifier: Apache-2.0
// Signs webhooks with Stripe's own client, has an address judge them, and prints TAP.
// Usage: node webhook.mjs URL SECRET
import { strictEqual } from 'node:assert';
import Stripe from 'stripe';
import { run, test } from './tap.mjs';

const [url, secret] = process.argv.slice(2);
const { webhooks } = new Stripe('sk_test_referee');

const event = (id, more = {}) => JSON.stringify({
    id,
    object: 'event',
    api_version: '2026-08-26.dahlia',
    created: Math.floor(Date.now() / 1000),
    data: { object: { id: 'pm_1', object: 'payment_method', billing_details: { name: 'Zoë' } } },
    livemode: false,
    type: 'payment_method.attached',
    ...more,
}, null, 2);

// The status that a delivery is answered with; the signature is for `payload`, whatever is sent.
async function deliver(payload, { sent = payload, ...how } = {}) {
    const signature = webhooks.generateTestHeaderString({ payload, secret, ...how });
    const answer = await fetch(url, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json; charset=utf-8', 'Stripe-Signature': signature },
        body: sent,
    });
    return answer.status;
}

const ago = (seconds) => Math.floor(Date.now() / 1000) - seconds;

test('signed', async () => strictEqual(await deliver(event('evt_1')), 200));
test('signed, and sent again', async () => strictEqual(await deliver(event('evt_1')), 200));
test('signed four minutes ago', async () => strictEqual(await deliver(event('evt_2'), { timestamp: ago(240) }), 200));

for (const [what, payload, how] of [
    ['another body', event('evt_3'), { sent: event('evt_4') }],
    ['one byte more', event('evt_3'), { sent: `${event('evt_3')}\n` }],
    ['the same JSON, written otherwise', event('evt_3'), { sent: JSON.stringify(JSON.parse(event('evt_3'))) }],
    ['another secret', event('evt_3'), { secret: 'whsec_another' }],
    ['another scheme', event('evt_3'), { scheme: 'v0' }],
    ['six minutes ago', event('evt_3'), { timestamp: ago(360) }],
    ['in six minutes', event('evt_3'), { timestamp: ago(-360) }],
    ['of live mode', event('evt_3', { livemode: true }), {}],
]) {
    test(`refused: ${what}`, async () => strictEqual(await deliver(payload, how), 400));
}

await run();
