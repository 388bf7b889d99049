// Dead letters as an operator works on them: seen without what they seal, tried again with all attempts, dropped (S111).
import { systemClock } from '../../../src/lifecycle/clock.js';
import { TeardownDesk } from '../../../src/teardown/teardown-desk.js';
import { waitFor } from '../../support/wait-for.js';
import { Bench, makeJob } from './harness.js';

let bench: Bench;
beforeEach(async () => {
  bench = new Bench();
  await bench.start();
});
afterEach(() => bench.stop());

const SECRETS = ['secret-session', 'Bearer of-user'];

/** Backend `a` refuses until told otherwise; `count` of its jobs lie among the dead letters. */
async function withDeadLetters(count: number) {
  let status = 401;
  const server = await bench.backend('a', () => status);
  const queue = bench.queue();
  const desk = new TeardownDesk(queue, systemClock);
  bench.worker();
  await queue.add(
    Array.from({ length: count }, (_, i) => makeJob('a', `secret-session-${i}`, {}, { authorization: 'Bearer of-user' })),
  );
  await waitFor(`${count} dead letters`, async () => (await queue.counts()).failed === count);
  const accept = () => {
    status = 204;
  };
  return { server, queue, desk, accept };
}

test('are listed with their reason and nothing that they seal', async () => {
  const { desk } = await withDeadLetters(3);
  const { jobs, total } = await desk.list('failed', 0, 2);
  expect([jobs.length, total]).toEqual([2, 3]);
  expect(jobs[0]).toMatchObject({ backend: 'a', reason: 'refused', attempts: 1, state: 'failed', protocolVersion: '2025-06-18' });
  expect(jobs[0]?.createdMs).toBeLessThanOrEqual(jobs[0]?.failedMs as number);
  expect((await desk.list('failed', 2, 2)).jobs).toHaveLength(1);
  expect((await desk.list('delayed', 0, 2)).jobs).toEqual([]);
  // The reference of the bench is made of the id; nothing else may hold it.
  const shown = JSON.stringify(jobs.map(({ sessionRef: _, ...rest }) => rest));
  for (const secret of SECRETS) expect(shown).not.toContain(secret);
});

test('one is tried again with all its attempts, and is done', async () => {
  const { desk, queue, server, accept } = await withDeadLetters(1);
  const [letter] = (await desk.list('failed', 0, 1)).jobs;
  const id = letter?.id as string;
  accept();
  expect(await desk.retry(id)).toBe('done');
  await waitFor('the second DELETE', () => server.requests.length === 2);
  await waitFor('no dead letter', async () => (await queue.counts()).failed === 0);
  await waitFor('it to be done', async () => (await desk.retry(id)) === 'unknown');
});

test('one that is refused again lies there again', async () => {
  const { desk, queue, server } = await withDeadLetters(1);
  const [letter] = (await desk.list('failed', 0, 1)).jobs;
  expect(await desk.retry(letter?.id as string)).toBe('done');
  await waitFor('the second DELETE', () => server.requests.length === 2);
  await waitFor('a dead letter', async () => (await queue.counts()).failed === 1);
});

test('one whose attempts are used up gets all of them again', async () => {
  const server = await bench.backend('a', () => 500);
  const queue = bench.queue({ attempts: 2 });
  const desk = new TeardownDesk(queue, systemClock);
  bench.worker();
  await queue.add([makeJob('a', 'session-1')]);
  const untilFailed = (requests: number) =>
    waitFor(`a dead letter after ${requests} requests`, async () => {
      return (await queue.counts()).failed === 1 && server.requests.length === requests;
    });
  await untilFailed(2);
  const [letter] = (await desk.list('failed', 0, 1)).jobs;
  expect(letter).toMatchObject({ reason: 'http_500', attempts: 2 });
  expect(await desk.retry(letter?.id as string)).toBe('done');
  await untilFailed(4);
  expect(bench.results).toEqual(['retry', 'exhausted', 'retry', 'exhausted']);
});

test('its age counts anew: one that has to wait for its backend is not given up at once', async () => {
  const daysLater = { ...systemClock, wallMs: () => Date.now() + 2 * 86_400_000 };
  await bench.backend('a', (_, headers) => (headers['mcp-session-id'] === 'old' ? 401 : 'hang'));
  const queue = bench.queue();
  const desk = new TeardownDesk(queue, daysLater);
  bench.worker({ clock: daysLater, timeoutMs: 30_000 });
  await queue.add([makeJob('a', 'old')]);
  await waitFor('a dead letter', async () => (await queue.counts()).failed === 1);
  await queue.add(['1', '2', '3', '4'].map((id) => makeJob('a', id)));
  await waitFor('the backend to be busy', async () => (await queue.counts()).active === 4);
  const [letter] = (await desk.list('failed', 0, 1)).jobs;
  expect(await desk.retry(letter?.id as string)).toBe('done');
  await waitFor('it to wait', async () => (await desk.list('delayed', 0, 1)).jobs[0]?.id === letter?.id);
  expect(bench.results).toEqual(['refused']);
});

test('all, or all of one backend, are tried again once each', async () => {
  const { desk, queue, server, accept } = await withDeadLetters(60);
  expect(await desk.retryAll('another')).toEqual({ retried: 0, left: 0 });
  accept();
  expect(await desk.retryAll('a')).toEqual({ retried: 60, left: 0 });
  await waitFor('all to be done', () => bench.results.filter((result) => result === 'done').length === 60, 20_000);
  expect(server.requests).toHaveLength(120);
  expect((await queue.counts()).failed).toBe(0);
  expect(await desk.retryAll(undefined)).toEqual({ retried: 0, left: 0 });
});

test('dropped ones are gone, and nobody asks the backend', async () => {
  const { desk, queue, server } = await withDeadLetters(1);
  const [letter] = (await desk.list('failed', 0, 1)).jobs;
  const id = letter?.id as string;
  expect(await desk.drop(id)).toBe('done');
  expect(await desk.drop(id)).toBe('unknown');
  expect(await desk.retry(id)).toBe('unknown');
  expect([(await queue.counts()).failed, server.requests.length]).toEqual([0, 1]);
});

test('what runs just now is neither dropped nor tried again; what waits can be dropped', async () => {
  await bench.backend('hung', () => 'hang');
  const queue = bench.queue();
  const desk = new TeardownDesk(queue, systemClock);
  bench.worker({ timeoutMs: 30_000, concurrency: 1 });
  await queue.add([makeJob('hung', 'one')]);
  const [running] = await waitFor('it to run', async () => {
    const { jobs } = await desk.list('active', 0, 1);
    return jobs.length === 1 && jobs;
  });
  expect(await desk.drop(running?.id as string)).toBe('busy');
  expect(await desk.retry(running?.id as string)).toBe('notFailed');
  await queue.add([makeJob('hung', 'two')]);
  const [waiting] = await waitFor('another to wait', async () => {
    const { jobs } = await desk.list('waiting', 0, 1);
    return jobs.length === 1 && jobs;
  });
  expect(await desk.drop(waiting?.id as string)).toBe('done');
});

test.each(['t-1', 'x', '', `t-${'0'.repeat(64)}`, '../jobs'])('"%s" is no teardown', async (id) => {
  const desk = new TeardownDesk(bench.queue(), systemClock);
  expect([await desk.retry(id), await desk.drop(id)]).toEqual(['unknown', 'unknown']);
});
