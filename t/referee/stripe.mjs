// SPDX-License-Identifier: Apache-2.0
// Drives the stand-in for Stripe with Stripe's own client and prints TAP.
// Usage: node stripe.mjs URL-OF-THE-STAND-IN '{"payload", "secret", "timestamp", "header"}'
import { deepStrictEqual, match, notStrictEqual, ok, rejects, strictEqual, throws } from 'node:assert';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import Stripe from 'stripe';
import { run, test } from './tap.mjs';

const { errors } = Stripe;
const base = new URL(process.argv[2]);
const signed = JSON.parse(process.argv[3]);
const DAHLIA = '2026-08-26.dahlia';
const ACACIA = '2025-02-24.acacia';
const KEY = 'sk_test_of_the_referee';
const PRICE = 'price_pro';

const there = { host: base.hostname, port: base.port, protocol: 'http', maxNetworkRetries: 0, telemetry: false };
const connect = (config = {}, key = KEY) => new Stripe(key, { ...there, ...config });
const stripe = connect();
const dahlia = connect({ apiVersion: DAHLIA });

// ------------------------------------------------------------- the stand-in ----

async function control(method, path, body) {
    const response = await fetch(new URL(`/control${path}`, base), { method, body: body && JSON.stringify(body) });
    const text = await response.text();
    ok(response.ok, `${method} ${path}: ${response.status} ${text}`);
    return text ? JSON.parse(text) : undefined;
}

const act = (id, action, options) => control('POST', `/objects/${id}/${action}`, options);
const fail = (...faults) => control('POST', '/faults', faults);
const requests = () => control('GET', '/requests');

async function reset() {
    for (const path of ['', '/stats', '/requests']) await control('DELETE', path);
}

const checkout = {
    mode: 'subscription',
    line_items: [{ price: PRICE, quantity: 1 }],
    success_url: 'https://example.com/done?session={CHECKOUT_SESSION_ID}',
    cancel_url: 'https://example.com/',
};

async function subscribe(params = {}, completion = {}) {
    const session = await stripe.checkout.sessions.create({ ...checkout, ...params });
    return { session: session.id, ...(await act(session.id, 'complete', completion)) };
}

// The error that a call ends with, which must be of that class.
async function failure(call, Class, expected = {}) {
    let thrown;
    try {
        await call;
    } catch (error) {
        thrown = error;
    }
    ok(thrown instanceof Class, `${Class.name}, not ${thrown?.constructor.name}: ${thrown}`);
    for (const [name, value] of Object.entries(expected)) strictEqual(thrown[name], value, name);
    return thrown;
}

// -------------------------------------------------------------- Stripe's types ----

