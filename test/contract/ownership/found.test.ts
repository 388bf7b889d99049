// What the properties found, as the short sequences they shrank to.
import { LEASE_MS } from '../sessions/world.js';
import { useRedis } from './fixture.js';
import { Simulation, type SimulationOptions } from './simulation.js';
import type { Step } from './steps.js';

const use = useRedis();
const machine = { rate: 1, suspends: false };
const replay = (steps: readonly Step[], options: SimulationOptions = {}) =>
  Simulation.run(use(), [machine, machine, machine], steps, options);
const pass = (ms: number): Step => ({ do: 'pass', ms });

it('claims back although the answer to the new lease was lost', () =>
  replay([
    { do: 'open', worker: 0 },
    pass(LEASE_MS / 3),
    { do: 'pause', worker: 0 },
    pass(LEASE_MS),
    // After the renewal that finds no key: the list of workers, then the lease of the new incarnation.
    { do: 'lose', worker: 0, after: 2, loss: 'reply' },
    { do: 'resume', worker: 0 },
    pass(LEASE_MS),
  ]));

it('sweeps no session that this worker is taking over', () =>
  replay([
    { do: 'open', worker: 0 },
    { do: 'crash', worker: 0 },
    { do: 'expire', session: 0 },
    { do: 'hold', worker: 1 },
    { do: 'request', worker: 1, session: 0 },
    { do: 'sweep', worker: 1 },
    { do: 'free', worker: 1 },
  ]));

it('gives each owner of a session that is deleted a second of its own', () =>
  replay([
    { do: 'open', worker: 1 },
    { do: 'request', worker: 2, session: 0 },
    { do: 'hold', worker: 2 },
    { do: 'pause', worker: 1 },
    { do: 'delete', worker: 2, session: 0 },
    { do: 'run', worker: 0, count: 1 },
    { do: 'request', worker: 0, session: 0 },
    pass(LEASE_MS),
    { do: 'request', worker: 0, session: 0 },
    { do: 'pause', worker: 0 },
  ]));

/** One command of worker 0 at a time, each at a time of its own. */
const moveOne: readonly Step[] = [{ do: 'run', worker: 0, count: 1 }, { do: 'answer', worker: 0, count: 1 }, pass(1)];

describe('after a loss of data', () => {
  it('has one owner where a failover forgot a claim', () =>
    replay([
      { do: 'open', worker: 0 },
      pass(LEASE_MS / 3),
      { do: 'pause', worker: 0 },
      pass(LEASE_MS),
      { do: 'remember' },
      { do: 'resume', worker: 0 },
      { do: 'failOver' },
      { do: 'request', worker: 1, session: 0 },
      pass(2 * LEASE_MS),
    ]));

  it('calls no session gone that a failover forgot', () =>
    replay(
      [
        pass(2 * LEASE_MS),
        { do: 'remember' },
        { do: 'open', worker: 0 },
        { do: 'failOver' },
        { do: 'request', worker: 1, session: 0 },
        pass(1),
      ],
      { goneIsGone: true },
    ));

  it('calls no session gone that a failover forgot, not even while its owner has not verified', () =>
    replay(
      [
        pass(2 * LEASE_MS),
        { do: 'remember' },
        { do: 'open', worker: 0 },
        { do: 'hold', worker: 0 },
        { do: 'failOver' },
        { do: 'request', worker: 1, session: 0 },
        pass(1000),
        { do: 'free', worker: 0 },
        pass(1),
      ],
      { goneIsGone: true },
    ));

  it('registers nothing after the old guard ended, when it was called gone', () =>
    replay(
      [
        { do: 'open', worker: 0 },
        pass(LEASE_MS),
        { do: 'flush' },
        { do: 'hold', worker: 0 },
        pass((LEASE_MS * 2) / 3),
        ...[...moveOne, ...moveOne, ...moveOne],
        pass(LEASE_MS * 0.7),
        { do: 'request', worker: 1, session: 0 },
        pass(1),
        { do: 'free', worker: 0 },
        pass(LEASE_MS),
      ],
      { goneIsGone: true },
    ));
});
