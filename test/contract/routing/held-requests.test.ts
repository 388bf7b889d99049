// Rule 8: however many requests are held for an owner, Redis hears of one probe and a constant number of looks at each tick. Counted
// by Redis itself.
import { Execution } from '../../../src/routing/execute.js';
import { HoldRoom } from '../../../src/routing/hold-room.js';
import { makeProbe } from '../../../src/routing/probe.js';
import { SharedReads } from '../../../src/routing/shared-reads.js';
import { digestOf, mintSessionId, referenceOf, type Epoch, type SessionId } from '../../../src/protocol/ids.js';
import { newNote, type Exchange } from '../../../src/streams/exchange.js';
import { waitFor } from '../../support/wait-for.js';
import { RecordingAnswer } from '../../unit/streams/recording-answer.js';
import { useWorld } from '../sessions/fixture.js';
import { ALICE, LEASE_MS, SERVER, type TestWorker, type World } from '../sessions/world.js';

const use = useWorld();
const TICK_MS = 400;
const LOOKS_PER_TICK = 16;

/** A worker's execution path whose hops find the owner's socket closed, as between its crash and the end of its lease. */
function makeExecution(world: World, worker: TestWorker) {
  const { directory, keeper, table, owners, takeOver, teller } = worker;
  const hold = new HoldRoom(world.clock, makeProbe({ directory, keeper, leaseMs: LEASE_MS }));
  const execution = new Execution({
    ...{ table, owners, keeper, clock: world.clock, hold, holdMs: 10_000, teller },
    directory: new SharedReads(directory),
    forwarder: {
      forward: async () => ({ kind: 'notBegun', reason: 'refused' }),
      cut: () => undefined,
      close: async () => undefined,
    },
    serve: async (_session, exchange) => {
      exchange.answer.send(200, {});
      return 'done' as const;
    },
    open: async () => 'unavailable',
    takeOver: (id, from, record) => takeOver.takeOver(id, from, record),
    end: async () => undefined,
    status: () => undefined,
    metrics: { held: () => undefined, forwarded: () => undefined },
    log: () => undefined,
    audit: () => undefined,
    warn: () => undefined,
  });
  return { hold, execution };
}

/** Sessions of `owner` by the record, as many as wanted without opening each. */
async function writeSessions(owner: TestWorker, count: number): Promise<SessionId[]> {
  const ids = Array.from({ length: count }, () => mintSessionId());
  const record = {
    ...{ owner: owner.keeper.id, epoch: 1 as Epoch, serverId: SERVER.id, principal: ALICE.digest, createdMs: 0, backends: {} },
    ...{ protocolVersion: '2025-06-18', client: { clientInfo: {}, capabilities: {} } },
  };
  await Promise.all(ids.map((id) => owner.directory.createSession(referenceOf(id), record, digestOf(id))));
  return ids;
}

function makeCall(world: World, id: SessionId): { readonly exchange: Exchange; readonly answer: RecordingAnswer } {
  const message = { jsonrpc: '2.0' as const, id: 'call', method: 'tools/call', params: {} };
  const nowMs = world.clock.monotonicMs();
  const answer = new RecordingAnswer();
  const exchange: Exchange = {
    ...{ method: 'POST', serverId: SERVER.id, headers: { 'mcp-session-id': id }, principal: ALICE, hop: undefined, answer },
    ...{ deadlineMs: nowMs + 300_000, startedMs: nowMs, aborted: false, onAbort: () => undefined },
    body: { kind: 'request', message, bytes: Buffer.from('{}') },
    note: newNote('POST', undefined),
  };
  return { exchange, answer };
}

/** What Redis has executed on this connection and all others, without INFO itself. */
async function countCommands(world: World): Promise<number> {
  const stats = await world.redis.info('commandstats');
  let calls = 0;
  for (const [, name, count] of stats.matchAll(/cmdstat_(\S+):calls=(\d+)/g)) if (name !== 'info') calls += Number(count);
  return calls;
}

/** Holds `requests` on sessions of one owner that is dead but leased; @returns commands per second once they wait. */
async function measure(sessions: number, requests: number) {
  const world = use();
  const owner = await world.worker('owner');
  const worker = await world.worker('a');
  const ids = await writeSessions(owner, sessions);
  const { hold, execution } = makeExecution(world, worker);
  const calls = Array.from({ length: requests }, (_, n) => makeCall(world, ids[n % sessions] as SessionId));
  const running = Promise.all(calls.map(({ exchange }) => execution.execute(exchange)));
  const allHeld = () => waitFor('all requests to be held', () => hold.size === requests, 10_000);
  const tick = async () => {
    const reads = () => worker.verbs.filter((verb) => verb === 'readSession').length;
    const before = reads();
    world.clock.advance(TICK_MS);
    // The probe was made and some have looked: only then is the next tick due.
    await waitFor('some to look', () => reads() >= before + Math.min(LOOKS_PER_TICK, sessions));
    await allHeld();
  };
  await allHeld();
  for (let n = 0; n < 6; n++) await tick();
  const before = await countCommands(world);
  const ticks = 10;
  for (let n = 0; n < ticks; n++) await tick();
  const perSecond = ((await countCommands(world)) - before) / ((ticks * TICK_MS) / 1000);
  return { world, owner, worker, calls, running, perSecond };
}

it.each([
  [20, 20],
  [1000, 1000],
])(
  '%i sessions, %i requests: a constant number of commands a second',
  async (sessions, requests) => {
    const { world, owner, calls, running, perSecond } = await measure(sessions, requests);
    // 16 looks and a probe at each tick, and what counts them.
    expect(perSecond).toBeLessThan(120);
    await owner.die();
    world.clock.advance(TICK_MS);
    await waitFor('all to be served after the owner died', () => calls.every(({ answer }) => answer.finished), 10_000);
    await running;
    expect(calls.every(({ answer }) => answer.status === 200)).toBe(true);
  },
  60_000,
);

it('1 000 requests of one session share each read of its record, and one take-over', async () => {
  const { world, owner, worker, running, perSecond } = await measure(1, 1000);
  expect(perSecond).toBeLessThan(20);
  await owner.die();
  world.clock.advance(TICK_MS);
  await running;
  expect(worker.takenOver).toHaveLength(1);
}, 60_000);
