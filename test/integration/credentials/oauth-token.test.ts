// S76: of all who need a token at one moment one asks for it, over all workers; and what happens when that one, the authorization
// server or Redis does not do its part.
import type { OAuthToken } from '../../../src/backends/credentials/oauth-token.js';
import { makeKeyring } from '../../../src/secrets/keyring.js';
import { waitFor } from '../../support/wait-for.js';
import { inMs, keyring, OAuthBench } from './oauth-fixture.js';

let bench: OAuthBench;
beforeEach(async () => {
  bench = new OAuthBench();
  await bench.start();
});
afterEach(() => bench.stop());

const bearer = (index: number) => `Bearer ${bench.server.granted[index]}`;
const demand = (tokens: readonly OAuthToken[], each: number) =>
  Promise.all(tokens.flatMap((token) => Array.from({ length: each }, () => token.ensure(inMs(20_000)))));

test('100 requests on 6 workers: one grant, one token, nothing readable in Redis or the log', async () => {
  const workers = await bench.workers(6);
  expect(new Set(await demand(workers, 17))).toEqual(new Set([bearer(0)]));
  expect(bench.server.requests).toHaveLength(1);
  const { keys, text, ttlMs } = await bench.dump();
  expect(keys).toEqual(['berth-test:{token:b:digest}']);
  expect(ttlMs[0]).toBeGreaterThan(0);
  expect(ttlMs[0]).toBeLessThanOrEqual(600_000);
  const said = text + JSON.stringify(bench.logged);
  expect(said).not.toContain(bench.server.granted[0]);
  expect(said).not.toContain('TOK-');
  expect(said).not.toContain(bench.server.clientSecret);
});

test('it runs out under load on 6 workers: one grant replaces it, and nobody is left without', async () => {
  bench.server.nextLives.push(2);
  const workers = await bench.workers(6);
  await demand(workers, 1);
  const seen = new Set<string>();
  await waitFor(
    () => `the second token everywhere, seen ${seen.size}`,
    async () => {
      for (const value of await demand(workers, 17)) {
        // Good at the moment it is handed out, in every round.
        if (!bench.server.isGood(value)) throw new Error('a token that has run out was handed out');
        seen.add(value);
      }
      return workers.every((worker) => worker.current() === bearer(1));
    },
    15_000,
  );
  expect(bench.server.requests).toHaveLength(2);
  expect([...seen]).toEqual([bearer(0), bearer(1)]);
});

test('nobody used it: it is not renewed; the burst after its end causes one grant', async () => {
  bench.server.lifeSeconds = 1;
  const workers = await bench.workers(6);
  // One worker fetches it; the others never hear of it.
  await workers[0]?.ensure(inMs(5000));
  await waitFor('its end', () => !bench.server.isGood(bearer(0)));
  expect(bench.server.requests.length).toBeLessThanOrEqual(2);
  bench.server.lifeSeconds = 600;
  const before = bench.server.requests.length;
  await waitFor(
    'the end of what was renewed',
    () => !bench.server.granted.some((token) => bench.server.isGood(`Bearer ${token}`)),
  );
  expect(new Set(await demand(workers, 17)).size).toBe(1);
  expect(bench.server.requests.length - before).toBeLessThanOrEqual(1);
});

test('refused by the backend: every worker says so, one grant; a refusal of the old value changes nothing any more', async () => {
  const workers = await bench.workers(3);
  const [old] = await demand(workers, 1);
  for (const worker of workers) worker.refuse(old as string);
  expect(new Set(await demand(workers, 20))).toEqual(new Set([bearer(1)]));
  for (const worker of workers) worker.refuse(old as string);
  expect(workers.map((worker) => worker.current())).toEqual([bearer(1), bearer(1), bearer(1)]);
  expect(bench.server.requests).toHaveLength(2);
});

test('refused while the token endpoint is down: the old one stays in use, and is replaced when it can be', async () => {
  const worker = await bench.worker();
  const old = await worker.ensure(inMs(5000));
  bench.server.mode = { kind: 'status', status: 503 };
  worker.refuse(old);
  // Whoever waits for another hears of none, and has the old one.
  expect(await worker.ensure(inMs(5000))).toBe(old);
  expect(bench.server.requests).toHaveLength(2);
  expect(worker.problem).toBeUndefined();
  bench.server.mode = { kind: 'grant' };
  await waitFor('a new one', () => worker.current() === bearer(1), 10_000);
  expect(bench.server.requests).toHaveLength(3);
});

test('a worker with a secret that is refused, or that it cannot read, keeps no other from fetching', async () => {
  bench.server.accepts = (form) => form.client_secret === bench.server.clientSecret;
  const config = { authMethod: 'post' };
  const good = await bench.worker({ config });
  const old = await bench.worker({ config: { ...config, clientSecret: 'of yesterday' } });
  const without = await bench.worker({ config: { ...config, clientSecret: undefined, clientSecretFile: '/nowhere/secret' } });
  await expect(old.ensure(inMs(5000))).rejects.toMatchObject({ details: { reason: 'oauth_refused' } });
  await expect(without.ensure(inMs(5000))).rejects.toMatchObject({ details: { reason: 'credential_unavailable' } });
  expect(await good.ensure(inMs(5000))).toBe(bearer(0));
  // What it fetched serves them too, as soon as they ask again.
  await waitFor('the shared token', async () => (await old.ensure(inMs(5000)).catch(() => undefined)) === bearer(0), 10_000);
});

