// The body of a POST: what is refused and with whose id, and that no client chooses its own scope.
import { readMessage, UnusableMessage } from '../../../src/edge/read-message.js';
import type { MessageBody } from '../../../src/streams/exchange.js';

const read = (text: string, serverId = 'support') => readMessage(Buffer.from(text), serverId) as MessageBody;

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

it.each([
  ['an empty one', '[]', /empty/],
  [
    'one of 101 messages',
    `[${Array.from({ length: 101 }, (_, id) => `{"jsonrpc":"2.0","id":${id},"method":"ping"}`)}]`,
    /101 messages, 100 is the most/,
  ],
  [
    'one with a claim of a later revision',
    '[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","id":2,"method":"ping","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}]',
    /later revision/,
  ],
])('of batches %s is refused as a whole', (_name, text, said) => {
  expect(refusal(text)).toEqual({ code: 'BATCH_INVALID', status: 400, rpc: -32600, id: undefined });
  expect(() => read(text)).toThrow(said);
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

describe('batches', () => {
  const batch = (text: string, serverId = 'support') => {
    const body = readMessage(Buffer.from(text), serverId);
    if (body.kind !== 'batch') throw new Error(`no batch: ${body.kind}`);
    return body;
  };
  const CALL = '{"jsonrpc":"2.0", "id":1, "method":"tools/call", "params":{"name":"x","arguments":{"n":9007199254740993}}}';

  it('each element is read as if it came alone, with its own bytes', () => {
    const others = ['{"jsonrpc":"2.0","method":"notifications/x"}', '{"jsonrpc":"2.0","id":"q","result":{"a":"],["}}'];
    const body = batch(` [ ${[CALL, ...others].join(' ,\n')} ] `);
    expect(body.parts).toEqual([CALL, ...others].map((text) => read(text)));
    expect(body.parts.map((part) => part.kind)).toEqual(['request', 'notification', 'response']);
    expect(body.ids).toEqual([1]);
  });

  it('100 messages are taken', () => {
    expect(batch(`[${Array.from({ length: 100 }, (_, id) => `{"jsonrpc":"2.0","id":${id},"method":"ping"}`)}]`).ids).toHaveLength(
      100,
    );
  });

  it('every request gets the server of the path, none chooses it', () => {
    const of = (params: string, id: number) => `{"jsonrpc":"2.0","id":${id},"method":"tools/list"${params}}`;
    const text = `[${[of('', 1), of(',"params":null', 2), of(',"params":{"server_id":"secret"}', 3), of(',"params":{"__proto__":{"server_id":"secret"}}', 4)]}]`;
    for (const part of batch(text).parts) expect(part).toMatchObject({ message: { params: { server_id: 'support' } } });
    expect(batch(text).parts.map((part) => part.kind === 'request' && part.mayRelay)).toEqual([true, false, false, true]);
    for (const part of batch(text, '').parts)
      expect((part as { message: object }).message).not.toHaveProperty('params.server_id');
  });

  const PING = '{"jsonrpc":"2.0","id":1,"method":"ping"}';
  it.each([
    ['a number', '7', undefined, -32600],
    ['null', 'null', undefined, -32600],
    ['a batch', `[${PING}]`, undefined, -32600],
    ['no version', '{"id":5,"method":"ping"}', undefined, -32600],
    ['the id of another, invalid', '{"id":1,"method":"ping"}', undefined, -32600],
    ['the id of another, valid', '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{}}', undefined, -32600],
    ['an id that is an object', '{"jsonrpc":"2.0","id":{"__proto__":1},"method":"ping"}', undefined, -32600],
    ['initialize', '{"jsonrpc":"2.0","id":"i","method":"initialize","params":{}}', 'i', -32600],
    ['array params', '{"jsonrpc":"2.0","id":"p","method":"tools/list","params":[]}', 'p', -32602],
    ['a key in another case', '{"jsonrpc":"2.0","id":"k","method":"x","METHOD":"y"}', 'k', -32600],
  ])('an element that is %s is refused alone', (_name, text, id, code) => {
    const body = batch(`[${PING},${text}]`);
    expect(body.parts).toMatchObject([{ kind: 'request' }, { kind: 'refused', id, error: { code } }]);
    expect(body.ids).toEqual(id === undefined ? [1] : [1, id]);
  });

  it('1 and "1" are two ids', () => {
    expect(batch(`[${PING},{"jsonrpc":"2.0","id":"1","method":"ping"}]`).ids).toEqual([1, '1']);
  });

  it('depth is no matter', () => {
    const deep = `${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`;
    expect(
      batch(`[{"jsonrpc":"2.0","id":1,"method":"tools/call","params":${deep}},${'['.repeat(50_000)}${']'.repeat(50_000)}]`).parts,
    ).toMatchObject([{ kind: 'request' }, { kind: 'refused' }]);
  });
});
