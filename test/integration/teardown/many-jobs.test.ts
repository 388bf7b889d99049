// Many jobs: of backends that are dead or slow, and of workers that leave or die (S112).
import { waitFor } from '../../support/wait-for.js';
import { paceKeys } from '../../../src/teardown/queue-keys.js';
import { Bench, makeJob, PREFIX } from './harness.js';

let bench: Bench;
beforeEach(async () => {
  bench = new Bench();
  await bench.start();
});
afterEach(() => bench.stop());

const range = (count: number) => Array.from({ length: count }, (_, i) => i);

test('one dead backend delays nobody, costs its waiting jobs no attempt, and is served when it returns', async () => {
  let isDead = true;
  const dead = await bench.backend('dead', () => (isDead ? 'hang' : 200));
  const alive = await bench.backend('alive', () => 200);
  const queue = bench.queue({ attempts: 20 });
  await queue.add(range(100).map((i) => makeJob('dead', `dead-${i}`)));
  bench.worker({ timeoutMs: 300, concurrency: 8 });
  await waitFor('the dead backend to be asked', () => dead.requests.length >= 4);
  const startedMs = performance.now();
  await queue.add(range(50).map((i) => makeJob('alive', `alive-${i}`)));
  await waitFor('all jobs of the living backend', () => alive.requests.length === 50);
  expect(performance.now() - startedMs).toBeLessThan(2000);
  await waitFor('the pause', () => dead.requests.length >= 6);
  // Of a hundred jobs only those that really asked have spent an attempt.
  expect(dead.requests.length).toBeLessThan(20);
  isDead = false;
  await waitFor(
    'all jobs of the backend that returned',
    () => new Set(dead.ids).size === 100 && bench.results.filter((r) => r === 'done').length === 150,
    25_000,
  );
  expect((await queue.counts()).failed).toBe(0);
});

test('a backend is asked by four jobs at a time, all workers together', async () => {
  let running = 0;
  let most = 0;
  const server = await bench.backend('a', () => 200);
  const real = bench.backends.get('a')?.end;
  const counting = {
    name: 'a',
    lastInfo: undefined,
    createSession: () => {
      throw new Error('not here');
    },
    close: () => Promise.resolve(),
    end: async (...args: Parameters<NonNullable<typeof real>>) => {
      most = Math.max(most, ++running);
      const answer = await real?.(...args);
      running--;
      return answer ?? { kind: 'unreachable' as const, reason: 'x' };
    },
  };
  for (let i = 0; i < 3; i++) bench.worker({ backend: () => counting });
  await bench.queue().add(range(60).map((i) => makeJob('a', `s-${i}`)));
  await waitFor('all jobs', () => bench.results.filter((result) => result === 'done').length === 60, 30_000);
  expect(most).toBeLessThanOrEqual(4);
  expect(new Set(server.ids).size).toBe(60);
});

test('a broken backend is left alone by all workers', async () => {
  const server = await bench.backend('a', () => 503);
  const queue = bench.queue({ attempts: 1000 });
  await queue.add(range(40).map((i) => makeJob('a', `s-${i}`)));
  for (let i = 0; i < 3; i++) bench.worker({ pauseMs: 60_000 });
  await waitFor('every job to be put back', async () => (await queue.counts()).delayed === 40, 10_000);
  // Four that ran at once may all have failed after the third one.
  expect(server.requests.length).toBeGreaterThanOrEqual(3);
  expect(server.requests.length).toBeLessThanOrEqual(6);
});

test('what a worker that died had begun holds up nobody for longer than an attempt may take', async () => {
  const server = await bench.backend('a', () => 200);
  const redis = bench.connect();
  const [running] = paceKeys(PREFIX, 'a');
  await redis.zadd(running, ...range(4).flatMap((i) => [String(Date.now() + 700), `dead-${i}`]));
  bench.worker();
  await bench.queue().add([makeJob('a', 's')]);
  await waitFor('the job to be put back', async () => (await bench.queue().counts()).delayed === 1);
  expect(server.requests).toHaveLength(0);
  await waitFor('the job to run', () => server.requests.length === 1);
});

test('a job that only waits is given up at its age', async () => {
  await bench.backend('a', () => 500);
  const queue = bench.queue({ attempts: 1000 });
  await queue.add(range(10).map((i) => makeJob('a', `s-${i}`)));
  bench.worker({ maxAgeMs: 300 });
  await waitFor('a job to be given up', () => bench.givenUp.includes('exhausted'), 10_000);
});

test('another worker runs what the first one, closed mid-way, has left', async () => {
  let release = () => {};
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  const server = await bench.backend('a', () => 200);
  const first = bench.worker({ isOpenElsewhere: () => gate.then(() => false), concurrency: 2 });
  await bench.queue().add(range(30).map((i) => makeJob('a', `s-${i}`)));
  await waitFor('the first worker to hold jobs', async () => (await bench.queue().counts()).active === 2);
  const closing = first.close(10_000);
  bench.worker();
  await waitFor('the second worker to run the rest', () => server.requests.length === 28);
  release();
  await closing;
  await waitFor('every backend session to be ended', () => new Set(server.ids).size === 30);
  expect(server.requests).toHaveLength(30);
});

test('a job of a worker that left without it is found and run by another', async () => {
  const server = await bench.backend('a', () => 200);
  const dying = bench.worker({ isOpenElsewhere: () => new Promise(() => undefined), stalledAfterMs: 300 });
  const queue = bench.queue();
  await queue.add([makeJob('a', 's')]);
  await waitFor('the job to run', async () => (await queue.counts()).active === 1);
  const startedMs = performance.now();
  await dying.close(100);
  expect(performance.now() - startedMs).toBeLessThan(1500);
  bench.worker({ stalledAfterMs: 300 });
  await waitFor('the job to be run by the other', () => server.requests.length === 1, 10_000);
});

test('closing returns in time while Redis is away', async () => {
  const worker = bench.worker();
  await bench.queue().add([makeJob('a', 's')]);
  await waitFor('the job to be taken', () => bench.results.length === 1);
  await bench.redis.kill();
  const startedMs = performance.now();
  await worker.close(300);
  expect(performance.now() - startedMs).toBeLessThan(1500);
});
