// What goes in on one worker comes out on the other, whatever its size and whichever way it travels.
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { systemClock } from '../../../src/lifecycle/clock.js';
import type { Exchange, MessageBody } from '../../../src/streams/exchange.js';
import { waitFor } from '../../support/wait-for.js';
import { type Hopping, makeCall, named, startHop, TAKE } from './hop-fixture.js';

describe.each(['unix', 'tls'] as const)('over %s', (over) => {
  let hop: Hopping;
  let seen: Exchange[];
  beforeEach(async () => {
    seen = [];
    hop = await startHop({
      over,
      limits: { bodyBytes: 8 * 1024 * 1024 },
      handler: (exchange) => {
        seen.push(exchange);
        const { answer } = exchange;
        const params = (exchange.body?.kind === 'request' && exchange.body.message.params) || {};
        if (exchange.method === 'DELETE') answer.send(202, {});
        else if (params.stream) {
          answer.start(200, { 'content-type': 'text/event-stream' });
          answer.write('data: héllo\n\n');
          setImmediate(() => {
            answer.write(Buffer.from('data: two\n\n'));
            answer.end();
          });
        } else answer.send(200, { 'content-type': 'application/json', 'mcp-session-id': 's' }, exchange.body?.bytes);
      },
    });
  });
  afterEach(() => hop.close());

  test('a small request arrives whole, and its answer in one piece', async () => {
    const call = makeCall({ params: { text: 'grüße 🚢' } });
    expect(await hop.forward(call, named('w.abc', 7))).toEqual({ kind: 'answered', status: 200 });
    expect(call.answer).toMatchObject({ status: 200, sent: true, finished: true });
    expect(call.answer.headers).toEqual({ 'content-type': 'application/json', 'mcp-session-id': 's' });
    expect(call.answer.body).toEqual(call.exchange.body?.bytes);
    const [exchange] = seen as [Exchange];
    expect(exchange).toMatchObject({ method: 'POST', serverId: 'support', principal: call.exchange.principal });
    expect(exchange.headers).toEqual(call.exchange.headers);
    // Read by the edge's own function: the bytes are the caller's, the server comes with the hop.
    expect(exchange.body?.bytes).toEqual(call.exchange.body?.bytes);
    expect((exchange.body as MessageBody).message).toMatchObject({
      ...(call.exchange.body as MessageBody).message,
      params: { text: 'grüße 🚢', server_id: 'support' },
    });
    expect(exchange.hop).toEqual(named('w.abc', 7));
    expect(exchange.note.method).toBe('tools/call');
    // One monotonic clock in this test: only the passage itself may have been lost.
    expect(Math.abs(exchange.deadlineMs - call.exchange.deadlineMs)).toBeLessThan(2000);
  });

  test('5 MiB go there and back unchanged, in the face of 256 KiB of credit', async () => {
    const call = makeCall({ params: { text: randomBytes(5 * 1024 * 1024 * 0.75).toString('base64') } });
    expect(await hop.forward(call)).toEqual({ kind: 'answered', status: 200 });
    expect(call.answer.headers['content-length']).toBe(String(call.exchange.body?.bytes.length));
    expect(call.answer.body.equals(call.exchange.body?.bytes as Buffer)).toBe(true);
  });

  test('a streamed answer passes as it comes', async () => {
    const call = makeCall({ params: { stream: true } });
    expect(await hop.forward(call)).toEqual({ kind: 'answered', status: 200 });
    expect(call.answer.sent).toBe(false);
    expect(call.answer.body.toString()).toBe('data: héllo\n\ndata: two\n\n');
  });

  test('DELETE and GET have no body; an answer without one is an answer', async () => {
    const call = makeCall({ method: 'DELETE' });
    expect(await hop.forward(call)).toEqual({ kind: 'answered', status: 202 });
    expect(call.answer.bytes).toBe(0);
    expect(seen[0]?.body).toBeUndefined();
    expect(seen[0]?.hop).toEqual(TAKE);
  });

  test('a request without a deadline stays without one', async () => {
    await hop.forward(makeCall({ method: 'DELETE', deadlineMs: Number.POSITIVE_INFINITY }));
    expect(seen[0]?.deadlineMs).toBe(Number.POSITIVE_INFINITY);
  });

  test('200 requests at once each get their own answer, over one connection', async () => {
    const calls = Array.from({ length: 200 }, (_, id) =>
      makeCall({ id, params: { text: randomBytes(id * 20).toString('hex') } }),
    );
    const outcomes = await Promise.all(calls.map((call) => hop.forward(call)));
    expect(outcomes.every((outcome) => outcome.kind === 'answered')).toBe(true);
    for (const call of calls) expect(call.answer.body.equals(call.exchange.body?.bytes as Buffer)).toBe(true);
    await hop.forwarder.close(1000);
    expect(hop.closed).toEqual(['ended']);
  });
});

