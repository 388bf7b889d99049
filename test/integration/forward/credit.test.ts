// One slow stream blocks no other, and what it makes us keep is bounded by its credit.
import { BatchAnswer } from '../../../src/eras/legacy/batch-answer.js';
import type { Answer } from '../../../src/streams/exchange.js';
import { waitFor } from '../../support/wait-for.js';
import { makeCall, startHop } from './hop-fixture.js';

const KIB = 1024;
const CHUNK = Buffer.alloc(10 * KIB, 'x');

/** Writes `total` bytes, obeying back-pressure. @returns how much was taken so far */
function pour(answer: Answer, total: number): () => number {
  let written = 0;
  const go = () => {
    while (written < total) {
      written += CHUNK.length;
      if (!answer.write(CHUNK)) return;
    }
    answer.end();
  };
  answer.start(200, {});
  answer.onDrain(go);
  go();
  return () => written;
}

test.each(['unix', 'tls'] as const)('a stalled caller holds 256 KiB, and 200 others pass it by (%s)', async (over) => {
  const poured: Array<() => number> = [];
  const hop = await startHop({
    over,
    handler: (exchange) => {
      if (exchange.serverId === 'slow') poured.push(pour(exchange.answer, 3000 * KIB));
      else exchange.answer.send(200, {}, exchange.body?.bytes);
    },
  });
  const slow = makeCall({ serverId: 'slow' });
  slow.answer.reads = false;
  const slowOutcome = hop.forward(slow);
  await waitFor('the slow answer to stall', () => (poured[0]?.() ?? 0) > 250 * KIB);
  const calls = Array.from({ length: 200 }, (_, id) => makeCall({ id, params: { text: 'y'.repeat(id * 1500) } }));
  const outcomes = await Promise.all(calls.map((call) => hop.forward(call)));
  expect(new Set(outcomes.map((outcome) => outcome.kind))).toEqual(new Set(['answered']));
  expect(poured[0]?.()).toBeLessThanOrEqual(256 * KIB + CHUNK.length);
  // Having been told that it is enough, we write nothing more to the caller.
  expect(slow.answer.chunks).toHaveLength(1);
  slow.answer.read();
  expect(await slowOutcome).toEqual({ kind: 'answered', status: 200 });
  expect(slow.answer.bytes).toBe(3000 * KIB);
  await hop.close();
});

test('stalled streams beyond the bound of the pair leave a floor to everybody', async () => {
  const poured: Array<() => number> = [];
  const hop = await startHop({
    limits: { pairBytes: 512 * KIB },
    handler: (exchange) => {
      if (exchange.serverId === 'slow') poured.push(pour(exchange.answer, 600 * KIB));
      else pour(exchange.answer, 600 * KIB);
    },
  });
  const stalled = Array.from({ length: 20 }, () => makeCall({ serverId: 'slow' }));
  for (const call of stalled) call.answer.reads = false;
  const waiting = stalled.map((call) => hop.forward(call));
  await waitFor('all to stall', () => poured.length === 20 && stalled.every((call) => call.answer.bytes > 0));
  const quick = makeCall();
  expect((await hop.forward(quick)).kind).toBe('answered');
  expect(quick.answer.bytes).toBe(600 * KIB);
  const total = poured.reduce((sum, written) => sum + written(), 0);
  expect(total).toBeLessThanOrEqual((512 + 20 * 32) * KIB + 20 * CHUNK.length);
  for (const call of stalled) call.answer.read();
  expect(new Set((await Promise.all(waiting)).map((outcome) => outcome.kind))).toEqual(new Set(['answered']));
  for (const call of stalled) expect(call.answer.bytes).toBe(600 * KIB);
  await hop.close();
});

