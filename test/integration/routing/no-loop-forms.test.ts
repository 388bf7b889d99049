// S32: whatever the records say, a request makes no rounds: each further hop needs a newer (owner, epoch), what came over a hop is never
// passed on, and the one deadline travels with it. And an owner that lives by its lease but takes no connection is asked in ticks.
import { randomUUID } from 'node:crypto';
import type { Lease } from '../../../src/directory/directory.js';
import { digestOf, type Epoch, mintSessionId, referenceOf, type SessionId, type WorkerId } from '../../../src/protocol/ids.js';
import { makeKeys } from '../../../src/directory/keys.js';
import { type RedisServer, startRedis } from '../../support/redis-server.js';
import { waitFor } from '../../support/wait-for.js';
import { type Call, makeCall, makeLease } from '../forward/hop-fixture.js';
import { RoutingWorker } from './routing-worker.js';

const HOLD_MS = 1200;
/** Over the bound of a hold: its last look, and a busy machine. */
const SLACK_MS = 600;

let redis: RedisServer;
let one: RoutingWorker;
let other: RoutingWorker;
/** Views of the cluster that differ. */
const prefixes = { one: '', other: '' };

beforeAll(async () => {
  redis = await startRedis();
}, 30_000);
afterAll(() => redis?.stop());
beforeEach(async () => {
  prefixes.one = `t-${randomUUID().slice(0, 8)}:`;
  prefixes.other = `t-${randomUUID().slice(0, 8)}:`;
  one = await RoutingWorker.start({ name: 'one', redisUrl: redis.url, prefix: prefixes.one, holdMs: HOLD_MS });
  other = await RoutingWorker.start({ name: 'other', redisUrl: redis.url, prefix: prefixes.other, holdMs: HOLD_MS });
});
afterEach(async () => {
  await one?.close();
  await other?.close();
});

async function leaseOf(worker: RoutingWorker): Promise<Lease> {
  return (await worker.directory.readLease(worker.keeper.id)) as Lease;
}

/** In the view of this worker that one owns the session. */
async function forge(view: RoutingWorker, id: SessionId, owner: string, epoch = 1): Promise<void> {
  const record = {
    serverId: 'support',
    principal: digestOf('alice'),
    protocolVersion: '2025-06-18',
    client: { clientInfo: {}, capabilities: {} },
    createdMs: 0,
    backends: {},
    owner: owner as WorkerId,
    epoch: epoch as Epoch,
  };
  expect(await view.directory.createSession(referenceOf(id), record, randomUUID(), true)).toBe('created');
}

function callFor(id: SessionId, leftMs = 60_000): Call {
  const call = makeCall({ headers: { 'mcp-session-id': id }, id: 7, deadlineMs: performance.now() + leftMs });
  return { ...call, exchange: Object.assign(call.exchange, { principal: { name: 'alice', digest: digestOf('alice') } }) };
}

async function timed(run: () => Promise<unknown>): Promise<number> {
  const beganMs = performance.now();
  await run();
  return performance.now() - beganMs;
}

describe('two workers that each hold the other for the owner', () => {
  let id: SessionId;
  beforeEach(async () => {
    id = mintSessionId();
    await forge(one, id, other.keeper.id);
    await forge(other, id, one.keeper.id);
    await one.believesIn(await leaseOf(other));
    await other.believesIn(await leaseOf(one));
  });

  test('one hop, no way back, 503 within the hold, with the request id', async () => {
    const call = callFor(id);
    const tookMs = await timed(() => one.run(call.exchange));
    expect(call.answer.status).toBe(503);
    expect(JSON.parse(call.answer.body.toString()).id).toBe(7);
    expect(tookMs).toBeLessThan(HOLD_MS + SLACK_MS);
    expect(one.hops).toEqual(['notOwner']);
    expect([other.hops, one.hopped]).toEqual([[], []]);
    expect(one.held).toEqual(['timeout']);
  });

  test('requests of both sides at the same time make one hop each', async () => {
    const calls = Array.from({ length: 40 }, (_, i) => ({ call: callFor(id), at: i % 2 === 0 ? one : other }));
    const tookMs = await timed(() => Promise.all(calls.map(({ call, at }) => at.run(call.exchange))));
    expect(tookMs).toBeLessThan(HOLD_MS + SLACK_MS);
    expect(calls.map(({ call }) => call.answer.status)).toEqual(calls.map(() => 503));
    expect([one.hopped.length, other.hopped.length]).toEqual([20, 20]);
  });

  test('a record that grows newer is followed once for each newer pair', async () => {
    const call = callFor(id);
    const running = one.run(call.exchange);
    const record = makeKeys(prefixes.one).session(referenceOf(id));
    for (const epoch of [2, 3]) {
      await waitForHops(epoch - 1);
      await one.redis.hset(record, 'epoch', String(epoch));
    }
    await running;
    expect(call.answer.status).toBe(503);
    expect(one.hops).toEqual(['notOwner', 'notOwner', 'notOwner']);
    expect(other.hops).toEqual([]);
  });

  test('the deadline travels: the hop has what its caller had left, and the hold ends with it', async () => {
    const call = callFor(id, 500);
    const tookMs = await timed(() => one.run(call.exchange));
    expect(call.answer.status).toBe(503);
    expect(tookMs).toBeLessThan(500 + SLACK_MS);
    expect(other.hopped).toHaveLength(1);
    expect(other.hopped[0]).toBeLessThanOrEqual(500);
    expect(other.hopped[0]).toBeGreaterThan(0);
  });
});

async function waitForHops(count: number): Promise<void> {
  await waitFor(`${count} hops`, () => one.hops.length >= count);
}

test('an owner with a lease that takes no connection is dialled in ticks, once for all who wait', async () => {
  const id = mintSessionId();
  const dead = makeLease({ unixSocket: '/nowhere/w.sock', pod: 'pod' });
  await one.believesIn(dead);
  await forge(one, id, dead.id);
  const calls = Array.from({ length: 100 }, () => callFor(id));
  const tookMs = await timed(() => Promise.all(calls.map((call) => one.run(call.exchange))));
  expect(calls.map((call) => call.answer.status)).toEqual(calls.map(() => 503));
  expect(tookMs).toBeLessThan(HOLD_MS + SLACK_MS);
  // 20 ms, half as much again each time, at most 400: about 9 ticks in this hold. Dialled once a tick, or nearly.
  expect(one.dialFailures).toBeGreaterThan(3);
  expect(one.dialFailures).toBeLessThan(40);
});
