// What a request of an owned session gets before any backend is asked.

import { GatewayError } from '../../../src/errors/gateway-error.js';
import { type Epoch, mintSessionId, referenceOf, type WorkerId } from '../../../src/protocol/ids.js';
import type { LeaseKeeper } from '../../../src/sessions/lease-keeper.js';
import { RequestServer, type RequestServerParts } from '../../../src/sessions/serve-request.js';
import { Session } from '../../../src/sessions/session.js';
import type { Exchange, RequestBody } from '../../../src/streams/exchange.js';
import { KeepAlive } from '../../../src/streams/keep-alive.js';
import { FakeClock } from '../../support/fake-clock.js';
import { RecordingAnswer } from '../streams/recording-answer.js';

const SELF = 'self.1' as WorkerId;

function begin(
  method: string,
  parts: Partial<Record<keyof RequestServerParts, unknown>> = {},
  { params = {}, accept }: { params?: Record<string, unknown>; accept?: string } = {},
) {
  const clock = new FakeClock();
  const id = mintSessionId();
  const server = { id: '', backends: ['tickets', 'files'] } as never;
  const client = { clientInfo: {}, capabilities: {} };
  const facts = { id, ref: referenceOf(id), server, principal: 'alice', protocolVersion: '2025-06-18', client, createdMs: 0 };
  const keeper = { id: SELF, isValid: () => true } as unknown as LeaseKeeper;
  const session = new Session(facts, { owner: SELF, epoch: 1 as Epoch }, keeper, 0);
  const requests = new RequestServer({ clock, keepAlive: new KeepAlive(clock), ...parts } as unknown as RequestServerParts);
  const serve = (called: string, requestId: number) => {
    const answer = new RecordingAnswer();
    const message = { jsonrpc: '2.0', id: requestId, method: called, params };
    const body = { kind: 'request', message } as Extract<RequestBody, { kind: 'request' }>;
    const headers = accept === undefined ? {} : { accept };
    const exchange = { headers, answer, note: {}, onAbort: () => undefined } as unknown as Exchange;
    return { answer, served: requests.serve(session, exchange, body) };
  };
  return { clock, session, serve, ...serve(method, 7) };
}

async function answerTo(method: string) {
  const { session, answer, served } = begin(method);
  await served;
  return { status: answer.status, message: JSON.parse(answer.text), inFlight: session.inFlight };
}

it.each(['__proto__', 'constructor', 'toString', 'nope'])(
  'a method %s, which nobody has, is an unknown method',
  async (method) => {
    const { status, message, inFlight } = await answerTo(method);
    expect(status).toBe(200);
    expect(message).toMatchObject({ id: 7, error: { code: -32601, data: { method } } });
    expect(inFlight).toBe(0);
  },
);

it('ping is answered here, whatever the backends do', async () => {
  expect(await answerTo('ping')).toEqual({ status: 200, message: { jsonrpc: '2.0', id: 7, result: {} }, inFlight: 0 });
});

it.each([
  [undefined, 'first'],
  [null, 'first'],
  ['', 'first'],
  ['x', 'x'],
  [7, undefined],
  [{}, undefined],
])('a cursor %j', async (cursor, expected) => {
  const list = async (_session: Session, _kind: string, from: string | undefined) => JSON.stringify({ from: from ?? 'first' });
  const { answer, served } = begin('tools/list', { catalogs: { list } }, { params: { cursor } });
  await served;
  const { result, error } = JSON.parse(answer.text);
  expect([result?.from, error?.code]).toEqual([expected, expected === undefined ? -32602 : undefined]);
});

