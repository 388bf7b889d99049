// A worker's orderly exit: what is quiet passes on while somebody stays, what is busy is served on, and nobody is left without an answer.
import type { GatewayError } from '../../../src/errors/gateway-error.js';
import type { Session } from '../../../src/sessions/session.js';
import type { Answer, Exchange } from '../../../src/streams/exchange.js';
import { waitFor } from '../../support/wait-for.js';
import { RecordingAnswer } from '../../unit/streams/recording-answer.js';
import { useWorld } from './fixture.js';
import { backendSession, type TestWorker } from './world.js';

const use = useWorld();

/** Runs a drain while time goes on by itself. */
async function drain(worker: TestWorker, timeoutMs = 5000): Promise<void> {
  await worker.keeper.setDraining();
  let done = false;
  const running = worker.drain.run(timeoutMs).then(() => {
    done = true;
  });
  await waitFor(`the drain of ${worker.keeper.id}`, () => {
    worker.world.clock.advance(50);
    return done;
  });
  await running;
}

const exchangeOf = (answer: Answer) => ({ answer, onAbort: () => undefined }) as unknown as Exchange;

/** A call that has begun; @returns what its caller was told */
function begin(session: Session): { readonly told: string[] } {
  const told: string[] = [];
  session.inFlight++;
  session.calls.add({
    id: 1,
    backend: 'tickets',
    progressToken: undefined,
    running: { mayHaveRun: true, cancel: () => undefined },
    answer: {
      message: () => true,
      cancel: () => true,
      fail: (error: GatewayError) => {
        told.push(error.code);
        session.inFlight--;
      },
    },
  });
  return { told };
}

it('releases very many in batches, so that the lease is renewed in between', async () => {
  const world = use();
  const worker = await world.worker('a');
  await world.worker('b');
  const sessions = await Promise.all(Array.from({ length: 620 }, () => worker.open()));
  worker.verbs.length = 0;
  await drain(worker, 30_000);
  expect(sessions.every(({ state }) => state === 'released')).toBe(true);
  const batches = worker.verbs.filter((verb) => verb === 'touchSessions').length;
  expect([batches, worker.verbs.filter((verb) => verb === 'releaseSession').length]).toEqual([2, 620]);
});

it('keeps a session whose caller was sent away until he has come for his answer', async () => {
  const world = use();
  const worker = await world.worker('a');
  await world.worker('b');
  const session = await worker.open();
  const call = session.streams.openCall(1);
  call.attach({ exchange: exchangeOf(new RecordingAnswer()), headers: {}, isPrimed: true });
  call.sendAway(300);
  call.push('"result"', true);
  let done = false;
  const running = drain(worker).then(() => {
    done = true;
  });
  await waitFor('the drain to look at its sessions', () => session.onQuiet !== undefined);
  expect([done, session.state]).toEqual([false, 'active']);
  const answer = new RecordingAnswer();
  call.attach({ exchange: exchangeOf(answer), headers: {}, isPrimed: true, after: 0 });
  expect(answer.events.at(-1)).toBe('"result"');
  await running;
  expect(session.state).toBe('released');
});

it('releases quiet sessions when somebody stays, who then takes them without waiting for a lease', async () => {
  const world = use();
  const worker = await world.worker('a');
  const other = await world.worker('b');
  const session = await worker.open();
  await drain(worker);
  expect(worker.released).toBe(1);
  expect(worker.table.size).toBe(0);
  expect(await world.field(session.facts.ref, 'owner')).toBe('');
  expect(await other.route(session)).toMatchObject({ kind: 'takeOver', from: { owner: '', epoch: 1 } });
  expect((await other.claim(session))?.token).toEqual({ owner: other.keeper.id, epoch: 2 });
});

it('as the last worker releases nothing: its deleted lease frees the sessions', async () => {
  const world = use();
  const worker = await world.worker('a');
  const session = await worker.open();
  await drain(worker);
  expect(worker.released).toBe(0);
  expect(await world.field(session.facts.ref, 'owner')).toBe(worker.keeper.id);
  expect(session.mayAct()).toBe(true);
});

