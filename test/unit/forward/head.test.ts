// HEAD: internal facts have fields of their own, and what we cannot have made is refused.
import { parseAnswerHead, parseRefusedToken, parseRequestHead } from '../../../src/forward/head.js';

const good = {
  m: 'POST',
  s: 'support',
  p: 'alice',
  g: 'digest',
  d: 1000,
  b: 10,
  h: { 'x-forwarded-internally': 'true', accept: '*/*' },
};
const parse = (head: unknown) => parseRequestHead(Buffer.from(JSON.stringify(head)));

test('a request head is read; internal headers in it are dropped', () => {
  const headers = { ...good.h, 'x-berth-principal': 'root', 'x-berth-epoch': '9' };
  expect(parse({ ...good, h: headers })).toEqual({
    method: 'POST',
    serverId: 'support',
    headers: { accept: '*/*' },
    isReattached: false,
    principal: { name: 'alice', digest: 'digest' },
    leftMs: 1000,
    bodyBytes: 10,
    hop: { kind: 'take' },
  });
  expect(parse({ ...good, o: 'w.1', e: 4 })?.hop).toEqual({ kind: 'named', token: { owner: 'w.1', epoch: 4 } });
  expect(parse({ ...good, d: null })?.leftMs).toBe(Number.POSITIVE_INFINITY);
  expect(parse({ ...good, unknown: 'of a later version' })).toBeDefined();
});

test('a worker may tell another to end a session by its reference', () => {
  const end = { ...good, m: 'DELETE', s: '', b: 0, r: 'r'.repeat(22) };
  for (const cause of ['deleted', 'killed', 'closing', 'idle']) {
    expect(parse({ ...end, c: cause })?.hop).toEqual({ kind: 'end', ref: 'r'.repeat(22), cause });
  }
  for (const bad of [
    end,
    { ...end, c: 'other' },
    { ...end, r: 'short', c: 'idle' },
    { ...end, r: undefined, c: 'idle' },
    { ...end, c: 'idle', o: 'w.1', e: 1 },
    { ...end, c: 'idle', m: 'GET' },
  ]) {
    expect(parse(bad)).toBeUndefined();
  }
});

test('a worker may ask another for its status, in a form of any version', () => {
  const status = { ...good, m: 'GET', s: '', b: 0, q: 1 };
  expect(parse(status)?.hop).toEqual({ kind: 'status', version: 1 });
  expect(parse({ ...status, q: 7 })?.hop).toEqual({ kind: 'status', version: 7 });
  for (const bad of [
    { ...status, q: '1' },
    { ...status, q: -1 },
    { ...status, m: 'DELETE' },
    { ...status, o: 'w.1', e: 1 },
    { ...status, r: 'r'.repeat(22), c: 'idle' },
  ]) {
    expect(parse(bad)).toBeUndefined();
  }
});

test.each([
  ['not an object', 7],
  ['an array', []],
  ['another method', { ...good, m: 'PUT' }],
  ['a server id we cannot have', { ...good, s: '../x' }],
  ['no principal', { ...good, p: '' }],
  ['no digest', { ...good, g: undefined }],
  ['no hop mark', { ...good, h: { accept: '*/*' } }],
  ['a header that is no text', { ...good, h: { ...good.h, a: 1 } }],
  ['a header name in upper case', { ...good, h: { ...good.h, 'X-A': '1' } }],
  ['a deadline that is no number', { ...good, d: '5' }],
  ['no deadline', { ...good, d: undefined }],
  ['a negative deadline', { ...good, d: -1 }],
  ['POST without a body', { ...good, b: 0 }],
  ['GET with a body', { ...good, m: 'GET' }],
  ['a length that is none', { ...good, b: 1.5 }],
  ['half a token', { ...good, o: 'w.1' }],
  ['an epoch that is none', { ...good, o: 'w.1', e: -1 }],
])('%s is refused', (_name, head) => {
  expect(parse(head)).toBeUndefined();
});

test('an answer head is read, or refused', () => {
  const parseAnswer = (head: unknown) => parseAnswerHead(Buffer.from(JSON.stringify(head)));
  expect(parseAnswer({ s: 200, h: { a: 'b' }, w: 3 })).toEqual({ status: 200, headers: { a: 'b' }, wholeBytes: 3 });
  for (const bad of [
    { s: 99, h: {} },
    { s: 600, h: {} },
    { s: '200', h: {} },
    { s: 200 },
    { s: 200, h: { a: 1 } },
    { s: 200, h: {}, w: -1 },
  ]) {
    expect(parseAnswer(bad)).toBeUndefined();
  }
  expect(parseAnswerHead(Buffer.from('{'))).toBeUndefined();
});

test('the token of a refusal', () => {
  expect(parseRefusedToken('w.1 12')).toEqual({ owner: 'w.1', epoch: 12 });
  for (const text of ['-', '', 'w.1', ' 12', 'w.1 x', 'w.1 -4', 'w.1 1.5']) expect(parseRefusedToken(text)).toBeUndefined();
});
