// What becomes of one job, by what the backend answers (S109, S111, S113).
import { TeardownQueueUnavailable } from '../../../src/teardown/bull-teardown-queue.js';
import { waitFor } from '../../support/wait-for.js';
import { Bench, makeJob } from './harness.js';

let bench: Bench;
beforeEach(async () => {
  bench = new Bench();
  await bench.start();
});
afterEach(() => bench.stop());

const noneLeft = (queue: { counts(): Promise<Record<string, number>> }) =>
  waitFor('no job to be waiting, delayed or running', async () => {
    const { waiting, active, delayed } = await queue.counts();
    return waiting === 0 && active === 0 && delayed === 0;
  });

test('the backend gets one DELETE with its id, its version and the headers that initialized it', async () => {
  const server = await bench.backend('a', () => 204);
  const queue = bench.queue();
  bench.worker();
  await queue.add([makeJob('a', 'session-1', {}, { authorization: 'Bearer of-user', 'x-tenant': 't' })]);
  await waitFor('the job to be done', () => bench.results.length === 1);
  expect(bench.results).toEqual(['done']);
  expect(server.requests).toHaveLength(1);
  const { method, headers } = server.requests[0] ?? { method: '', headers: {} };
  expect(method).toBe('DELETE');
  expect(headers).toMatchObject({
    'mcp-session-id': 'session-1',
    'mcp-protocol-version': '2025-06-18',
    authorization: 'Bearer of-user',
    'x-tenant': 't',
  });
});

test.each([200, 202, 400, 404, 405])('an answer %i is done', async (status) => {
  const server = await bench.backend('a', () => status);
  bench.worker();
  const queue = bench.queue();
  await queue.add([makeJob('a', 'session-1')]);
  await waitFor('the job to be done', () => bench.results.length === 1);
  await noneLeft(queue);
  expect([bench.results, server.requests.length, (await queue.counts()).failed]).toEqual([['done'], 1, 0]);
});

test.each([401, 403])('an answer %i is refused at once: a dead letter with that reason', async (status) => {
  const server = await bench.backend('a', () => status);
  bench.worker();
  const queue = bench.queue();
  await queue.add([makeJob('a', 'session-1')]);
  await waitFor('the job to be given up', () => bench.givenUp.length === 1);
  expect([bench.results, bench.givenUp, server.requests.length]).toEqual([['refused'], ['refused'], 1]);
  expect(await queue.counts()).toEqual({ waiting: 0, active: 0, delayed: 0, failed: 1 });
  const [dead] = await queue.queue.getFailed();
  expect(dead).toMatchObject({ failedReason: 'refused', stacktrace: [] });
});

test('trouble of the backend is tried again until it is done', async () => {
  const server = await bench.backend('a', (count) => [500, 503][count] ?? 200);
  bench.worker();
  await bench.queue().add([makeJob('a', 'session-1')]);
  await waitFor('the job to be done', () => bench.results.includes('done'));
  expect(bench.results).toEqual(['retry', 'retry', 'done']);
  expect(server.ids).toEqual(['session-1', 'session-1', 'session-1']);
});

test('what is exhausted lies among the dead letters, and the metric knows', async () => {
  await bench.backend('a', () => 500);
  bench.worker();
  const queue = bench.queue({ attempts: 2 });
  await queue.add([makeJob('a', 'session-1')]);
  await waitFor('the job to be given up', () => bench.givenUp.length === 1);
  expect([bench.results, bench.givenUp]).toEqual([['retry', 'exhausted'], ['http_500']]);
  expect((await queue.counts()).failed).toBe(1);
});

test('a backend that hangs is left after the time-out', async () => {
  await bench.backend('a', (count) => (count === 0 ? 'hang' : 200));
  bench.worker({ timeoutMs: 100 });
  await bench.queue().add([makeJob('a', 'session-1')]);
  await waitFor('the job to be done', () => bench.results.includes('done'));
  expect(bench.results).toEqual(['retry', 'done']);
});

test('a backend that is no longer configured cannot be asked', async () => {
  bench.worker();
  await bench.queue().add([makeJob('removed', 'session-1')]);
  await waitFor('the job to be given up', () => bench.givenUp.length === 1);
  expect(bench.results).toEqual(['unknown_backend']);
});

test('an id that is open in another session by now is left alone', async () => {
  const server = await bench.backend('a', () => 200);
  const asked: string[] = [];
  bench.worker({
    isOpenElsewhere: (job, { id }) => {
      asked.push(`${job.sessionRef} ${id}`);
      return Promise.resolve(true);
    },
  });
  await bench.queue().add([makeJob('a', 'recycled')]);
  await waitFor('the job to be dropped', () => bench.results.length === 1);
  expect([bench.results, asked, server.requests]).toEqual([['reused'], ['ref-recycled recycled'], []]);
});

