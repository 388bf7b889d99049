// I8: what can be read but not written anew (nested deeper than the stack reaches) costs nobody but its sender anything.
import type { BackendSession } from '../../../src/backends/backend.js';
import type { GatewayError } from '../../../src/errors/gateway-error.js';
import type { JsonRpcRequest } from '../../../src/protocol/json-rpc.js';
import { callTool, Fixture, soon } from './harness.js';

const fixtures: Fixture[] = [];
afterEach(() => Promise.all(fixtures.splice(0).map(({ backend }) => backend.close())));

function makeSession(): BackendSession {
  const fixture = new Fixture();
  fixtures.push(fixture);
  return fixture.session().session;
}

const deep = (levels: number) => `${'['.repeat(levels)}${']'.repeat(levels)}`;
const DEEP = deep(200_000);

/** Resolves with what the sink is told of its end. */
function send(session: BackendSession, text: string): Promise<GatewayError | 'answered'> {
  const message = JSON.parse(text) as JsonRpcRequest;
  return new Promise((resolve) => {
    const unexpected = () => {
      throw new Error('a stdio backend sends messages');
    };
    session.call({
      message,
      bytes: text,
      headers: {},
      deadlineMs: soon(),
      sink: {
        resume: undefined,
        message: (_json, final) => {
          if (final) resolve('answered');
          return true;
        },
        bodyStart: unexpected,
        bodyChunk: unexpected,
        bodyEnd: unexpected,
        fail: resolve,
      },
    });
  });
}

const params = (more = '') => `{"name":"echo","arguments":{"a":${DEEP}}${more}}`;
const expectRefused = (end: GatewayError | 'answered') => {
  expect([end]).toMatchObject([{ code: 'BAD_ARGUMENT' }]);
  expect((end as GatewayError).message).toContain('params are nested too deeply');
};

describe.each(['the first use of the session', 'an open session'])('a request that cannot be written anew, at %s', (when) => {
  const make = async () => {
    const session = makeSession();
    if (when === 'an open session') await session.open(soon());
    return session;
  };

  test.each([
    ['its id stands where it is not looked for', `{"jsonrpc":"2.0","method":"tools/call","id":1,"params":${params()},"x":0}`],
    ['it holds a line break', `{"jsonrpc":"2.0","id":1,\n"method":"tools/call","params":${params()}}`],
  ])('because %s: it alone fails', async (_why, text) => {
    const session = await make();
    expectRefused(await send(session, text));
    expect((await callTool(session, 2, 'echo').response).id).toBe(2);
  });
});

test('because its progress token is taken: it alone fails, and leaves no token behind', async () => {
  const session = makeSession();
  await session.open(soon());
  const held = callTool(session, 1, 'progress', { steps: 1, hold: 'a' }, { progressToken: 'p' });
  const text = `{"jsonrpc":"2.0","id":2,"method":"tools/call","params":${params(',"_meta":{"progressToken":"p"}')}}`;
  expectRefused(await send(session, text));
  await callTool(session, 3, 'release', { hold: 'a' }).response;
  expect((await held.response).result).toEqual({ released: 'a' });
  expect(held.progress.map(({ params: told }) => (told as { progress: number }).progress)).toEqual([1, 99]);
});

test('a request that need not be written anew is passed on however deep it is', async () => {
  const session = makeSession();
  const text = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"counter","arguments":{"a":${deep(3000)}}}}`;
  expect(await send(session, text)).toBe('answered');
});

test('deep progress of a call whose token is ours is dropped; the call goes on', async () => {
  const session = makeSession();
  await session.open(soon());
  const held = callTool(session, 1, 'progress', { steps: 1, hold: 'a' }, { progressToken: 'p' });
  const line = [
    `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"berth-progress-$ID","progress":1,"x":${DEEP}}}`,
    '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"berth-progress-$ID","progress":2}}',
    '{"jsonrpc":"2.0","id":$ID,"result":{}}',
  ].join('\n');
  const doubled = callTool(session, 2, 'raw', { line }, { progressToken: 'p' });
  expect((await doubled.response).id).toBe(2);
  expect(doubled.progress).toMatchObject([{ params: { progressToken: 'p', progress: 2 } }]);
  held.running.cancel('enough', false);
});