test('internal headers that a client sent reach nobody and override nothing', async () => {
  let seen: Exchange | undefined;
  const hop = await startHop({
    handler: (exchange) => {
      seen = exchange;
      exchange.answer.send(200, { 'x-berth-owner': 'w.evil', 'x-ok': '1' }, '{}');
    },
  });
  const call = makeCall({
    headers: {
      'x-forwarded-internally': 'false',
      'x-berth-principal': 'root',
      'x-berth-owner': 'w.evil',
      'x-berth-epoch': '99',
      'x-berth-deadline': '1',
      accept: '*/*',
    },
  });
  await hop.forward(call, named('w.true', 3));
  expect(seen?.headers).toEqual({ accept: '*/*' });
  expect(seen?.principal.name).toBe('issuer alice');
  expect(seen?.hop).toEqual(named('w.true', 3));
  expect((seen?.deadlineMs ?? 0) - systemClock.monotonicMs()).toBeGreaterThan(30_000);
  expect(call.answer.headers).toEqual({ 'x-ok': '1' });
  await hop.close();
});

test('a 421 of our own is notOwner and never reaches the caller; one of a backend is an answer', async () => {
  const refusals: Array<[string, unknown]> = [
    ['w.other 12', { owner: 'w.other', epoch: 12 }],
    ['-', undefined],
    ['garbage', undefined],
  ];
  for (const [value, token] of refusals) {
    const hop = await startHop({ handler: (exchange) => exchange.answer.send(421, { 'x-berth-refused': value }, '{"error":1}') });
    const call = makeCall();
    expect(await hop.forward(call)).toEqual({ kind: 'notOwner', token });
    expect(call.answer.started).toBe(false);
    await hop.close();
  }
  const hop = await startHop({ handler: (exchange) => exchange.answer.send(421, {}, 'no') });
  expect(await hop.forward(makeCall())).toEqual({ kind: 'answered', status: 421 });
  await hop.close();
});

test('the first answer counts: later calls do nothing', async () => {
  const hop = await startHop({
    handler: ({ answer }) => {
      answer.send(200, {}, 'one');
      expect([answer.started, answer.finished]).toEqual([true, true]);
      answer.send(500, {}, 'two');
      answer.start(500, {});
      expect(answer.write('three')).toBe(true);
      answer.end();
      answer.destroy();
    },
  });
  const call = makeCall();
  expect(await hop.forward(call)).toEqual({ kind: 'answered', status: 200 });
  expect(call.answer.body.toString()).toBe('one');
  await hop.close();
});

test('a handler that throws breaks its own answer only', async () => {
  const hop = await startHop({
    handler: (exchange) => {
      if (exchange.serverId === 'bad') throw new Error('boom');
      exchange.answer.send(200, {}, 'ok');
    },
  });
  const [bad, good] = await Promise.all([hop.forward(makeCall({ serverId: 'bad' })), hop.forward(makeCall())]);
  expect(bad.kind).toBe('broken');
  expect(good.kind).toBe('answered');
  expect(hop.handlerErrors).toHaveLength(1);
  await hop.close();
});

test('ids never wrap: a connection that has used them up is replaced, and answers what it has', async () => {
  const hop = await startHop({ limits: { lastId: 3 } });
  for (let round = 0; round < 10; round += 1) expect((await hop.forward(makeCall())).kind).toBe('answered');
  const outcomes = await Promise.all(Array.from({ length: 3 }, () => hop.forward(makeCall())));
  expect(outcomes.map((outcome) => outcome.kind)).not.toContain('broken');
  await waitFor('used-up connections to be closed', () => hop.closed.length >= 3);
  await hop.close();
});

test('an unused connection is closed, the longest unused one makes room, and the socket file goes with the listener', async () => {
  const first = await startHop({ forwarder: { idleMs: 40, maxPeers: 1 } });
  const second = await startHop();
  expect((await first.forward(makeCall())).kind).toBe('answered');
  const other = first.forwarder.forward(makeCall().exchange, second.lease, TAKE);
  expect((await other).kind).toBe('answered');
  await waitFor('both connections to be closed', () => first.closed.length === 2);
  expect((await first.forward(makeCall())).kind).toBe('answered');
  await first.close();
  await second.close();
  expect(existsSync(first.listener.unixSocket)).toBe(false);
});
