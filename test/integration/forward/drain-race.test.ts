// Whatever races with a drain is either answered, and ran once, or was not begun, and never ran. There is no third outcome.
import { randomInt } from 'node:crypto';
import { waitFor } from '../../support/wait-for.js';
import { makeCall, startHop } from './hop-fixture.js';

const ROUNDS = 40;
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

test.each(['unix', 'tls'] as const)('requests racing with a drain have a known outcome (%s)', async (over) => {
  let answered = 0;
  let notBegun = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    const ran = new Map<number, number>();
    const hop = await startHop({
      over,
      handler: (exchange) => {
        const id = exchange.body?.kind === 'request' ? Number(exchange.body.message.id) : -1;
        ran.set(id, (ran.get(id) ?? 0) + 1);
        const reply = () => exchange.answer.send(200, {}, exchange.body?.bytes);
        if (id % 3 === 0) reply();
        else if (id % 3 === 1) setImmediate(reply);
        else {
          exchange.answer.start(200, {});
          setImmediate(() => {
            exchange.answer.write(exchange.body?.bytes as Buffer);
            exchange.answer.end();
          });
        }
      },
    });
    const drainAt = randomInt(5, 60);
    const calls = Array.from({ length: 80 }, (_, id) => makeCall({ id, params: { text: 'x'.repeat(randomInt(1, 3000)) } }));
    const outcomes = [];
    for (const [id, call] of calls.entries()) {
      outcomes.push(hop.forward(call));
      if (id === drainAt) hop.listener.drain();
      if (randomInt(3) === 0) await turn();
    }
    const kinds = (await Promise.all(outcomes)).map((outcome) => outcome.kind);
    for (const [id, kind] of kinds.entries()) {
      expect([round, id, kind, ran.get(id) ?? 0]).toEqual([round, id, kind, kind === 'answered' ? 1 : 0]);
      expect(['answered', 'notBegun']).toContain(kind);
      if (kind === 'answered') expect(calls[id]?.answer.body.equals(calls[id]?.exchange.body?.bytes as Buffer)).toBe(true);
    }
    answered += kinds.filter((kind) => kind === 'answered').length;
    notBegun += kinds.filter((kind) => kind === 'notBegun').length;
    await hop.listener.close(1000);
    await hop.close();
    expect(hop.refused).toEqual([]);
  }
  expect(answered).toBeGreaterThan(ROUNDS);
  expect(notBegun).toBeGreaterThan(ROUNDS);
});

test('a drain lets open requests end, then half-closes; close waits for that', async () => {
  let finish = () => {};
  const hop = await startHop({
    handler: (exchange) => {
      exchange.answer.start(200, {});
      finish = () => {
        exchange.answer.write('done');
        exchange.answer.end();
      };
    },
  });
  const call = makeCall();
  const outcome = hop.forward(call);
  await waitFor('the answer to start', () => call.answer.started);
  hop.listener.drain();
  let closed = false;
  const closing = hop.listener.close(5000).then(() => (closed = true));
  expect((await hop.forward(makeCall())).kind).toBe('notBegun');
  expect(closed).toBe(false);
  finish();
  expect(await outcome).toEqual({ kind: 'answered', status: 200 });
  expect(call.answer.body.toString()).toBe('done');
  await closing;
  await hop.close();
});

test('close does not wait for ever: what is still open then is broken', async () => {
  const hop = await startHop({ handler: (exchange) => exchange.answer.start(200, {}) });
  const call = makeCall();
  const outcome = hop.forward(call);
  await waitFor('the answer to start', () => call.answer.started);
  await hop.listener.close(20);
  expect((await outcome).kind).toBe('broken');
  await hop.close();
});