it('counts a worker that drains itself as nobody', async () => {
  const world = use();
  const worker = await world.worker('a');
  const other = await world.worker('b');
  await other.keeper.setDraining();
  await worker.open();
  await drain(worker);
  expect(worker.released).toBe(0);
});

it('serves a busy session on, and releases it when its call has ended', async () => {
  const world = use();
  const worker = await world.worker('a');
  await world.worker('b');
  const [busy, quiet] = [await worker.open(), await worker.open()];
  busy.inFlight++;
  await worker.keeper.setDraining();
  const running = worker.drain.run(60_000);
  await waitFor('the quiet session to be released', () => {
    world.clock.advance(50);
    return quiet.state === 'released';
  });
  expect(busy.mayAct()).toBe(true);
  busy.inFlight--;
  await waitFor('the busy session to be released', () => {
    world.clock.advance(50);
    return busy.state === 'released';
  });
  await running;
  expect(worker.released).toBe(2);
});

it('releases a session that becomes quiet while another one is being released', async () => {
  const world = use();
  const worker = await world.worker('a');
  await world.worker('b');
  const [busy] = [await worker.open(), await worker.open()];
  busy.inFlight++;
  worker.before = (verb) => {
    if (verb === 'releaseSession') busy.inFlight = 0;
  };
  await drain(worker);
  expect([busy.state, worker.released]).toEqual(['released', 2]);
});

it.each([true, false])('tells who still waits at its time-out that the call may have run (somebody stays: %s)', async (stays) => {
  const world = use();
  const worker = await world.worker('a');
  if (stays) await world.worker('b');
  const session = await worker.open();
  const { told } = begin(session);
  await drain(worker, 1000);
  expect(told).toEqual(['OUTCOME_UNKNOWN']);
  expect(session.mayAct()).toBe(false);
});

it('never releases a session with a stdio child, and ends it last', async () => {
  const world = use();
  const worker = await world.worker('a');
  await world.worker('b');
  const session = await worker.open();
  session.backends.set('local', backendSession(true));
  await drain(worker);
  expect(worker.released).toBe(0);
  expect(worker.ended).toEqual(['drain']);
  await waitFor('the record to go', async () => (await world.redis.exists(world.keys.session(session.facts.ref))) === 0);
});

it('waits for requests of sessions that other workers own, up to its time-out', async () => {
  const world = use();
  const worker = await world.worker('a');
  worker.openExchanges = 1;
  const beginMs = world.clock.monotonicMs();
  await drain(worker, 3000);
  expect(world.clock.monotonicMs() - beginMs).toBeGreaterThanOrEqual(3000);
});

it('releases a session in the moment in which it is quiet, however soon its client calls again', async () => {
  const world = use();
  const worker = await world.worker('a');
  await world.worker('b');
  const session = await worker.open();
  session.inFlight++;
  await worker.keeper.setDraining();
  const running = worker.drain.run(60_000);
  await waitFor('the drain to have looked', () => session.onQuiet !== undefined);
  // No time passes: no further look.
  session.leave();
  await waitFor('the session to be released', () => session.state === 'released');
  await waitFor('the drain to end', () => {
    world.clock.advance(50);
    return worker.released === 1;
  });
  await running;
});

it.each([true, false])(
  'lets a session that is never quiet begin nothing in the last part (somebody stays: %s)',
  async (stays) => {
    const world = use();
    const worker = await world.worker('a');
    if (stays) await world.worker('b');
    const session = await worker.open();
    session.inFlight++;
    const beganMs = world.clock.monotonicMs();
    await worker.keeper.setDraining();
    let done = false;
    const running = worker.drain.run(10_000).then(() => {
      done = true;
    });
    let leftAfterMs: number | undefined;
    await waitFor('the drain', () => {
      world.clock.advance(50);
      if (session.isLeaving) leftAfterMs ??= world.clock.monotonicMs() - beganMs;
      return done;
    });
    await running;
    if (stays) {
      expect(leftAfterMs).toBeGreaterThan(5000);
      expect(leftAfterMs).toBeLessThan(7000);
    } else expect(leftAfterMs).toBeUndefined();
  },
);