test('that this cannot be found out delays the job and ends nothing', async () => {
  const server = await bench.backend('a', () => 200);
  let asked = 0;
  bench.worker({ isOpenElsewhere: () => (asked++ === 0 ? Promise.reject(new Error('silent')) : Promise.resolve(false)) });
  await bench.queue().add([makeJob('a', 'session-1')]);
  await waitFor('the job to be done', () => bench.results.includes('done'));
  expect([bench.results, server.requests.length]).toEqual([['retry', 'done'], 1]);
});

test('the same job added again, by whomever, runs once: before and while it runs; after that nothing of it is left', async () => {
  const server = await bench.backend('a', () => 200);
  const [first, second] = [bench.queue(), bench.queue()];
  // Sealed anew, as another worker would: the text differs, the id of the job does not.
  await Promise.all([first.add([makeJob('a', 'one'), makeJob('a', 'one')]), second.add([makeJob('a', 'one')])]);
  bench.worker();
  await waitFor('the job to be done', () => bench.results.length === 1);
  expect(server.ids).toEqual(['one']);
  // Each job has a key of its own: the worker finishes it after it has told its result.
  await waitFor('no key of the job to be left', async () => !(await bench.dump()).text.includes(':t-'));
  await second.add([makeJob('a', 'one', { generation: 2 })]);
  await waitFor('the same id, issued once more, to be ended', () => server.ids.length === 2);
  await noneLeft(first);
  expect(server.ids).toEqual(['one', 'one']);
});

test('a backend session without an id has nothing to end', async () => {
  const queue = bench.queue();
  await queue.add([makeJob('a', undefined), makeJob('a', '')]);
  expect(await queue.counts()).toEqual({ waiting: 0, active: 0, delayed: 0, failed: 0 });
});

test('nothing readable lies in Redis, before, while and after; all keys share one hash tag', async () => {
  await bench.backend('a', (_, headers) => (headers['mcp-session-id'] === 'secret-id-2' ? 401 : 200));
  const queue = bench.queue();
  const headers = { authorization: 'Bearer of-user', 'x-tenant': 'tenant-of-user' };
  await queue.add(
    ['secret-id-1', 'secret-id-2'].map((id) => makeJob('a', id, { sessionRef: `r${id.at(-1)}` as never }, headers)),
  );
  const before = await bench.dump();
  bench.worker();
  await waitFor('both jobs to end', () => bench.results.length === 2);
  await waitFor('the dead letter', async () => (await queue.counts()).failed === 1);
  const after = await bench.dump();
  for (const { text, keys } of [before, after]) {
    for (const secret of ['secret-id', 'of-user', 'Bearer', 'x-tenant']) expect(text).not.toContain(secret);
    const own = keys.filter((key) => !key.startsWith('berth-test:teardown:{pace:a}:'));
    expect(own.every((key) => key.startsWith('{berth-test:teardown}:jobs'))).toBe(true);
  }
});

test('dead letters that are kept too long are cleaned away', async () => {
  await bench.backend('a', () => 401);
  bench.worker();
  const queue = bench.queue();
  await queue.add([makeJob('a', 'session-1')]);
  await waitFor('the dead letter', async () => (await queue.counts()).failed === 1);
  await queue.clean();
  expect((await queue.counts()).failed).toBe(1);
  const redis = bench.connect();
  const longAgoMs = Date.now() - 8 * 86_400_000;
  const [member] = await redis.zrange('{berth-test:teardown}:jobs:failed', '0', '-1');
  await redis.zadd('{berth-test:teardown}:jobs:failed', longAgoMs, member as string);
  await redis.hset(`{berth-test:teardown}:jobs:${member}`, 'finishedOn', longAgoMs);
  await queue.clean();
  expect((await queue.counts()).failed).toBe(0);
  expect(await redis.exists(`{berth-test:teardown}:jobs:${member}`)).toBe(0);
});

test('adding rejects quickly while Redis is away or silent, and works again when it is back', async () => {
  const queue = bench.queue({ addTimeoutMs: 200 });
  await queue.add([makeJob('a', 'session-1')]);
  bench.redis.pause();
  await expect(queue.add([makeJob('a', 'session-2')])).rejects.toThrow(TeardownQueueUnavailable);
  bench.redis.resume();
  await waitFor('the queue to answer again', () => queue.counts());
  await bench.redis.kill();
  await waitFor('the loss to be noticed', () =>
    queue.add([makeJob('a', 'session-3')]).then(
      () => false,
      () => true,
    ),
  );
  const startedMs = performance.now();
  await expect(queue.add([makeJob('a', 'session-3')])).rejects.toThrow(TeardownQueueUnavailable);
  await expect(queue.counts()).rejects.toThrow(TeardownQueueUnavailable);
  expect(performance.now() - startedMs).toBeLessThan(1000);
  await bench.redis.start();
  await waitFor('adding to work again', () => queue.add([makeJob('a', 'session-3')]).then(() => true));
  expect((await queue.counts()).waiting).toBe(1);
});
