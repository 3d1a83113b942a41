// SPDX-License-Identifier: Apache-2.0
// Has Spectral, with its rules for OpenAPI, look through a document, and prints TAP.
// Usage: node openapi.mjs DOCUMENT
import { deepStrictEqual, ok } from 'node:assert';
import { readFileSync } from 'node:fs';
import core from '@stoplight/spectral-core';
import parsers from '@stoplight/spectral-parsers';
import rulesets from '@stoplight/spectral-rulesets';
import { run, test } from './tap.mjs';

const text = readFileSync(process.argv[2], 'utf8');

async function lint(document) {
    const spectral = new core.Spectral();
    spectral.setRuleset(new core.Ruleset({ extends: [[rulesets.oas, 'recommended']] }));
    const found = await spectral.run(new core.Document(document, parsers.Json, 'openapi.json'));
    return found.map(({ code, message, path }) => `${path.join('/')}: ${message} (${code})`);
}

test('the document is clean', async () => deepStrictEqual(await lint(text), []));
for (const [what, broken] of [
    ['without a description', text.replace('"description"', '"describtion"')],
    ['with an example that does not fit', text.replace('"expires_in": 1800', '"expires_in": "1800"')],
    ['with a reference that leads nowhere', text.replace('#/components/schemas/Service', '#/components/schemas/Nothing')],
]) {
    test(`one ${what} is not`, async () => ok((await lint(broken)).length > 0));
}
await run();