test('a backend that refuses every token: they are not fetched one per request', async () => {
  const worker = await bench.worker();
  for (let request = 0; request < 50; request += 1) worker.refuse(await worker.ensure(inMs(5000)));
  expect(bench.server.requests.length).toBeLessThanOrEqual(3);
});

test('who held the claim is gone: when it runs out another worker fetches', async () => {
  const first = await bench.worker({ claimMs: 1500 });
  const second = await bench.worker({ claimMs: 1500 });
  bench.server.mode = { kind: 'hang' };
  const lost = first.ensure(inMs(20_000)).catch((error: unknown) => error);
  await waitFor('the first request', () => bench.server.requests.length === 1);
  bench.server.mode = { kind: 'grant' };
  // As by kill -9: the claim stays in Redis, and nobody settles it.
  expect(await second.ensure(inMs(20_000))).toBe(bearer(0));
  expect(bench.server.requests).toHaveLength(2);
  first.close();
  expect(await lost).toMatchObject({ details: { reason: 'credential_unavailable' } });
});

test('the token endpoint is down while the token is good: requests go on, and it is asked with growing pauses', async () => {
  bench.server.lifeSeconds = 4;
  const workers = await bench.workers(3);
  await demand(workers, 1);
  bench.server.mode = { kind: 'status', status: 503 };
  await waitFor('a refresh that fails', () => bench.server.requests.length === 2 && demand(workers, 1), 8000);
  // A worker that starts now finds the token that is past its refresh time, and may use it.
  if (bench.server.isGood(bearer(0))) {
    const late = await bench.worker();
    const value = await late.ensure(inMs(5000)).catch(() => undefined);
    if (bench.server.isGood(bearer(0))) expect(value).toBe(bearer(0));
  }
  await waitFor('its end', () => workers.every((worker) => worker.current() === undefined));
  const failures = await Promise.all(workers.map((worker) => worker.ensure(inMs(5000)).catch((error: unknown) => error)));
  for (const failure of failures) expect(failure).toMatchObject({ details: { reason: 'oauth_failed' } });
  // Every one of these calls would have been a request without the shared pause.
  for (let i = 0; i < 200; i += 1) await workers[i % 3]?.ensure(inMs(5000)).catch(() => undefined);
  expect(bench.server.requests.length).toBeLessThanOrEqual(6);
  expect(workers[0]?.problem).toBe('oauth_failed');
  bench.server.mode = { kind: 'grant' };
  await waitFor('a token again', async () => new Set(await demand(workers, 5)).size === 1, 15_000);
  expect(workers[0]?.problem).toBeUndefined();
});

test('with a token at hand nobody asks Redis (I3)', async () => {
  const worker = await bench.worker();
  await worker.ensure(inMs(5000));
  await bench.redis.stop();
  for (let request = 0; request < 100; request += 1) {
    expect(worker.current()).toBe(bearer(0));
    expect(await worker.ensure(inMs(0))).toBe(bearer(0));
  }
  expect(bench.server.requests).toHaveLength(1);
});

test('Redis is away: each worker fetches for itself; when it is back they share again', async () => {
  const workers = await bench.workers(2);
  await bench.redis.kill();
  const values = await demand(workers, 10);
  expect(new Set(values).size).toBe(2);
  expect(bench.server.requests).toHaveLength(2);
  await bench.redis.start();
  await bench.connected();
  const third = await bench.worker();
  const shared = await third.ensure(inMs(5000));
  for (const worker of workers) worker.refuse(worker.current() as string);
  expect(await demand(workers, 1)).toEqual([shared, shared]);
  expect(bench.server.requests).toHaveLength(3);
});

test('Redis and the token endpoint are away: each worker pauses for itself', async () => {
  const worker = await bench.worker();
  await bench.redis.stop();
  bench.server.mode = { kind: 'status', status: 503 };
  for (let request = 0; request < 100; request += 1) {
    await expect(worker.ensure(inMs(5000))).rejects.toMatchObject({ details: { reason: 'oauth_failed', status: 503 } });
  }
  expect(bench.server.requests.length).toBeLessThanOrEqual(4);
});

test('a token sealed with a secret that this worker does not know is not used, and not a reason to stop', async () => {
  const other = await bench.worker({ keyring: makeKeyring(['another secret altogether']) });
  await other.ensure(inMs(5000));
  const worker = await bench.worker({ keyring });
  expect(await worker.ensure(inMs(5000))).toBe(bearer(1));
});

test('the deadline of the request bounds its wait', async () => {
  const worker = await bench.worker();
  bench.server.mode = { kind: 'hang' };
  await expect(worker.ensure(inMs(100))).rejects.toMatchObject({ details: { reason: 'oauth_unreachable', cause: 'timeout' } });
});
