// What is asked of a token endpoint, and what is made of its answers. No secret gets into an error.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { requestToken } from '../../../src/backends/credentials/token-request.js';
import { oauth } from '../../../src/config/schema-credentials.js';
import { systemClock } from '../../../src/lifecycle/clock.js';
import { type Mode, startTokenServer, type TokenServer } from '../../support/token-server.js';

let server: TokenServer;
beforeEach(async () => {
  server = await startTokenServer(120);
});
afterEach(() => server.close());

const ask = (more: object = {}, signal = new AbortController().signal) => {
  const config = oauth.parse({ tokenUrl: server.url, clientId: 'gate:way', clientSecret: server.clientSecret, ...more });
  return requestToken(config, { connectTimeoutMs: 500, clock: systemClock, signal });
};

test('basic: id and secret are form-encoded each; scope, audience and resource go into the body', async () => {
  const granted = await ask({ scope: 'a b', audience: 'api', resource: 'https://mcp.example/mcp', clientSecret: 'p@ss:w rd' });
  expect(granted).toEqual({ value: server.granted[0], lifeMs: 120_000 });
  const [{ headers, form }] = server.requests as [(typeof server.requests)[0]];
  expect(headers.authorization).toBe(`Basic ${Buffer.from('gate%3Away:p%40ss%3Aw+rd').toString('base64')}`);
  expect(form).toEqual({ grant_type: 'client_credentials', scope: 'a b', audience: 'api', resource: 'https://mcp.example/mcp' });
});

test('post: both go into the body', async () => {
  await ask({ authMethod: 'post' });
  const [{ headers, form }] = server.requests as [(typeof server.requests)[0]];
  expect(headers.authorization).toBeUndefined();
  expect(form).toEqual({ grant_type: 'client_credentials', client_id: 'gate:way', client_secret: server.clientSecret });
});

test('a secret in a file is read for each token', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'berth-secret-'));
  const clientSecretFile = join(dir, 'secret');
  try {
    const missing = { clientSecret: undefined, clientSecretFile, authMethod: 'post' };
    await expect(ask(missing)).rejects.toMatchObject({ reason: 'credential_unavailable', details: { cause: 'ENOENT' } });
    for (const secret of ['first', 'second']) {
      writeFileSync(clientSecretFile, `${secret}\n`);
      await ask(missing);
    }
    expect(server.requests.map(({ form }) => form.client_secret)).toEqual(['first', 'second']);
  } finally {
    rmSync(dir, { recursive: true });
  }
});

const json = (value: unknown): Mode => ({ kind: 'status', status: 200, body: JSON.stringify(value) });
const token = { access_token: 'TOKEN', token_type: 'Bearer' };

test.each<[string, Mode, string, object]>([
  [
    'a refusal with its standard word, and without its description',
    { kind: 'status', status: 401, body: '{"error":"invalid_client","error_description":"secret was SECRET"}' },
    'oauth_refused',
    { status: 401, error: 'invalid_client' },
  ],
  ['a refusal without words', { kind: 'status', status: 403, body: '<html>SECRET' }, 'oauth_refused', { status: 403 }],
  ['too many requests', { kind: 'status', status: 429 }, 'oauth_failed', { status: 429 }],
  ['a server error', { kind: 'status', status: 502 }, 'oauth_failed', { status: 502 }],
  [
    'a redirect, which is not followed',
    { kind: 'status', status: 307, headers: { location: 'http://127.0.0.1:1/SECRET' } },
    'oauth_bad_reply',
    { status: 307, cause: 'redirect' },
  ],
  ['no JSON', { kind: 'status', status: 200, body: 'SECRET' }, 'oauth_bad_reply', { cause: 'no_token' }],
  ['a token that is no header', json({ ...token, access_token: 'a\r\nb' }), 'oauth_bad_reply', { cause: 'no_token' }],
  ['another type of token', json({ ...token, token_type: 'DPoP' }), 'oauth_bad_reply', { cause: 'token_type' }],
  ['a token that has run out', json({ ...token, expires_in: 0 }), 'oauth_bad_reply', { cause: 'expires_in' }],
  ['an answer without end', json({ ...token, x: 'x'.repeat(100_000) }), 'oauth_bad_reply', { cause: 'too_large' }],
])('%s', async (_name, mode, reason, details) => {
  server.mode = mode;
  const error = await ask().then(
    () => undefined,
    (failure: Error) => failure,
  );
  expect(error).toMatchObject({ reason, details });
  expect(JSON.stringify([error, error?.message])).not.toMatch(/SECRET|TOKEN/);
});

test.each([
  [undefined, 300_000],
  ['90', 90_000],
  [1e12, 7 * 86_400_000],
])('expires_in %s is a life of %i ms', async (expires, lifeMs) => {
  server.mode = json({ ...token, expires_in: expires });
  expect((await ask()).lifeMs).toBe(lifeMs);
});

test('nobody listens, or the name leads where it may not', async () => {
  const { url } = server;
  await expect(ask({ tokenUrl: 'http://127.0.0.1:1/token' })).rejects.toMatchObject({
    reason: 'oauth_unreachable',
    details: { cause: 'refused' },
  });
  const config = oauth.parse({ tokenUrl: url.replace('127.0.0.1', 'rebound.example'), clientId: 'c', clientSecret: 's' });
  const lookup = ((_name: string, _options: object, done: (error: null, found: object[]) => void) =>
    done(null, [{ address: '127.0.0.1', family: 4 }])) as never;
  const { signal } = new AbortController();
  await expect(requestToken(config, { connectTimeoutMs: 500, clock: systemClock, signal, lookup })).rejects.toMatchObject({
    details: { cause: 'address_refused' },
  });
  expect(server.requests).toHaveLength(0);
});

test('a worker that stops ends it', async () => {
  server.mode = { kind: 'hang' };
  const stop = new AbortController();
  const asked = ask({}, stop.signal);
  stop.abort();
  await expect(asked).rejects.toMatchObject({ reason: 'oauth_unreachable' });
  server.mode = { kind: 'grant' };
  await expect(ask({}, stop.signal)).rejects.toMatchObject({ reason: 'oauth_unreachable' });
});
