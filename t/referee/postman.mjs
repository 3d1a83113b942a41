// SPDX-License-Identifier: Apache-2.0
// Runs a Postman collection from top to bottom, and prints TAP: a test for each that the collection has.
// Usage: node postman.mjs COLLECTION URL
import { deepStrictEqual, ok } from 'node:assert';
import { readFileSync } from 'node:fs';
import newman from 'newman';
import { run, test } from './tap.mjs';

const [file, url] = process.argv.slice(2);
const collection = JSON.parse(readFileSync(file, 'utf8'));
const requests = (item) => (item.item ? item.item.flatMap(requests) : [item.name]);

const summary = await new Promise((resolve, reject) => {
    newman.run({ collection, envVar: [{ key: 'baseUrl', value: url }], timeoutRequest: 60_000 }, (error, result) => (error ? reject(error) : resolve(result)));
});
const { executions, failures } = summary.run;

test('each request was sent', () => {
    const sent = new Set(executions.map(({ item }) => item.name));
    deepStrictEqual(requests(collection).filter((name) => !sent.has(name)), []);
});
test('nothing went wrong beside its tests', () => deepStrictEqual(
    failures.filter(({ error }) => error.name !== 'AssertionError').map(({ error, source }) => `${source?.name}: ${error.message}`), []));
for (const { item, response, assertions = [] } of executions) {
    test(item.name, () => {
        ok(assertions.length > 0, 'it has tests');
        deepStrictEqual(assertions.filter(({ error }) => error).map(({ error }) => error.message), [], `${response?.stream}`);
    });
}
await run();
