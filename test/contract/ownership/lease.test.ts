// The keeper alone: while it calls its lease valid, no Redis may have let it run out, whatever delays its renewals, stops its process or
// steps its clocks (rule 3).
import fc from 'fast-check';
import { LONG_MS, runs, useRedis } from './fixture.js';
import { Simulation } from './simulation.js';
import { anyMachine, anyStepsOfLeases } from './steps.js';

const use = useRedis();

it(
  'is gone only after its keeper has stopped to call it valid',
  () =>
    fc.assert(
      fc.asyncProperty(anyMachine, anyStepsOfLeases, (machine, steps) =>
        Simulation.run(use(), [machine], steps, { watchLeases: true }),
      ),
      runs(60),
    ),
  LONG_MS,
);