test("thousands of quiet streams use up nobody else's credit", async () => {
  const answers: Answer[] = [];
  const hop = await startHop({
    limits: { pairBytes: 256 * KIB },
    handler: ({ answer, serverId }) => {
      if (serverId === 'quiet') {
        answer.start(200, {});
        answers.push(answer);
      } else pour(answer, 2000 * KIB);
    },
  });
  const quiet = Array.from({ length: 2000 }, () => makeCall({ serverId: 'quiet' }));
  const outcomes = quiet.map((call) => hop.forward(call));
  await waitFor('all streams to be open', () => answers.length === 2000);
  for (let n = 0; n < 15; n += 1) for (const answer of answers) expect(answer.write(Buffer.alloc(KIB))).toBe(true);
  expect((await hop.forward(makeCall())).kind).toBe('answered');
  for (const answer of answers) answer.end();
  await Promise.all(outcomes);
  expect(quiet.every((call) => call.answer.bytes === 15 * KIB)).toBe(true);
  await hop.close();
});

test('a batch whose caller does not read ends in order: the worker that has it lives, and is not said to be lost', async () => {
  let resumed = false;
  const hop = await startHop({
    handler: (exchange) => {
      const batch = new BatchAnswer(exchange, { json: true, events: true }, {});
      const [one, two] = [batch.streamOf(1), batch.streamOf(2)];
      one.onDrain = () => {
        resumed = true;
      };
      two.push('{"jsonrpc":"2.0","id":2,"result":{}}', true);
      // Until it is given up, after which nobody is held up any more.
      const said = JSON.stringify({ jsonrpc: '2.0', method: 'notifications/message', params: { data: 'x'.repeat(60 * KIB) } });
      for (let times = 0; times < 100 && !resumed; times++) one.push(said);
    },
  });
  const slow = makeCall();
  slow.answer.reads = false;
  const outcome = hop.forward(slow);
  await waitFor('the reader to be given up', () => resumed);
  slow.answer.read();
  expect(await outcome).toEqual({ kind: 'answered', status: 200 });
  expect(slow.answer).toMatchObject({ finished: true, destroyed: false });
  const events = slow.answer.body
    .toString()
    .split('\n\n')
    .filter((text) => text.includes('data: '));
  expect(events.filter((text) => text.includes('-32012')).map((text) => text.includes('"slow"'))).toEqual([true]);
  expect(events.at(-1)).toContain('"id":1');
  expect(slow.answer.bytes).toBeLessThan(1024 * KIB);
  await hop.close();
});

test('large bodies wait for room, and none waits for ever', async () => {
  const hop = await startHop({ limits: { gatherBytes: 2000 * KIB } });
  const calls = Array.from({ length: 12 }, (_, id) => makeCall({ id, params: { text: 'z'.repeat(900 * KIB + id) } }));
  const leaving = makeCall({ params: { text: 'z'.repeat(1500 * KIB) } });
  const outcomes = calls.slice(0, 6).map((call) => hop.forward(call));
  const left = hop.forward(leaving);
  outcomes.push(...calls.slice(6).map((call) => hop.forward(call)));
  leaving.abort();
  expect((await left).kind).toBe('answered');
  expect((await Promise.all(outcomes)).every((outcome) => outcome.kind === 'answered')).toBe(true);
  for (const call of calls) expect(call.answer.body.equals(call.exchange.body?.bytes as Buffer)).toBe(true);
  await hop.close();
});

test('a body over the limit, or a request too many, is not begun', async () => {
  const answers: Answer[] = [];
  const hop = await startHop({ limits: { streams: 2, bodyBytes: 1000 }, handler: ({ answer }) => answers.push(answer) });
  expect(await hop.forward(makeCall({ params: { text: 'x'.repeat(2000) } }))).toEqual({ kind: 'notBegun', reason: 'body_limit' });
  const open = [hop.forward(makeCall()), hop.forward(makeCall())];
  await waitFor('two open requests', () => answers.length === 2);
  expect(await hop.forward(makeCall())).toEqual({ kind: 'notBegun', reason: 'busy' });
  for (const answer of answers) answer.send(200, {});
  expect((await Promise.all(open)).map((outcome) => outcome.kind)).toEqual(['answered', 'answered']);
  await hop.close();
});