// The members of an interface as the client's own declarations have them: {name: {optional, type}}.
function declared(file, name) {
    const url = new URL(`./node_modules/stripe/esm/resources/${file}.d.ts`, import.meta.url);
    const text = readFileSync(url, 'utf8').replace(/\/\*[\s\S]*?\*\//g, '');
    const body = text.match(new RegExp(`^export interface ${name} [^{]*\\{\\n([\\s\\S]*?)^\\}`, 'm'))[1];
    const members = {};
    for (const [, member, optional, type] of body.matchAll(/^ {4}(\w+)(\??): ([\s\S]*?);$/gm)) {
        members[member] = { optional: optional === '?', type };
    }
    ok(Object.keys(members).length > 3, `${file}: ${name}`);
    return members;
}

const fits = {
    boolean: (type) => /\bboolean\b|\btrue\b|\bfalse\b/.test(type),
    number: (type) => /\bnumber\b/.test(type),
    string: (type) => /\bstring\b|'|\bDecimal\b|[A-Z]\w*\.[A-Z]\w*/.test(type),
    object: (type) => /\{|[A-Z]\w*/.test(type),
};

// That an object has what the client says it has, and nothing else; but for what a newer version has brought.
function conforms(object, file, name, newer = []) {
    const members = declared(file, name);
    for (const member of newer) delete members[member];
    for (const [member, { optional, type }] of Object.entries(members)) {
        const value = object[member];
        if (value === undefined) ok(optional, `${name} lacks ${member}: ${type}`);
        else if (value === null) ok(/\bnull\b/.test(type), `${name}.${member} is null, not ${type}`);
        else if (Array.isArray(value)) ok(/\bArray</.test(type), `${name}.${member} is a list, not ${type}`);
        else ok(fits[typeof value](type), `${name}.${member} is ${JSON.stringify(value)}, not ${type}`);
    }
    deepStrictEqual(Object.keys(object).filter((member) => !members[member]), [], `${name} has no more`);
}

function conformsAll(objects, newer = {}) {
    for (const [kind, object] of Object.entries(objects)) conforms(object, ...TYPES[kind], newer[kind]);
}

const TYPES = {
    charge: ['Charges', 'Charge'],
    customer: ['Customers', 'Customer'],
    dispute: ['Disputes', 'Dispute'],
    event: ['Events', 'EventBase'],
    invoice: ['Invoices', 'Invoice'],
    item: ['SubscriptionItems', 'SubscriptionItem'],
    line: ['InvoiceLineItems', 'InvoiceLineItem'],
    plan: ['Plans', 'Plan'],
    portal: ['BillingPortal/Sessions', 'Session'],
    price: ['Prices', 'Price'],
    session: ['Checkout/Sessions', 'Session'],
    subscription: ['Subscriptions', 'Subscription'],
};

// What the client's version has and dahlia had not.
const ENDIVE = {
    dispute: ['intended_submission_method'],
    item: ['current_trial'],
    session: ['allowed_payment_method_types'],
};

for (const [client, name, newer] of [[stripe, 'the client\'s own version', {}], [dahlia, DAHLIA, ENDIVE]]) {
    test(`objects have the client's types: ${name}`, async () => {
        const paid = await subscribe({ metadata: { user_id: 7 } }, {});
        const subscription = await client.subscriptions.retrieve(paid.subscription);
        const invoice = await client.invoices.retrieve(paid.invoice);
        const [item, line] = [subscription.items.data[0], invoice.lines.data[0]];
        const { dispute } = await act(paid.charge, 'dispute');
        conformsAll(
            {
                charge: await client.charges.retrieve(paid.charge),
                customer: await client.customers.retrieve(paid.customer),
                dispute: await client.disputes.retrieve(dispute),
                event: (await client.events.list({ limit: 1 })).data[0],
                invoice,
                item,
                line,
                plan: item.plan,
                portal: await client.billingPortal.sessions.create({ customer: paid.customer }),
                price: item.price,
                session: await client.checkout.sessions.retrieve(paid.session),
                subscription,
            },
            newer,
        );
        strictEqual(String(item.price.unit_amount_decimal), '2000');
        ok(item.current_period_end > item.current_period_start);
        strictEqual(invoice.parent.subscription_details.subscription, paid.subscription);
    });
}

test('events have the client\'s types, too', async () => {
    await control('PUT', '', { shape: 'endive' });
    const paid = await subscribe();
    for (const { payload } of paid.events) {
        const event = JSON.parse(payload);
        const { object } = event.data;
        conforms(event, ...TYPES.event);
        conforms(object, ...TYPES[object.object.replace('checkout.', '')]);
    }
    strictEqual(paid.events.length, 9);
});

test('an older version has the older shape', async () => {
    const paid = await subscribe();
    const old = connect({ apiVersion: ACACIA });
    const subscription = await old.subscriptions.retrieve(paid.subscription);
    ok(subscription.current_period_end > subscription.current_period_start);
    strictEqual((await old.invoices.retrieve(paid.invoice)).subscription, paid.subscription);
    strictEqual(subscription.lastResponse.apiVersion, ACACIA);
});

// ------------------------------------------------------------------ the calls ----

test('checkout', async () => {
    const session = await stripe.checkout.sessions.create({
        ...checkout,
        allow_promotion_codes: true,
        client_reference_id: 'user-7',
        customer_email: 'ada@example.com',
        expires_at: Math.floor(Date.now() / 1000) + 3600,
        metadata: { user_id: 7 },
        subscription_data: { metadata: { user_id: 7 } },
    });
    match(session.url, /^https:\/\/checkout\.stripe\.com\//);
    deepStrictEqual([session.status, session.payment_status], ['open', 'unpaid']);
    strictEqual(session.client_reference_id, 'user-7');
    const { redirect, subscription } = await act(session.id, 'complete');
    strictEqual(redirect, `https://example.com/done?session=${session.id}`);
    const done = await stripe.checkout.sessions.retrieve(session.id);
    deepStrictEqual([done.status, done.payment_status, done.subscription], ['complete', 'paid', subscription]);
    deepStrictEqual({ ...(await stripe.subscriptions.retrieve(subscription)).metadata }, { user_id: '7' });

    const other = await stripe.checkout.sessions.create(checkout);
    strictEqual((await stripe.checkout.sessions.expire(other.id)).status, 'expired');
});

test('portal', async () => {
    const { customer, subscription } = await subscribe();
    const portal = await stripe.billingPortal.sessions.create({
        customer,
        return_url: 'https://example.com/account',
        flow_data: { type: 'subscription_cancel', subscription_cancel: { subscription } },
    });
    match(portal.url, /^https:\/\/billing\.stripe\.com\//);
    strictEqual(portal.flow.subscription_cancel.subscription, subscription);
});

test('subscriptions', async () => {
    const { subscription: id, invoice } = await subscribe();
    const leaving = await stripe.subscriptions.update(id, { cancel_at_period_end: true, metadata: { why: 'money' } });
    deepStrictEqual([leaving.cancel_at_period_end, leaving.metadata.why], [true, 'money']);
    strictEqual(leaving.cancel_at, leaving.items.data[0].current_period_end);
    const staying = await stripe.subscriptions.update(id, { cancel_at_period_end: false, metadata: { why: '' } });
    deepStrictEqual([staying.cancel_at, staying.metadata.why], [null, undefined]);
    strictEqual((await stripe.subscriptions.retrieve(id, { expand: ['latest_invoice'] })).latest_invoice.id, invoice);
    const gone = await stripe.subscriptions.cancel(id, { cancellation_details: { comment: 'Enough' } });
    deepStrictEqual([gone.status, gone.cancellation_details.comment], ['canceled', 'Enough']);
    await failure(stripe.subscriptions.cancel(id), errors.StripeInvalidRequestError, { code: 'resource_missing' });
});

test('customers', async () => {
    const { id } = await stripe.customers.create({ email: 'zoe@example.com', name: 'Zoë', metadata: { user_id: 7 } });
    strictEqual((await stripe.customers.retrieve(id)).name, 'Zoë');
    deepStrictEqual({ ...(await stripe.customers.del(id)) }, { id, object: 'customer', deleted: true });
    strictEqual((await stripe.customers.retrieve(id)).deleted, true);
});

test('lists go on by themselves', async () => {
    const { id: customer } = await stripe.customers.create();
    const ids = [];
    for (let n = 0; n < 7; n++) ids.unshift((await subscribe({ customer })).subscription);
    await act(ids[6], 'end');
    const found = async (params) => {
        const all = [];
        for await (const each of stripe.subscriptions.list({ customer, limit: 2, ...params })) all.push(each.id);
        return all;
    };
    deepStrictEqual(await found({}), ids.slice(0, 6), 'all but the one that has ended');
    deepStrictEqual(await found({ status: 'all' }), ids);
    deepStrictEqual(await found({ status: 'all', ending_before: ids[6] }), ids.slice(0, 6).reverse(), 'and backwards');
    strictEqual((await stripe.subscriptions.list({ customer, limit: 2 }).autoPagingToArray({ limit: 3 })).length, 3);
});

test('events', async () => {
    await reset();
    const paid = await subscribe();
    const all = await stripe.events.list({ limit: 2 }).autoPagingToArray({ limit: 100 });
    deepStrictEqual(all.map(({ id }) => id), paid.events.map(({ id }) => id).reverse());
    const some = await stripe.events.list({ types: ['invoice.paid', 'customer.created'], created: { gte: 1 } });
    deepStrictEqual(some.data.map(({ type }) => type), ['invoice.paid', 'customer.created']);
    strictEqual((await stripe.events.retrieve(all[0].id)).data.object.id, paid.session);
});

test('money', async () => {
    const { charge } = await subscribe();
    await act(charge, 'refund', { amount: 500 });
    strictEqual((await stripe.charges.retrieve(charge)).amount_refunded, 500);
    const { dispute } = await act((await subscribe()).charge, 'dispute');
    strictEqual((await stripe.disputes.retrieve(dispute)).status, 'needs_response');
});

// ----------------------------------------------------------------- its errors ----

const refusals = [
    ['an unknown parameter', { ...checkout, colour: 'red' }, { code: 'parameter_unknown', param: 'colour' }],
    ['a missing one', { ...checkout, success_url: undefined }, { code: 'parameter_missing', param: 'success_url' }],
    ['no URL', { ...checkout, success_url: 'done' }, { code: 'url_invalid', param: 'success_url' }],
    [
        'an unknown price',
        { ...checkout, line_items: [{ price: 'price_missing' }] },
        { code: 'resource_missing', param: 'line_items[0][price]' },
    ],
    ['an unknown customer', { ...checkout, customer: 'cus_none' }, { code: 'resource_missing', param: 'customer' }],
];
for (const [name, params, expected] of refusals) {
    test(`StripeInvalidRequestError: ${name}`, async () => {
        const call = stripe.checkout.sessions.create(params);
        const error = await failure(call, errors.StripeInvalidRequestError, expected);
        strictEqual(error.statusCode, 400);
        match(error.requestId, /^req_/);
        match(error.doc_url, /^https:\/\/stripe\.com\/docs\/error-codes\//);
    });
}

test('StripeInvalidRequestError: what is not there', async () => {
    const expected = { statusCode: 404, code: 'resource_missing', param: 'id', rawType: 'invalid_request_error' };
    const { subscriptions, customers, checkout: { sessions }, invoices, charges, disputes, events } = stripe;
    for (const resource of [subscriptions, customers, sessions, invoices, charges, disputes, events]) {
        await failure(resource.retrieve('none'), errors.StripeInvalidRequestError, expected);
    }
    await failure(stripe.products.list(), errors.StripeInvalidRequestError, { statusCode: 404 });
});

test('keys: StripeAuthenticationError, StripePermissionError', async () => {
    const call = (key) => connect({}, key).subscriptions.list();
    await failure(call('sk_test_wrong'), errors.StripeAuthenticationError, { statusCode: 401 });
    await failure(call('sk_test_expired'), errors.StripeAuthenticationError, { code: 'api_key_expired' });
    await failure(call('nonsense'), errors.StripeAuthenticationError);
    await failure(call('sk_test_forbidden'), errors.StripePermissionError, { statusCode: 403 });
});

test('other classes of errors', async () => {
    const after = async (status, Class, expected, fault = {}) => {
        await fail({ status, ...fault });
        return failure(stripe.subscriptions.list(), Class, { statusCode: status, ...expected });
    };
    await after(402, errors.StripeCardError, { code: 'card_declined', decline_code: 'lost_card' }, {
        error: { decline_code: 'lost_card' },
    });
    await after(429, errors.StripeRateLimitError, { code: 'rate_limit' });
    await after(500, errors.StripeAPIError, { rawType: 'api_error' });
    await after(409, errors.StripeAPIError, { rawType: 'idempotency_error' });
});

test('StripeAPIError and StripeConnectionError: answers that are none', async () => {
    const list = (config) => connect(config).subscriptions.list();
    for (const how of ['garbage', 'torn']) {
        await fail({ how });
        match((await failure(list(), errors.StripeAPIError)).message, /Invalid JSON received/);
    }
    await fail({ how: 'cut' });
    await failure(list(), errors.StripeConnectionError);
    for (const how of ['hang', 'endless']) {
        await fail({ how });
        const timeout = how === 'hang' ? 200 : 1000;
        const running = list({ timeout });
        // A timeout is of silence, and this body is never silent.
        if (how === 'endless') await rejects(Promise.race([running, new Promise((_, no) => setTimeout(no, timeout))]));
        else match((await failure(running, errors.StripeConnectionError)).message, /timeout/);
    }
});

test('StripeIdempotencyError', async () => {
    const options = { idempotencyKey: `key-${Date.now()}` };
    const first = await stripe.checkout.sessions.create(checkout, options);
    const again = await stripe.checkout.sessions.create(checkout, options);
    strictEqual(again.id, first.id);
    strictEqual(again.lastResponse.idempotencyKey, options.idempotencyKey);
    strictEqual(again.lastResponse.headers['idempotent-replayed'], 'true');
    notStrictEqual(again.lastResponse.requestId, first.lastResponse.requestId);
    const other = { ...checkout, cancel_url: 'https://example.org/' };
    await failure(stripe.checkout.sessions.create(other, options), errors.StripeIdempotencyError, { statusCode: 400 });
    await failure(stripe.customers.create({}, options), errors.StripeIdempotencyError);
});

// -------------------------------------------------------------------- retries ----

// What became of a POST that met these faults, and how many requests it took; all with the same key.
async function persist(faults, retries = 2) {
    await reset();
    await fail(...faults);
    let outcome;
    try {
        outcome = await connect({ maxNetworkRetries: retries }).customers.create({ name: 'Ada' });
    } catch (error) {
        outcome = error;
    }
    const tries = await requests();
    strictEqual(new Set(tries.map(({ headers }) => headers['idempotency-key'])).size, 1, 'one key');
    match(tries[0].headers['idempotency-key'], /^stripe-node-retry-/);
    return [outcome, tries.length];
}

for (const [name, faults, tries] of [
    ['500 and 409', [{ status: 500 }, { status: 409 }], 3],
    ['400 that says so', [{ status: 400, should_retry: true }], 2],
    ['429 that says so', [{ status: 429, should_retry: true, retry_after: 1 }], 2],
    ['no answer', [{ how: 'close' }, { how: 'reset' }], 3],
]) {
    test(`tried again: ${name}`, async () => {
        const [customer, count] = await persist(faults);
        match(String(customer.id), /^cus_/);
        strictEqual(count, tries);
    });
}

for (const [name, fault, Class] of [
    ['500 that says so', { status: 500, should_retry: false }, errors.StripeAPIError],
    ['409 that says so', { status: 409, should_retry: false }, errors.StripeAPIError],
    ['400', { status: 400 }, errors.StripeInvalidRequestError],
]) {
    test(`not tried again: ${name}`, async () => {
        const [error, count] = await persist([{ ...fault, times: 3 }]);
        ok(error instanceof Class, String(error));
        strictEqual(count, 1);
    });
}

test('an answer that is lost is found again', async () => {
    const [customer, count] = await persist([{ how: 'reset', after: true }]);
    match(String(customer.id), /^cus_/);
    deepStrictEqual([count, customer.lastResponse.headers['idempotent-replayed']], [2, 'true']);
    strictEqual((await stripe.events.list({ type: 'customer.created' })).data.length, 1, 'there is one customer');
});

test('an error that is kept stays one', async () => {
    const [error, count] = await persist([{ status: 500, sticky: true }], 1);
    ok(error instanceof errors.StripeAPIError, String(error));
    deepStrictEqual([count, error.headers['idempotent-replayed']], [2, 'true']);
});

// ------------------------------------------------------------------- webhooks ----

const SECRETS = ['whsec_first', 'whsec_second'];

// The webhooks that the stand-in sends while something goes on: {header, payload}, and what that has returned.
async function received(settings, during) {
    const got = [];
    const server = createServer((request, response) => {
        const pieces = [];
        request.on('data', (piece) => pieces.push(piece));
        request.on('end', () => {
            got.push({ header: request.headers['stripe-signature'], payload: Buffer.concat(pieces) });
            response.end();
        });
    });
    await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
    try {
        const url = `http://127.0.0.1:${server.address().port}/`;
        await control('PUT', '', { shape: 'endive', webhook: { url, secrets: SECRETS, ...settings } });
        return [got, await during()];
    } finally {
        await control('PUT', '', {});
        server.close();
    }
}

test('webhooks are accepted, by every secret', async () => {
    const [got, paid] = await received({}, subscribe);
    strictEqual(got.length, paid.events.length);
    for (const { header, payload } of got) {
        for (const secret of SECRETS) {
            const event = stripe.webhooks.constructEvent(payload, header, secret);
            conforms(event, ...TYPES.event);
            strictEqual((await stripe.webhooks.constructEventAsync(payload.toString(), header, secret)).id, event.id);
        }
    }
    deepStrictEqual(got.map(({ payload }) => JSON.parse(payload).id), paid.events.map(({ id }) => id));
});

test('webhooks that are altered, late or of somebody else are refused', async () => {
    const refused = (payload, header, secret, message) =>
        throws(
            () => stripe.webhooks.constructEvent(payload, header, secret),
            (error) => error instanceof errors.StripeSignatureVerificationError && message.test(error.message),
        );
    const [[{ header, payload }]] = await received({}, subscribe);
    const mismatch = /No signatures found matching/;
    refused(payload.toString().replace('"livemode": false', '"livemode": true'), header, SECRETS[0], mismatch);
    refused(`${payload} `, header, SECRETS[0], mismatch);
    refused(payload, header.replace(/v1=./g, 'v1=x'), SECRETS[0], mismatch);
    refused(payload, header.replace(/t=\d/, 't=9'), SECRETS[0], mismatch);
    refused(payload, header, 'whsec_third', mismatch);
    refused(payload, header.replace(/v1/g, 'v0'), SECRETS[0], /No signatures found with expected scheme/);
    const [[late]] = await received({ skew: -400 }, subscribe);
    refused(late.payload, late.header, SECRETS[0], /Timestamp outside the tolerance zone/);
});

test('thin events are something else', async () => {
    const { customer } = await subscribe();
    const [[{ header, payload }]] = await received({}, () =>
        control('POST', '/events', { type: 'v1.customer.updated', object: customer, thin: true }),
    );
    throws(() => stripe.webhooks.constructEvent(payload, header, SECRETS[0]), /thin event/);
    const notification = stripe.parseEventNotification(payload, header, SECRETS[0]);
    deepStrictEqual([notification.type, notification.related_object.id], ['v1.customer.updated', customer]);
});

test('the tests\' own signatures are the client\'s', () => {
    const { header, ...of } = signed;
    strictEqual(header, stripe.webhooks.generateTestHeaderString(of));
    stripe.webhooks.signature.verifyHeader(of.payload, header, of.secret, 0);
});

await run();
// Answers that never end, and connections that are kept alive, would keep this program so, too.
process.exit();
