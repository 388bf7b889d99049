// The body of a POST: what is refused and with whose id, and that no client chooses its own scope.
import { readMessage, UnusableMessage } from '../../../src/edge/read-message.js';

const read = (text: string, serverId = 'support') => readMessage(Buffer.from(text), serverId);

function refusal(text: string): { code: string; status: number; rpc: number; id: unknown } {
  try {
    read(text);
  } catch (error) {
    if (!(error instanceof UnusableMessage)) throw error;
    return { code: error.error.code, status: error.error.status, rpc: error.error.toJsonRpc().code, id: error.id };
  }
  throw new Error(`was not refused: ${text}`);
}

it.each([
  ['nothing', ''],
  ['half of a message', '{"jsonrpc":"2.0"'],
  ['no JSON', 'hello'],
  ['a byte order mark', '\ufeff{}'],
])('%s is a parse error', (_name, text) => {
  expect(refusal(text)).toEqual({ code: 'PARSE_ERROR', status: 400, rpc: -32700, id: undefined });
});

it.each(['[]', '[{"jsonrpc":"2.0","id":1,"method":"ping"}]'])('the batch %s is refused', (text) => {
  expect(refusal(text)).toEqual({ code: 'BATCH_UNSUPPORTED', status: 400, rpc: -32600, id: undefined });
});

it.each([
  ['a number', '1', undefined],
  ['null', 'null', undefined],
  ['no version', '{"id":1,"method":"ping"}', 1],
  ['another version', '{"jsonrpc":"1.0","id":"a","method":"ping"}', 'a'],
  ['a null id', '{"jsonrpc":"2.0","id":null,"method":"ping"}', undefined],
  ['an object id', '{"jsonrpc":"2.0","id":{},"method":"ping"}', undefined],
  ['a boolean id', '{"jsonrpc":"2.0","id":true,"method":"ping"}', undefined],
  ['a method that is no text', '{"jsonrpc":"2.0","id":7,"method":1}', 7],
  ['neither method nor result', '{"jsonrpc":"2.0","id":7}', 7],
  ['result and error', '{"jsonrpc":"2.0","id":7,"result":1,"error":{"code":1,"message":""}}', 7],
  ['params that are text', '{"jsonrpc":"2.0","id":7,"method":"ping","params":"x"}', 7],
])('%s is an invalid request, with the id where there is one', (_name, text, id) => {
  expect(refusal(text)).toEqual({ code: 'INVALID_REQUEST', status: 400, rpc: -32600, id });
});

it.each(['', 'support'])('array params are refused with the id of the caller, on the path of %j', (serverId) => {
  const text = '{"jsonrpc":"2.0","id":"x","method":"tools/call","params":["a"]}';
  expect(() => read(text, serverId)).toThrow(UnusableMessage);
  expect(refusal(text)).toEqual({ code: 'INVALID_PARAMS', status: 400, rpc: -32602, id: 'x' });
});

it.each([
  ['absent params', undefined],
  ['null params', null],
  ['params that name another server', { server_id: 'secret', name: 'x' }],
  ['params that name it by an object', { server_id: { $ne: '' } }],
])('%s get the server of the path', (_name, params) => {
  const body = read(JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params }));
  expect(body.message).toMatchObject({ params: { server_id: 'support' } });
});

it('on /mcp a server_id of the client is taken out', () => {
  const body = read('{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"server_id":"support","name":"x"}}', '');
  expect(body.message).toEqual({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'x' } });
});

it("the client's own bytes may go to a backend unless it named a server or null params", () => {
  const text = '{"jsonrpc":"2.0", "id":1, "method":"tools/call", "params":{"name":"x","arguments":{"n":9007199254740993}}}';
  const kept = read(text);
  expect(kept.bytes.toString()).toBe(text);
  expect(kept.kind === 'request' && kept.mayRelay).toBe(true);
  for (const params of ['null', '{"server_id":"support"}']) {
    const body = read(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":${params}}`);
    expect(body.kind === 'request' && body.mayRelay).toBe(false);
  }
});

it('what a hop carries is read again to the same: reading the bytes changes nothing', () => {
  for (const params of ['{"name":"x"}', '{"name":"x","server_id":"other"}', 'null']) {
    const first = read(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":${params}}`);
    expect(readMessage(first.bytes, 'support')).toEqual(first);
  }
});

it('notifications and responses keep their bytes and params', () => {
  const notification = '{"jsonrpc":"2.0","method":"notifications/x","params":{"server_id":"a"}}';
  const response = '{"jsonrpc":"2.0","id":0,"result":{"server_id":"a"}}';
  for (const [text, kind] of [
    [notification, 'notification'],
    [response, 'response'],
  ] as const) {
    const body = read(text);
    expect(body.kind).toBe(kind);
    expect(body.bytes.toString()).toBe(text);
    expect(body.message).toEqual(JSON.parse(text));
  }
});

it.each(['0', '-1', '1.5', '""', '"a"'])('the id %s is a legal one', (id) => {
  expect(read(`{"jsonrpc":"2.0","id":${id},"method":"ping"}`).kind).toBe('request');
});

// A backend whose JSON library ignores case would call the excluded tool, although the allowed one was judged.
it.each([
  '{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"allowed","Name":"excluded"}}',
  '{"jsonrpc":"2.0","id":7,"method":"x","METHOD":"tools/call","params":{}}',
  '{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"allowed"},"Params":{"name":"excluded"}}',
])('a key that differs only in case from a decisive one is refused with the id of the call: %s', (text) => {
  expect(refusal(text)).toMatchObject({ code: 'INVALID_REQUEST', status: 400, id: 7 });
});

it('other keys may be written as they like', () => {
  expect(
    read('{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","arguments":{"Name":"y","NAME":"z"}}}').kind,
  ).toBe('request');
});
