// SPDX-License-Identifier: Apache-2.0
// Drives the stand-in for Gemini with Google's own client and prints TAP.
// Usage: node gemini.mjs URL-OF-THE-STAND-IN
import { deepStrictEqual, match, ok, strictEqual } from 'node:assert';
import {
    ApiError,
    BlockedReason,
    FinishReason,
    GoogleGenAI,
    HarmBlockThreshold,
    HarmCategory,
    ThinkingLevel,
} from '@google/genai';
import { run, test } from './tap.mjs';

const MODEL = 'gemini-3.8-flash';
const baseUrl = process.argv[2];
const client = (apiKey) => new GoogleGenAI({ apiKey, httpOptions: { baseUrl } });
const ai = client('referee-key');

const generate = (contents, config = {}, model = MODEL) => ai.models.generateContent({ model, contents, config });

async function stream(contents, config = {}) {
    const chunks = [];
    for await (const chunk of await ai.models.generateContentStream({ model: MODEL, contents, config })) {
        chunks.push(chunk);
    }
    return { chunks, last: chunks.at(-1), text: chunks.map((chunk) => chunk.text ?? '').join('') };
}

// The ApiError that a call ends with, and the body inside its message.
async function failure(call) {
    try {
        await call;
    } catch (error) {
        ok(error instanceof ApiError, `an ApiError, not ${error}`);
        return { status: error.status, error: JSON.parse(error.message.replace(/^[^{]*/, '')).error };
    }
    throw new Error('the call succeeded');
}

test('generateContent: text, usage, model', async () => {
    const response = await generate('hello');
    strictEqual(response.text, 'You said: hello. I remember 0 earlier turns (0 yours): [].');
    strictEqual(response.candidates[0].finishReason, FinishReason.STOP);
    strictEqual(response.modelVersion, MODEL);
    match(response.responseId, /^\S{22}$/);
    deepStrictEqual(response.usageMetadata, {
        promptTokenCount: 2,
        candidatesTokenCount: 15,
        totalTokenCount: 17,
        promptTokensDetails: [{ modality: 'TEXT', tokenCount: 2 }],
    });
});

test('generateContentStream: deltas, one finish, usage to the end', async () => {
    const { chunks, last, text } = await stream('hello [[chunks=7]] [[gap=5]]');
    strictEqual(chunks.length, 7);
    strictEqual(text, 'You said: hello. I remember 0 earlier turns (0 yours): [].');
    deepStrictEqual(chunks.map((chunk) => chunk.candidates[0].finishReason), [...Array(6).fill(undefined), FinishReason.STOP]);
    strictEqual(last.usageMetadata.candidatesTokenCount, 15);
    strictEqual(new Set(chunks.map((chunk) => chunk.responseId)).size, 1);
});

for (const shape of ['split', 'split]] [[ascii', 'dribble=3', 'lf', 'cr', 'size=200000]] [[chunks=50']) {
    test(`generateContentStream: [[${shape}]]`, async () => {
        const { text, last } = await stream(`Größe 🎈 [[${shape}]]`);
        ok(text.startsWith('You said: Größe 🎈. '), text.slice(0, 80));
        strictEqual(last.candidates[0].finishReason, FinishReason.STOP);
    });
}

test('system instruction', async () => {
    const { text } = await stream('hello', { systemInstruction: 'Be brief' });
    match(text, / System: Be brief\.$/);
});

test('a chat keeps its history', async () => {
    const chat = ai.chats.create({ model: MODEL });
    await chat.sendMessage({ message: 'one' });
    for await (const chunk of await chat.sendMessageStream({ message: 'two' })) ok(chunk.text);
    const response = await chat.sendMessage({ message: 'three' });
    // The client keeps each of the five events of a streamed answer as a turn.
    strictEqual(response.text, 'You said: three. I remember 8 earlier turns (2 yours): [one | two].');
});

test('thoughts', async () => {
    const { chunks, last, text } = await stream('why?', {
        thinkingConfig: { includeThoughts: true, thinkingLevel: ThinkingLevel.LOW },
    });
    const parts = chunks.flatMap((chunk) => chunk.candidates[0].content.parts);
    strictEqual(parts[0].thought, true);
    ok(parts.at(-1).thoughtSignature);
    strictEqual(text, 'You said: why?. I remember 0 earlier turns (0 yours): [].');
    strictEqual(last.usageMetadata.thoughtsTokenCount, 6);
});

test('safety settings', async () => {
    const safetySettings = [HarmCategory.HARM_CATEGORY_HARASSMENT, HarmCategory.HARM_CATEGORY_DANGEROUS_CONTENT].map(
        (category) => ({ category, threshold: HarmBlockThreshold.BLOCK_ONLY_HIGH }),
    );
    strictEqual((await generate('hello', { safetySettings })).candidates[0].finishReason, FinishReason.STOP);
});

test('generation settings', async () => {
    const config = { maxOutputTokens: 4, seed: 7, stopSequences: ['never'], presencePenalty: 0.5, frequencyPenalty: 0.5 };
    const response = await generate('hello', config);
    strictEqual(response.text, 'You said: hello.');
    strictEqual(response.candidates[0].finishReason, FinishReason.MAX_TOKENS);
});

test('a blocked prompt', async () => {
    const { chunks, last } = await stream('hello [[block=SAFETY]]');
    strictEqual(chunks.length, 1);
    strictEqual(last.promptFeedback.blockReason, BlockedReason.SAFETY);
    strictEqual(last.candidates, undefined);
    strictEqual((await generate('hello [[block=OTHER]]')).promptFeedback.blockReason, BlockedReason.OTHER);
});

for (const reason of ['SAFETY', 'RECITATION', 'PROHIBITED_CONTENT', 'MAX_TOKENS', 'OTHER']) {
    test(`finish reason ${reason}`, async () => {
        const { last, text } = await stream(`hello [[finish=${reason}]]`);
        strictEqual(last.candidates[0].finishReason, FinishReason[reason]);
        ok(text.length > 0);
    });
}

test('no text', async () => {
    const { text, last } = await stream('hello [[empty]]');
    strictEqual(text, '');
    strictEqual(last.candidates[0].finishReason, FinishReason.STOP);
});

test('countTokens', async () => {
    strictEqual((await ai.models.countTokens({ model: MODEL, contents: 'twelve bytes' })).totalTokens, 3);
});

test('models.get and models.list', async () => {
    const model = await ai.models.get({ model: MODEL });
    strictEqual(model.name, `models/${MODEL}`);
    strictEqual(model.inputTokenLimit, 1048576);
    const names = [];
    for await (const listed of await ai.models.list({ config: { pageSize: 3 } })) names.push(listed.name);
    ok(names.length > 6 && names.includes(`models/${MODEL}`), names.join(' '));
    strictEqual(new Set(names).size, names.length);
});

for (const [status, name] of [
    [400, 'INVALID_ARGUMENT'],
    [401, 'UNAUTHENTICATED'],
    [403, 'PERMISSION_DENIED'],
    [404, 'NOT_FOUND'],
    [429, 'RESOURCE_EXHAUSTED'],
    [500, 'INTERNAL'],
    [503, 'UNAVAILABLE'],
]) {
    test(`${status} ${name}`, async () => {
        const whole = await failure(generate(`hello [[status=${status}]]`));
        strictEqual(whole.status, status);
        strictEqual(whole.error.code, status);
        strictEqual(whole.error.status, name);
        const streamed = await failure(stream(`hello [[status=${status}]]`));
        strictEqual(streamed.status, status);
        // The client takes no JSON out of a stream's error, for Google does not label it so.
        strictEqual(JSON.parse(streamed.error.message).error.status, name);
    });
}

test('429 has its details', async () => {
    const { error } = await failure(generate('hello [[quota=day]] [[retry=34.07s]]'));
    const detail = (type) => error.details.find((each) => each['@type'].endsWith(type));
    strictEqual(detail('RetryInfo').retryDelay, '34.07s');
    match(detail('QuotaFailure').violations[0].quotaId, /PerDay/);
});

test('keys', async () => {
    const call = (key) => failure(client(key).models.generateContent({ model: MODEL, contents: 'hello' }));
    strictEqual((await call('bad-key')).error.details[0].reason, 'API_KEY_INVALID');
    strictEqual((await call('leaked-key')).status, 403);
});

test('an unknown model', async () => {
    const { status, error } = await failure(generate('hello', {}, 'gemini-1.5-flash'));
    strictEqual(status, 404);
    match(error.message, /models\/gemini-1\.5-flash is not found for API version v1beta/);
});

test('an invalid request', async () => {
    const { status, error } = await failure(generate([{ role: 'system', parts: [{ text: 'x' }] }]));
    strictEqual(status, 400);
    match(error.message, /valid role: user, model/);
});

for (const form of ['json', 'event']) {
    test(`an error in the stream: ${form}`, async () => {
        const { status, error } = await failure(stream(`hello [[miderror=2]] [[gap=20]] [[body=${form}]]`));
        strictEqual(status, 503);
        strictEqual(error.status, 'UNAVAILABLE');
    });
}

test('a stream that is cut', async () => {
    let error;
    await stream('hello [[cut=2]]').catch((thrown) => (error = thrown));
    ok(error, 'an error');
});

test('a stream that ends within an event', async () => {
    let error;
    await stream('hello [[torn]]').catch((thrown) => (error = thrown));
    match(String(error), /Incomplete JSON segment at the end/);
});

test('retries until it is well', async () => {
    const patient = new GoogleGenAI({
        apiKey: 'referee-key',
        httpOptions: { baseUrl, retryOptions: { attempts: 5, initialDelay: 0.01 } },
    });
    const response = await patient.models.generateContent({ model: MODEL, contents: 'hello [[status=503]] [[times=3]]' });
    match(response.text, /^You said: hello\./);
});

await run();
