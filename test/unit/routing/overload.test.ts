// What refusing comes to, for workers whose requests cost different things: simulated, see there.
import { type Figures, SETTLE_MS, SimulatedWorker, type WorkerOptions } from './simulated-worker.js';

const QUICK = { front: 0.12, back: 0.1, refusal: 0.1 };
const SLOW = { front: 0.45, back: 0.4, refusal: 0.35 };

const WORKERS: ReadonlyArray<readonly [string, WorkerOptions]> = [
  ['of a quick backend', { costs: QUICK }],
  ['of a backend that takes 20 ms', { costs: QUICK, backendMs: 20 }],
  ['that stands still now and then', { costs: QUICK, pauses: 0.0005 }],
  ['whose requests cost four times as much', { costs: SLOW }],
  ['whose clients have 1000 connections', { costs: SLOW, clients: 1000, pauses: 0.001 }],
];

/** The worst that is allowed; these have 98 % and 47 ms. */
function expectServed({ accepted, best, p99Ms }: Figures): void {
  expect(accepted / best).toBeGreaterThan(0.9);
  expect(p99Ms).toBeLessThan(60);
}

test.each(WORKERS)('a worker %s accepts nearly what it can, in time, and all as soon as it fits again', (_, options) => {
  const worker = new SimulatedWorker(options);
  expect(worker.load(0.8, 1000).refused).toBe(0);
  expectServed(worker.load(1.2, SETTLE_MS + 4000));
  expect(worker.watch.isOverloaded).toBe(true);
  expect(worker.load(0.8, 3000).lastRefusalMs).toBeLessThan(300);
  expect(worker.watch.isOverloaded).toBe(false);
  expectServed(worker.load(1.5, SETTLE_MS + 4000));
  // What gathers within a second at twice the capacity takes ten to work off, so close is that to what refusing alone fills.
  const { accepted, best } = worker.load(2, SETTLE_MS + 4000);
  expect(accepted / best).toBeGreaterThan(0.7);
  expect(worker.load(0.8, 2000).lastRefusalMs).toBeLessThan(300);
});

test.each(WORKERS)('a worker %s refuses nothing that fits', (_, options) => {
  const worker = new SimulatedWorker(options);
  for (const share of [0.8, 0.95]) expect(worker.load(share, 3000).refused).toBe(0);
});

test.each([
  [64, QUICK],
  [150, QUICK],
  [64, SLOW],
])('%i clients that wait for each answer are no overload while turns stay below the bound', (clients, costs) => {
  const worker = new SimulatedWorker({ costs });
  expect(worker.closedLoop(clients, 5000).refused).toBe(0);
});