it.each(['released', 'ended'] as const)('a request that outlives its session, which is %s, is answered', async (state) => {
  const opening: Array<(error: GatewayError) => void> = [];
  const open = () => new Promise((_resolve, reject) => void opening.push(reject));
  const catalogs = { list: open };
  const { clock, session, answer, served } = begin('tools/list', { catalogs });
  clock.advance(20_000);
  expect(answer.startedAsEvents).toBe(true);
  session.close(state, new GatewayError('SESSION_NOT_FOUND'));
  expect(answer.finished).toBe(false);
  for (const fail of opening) fail(new GatewayError('NOT_OWNER'));
  expect(await served).toBe('done');
  expect(answer.events.map((data) => JSON.parse(data))).toMatchObject([{ id: 7, error: { code: -32012 } }]);
  expect(answer.ends).toBe(1);
});

describe('a cancellation', () => {
  const cancel = (session: Session, requestId: unknown) =>
    session.cancel({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId } }, {}, 0);

  it('ends the stream of a caller without an answer, and what waits here never begins', async () => {
    let found: (value: { backend: string; name: string }) => void = () => undefined;
    const catalogs = {
      findNamedNow: () => undefined,
      findNamed: () =>
        new Promise((resolve) => {
          found = resolve;
        }),
    };
    const called: unknown[] = [];
    const sessionBackends = { get: () => ({ call: (call: unknown) => called.push(call) }) };
    const { session, answer, served } = begin('tools/call', { catalogs, sessionBackends }, { params: { name: 'x' } });
    cancel(session, '7');
    expect(answer.finished).toBe(false);
    cancel(session, 7);
    expect(await served).toBe('done');
    expect(answer.startedAsEvents && answer.finished).toBe(true);
    expect(answer.events).toEqual([]);
    expect(session.inFlight).toBe(0);
    found({ backend: 'tickets', name: 'x' });
    await new Promise(setImmediate);
    expect(called).toEqual([]);
    expect(session.requestsHere?.size).toBe(0);
  });

  it('of a call reaches its backend; the answer that still comes is dropped', async () => {
    const told: unknown[] = [];
    const catalogs = { findNamedNow: () => ({ backend: 'tickets', name: 'x' }) };
    let sink: { message(json: string, final: boolean): boolean } | undefined;
    const running = { mayHaveRun: true, cancel: (...args: unknown[]) => told.push(args) };
    const call = (one: { sink: typeof sink }) => {
      sink = one.sink;
      return running;
    };
    const more = { params: { name: 'x' }, accept: 'application/json' };
    const { session, answer, served } = begin('tools/call', { catalogs, sessionBackends: { get: () => ({ call }) } }, more);
    cancel(session, 7);
    expect(await served).toBe('done');
    expect(told).toEqual([['cancelled by the client', true, {}]]);
    sink?.message('{"jsonrpc":"2.0","id":7,"result":{}}', true);
    // It takes no stream that could end without an answer.
    expect(JSON.parse(answer.text)).toMatchObject({ id: 7, error: { code: -32800 } });
    expect(answer.ends).toBe(1);
    cancel(session, 7);
    expect(told).toHaveLength(1);
  });

  it('that comes before its request keeps it from beginning, once; one of a request that was answered does nothing', async () => {
    const first = begin('ping');
    await first.served;
    const { session } = first;
    cancel(session, 7);
    cancel(session, 8);
    const again = first.serve('ping', 7);
    await again.served;
    expect(JSON.parse(again.answer.text)).toMatchObject({ id: 7, result: {} });
    const overtaken = first.serve('ping', 8);
    await overtaken.served;
    expect(overtaken.answer.text).not.toContain('result');
    expect(overtaken.answer.startedAsEvents && overtaken.answer.finished).toBe(true);
    const reused = first.serve('ping', 8);
    await reused.served;
    expect(JSON.parse(reused.answer.text)).toMatchObject({ id: 8, result: {} });
  });

  it('that came before is forgotten after a while', async () => {
    const first = begin('ping');
    cancel(first.session, 8);
    first.clock.advance(20_000);
    const late = first.serve('ping', 8);
    await late.served;
    expect(JSON.parse(late.answer.text)).toMatchObject({ id: 8, result: {} });
  });
});
