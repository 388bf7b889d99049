// What may happen in a simulation, one step after the other. Workers and sessions are named by numbers that are taken modulo how many
// there are, so that every list of steps is a run, and a shorter list still is one.
import fc from 'fast-check';
import { LEASE_MS } from '../sessions/world.js';
import type { Loss } from './wire.js';

export type Step =
  | { readonly do: 'open' | 'sweep' | 'crash' | 'kill' | 'start' | 'drain' | 'pause' | 'resume'; readonly worker: number }
  | { readonly do: 'request' | 'delete'; readonly worker: number; readonly session: number }
  /** The wire moves only by `run` and `answer` from now on, or by itself again. */
  | { readonly do: 'hold' | 'free' | 'timeOut' | 'connect'; readonly worker: number }
  | { readonly do: 'run' | 'answer'; readonly worker: number; readonly count: number }
  | { readonly do: 'break'; readonly worker: number; readonly stray: boolean }
  /** What was given up and lay in a buffer runs now. */
  | { readonly do: 'stray'; readonly worker: number }
  | { readonly do: 'lose'; readonly worker: number; readonly after: number; readonly loss: Loss }
  | { readonly do: 'expire'; readonly session: number }
  | { readonly do: 'pass'; readonly ms: number }
  | { readonly do: 'stepWall'; readonly worker: number; readonly ms: number }
  | { readonly do: 'remember' | 'failOver' | 'flush' };

const worker = fc.nat({ max: 2 });
const session = fc.nat({ max: 1 });
const count = fc.integer({ min: 1, max: 4 });
const ofWorker = (...names: Array<(Step & { do: 'open' | 'hold' })['do'] | string>) =>
  fc.record({ do: fc.constantFrom(...names), worker }) as unknown as fc.Arbitrary<Step>;

/** Around what decides: retries, a renewal, the margin, a lease. */
const passing = fc.constantFrom(200, LEASE_MS / 24, LEASE_MS / 12, LEASE_MS / 6, LEASE_MS / 3, LEASE_MS / 2, LEASE_MS);

const requests = fc.record({ do: fc.constant('request' as const), worker, session });
const time = fc.record({ do: fc.constant('pass' as const), ms: passing });
const life: fc.WeightedArbitrary<Step>[] = [
  { weight: 4, arbitrary: ofWorker('open') },
  { weight: 8, arbitrary: requests },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('delete' as const), worker, session }) },
];
const faults: fc.WeightedArbitrary<Step>[] = [
  { weight: 4, arbitrary: ofWorker('hold', 'free') },
  { weight: 3, arbitrary: ofWorker('timeOut') },
  { weight: 8, arbitrary: fc.record({ do: fc.constantFrom('run' as const, 'answer' as const), worker, count }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('break' as const), worker, stray: fc.boolean() }) },
  { weight: 3, arbitrary: ofWorker('connect') },
  { weight: 2, arbitrary: ofWorker('stray') },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('lose' as const),
      worker,
      after: fc.nat({ max: 5 }),
      loss: fc.constantFrom<Loss>('request', 'reply', 'late'),
    }),
  },
  { weight: 6, arbitrary: ofWorker('pause', 'resume') },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('stepWall' as const), worker, ms: fc.constantFrom(-LEASE_MS, -5000, 5000, LEASE_MS) }),
  },
];
const lives: fc.WeightedArbitrary<Step>[] = [
  { weight: 1, arbitrary: ofWorker('crash', 'kill', 'drain') },
  { weight: 1, arbitrary: ofWorker('start') },
  { weight: 2, arbitrary: ofWorker('sweep') },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('expire' as const), session }) },
];
const losses: fc.WeightedArbitrary<Step>[] = [
  { weight: 2, arbitrary: fc.constantFrom<Step>({ do: 'remember' }, { do: 'failOver' }, { do: 'flush' }) },
];

const list = (...kinds: fc.WeightedArbitrary<Step>[][]) =>
  fc.array(fc.oneof({ weight: 10, arbitrary: time }, ...kinds.flat()), { minLength: 5, maxLength: 60, size: 'max' });

export const anySteps = list(life, faults, lives);
export const anyStepsWithLosses = list(life, faults, losses);
/** For the lease alone: any time may pass, to the millisecond. */
export const anyStepsOfLeases = list(faults, [
  { weight: 10, arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.integer({ min: 1, max: LEASE_MS }) }) },
]);

export const anyMachine = fc.record({ rate: fc.constantFrom(1, 0.85, 1.15), suspends: fc.boolean() });
export const anyMachines = fc.tuple(anyMachine, anyMachine, anyMachine);
