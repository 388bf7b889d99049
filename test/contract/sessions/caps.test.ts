// The caps on the real directory: a place that is given back is free at once, on every worker; what has ended takes none; and who
// is refused costs nobody else anything.
import { GatewayError } from '../../../src/errors/gateway-error.js';
import { InitializeServer } from '../../../src/sessions/serve-initialize.js';
import type { Exchange } from '../../../src/streams/exchange.js';
import { waitFor } from '../../support/wait-for.js';
import { RecordingAnswer } from '../../unit/streams/recording-answer.js';
import { useWorld } from './fixture.js';
import { ALICE, BOB, IDLE_MS, initializeRequest, SERVER, type TestWorker } from './world.js';

const use = useWorld();
const CAPS = { maxSessions: 3, maxPerPrincipal: 2 };
const open = (worker: TestWorker, principal = ALICE) =>
  worker.opener.open(SERVER, principal, initializeRequest()).then(
    (session) => (session === 'unavailable' ? session : 'opened'),
    (error: unknown) => (error instanceof GatewayError ? error.code : String(error)),
  );

async function pair(caps = CAPS) {
  const world = use();
  return { world, a: await world.worker('a', caps), b: await world.worker('b', caps) };
}

describe('a place is free', () => {
  it.each(['principal', 'total'])('when an ending has been accepted, whatever its jobs do (cap: %s)', async (cap) => {
    const { a, b } = await pair(cap === 'total' ? { maxSessions: 2, maxPerPrincipal: 9 } : CAPS);
    const session = await a.open();
    await b.open();
    expect(await open(b)).not.toBe('opened');
    // As a queue that cannot be reached: the record stays `closing` for long.
    a.queue.fails = true;
    await a.ender.end(session, 'deleted');
    expect(await open(b)).toBe('opened');
    expect(await open(b)).not.toBe('opened');
  });

  it('when a DELETE was accepted in place of a silent owner', async () => {
    const { a, b } = await pair();
    const session = await a.open();
    await b.open();
    a.isSilent = true;
    const { ref, principal } = session.facts;
    expect(await b.teller.closeInPlaceOf(session.token, ref, { serverId: SERVER.id, principal })).toBe('closing');
    expect(await open(b)).toBe('opened');
    b.teller.stop();
  });

  it.each(['living', 'dead'])(
    'when the idle time of a session has ended, also at the cap of its principal (owner: %s)',
    async (owner) => {
      const { world, a, b } = await pair();
      const session = await a.open();
      await b.open();
      session.lastUsedMs -= IDLE_MS;
      await world.expire(session);
      if (owner === 'dead') await a.die();
      expect(await open(b)).toBe('opened');
      expect((owner === 'dead' ? b : a).ended).toEqual(['idle']);
    },
  );

  it('when its opening was given up before there was a record', async () => {
    const { world, a } = await pair();
    a.before = (verb) => {
      if (verb === 'reserveTotal') world.clock.stepWall(60_000);
    };
    expect(await open(a)).toBe('unavailable');
    expect(await world.redis.zcard(world.keys.expiry)).toBe(0);
    expect(await world.redis.zcard(world.keys.principal(ALICE.digest))).toBe(0);
  });
});

it('a caller that left while its session was opened keeps no place', async () => {
  const { world, a } = await pair();
  let hasLeft = false;
  a.before = (verb) => {
    hasLeft ||= verb === 'createSession';
  };
  const answer = new RecordingAnswer();
  const initialize = { kind: 'request', message: initializeRequest(), bytes: Buffer.alloc(0) };
  const exchange = { serverId: SERVER.id, headers: {}, body: initialize, answer, note: {}, principal: ALICE };
  Object.defineProperty(exchange, 'aborted', { get: () => hasLeft });
  const server = new InitializeServer({
    opener: a.opener,
    findServer: () => SERVER,
    infoOf: () => undefined,
    version: '0',
    onStarted: () => undefined,
    abandon: (session) => void a.ender.end(session, 'abandoned'),
  });
  expect(await server.serve(exchange as unknown as Exchange)).toBe('done');
  await waitFor('its keys to be gone', async () => (await world.sessionKeys()).length === 0);
  expect([a.ended, a.table.size, answer.log]).toEqual([['abandoned'], 0, []]);
});

describe('who is refused', () => {
  it('takes nobody else a place, not for a moment', async () => {
    for (let round = 0; round < 20; round++) {
      const { world, a, b } = await pair();
      await a.open();
      await b.open();
      const flood = Array.from({ length: 60 }, (_, n) => open(n % 2 ? a : b));
      const other = open(b, BOB);
      expect(await Promise.all(flood)).toEqual(Array(60).fill('PRINCIPAL_CAP'));
      expect(await other).toBe('opened');
      expect(await a.directory.countSessions()).toBe(3);
      await world.redis.flushall();
    }
  });

  it('is looked for room for once a second, however often it asks', async () => {
    const { a } = await pair();
    await a.open();
    await a.open();
    a.verbs.length = 0;
    for (let n = 0; n < 50; n++) expect(await open(a)).toBe('PRINCIPAL_CAP');
    const counts = (verb: string) => a.verbs.filter((one) => one === verb).length;
    expect([counts('listExpired'), counts('prunePrincipal')]).toEqual([1, 1]);
    a.world.clock.advance(1000);
    await open(a);
    expect(counts('prunePrincipal')).toBe(2);
  });

  it('is told why and when to come again', async () => {
    const { a } = await pair({ maxSessions: 1, maxPerPrincipal: 1 });
    await a.open();
    const refusal = (principal = ALICE) =>
      a.opener.open(SERVER, principal, initializeRequest()).catch((error: GatewayError) => error) as Promise<GatewayError>;
    const own = await refusal();
    expect([own.status, own.retryAfterSeconds, own.details]).toEqual([429, 5, { reason: 'principal_cap', limit: 1 }]);
    const all = await refusal(BOB);
    expect([all.status, all.retryAfterSeconds, all.details]).toEqual([503, 5, { reason: 'session_cap', limit: 1 }]);
  });
});
