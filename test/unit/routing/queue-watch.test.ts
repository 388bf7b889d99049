// When a worker counts as overloaded, and what is refused then: turns of the event loop on a clock that stands still.
import { CallQueue } from '../../../src/backends/http/call-queue.js';
import { PATIENCE_MS, QUIET_MS, QueueWatch } from '../../../src/routing/queue-watch.js';
import { FakeClock } from '../../support/fake-clock.js';

const BOUND_MS = 20;
const CONNECTIONS = 16;
const STEP_MS = 0.25;
/** Far shorter than turns of an overloaded worker should be. */
const EASY_MS = 1;

class Loop {
  readonly clock = new FakeClock();
  bound = BOUND_MS;
  busy = 1;
  timed = 0;
  #ends: Array<() => void> = [];
  readonly calls = [new CallQueue(CONNECTIONS)];
  readonly watch = new QueueWatch({
    clock: this.clock,
    boundMs: () => this.bound,
    busyShare: () => this.busy,
    afterTurn: (run) => {
      this.timed += 1;
      this.#ends.push(run);
    },
    callQueues: this.calls,
  });

  /** One turn of so long, with a request every quarter of a millisecond. @returns how old the turn was at each that was refused */
  turn(lengthMs: number, opens = false): number[] {
    const refused: number[] = [];
    for (let ageMs = 0; ageMs < lengthMs; ageMs += STEP_MS) {
      if (this.watch.mustRefuse(opens)) refused.push(ageMs);
      this.clock.advance(STEP_MS);
    }
    for (const end of this.#ends.splice(0)) end();
    return refused;
  }

  /** How many of the requests of a turn are accepted; the first ones. */
  accepted(lengthMs: number, opens = false): number {
    const refused = this.turn(lengthMs, opens);
    const accepted = lengthMs / STEP_MS - refused.length;
    expect(refused[0] ?? lengthMs).toBe(accepted * STEP_MS);
    return accepted;
  }

  /** Turns of that length, one after the other. @returns what was refused */
  turns(lengthMs: number, forMs: number, opens = false): number {
    let refused = 0;
    for (let spentMs = 0; spentMs < forMs; spentMs += lengthMs) refused += this.turn(lengthMs, opens).length;
    return refused;
  }

  /** Likewise; in each turn so many calls get a connection, while so many go on waiting for one. */
  callingTurns(lengthMs: number, forMs: number, sent: number, waiting: number): number {
    const [queue] = this.calls as [CallQueue];
    queue.waiting = waiting;
    let refused = 0;
    for (let spentMs = 0; spentMs < forMs; spentMs += lengthMs) {
      queue.sent += sent;
      refused += this.turn(lengthMs).length;
    }
    return refused;
  }
}

const overloaded = () => {
  const loop = new Loop();
  for (let n = 0; n < 60 && !loop.watch.isOverloaded; n++) loop.turn(BOUND_MS + 5);
  expect(loop.watch.isOverloaded).toBe(true);
  return loop;
};

test('a burst is absorbed: nothing is refused before a queue has stood for a second', () => {
  const loop = new Loop();
  expect(loop.turns(200, PATIENCE_MS - 200)).toBe(0);
  // Worked off.
  expect(loop.turns(BOUND_MS / 2, 100)).toBe(0);
  expect(loop.turns(200, PATIENCE_MS - 200)).toBe(0);
  expect(loop.watch.isOverloaded).toBe(false);
});

test('one long stall is no queue', () => {
  const loop = new Loop();
  loop.turns(5, 200);
  expect(loop.turn(2 * PATIENCE_MS)).toEqual([]);
  expect(loop.turns(5, 200)).toBe(0);
  expect(loop.watch.isOverloaded).toBe(false);
});

test('a worker that is full, and that nobody waits for longer than the bound, refuses nothing for ever', () => {
  const loop = new Loop();
  expect(loop.turns(BOUND_MS - 5, 20 * PATIENCE_MS)).toBe(0);
});

test('a loop with time to spare is not overloaded, however long a few of its turns are', () => {
  const loop = new Loop();
  loop.busy = 0.9;
  expect(loop.turns(BOUND_MS + 10, 3 * PATIENCE_MS)).toBe(0);
});

test('below half of the load turns are not timed at all', () => {
  const loop = new Loop();
  loop.busy = 0.4;
  loop.turns(30, 1000);
  expect(loop.timed).toBe(0);
});

test('it is the mean of turns that counts: a short one now and then does not help those who wait in the others', () => {
  const loop = new Loop();
  for (let spentMs = 0; spentMs < PATIENCE_MS + 300; spentMs += 50) {
    loop.turn(45);
    loop.turn(5);
  }
  expect(loop.watch.isOverloaded).toBe(true);
});

test('under a standing queue a turn accepts its first requests; fewer while turns are too long, but never less than a twentieth', () => {
  const loop = overloaded();
  const first = loop.accepted(BOUND_MS);
  loop.turns(BOUND_MS, 100);
  expect(loop.accepted(BOUND_MS)).toBeLessThan(first);
  loop.turns(BOUND_MS, 2000);
  const least = BOUND_MS / STEP_MS / 20;
  expect([least, least + 1]).toContain(loop.accepted(BOUND_MS));
});

test('it accepts more while turns are short, up to what comes within the bound', () => {
  const loop = overloaded();
  loop.turns(BOUND_MS, 2000);
  const least = loop.accepted(BOUND_MS);
  loop.turns(EASY_MS, 200);
  expect(loop.accepted(BOUND_MS)).toBeGreaterThan(least);
  loop.turns(EASY_MS, 800);
  const most = BOUND_MS / STEP_MS;
  expect([most, most + 1]).toContain(loop.accepted(2 * BOUND_MS));
});

test('a budget below one request is one now and then', () => {
  const loop = overloaded();
  // Sixteen requests in each.
  loop.turns(4, 20_000);
  const accepted = Array.from({ length: 20 }, () => loop.accepted(4));
  expect([Math.min(...accepted), Math.max(...accepted)]).toEqual([0, 1]);
  expect([16, 17]).toContain(accepted.filter((count) => count === 1).length);
});

test('while the loop has time to spare nothing is refused for long, also where a turn is long by chance', () => {
  const loop = overloaded();
  loop.turns(BOUND_MS, 2000);
  loop.busy = 0.9;
  loop.turns(BOUND_MS, 1000);
  expect(loop.turns(BOUND_MS, QUIET_MS - 500)).toBe(0);
  expect(loop.watch.isOverloaded).toBe(true);
});

test('what opens a session is refused in the second half of that already', () => {
  const loop = overloaded();
  loop.turns(BOUND_MS, 2000);
  const calls = loop.accepted(BOUND_MS);
  const opened = loop.accepted(BOUND_MS, true);
  expect([opened > 0, opened < calls]).toEqual([true, true]);
});

test('it ends when nothing had to be refused for a while', () => {
  const loop = overloaded();
  loop.turns(EASY_MS, 100);
  expect(loop.turns(EASY_MS, QUIET_MS - 200)).toBe(0);
  expect(loop.watch.isOverloaded).toBe(true);
  loop.turns(EASY_MS, 200);
  expect(loop.watch.isOverloaded).toBe(false);
  expect(loop.turn(BOUND_MS)).toEqual([]);
});

test('it ends when nobody asks any more', () => {
  const loop = overloaded();
  loop.clock.advance(QUIET_MS + 100);
  expect(loop.watch.isOverloaded).toBe(false);
});

test('it goes on while more comes than is accepted, also when refusing keeps turns short', () => {
  const loop = overloaded();
  expect(loop.turns(BOUND_MS / 5, 29_000)).toBeGreaterThan(0);
  expect(loop.watch.isOverloaded).toBe(true);
});

test('now and then it looks whether all would fit below the bound, and ends if they do', () => {
  const loop = overloaded();
  // Clients that wait for their answers: the loop is never idle, but a turn is never longer than this.
  loop.turns(BOUND_MS - 8, 30_200 + QUIET_MS);
  expect(loop.watch.isOverloaded).toBe(false);
});

test('clients that open sessions may fit below the bound as well', () => {
  const loop = overloaded();
  loop.turns(BOUND_MS - 8, 30_200 + QUIET_MS, true);
  expect(loop.watch.isOverloaded).toBe(false);
});

test('where they do not fit, the look ends with the first turn that gets too old', () => {
  const loop = overloaded();
  loop.turns(BOUND_MS / 2, 29_500);
  let looked = 0;
  for (let n = 0; n < 100 && looked === 0; n++) if (loop.turn(BOUND_MS / 2).length === 0) looked = loop.clock.monotonicMs();
  expect(looked).toBeGreaterThan(0);
  expect(loop.turn(BOUND_MS + 2)[0]).toBe(BOUND_MS + STEP_MS);
  expect(loop.turn(BOUND_MS).length).toBeGreaterThan(0);
  expect(loop.watch.isOverloaded).toBe(true);
});

// --- behind the loop: turns of 5 ms in each of which every connection was used again, so that 64 calls get one within the bound

const SHORT_MS = 5;
const WITHIN_BOUND = (CONNECTIONS * BOUND_MS) / SHORT_MS;

test('where turns are short because calls wait behind them, it is the calls that tell', () => {
  const loop = new Loop();
  expect(loop.callingTurns(SHORT_MS, PATIENCE_MS - 200, CONNECTIONS, WITHIN_BOUND + 2)).toBe(0);
  // Worked off: a burst.
  expect(loop.callingTurns(SHORT_MS, 100, CONNECTIONS, 0)).toBe(0);
  expect(loop.callingTurns(SHORT_MS, PATIENCE_MS - 200, CONNECTIONS, WITHIN_BOUND + 2)).toBe(0);
  expect(loop.callingTurns(SHORT_MS, 600, CONNECTIONS, WITHIN_BOUND + 2)).toBeGreaterThan(0);
  expect(loop.watch.isOverloaded).toBe(true);
  // The last of them is worked off.
  loop.callingTurns(EASY_MS, 2 * QUIET_MS, CONNECTIONS, 0);
  expect(loop.watch.isOverloaded).toBe(false);
});

test.each([
  ['calls that get their connection within the bound', 1, CONNECTIONS, WITHIN_BOUND - 2],
  ['calls to a slow backend, by a worker with time to spare', 0.97, CONNECTIONS, 1000],
  ['calls to a slow backend, by a worker that others keep busy', 1, CONNECTIONS / 8, 1000],
  ['calls to a backend that answers nothing at all', 1, 0, 1000],
])('no overload: %s', (_, busy, sent, waiting) => {
  const loop = new Loop();
  loop.busy = busy;
  expect(loop.callingTurns(SHORT_MS, 3 * PATIENCE_MS, sent, waiting)).toBe(0);
  expect(loop.watch.isOverloaded).toBe(false);
});

test('what was sent before the loop was full says nothing about how fast connections come free', () => {
  const loop = new Loop();
  loop.busy = 0.9;
  loop.callingTurns(SHORT_MS, 3000, CONNECTIONS, 1000);
  loop.busy = 1;
  expect(loop.callingTurns(SHORT_MS, 3 * PATIENCE_MS, 0, 1000)).toBe(0);
});

test('one backend whose calls wait because of the worker is enough, whatever others do', () => {
  const loop = new Loop();
  loop.calls.push(new CallQueue(CONNECTIONS));
  expect(loop.callingTurns(SHORT_MS, PATIENCE_MS + 300, CONNECTIONS, WITHIN_BOUND + 2)).toBeGreaterThan(0);
});

test('while calls wait for too long less is accepted, however short turns are; then more again', () => {
  const loop = new Loop();
  loop.callingTurns(EASY_MS, PATIENCE_MS + 300, CONNECTIONS, WITHIN_BOUND * 6);
  const before = loop.accepted(BOUND_MS);
  loop.callingTurns(EASY_MS, 200, CONNECTIONS, WITHIN_BOUND * 6);
  const waiting = loop.accepted(BOUND_MS);
  expect(waiting).toBeLessThan(before);
  loop.callingTurns(EASY_MS, 200, CONNECTIONS, 0);
  expect(loop.accepted(BOUND_MS)).toBeGreaterThan(waiting);
});

test('a backend that becomes slow meanwhile keeps nobody from the others', () => {
  const loop = new Loop();
  loop.callingTurns(SHORT_MS, PATIENCE_MS + 300, CONNECTIONS, WITHIN_BOUND + 2);
  expect(loop.watch.isOverloaded).toBe(true);
  loop.callingTurns(EASY_MS, 2 * QUIET_MS, 0, 1000);
  expect(loop.watch.isOverloaded).toBe(false);
});

test('the look whether all fit ends with the first call behind which too many wait', () => {
  const loop = new Loop();
  loop.callingTurns(SHORT_MS, PATIENCE_MS + 300, CONNECTIONS, WITHIN_BOUND + 2);
  // Refusing keeps the queue short, and few connections in use.
  const inTrial = () => loop.turn(SHORT_MS).length === 0;
  const untilTrial = () => {
    for (let n = 0; n < 35_000 / SHORT_MS; n++) {
      if (inTrial()) return;
    }
    throw new Error('no trial');
  };
  loop.callingTurns(SHORT_MS, 1000, 1, 0);
  untilTrial();
  expect(loop.callingTurns(SHORT_MS, 100, CONNECTIONS, WITHIN_BOUND + CONNECTIONS + 2)).toBeGreaterThan(0);
  expect(loop.callingTurns(SHORT_MS, 1000, 1, 0)).toBeGreaterThan(0);
  expect(loop.watch.isOverloaded).toBe(true);
  // Clients that wait for their answers, and fit.
  untilTrial();
  loop.callingTurns(SHORT_MS, QUIET_MS, CONNECTIONS, WITHIN_BOUND / 2);
  expect(loop.watch.isOverloaded).toBe(false);
});

test('a bound of 0 refuses nothing, also from one moment to the next', () => {
  const loop = overloaded();
  loop.bound = 0;
  loop.clock.advance(100);
  expect(loop.turns(100, 3000)).toBe(0);
  expect(loop.watch.isOverloaded).toBe(false);
});

test('stop leaves no timer', () => {
  const loop = new Loop();
  loop.watch.stop();
  expect(loop.clock.pendingTimers).toBe(0);
});
