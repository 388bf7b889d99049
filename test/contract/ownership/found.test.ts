// What the properties found, as the short sequences they shrank to.
import { LEASE_MS } from '../sessions/world.js';
import { useRedis } from './fixture.js';
import { Simulation } from './simulation.js';
import type { Step } from './steps.js';

const use = useRedis();
const machine = { rate: 1, suspends: false };
const replay = (steps: readonly Step[]) => Simulation.run(use(), [machine, machine, machine], steps);
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
