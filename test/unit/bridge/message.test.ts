// What a line of the client is, and whose id a line has that is too long to be kept.
import { isSafeMethod, readLine, refuseTooLong } from '../../../src/bridge/message.js';

const read = (value: unknown) => readLine(Buffer.from(JSON.stringify(value)));

test('requests, notifications, responses and batches are told apart', () => {
  expect(read({ jsonrpc: '2.0', id: 0, method: 'ping' })).toMatchObject({ kind: 'request', id: 0, method: 'ping' });
  expect(read({ jsonrpc: '2.0', method: 'x' })).toMatchObject({ kind: 'notification', method: 'x' });
  expect(read({ jsonrpc: '2.0', id: 'a', result: {} })).toEqual({ kind: 'response', id: 'a' });
  expect(
    read([
      { jsonrpc: '2.0', id: 1, method: 'a' },
      { jsonrpc: '2.0', method: 'b' },
    ]),
  ).toEqual({ kind: 'batch', ids: [1], methods: ['a'] });
});

test.each([
  ['an empty batch', []],
  ['one id twice', [1, 1].map((id) => ({ jsonrpc: '2.0', id, method: 'a' }))],
  ['initialize in a batch', [{ jsonrpc: '2.0', id: 1, method: 'initialize' }]],
  ['something else in a batch', [{ jsonrpc: '2.0', id: 1, method: 'a' }, 7]],
])('%s is no valid request', (_name, value) => {
  expect(read(value)).toMatchObject({ kind: 'refused', answer: expect.stringContaining('-32600') });
});

test('only what reads, or does nothing a second time, is safe to repeat', () => {
  const safe = [
    'initialize',
    'ping',
    'tools/list',
    'resources/list',
    'resources/templates/list',
    'prompts/list',
    'logging/setLevel',
  ];
  const unsafe = [
    'tools/call',
    'resources/read',
    'prompts/get',
    'completion/complete',
    'sampling/createMessage',
    'tools/list/call',
    'list',
  ];
  expect(safe.filter(isSafeMethod)).toEqual(safe);
  expect(unsafe.filter(isSafeMethod)).toEqual([]);
});

test.each([
  ['the id first', { jsonrpc: '2.0', id: 5, method: 'tools/call', params: {} }, 5],
  ['the id last', { method: 'tools/call', params: {}, jsonrpc: '2.0', id: 'x"y' }, null],
  ['the id last, plain', { method: 'tools/call', params: {}, jsonrpc: '2.0', id: 'xy' }, 'xy'],
  ['a notification', { method: 'tools/call', params: { id: 3 } }, null],
  ['a response', { jsonrpc: '2.0', id: 5, result: {} }, null],
  ['a response with the id last', { result: { method: 'x' }, jsonrpc: '2.0', id: 5 }, null],
])('the id of a line that is too long: %s', (_name, value, id) => {
  const text = JSON.stringify(value).replace('{}', `{"a":"${'x'.repeat(5000)}"}`);
  const bytes = Buffer.from(text);
  const refused = refuseTooLong(bytes.subarray(0, 1024), bytes.subarray(-1024), 4096) as { answer: string };
  expect(JSON.parse(refused.answer)).toMatchObject({ id, error: { code: -32000 } });
});
