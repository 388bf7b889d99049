// The admin API asked of the workers of a pod: one that hangs is passed over, one that died at once, and questions are bounded.
import type { AdminAnswer } from '../../../src/admin/admin-request.js';
import { type AnsweringWorker, WORKER_ANSWER_MS, WorkerAsker } from '../../../src/cluster/ask-worker.js';
import type { ToWorker } from '../../../src/cluster/messages.js';
import { FakeClock } from '../../support/fake-clock.js';

const ANSWER: AdminAnswer = { status: 200, body: { workers: [] } };
const QUESTION = { kind: 'workers' } as const;
const SESSIONS = { kind: 'sessions', filter: {}, limit: 50 } as const;

class FakeWorker implements AnsweringWorker {
  readonly asked: number[] = [];
  isReady = true;
  hasStarted = true;

  send(message: ToWorker): void {
    if (message.kind === 'admin') this.asked.push(message.request);
  }
}

function setUp(count = 2) {
  const clock = new FakeClock();
  const workers = Array.from({ length: count }, () => new FakeWorker());
  const asker = new WorkerAsker({ workers: () => workers, reasons: () => ['worker 1: redis is away'], clock });
  const [first, second] = workers as [FakeWorker, FakeWorker];
  const answer = (worker: FakeWorker) => asker.take(worker, worker.asked.at(-1) as number, ANSWER);
  return { clock, workers, asker, first, second, answer };
}

/** As long as a worker may take; what follows from it has happened. */
async function passTime(clock: FakeClock): Promise<void> {
  clock.advance(WORKER_ANSWER_MS);
  await new Promise((resolve) => setImmediate(resolve));
}

test('a worker that hangs is passed over, and asked last from then on, until it has caught up', async () => {
  const { clock, asker, first, second, answer } = setUp();
  const one = asker.ask(QUESTION);
  expect([first.asked.length, second.asked.length]).toEqual([1, 0]);
  await passTime(clock);
  expect(second.asked).toHaveLength(1);
  answer(second);
  expect(await one).toBe(ANSWER);

  const two = asker.ask(QUESTION);
  expect([first.asked.length, second.asked.length]).toEqual([1, 2]);
  answer(second);
  expect(await two).toBe(ANSWER);

  answer(first);
  const three = asker.ask(QUESTION);
  expect(first.asked).toHaveLength(2);
  answer(first);
  expect(await three).toBe(ANSWER);
  expect(clock.pendingTimers).toBe(0);
});

test('a worker that dies is passed over at once', async () => {
  const { clock, asker, workers, first, second, answer } = setUp();
  const asking = asker.ask(QUESTION);
  first.isReady = false;
  workers.shift();
  asker.forget(first);
  await new Promise((resolve) => setImmediate(resolve));
  answer(second);
  expect(await asking).toBe(ANSWER);
  expect(clock.pendingTimers).toBe(0);
});

test('with no worker that is ready, or all of them silent, it says so and why', async () => {
  const { clock, asker, workers, first } = setUp();
  const silent = asker.ask(QUESTION).catch((error: unknown) => error);
  await passTime(clock);
  await passTime(clock);
  expect(await silent).toMatchObject({ code: 'NO_WORKER', status: 503, message: expect.stringContaining('redis is away') });

  for (const worker of workers) worker.hasStarted = worker.isReady = false;
  await expect(asker.ask(QUESTION)).rejects.toMatchObject({ code: 'NO_WORKER' });
  expect(first.asked).toHaveLength(1);
});

test('one that drains answers where none is ready, before one that hangs', async () => {
  const { clock, asker, first, second, answer } = setUp();
  const hanging = asker.ask(QUESTION);
  await passTime(clock);
  answer(second);
  await hanging;
  second.isReady = false;
  const asking = asker.ask(QUESTION);
  expect([first.asked.length, second.asked.length]).toEqual([1, 2]);
  answer(second);
  expect(await asking).toBe(ANSWER);
});

test('an answer to a question of another worker, or to none, changes nothing', async () => {
  const { asker, first, second, answer } = setUp();
  const asking = asker.ask(QUESTION);
  asker.take(second, first.asked[0] as number, { status: 200, body: 'wrong' });
  asker.take(first, 999, { status: 200, body: 'wrong' });
  answer(first);
  expect(await asking).toBe(ANSWER);
});

test('whoever asks the same of all workers at the same time shares one answer, and takes no further place', async () => {
  const { asker, first, answer } = setUp();
  const asking = Array.from({ length: 50 }, () => asker.ask(QUESTION));
  asking.forEach((one) => void one.catch(() => undefined));
  expect(first.asked).toHaveLength(1);
  answer(first);
  expect(new Set(await Promise.all(asking))).toEqual(new Set([ANSWER]));

  const later = asker.ask(QUESTION);
  expect(first.asked).toHaveLength(2);
  answer(first);
  expect(await later).toBe(ANSWER);
});

test('no more than 16 questions are under way', async () => {
  const { asker, first } = setUp();
  const asking = Array.from({ length: 16 }, () => asker.ask(SESSIONS));
  await expect(asker.ask(SESSIONS)).rejects.toMatchObject({ code: 'TOO_BUSY', status: 503 });
  for (const request of first.asked) asker.take(first, request, ANSWER);
  await Promise.all(asking);
  const next = asker.ask(SESSIONS);
  asker.take(first, first.asked.at(-1) as number, ANSWER);
  expect(await next).toBe(ANSWER);
});
