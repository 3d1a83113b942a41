// SPDX-License-Identifier: Apache-2.0
// Reading an OpenAPI document: references, operations, examples.

const METHODS = ['get', 'put', 'post', 'patch', 'delete', 'options', 'head'];

// What a "$ref" stands for, as often as that is another one.
export function resolve(document, value) {
  while (value && value.$ref) {
    value = value.$ref.slice(2).split('/').reduce((at, name) => at[name.replace(/~1/g, '/').replace(/~0/g, '~')], document);
  }
  return value;
}

// Where requests go: the server's address, which is relative to the document's.
export function baseOf(document, address) {
  return new URL(document.servers[0].url, address).href.replace(/\/$/, '');
}

// [{tag, operations: [{method, path, id, ...the operation, parameters and responses without references}]}], in the order of the tags.
export function tagsOf(document) {
  const all = Object.entries(document.paths).flatMap(([path, item]) => METHODS.filter(method => item[method]).map(method => {
    const operation = item[method];
    const responses = Object.entries(operation.responses).map(([status, response]) => [status, resolve(document, response)]);
    return {...operation, id: operation.operationId, method, path, responses,
      parameters: (operation.parameters || []).map(parameter => resolve(document, parameter))};
  }));
  return document.tags.map(tag => ({tag, operations: all.filter(operation => operation.tags.includes(tag.name))}));
}

// Whom an operation is for, in a word or two; nothing where it is for all.
export function accessOf(operation) {
  const schemes = operation.security.flatMap(Object.keys);
  return schemes.includes('stripeSignature') ? 'Stripe' : schemes.includes('streamTicket') ? 'token or ticket'
    : schemes.length ? 'token' : '';
}

// Whether an access token is of use.
export const takesToken = operation => operation.security.some(one => 'accessToken' in one);

// A schema's type in words, with its bounds: "string, 1–100 characters", "integer from 1", "Chatroom[]".
export function typeOf(document, schema) {
  const is = resolve(document, schema);
  if (is.enum) { return is.enum.map(value => JSON.stringify(value)).join(' | '); }
  if ('const' in is) { return JSON.stringify(is.const); }
  if (is.oneOf) { return 'one of'; }
  if (is.type === 'array') { return `array of ${nameOf(is.items) || typeOf(document, is.items)}`; }
  const type = [].concat(is.type).map(name => name === 'string' && is.format ? is.format : name).join(' or ');
  return type + boundsOf(is);
}

function boundsOf(schema) {
  if ('minLength' in schema || 'maxLength' in schema) { return `, ${range(schema.minLength, schema.maxLength)} characters`; }
  return 'minimum' in schema || 'maximum' in schema ? `, ${range(schema.minimum, schema.maximum)}` : '';
}

function range(least, most) {
  return least === undefined ? `up to ${most}` : most === undefined || most > 1e9 ? `${least} or more` : `${least}–${most}`;
}

// What a reference to a schema is called.
export const nameOf = schema => schema.$ref ? schema.$ref.split('/').pop() : '';

// [{name, schema, required}]: the members of an object, or of what an array is made of.
export function membersOf(document, schema) {
  const is = resolve(document, schema);
  if (is.type === 'array') { return membersOf(document, is.items); }
  return Object.entries(is.properties || {}).map(([name, member]) =>
    ({name, schema: member, required: (is.required || []).includes(name)}));
}

// [{name, value}]: the examples of a media type, or of its schema.
export function examplesOf(document, media) {
  if (media.examples) { return Object.entries(media.examples).map(([name, {value}]) => ({name, value})); }
  if ('example' in media) { return [{name: 'Example', value: media.example}]; }
  return (resolve(document, media.schema).examples || []).map((value, index) => ({name: `Example ${index + 1}`, value}));
}

// An example as text.
export const textOf = value => typeof value === 'string' ? value : JSON.stringify(value, null, 2);
