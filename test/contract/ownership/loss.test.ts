// The same with the data of Redis lost or gone back in time (rules 9 and 10): two workers may act for a session no longer than a lease,
// and when faults end each session that is left is served by one.
import fc from 'fast-check';
import { LONG_MS, runs, useRedis } from './fixture.js';
import { Simulation } from './simulation.js';
import { anyMachines, anyStepsWithLosses } from './steps.js';

const use = useRedis();

it(
  'lets two workers act no longer than a lease after a loss of data',
  () =>
    fc.assert(
      fc.asyncProperty(anyMachines, anyStepsWithLosses, (machines, steps) =>
        Simulation.run(use(), machines, steps, { goneIsGone: true }),
      ),
      runs(50),
    ),
  LONG_MS,
);
