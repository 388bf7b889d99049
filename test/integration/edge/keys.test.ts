// auth.mode keys at the public edge: what is refused with which headers and in which order, and what of a credential goes further.
import { createHash } from 'node:crypto';
import { authenticateByKeys } from '../../../src/auth/authenticate-keys.js';
import { KnownKeys } from '../../../src/auth/known-keys.js';
import { JSON_HEADERS, type RawRequest, rpc, sendRaw } from '../../support/raw-request.js';
import { waitFor } from '../../support/wait-for.js';
import { Edge } from './edge-fixture.js';

const digest = (key: string) => createHash('sha256').update(key).digest('hex');
const entry = (id: string, key: string) => ({ id, sha256: [digest(key)] });
const ALICE = { authorization: 'Bearer alice-secret-key' };
const PATH = '/servers/support/mcp';

let edge: Edge;
let keys: KnownKeys;
beforeEach(async () => {
  keys = new KnownKeys([entry('bob', 'bob-secret-key')]);
  keys.replace([entry('alice', 'alice-secret-key')]);
  edge = await new Edge({ authenticate: authenticateByKeys(keys), forwardHeaders: ['authorization', 'x-api-key'] }).start();
});
afterEach(() => edge.stop());

const send = (headers: Record<string, string | string[]>, raw: RawRequest = rpc(PATH, undefined, 'ping')) =>
  sendRaw(edge.origin, { ...raw, headers: { ...raw.headers, ...headers } });
const seen = () => edge.seen.at(-1);

it.each([
  ['bearer', ALICE, 'key:alice'],
  ['x-api-key', { 'x-api-key': 'bob-secret-key' }, 'key:bob'],
  ['both: Authorization decides', { ...ALICE, 'x-api-key': 'bob-secret-key' }, 'key:alice'],
  [
    'two Authorization headers: the first decides',
    { authorization: ['Bearer alice-secret-key', 'Bearer bob-secret-key'] },
    'key:alice',
  ],
])('%s lets in, and no credential goes further although a backend asks for it', async (_how, headers, name) => {
  expect((await send(headers)).status).toBe(200);
  expect(seen()?.principal.name).toBe(name);
  expect(seen()?.headers).toEqual({ accept: JSON_HEADERS.accept });
});

it('passes on what was not meant for the gateway', async () => {
  await send({ ...ALICE, 'x-api-key': 'of-the-backend', 'x-tenant': 'acme' });
  expect(seen()?.headers).toMatchObject({ 'x-api-key': 'of-the-backend', 'x-tenant': 'acme' });
  await send({ authorization: 'Basic eDp5', 'x-api-key': 'bob-secret-key' });
  expect(seen()?.headers).toEqual({ accept: JSON_HEADERS.accept, authorization: 'Basic eDp5' });
});

it.each([
  ['POST', rpc(PATH, undefined, 'ping')],
  ['GET', { method: 'GET', path: PATH, headers: { accept: 'text/event-stream' } }],
  ['DELETE', { method: 'DELETE', path: PATH }],
])('%s without a key is 401 with a challenge and a remedy, and begins nothing', async (_method, raw) => {
  const answer = await send({}, raw);
  expect([answer.status, answer.headers['www-authenticate']]).toEqual([401, 'Bearer realm="berth"']);
  const { id, error } = JSON.parse(answer.body);
  expect([id, error.code, error.data]).toEqual([null, -32000, { reason: 'no_key' }]);
  expect(error.message).toContain('Authorization: Bearer');
  const wrong = await send({ 'x-api-key': 'stolen-key' }, raw);
  expect([wrong.status, wrong.headers['www-authenticate']]).toEqual([401, 'Bearer realm="berth", error="invalid_token"']);
  expect(JSON.stringify(wrong)).not.toContain('stolen-key');
  expect(edge.seen).toEqual([]);
  expect(edge.refused).toEqual(['UNAUTHENTICATED', 'UNAUTHENTICATED']);
});

it('comes after Host, Origin, path and method, and before all else', async () => {
  const bad = { ...JSON_HEADERS, accept: 'text/html', 'content-type': 'text/plain' };
  const status = async (raw: RawRequest, headers: Record<string, string> = {}) => (await send(headers, raw)).status;
  expect(await status({ path: PATH, headers: { host: 'evil.test' } })).toBe(403);
  expect(await status({ path: PATH, headers: { origin: 'https://evil.test' } })).toBe(403);
  expect(await status({ path: '/servers//mcp' })).toBe(404);
  expect(await status({ method: 'PATCH', path: PATH })).toBe(405);
  // A server that is there and one that is not are the same to a stranger.
  expect(await status({ path: PATH, headers: bad, body: 'x' })).toBe(401);
  expect(await status({ path: '/servers/unknown/mcp', headers: bad, body: 'x' })).toBe(401);
  expect(await status({ path: '/servers/unknown/mcp', headers: bad, body: 'x' }, ALICE)).toBe(404);
  expect(await status({ path: PATH, headers: bad, body: 'x' }, ALICE)).toBe(406);
});

it('a browser may ask without a key what is allowed, and reads the challenge', async () => {
  const origin = 'https://app.test';
  const preflight = await sendRaw(edge.origin, { method: 'OPTIONS', path: PATH, headers: { origin } });
  expect(preflight.status).toBe(204);
  const allowed = preflight.headers['access-control-allow-headers']?.toLowerCase();
  expect(allowed).toContain('authorization');
  expect(allowed).toContain('x-api-key');
  const refused = await send({ origin });
  expect([refused.status, refused.headers['access-control-allow-origin']]).toEqual([401, origin]);
  expect(refused.headers['access-control-expose-headers']).toContain('WWW-Authenticate');
});

it('a key that was taken out is refused at once, on a connection that is open, too', async () => {
  expect((await send(ALICE)).status).toBe(200);
  keys.replace([]);
  expect((await send(ALICE)).status).toBe(401);
  expect((await send({ 'x-api-key': 'bob-secret-key' })).status).toBe(200);
});

it('the streams of whoever is known no more are ended, cleanly, and nobody else sees it', async () => {
  edge.execute = (exchange) =>
    new Promise((resolve) => {
      exchange.answer.start(200, { 'content-type': 'text/event-stream' });
      exchange.answer.write('retry: 4000\n\n');
      exchange.onAbort(resolve);
    });
  const open = (headers: Record<string, string>) =>
    send(headers, { method: 'GET', path: PATH, headers: { accept: 'text/event-stream' } });
  const alice = open(ALICE);
  let bobEnded = false;
  const bob = open({ 'x-api-key': 'bob-secret-key' }).finally(() => {
    bobEnded = true;
  });
  await waitFor('two streams', () => edge.seen.length === 2);
  keys.replace([]);
  edge.endpoint.endStreams((principal) => !keys.knows(principal));
  expect((await alice).body).toBe('retry: 4000\n\n');
  expect(bobEnded).toBe(false);
  edge.endpoint.endStreams();
  await bob;
});
