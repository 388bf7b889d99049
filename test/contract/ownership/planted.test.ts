// The model must find what would break the protocol: each of these plants one bug into the simulated workers or their Redis.
import fc from 'fast-check';
import { LEASE_MS } from '../sessions/world.js';
import { useRedis } from './fixture.js';
import type { SimWorker } from './sim-worker.js';
import { Simulation, type SimulationOptions } from './simulation.js';
import { anyMachines, anySteps } from './steps.js';

const use = useRedis();

/** What the oracle says about the first run that fails. @param seed of those that fail soon; any other finds it too, later */
async function found(options: SimulationOptions, seed = 1): Promise<string> {
  const property = fc.asyncProperty(anyMachines, anySteps, (machines, steps) => Simulation.run(use(), machines, steps, options));
  const { failed, errorInstance } = await fc.check(property, { numRuns: 400, endOnFailure: true, seed });
  return failed ? String((errorInstance as Error).message) : 'nothing';
}

it('finds a margin that is missing', async () => {
  // Workers count on 5/6 of a lease; a Redis that keeps leases for no longer leaves nothing between the two.
  expect(await found({ leaseFactor: 5 / 6 })).toMatch(/its lease is gone: anybody may claim/);
});

it('finds a validity that counts from the answer', async () => {
  const spoil = (worker: SimWorker) => {
    let untilMs = 0;
    worker.wire.onAnswer = (name, args, reply) => {
      const mine = name === 'set' && String(args[0]).endsWith(worker.parts.keeper.id);
      if (mine && reply === 'OK') untilMs = worker.clock.monotonicMs() + (LEASE_MS * 5) / 6;
    };
    worker.parts.keeper.isValid = () => worker.clock.monotonicMs() < untilMs;
  };
  expect(await found({ spoil })).toMatch(/its lease is gone: anybody may claim|whose owner is/);
});

it('finds a guard that does not ask for the token', async () => {
  const spoil = ({ parts: { table, keeper } }: SimWorker) => {
    const add = table.add.bind(table);
    table.add = (session) => {
      session.mayAct = () => (session.state === 'active' || session.state === 'reclaiming') && keeper.isValid();
      add(session);
    };
  };
  expect(await found({ spoil }, 58)).toMatch(/may act for/);
});

it('finds a claim that compares nothing', async () => {
  expect(await found({ blindClaim: true }, 27)).toMatch(/may act for|went back/);
});
