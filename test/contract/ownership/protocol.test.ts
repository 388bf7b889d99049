// The ownership protocol against everything that a network, a scheduler and a clock may do (DESIGN 3; I1), with the data of Redis safe.
import fc from 'fast-check';
import { LONG_MS, runs, useRedis } from './fixture.js';
import { Simulation } from './simulation.js';
import { anyMachines, anySteps } from './steps.js';

const use = useRedis();

it(
  'lets one worker act for a session, with the token in force, and serves every session again when faults end',
  () =>
    fc.assert(
      fc.asyncProperty(anyMachines, anySteps, (machines, steps) => Simulation.run(use(), machines, steps)),
      runs(100),
    ),
  LONG_MS,
);
