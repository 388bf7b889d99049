// Where requests wait: bounded, with one timer and one probe for each cause however many wait for it.
import { GatewayError } from '../../../src/errors/gateway-error.js';
import type { WorkerId } from '../../../src/protocol/ids.js';
import { HoldRoom, type Wait } from '../../../src/routing/hold-room.js';
import type { HoldCause, ProbeResult } from '../../../src/routing/probe.js';
import { FakeClock } from '../../support/fake-clock.js';

const MIB = 1024 * 1024;
const settle = () => new Promise<void>((resolve) => setImmediate(resolve));

const OWNER = 'w.1' as WorkerId;
const wait = (key: unknown, hasGone = false): Wait => ({ key, untilMs: Number.POSITIVE_INFINITY, hasGone });

/** A room whose probe says what a test tells it to. */
function makeRoom() {
  const clock = new FakeClock();
  const probes: HoldCause[] = [];
  const state = {
    result: { state: 'alive', hint: 'look' } as ProbeResult,
    silent: false,
    answer: (_result: ProbeResult): void => undefined,
  };
  const room = new HoldRoom(clock, (cause) => {
    probes.push(cause);
    if (!state.silent) return Promise.resolve(state.result);
    return new Promise((resolve) => {
      state.answer = resolve;
    });
  });
  return { clock, room, probes, state };
}

/** How a hundred sessions were woken. */
function waitFor100(room: HoldRoom, cause: HoldCause, hasGone = false): string[] {
  const woken: string[] = [];
  for (let n = 0; n < 100; n++) room.wait(cause, wait(n, hasGone)).woken.then((how) => woken.push(how));
  return woken;
}

function expectFull(room: HoldRoom, bytes: number) {
  expect(() => room.enter(bytes)).toThrow(GatewayError);
  try {
    room.enter(bytes);
  } catch (error) {
    expect(error).toMatchObject({ code: 'HOLD_FULL', status: 503, retryAfterSeconds: 1 });
  }
}

it('has place for 1 000 requests, and for another one as soon as one leaves', () => {
  const room = makeRoom().room;
  const leave = Array.from({ length: 1000 }, () => room.enter(0));
  expectFull(room, 0);
  leave[0]?.();
  room.enter(0);
  expectFull(room, 0);
});

it('has place for 32 MiB of bodies', () => {
  const room = makeRoom().room;
  const leave = room.enter(31 * MIB);
  room.enter(MIB);
  expectFull(room, 1);
  room.enter(0);
  leave();
  room.enter(31 * MIB);
});

it('counts one who leaves twice once', () => {
  const room = makeRoom().room;
  const leave = room.enter(MIB);
  room.enter(MIB);
  leave();
  leave();
  expect(room.size).toBe(1);
});

describe('one probe for all who wait', () => {
  it('is made at a tick, by one timer, however many wait', async () => {
    const { clock, room, probes, state } = makeRoom();
    state.result = { state: 'gone', hint: 'go' };
    const woken = waitFor100(room, OWNER);
    room.wait('redis', wait('r'));
    expect(clock.pendingTimers).toBe(2);
    clock.advance(20);
    await settle();
    expect(probes.sort()).toEqual([OWNER, 'redis'].sort());
    expect(woken).toEqual(Array(100).fill('go'));
  });

  it('one who comes late waits for the tick that is due, not for another one', async () => {
    const { clock, room, state } = makeRoom();
    state.result = { state: 'gone', hint: 'go' };
    room.wait(OWNER, wait(1));
    clock.advance(19);
    const late = room.wait(OWNER, wait(2)).woken;
    clock.advance(1);
    expect(await late).toBe('go');
  });

  it('without news a few sessions look, all requests of each, and everybody has a turn', async () => {
    const { clock, room } = makeRoom();
    const looked = new Set<number>();
    let most = 0;
    const hold = (key: number) =>
      void room.wait(OWNER, wait(key)).woken.then(() => {
        looked.add(key);
        hold(key);
      });
    for (let n = 0; n < 100; n++) for (const _request of [1, 2]) hold(n);
    for (let tick = 0; tick < 7; tick++) {
      const before = looked.size;
      clock.advance(400);
      await settle();
      most = Math.max(most, looked.size - before);
    }
    expect(looked.size).toBe(100);
    expect(most).toBeLessThanOrEqual(16 * 4);
  });

  it('news wake everybody, also those who had gone in vain', async () => {
    const { clock, room, state } = makeRoom();
    state.result = { state: 'here', hint: 'wait' };
    const woken = waitFor100(room, 'redis', true);
    clock.advance(20);
    await settle();
    expect(woken).toEqual([]);
    state.result = { state: 'there', hint: 'wait' };
    clock.advance(30);
    await settle();
    expect(woken).toEqual(Array(100).fill('news'));
  });

  it('who went on its word in vain is not sent again and again', async () => {
    const { clock, room, state } = makeRoom();
    state.result = { state: 'gone', hint: 'go' };
    const woken = waitFor100(room, OWNER, true);
    clock.advance(20);
    await settle();
    expect(woken).toEqual(Array(16).fill('look'));
  });

  it('that gets no answer keeps nobody beyond its time, and is not made twice at once', async () => {
    const { clock, room, probes, state } = makeRoom();
    state.silent = true;
    const due = room.wait('redis', { ...wait(1), untilMs: clock.monotonicMs() + 1000 }).woken;
    room.wait('redis', wait(2));
    clock.advance(5000);
    expect(await due).toBe('due');
    expect(probes).toEqual(['redis']);
  });

  it('speaks of nobody who came after it began', async () => {
    const { clock, room, state } = makeRoom();
    state.silent = true;
    room.wait(OWNER, wait(1));
    clock.advance(20);
    let woken = false;
    room.wait(OWNER, wait(2)).woken.then(() => {
      woken = true;
    });
    state.answer({ state: 'gone', hint: 'go' });
    await settle();
    expect(woken).toBe(false);
  });
});

it('one who leaves is not waited for', async () => {
  const { clock, room, probes } = makeRoom();
  const { woken, leave } = room.wait(OWNER, wait(1));
  leave();
  expect(await woken).toBe('due');
  clock.advance(1000);
  expect(probes).toEqual([]);
  expect(clock.pendingTimers).toBe(0);
});

it('remembers a bounded number of causes', () => {
  const { room } = makeRoom();
  for (let n = 0; n < 5000; n++) room.wait(`w.${n}` as WorkerId, wait(n)).leave();
  expect(room.causes).toBeLessThanOrEqual(1000);
});

async function delayOf(clock: FakeClock, room: HoldRoom): Promise<number> {
  let woken = false;
  room.wait(OWNER, wait(1)).woken.then(() => {
    woken = true;
  });
  const beganMs = clock.monotonicMs();
  while (!woken) {
    clock.advance(1);
    await settle();
  }
  return clock.monotonicMs() - beganMs;
}

it('looks soon at first, then ever more rarely, up to a bound', async () => {
  const { clock, room } = makeRoom();
  const delays: number[] = [];
  for (let n = 0; n < 12; n++) delays.push(await delayOf(clock, room));
  expect(delays.slice(0, 4)).toEqual([20, 30, 45, 68]);
  expect(delays.at(-1)).toBe(400);
  expect(delays.every((delay, n) => n === 0 || delay >= (delays[n - 1] as number))).toBe(true);
});

it('looks soon again after a cause was quiet for a while', async () => {
  const { clock, room } = makeRoom();
  for (let n = 0; n < 8; n++) await delayOf(clock, room);
  clock.advance(2001);
  expect(await delayOf(clock, room)).toBe(20);
});
