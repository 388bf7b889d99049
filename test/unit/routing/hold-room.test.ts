// Where requests wait: bounded, with one timer for each cause however many wait for it.
import { GatewayError } from '../../../src/errors/gateway-error.js';
import { HoldRoom } from '../../../src/routing/hold-room.js';
import { FakeClock } from '../../support/fake-clock.js';

const MIB = 1024 * 1024;
const settle = () => new Promise<void>((resolve) => setImmediate(resolve));

function expectFull(room: HoldRoom, bytes: number) {
  expect(() => room.enter(bytes)).toThrow(GatewayError);
  try {
    room.enter(bytes);
  } catch (error) {
    expect(error).toMatchObject({ code: 'HOLD_FULL', status: 503, retryAfterSeconds: 1 });
  }
}

it('has place for 1 000 requests, and for another one as soon as one leaves', () => {
  const room = new HoldRoom(new FakeClock());
  const leave = Array.from({ length: 1000 }, () => room.enter(0));
  expectFull(room, 0);
  leave[0]?.();
  room.enter(0);
  expectFull(room, 0);
});

it('has place for 32 MiB of bodies', () => {
  const room = new HoldRoom(new FakeClock());
  const leave = room.enter(31 * MIB);
  room.enter(MIB);
  expectFull(room, 1);
  room.enter(0);
  leave();
  room.enter(31 * MIB);
});

it('counts one who leaves twice once', () => {
  const room = new HoldRoom(new FakeClock());
  const leave = room.enter(MIB);
  room.enter(MIB);
  leave();
  leave();
  expect(room.size).toBe(1);
});

it('wakes all who wait for a cause at its tick, by one timer', async () => {
  const clock = new FakeClock();
  const room = new HoldRoom(clock);
  const woken: string[] = [];
  for (let n = 0; n < 100; n++) room.tick('owner').then(() => woken.push('owner'));
  room.tick('redis').then(() => woken.push('redis'));
  expect(clock.pendingTimers).toBe(2);
  clock.advance(20);
  await settle();
  expect(woken).toHaveLength(101);
  expect(clock.pendingTimers).toBe(0);
});

it('one who comes late waits for the tick that is due, not for another one', async () => {
  const clock = new FakeClock();
  const room = new HoldRoom(clock);
  room.tick('owner');
  clock.advance(19);
  let woken = false;
  room.tick('owner').then(() => {
    woken = true;
  });
  clock.advance(1);
  await settle();
  expect(woken).toBe(true);
});

async function delayOf(clock: FakeClock, room: HoldRoom): Promise<number> {
  let woken = false;
  room.tick('owner').then(() => {
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
  const clock = new FakeClock();
  const room = new HoldRoom(clock);
  const delays: number[] = [];
  for (let n = 0; n < 12; n++) delays.push(await delayOf(clock, room));
  expect(delays.slice(0, 4)).toEqual([20, 30, 45, 68]);
  expect(delays.at(-1)).toBe(400);
  expect(delays.every((delay, n) => n === 0 || delay >= (delays[n - 1] as number))).toBe(true);
});

it('looks soon again after a cause was quiet for a while', async () => {
  const clock = new FakeClock();
  const room = new HoldRoom(clock);
  for (let n = 0; n < 8; n++) await delayOf(clock, room);
  clock.advance(2001);
  expect(await delayOf(clock, room)).toBe(20);
});
