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

function begin(method: string, parts: Partial<Record<keyof RequestServerParts, unknown>> = {}) {
  const clock = new FakeClock();
  const id = mintSessionId();
  const server = { id: '', backends: ['tickets', 'files'] } as never;
  const client = { clientInfo: {}, capabilities: {} };
  const facts = { id, ref: referenceOf(id), server, principal: 'alice', protocolVersion: '2025-06-18', client, createdMs: 0 };
  const keeper = { id: SELF, isValid: () => true } as unknown as LeaseKeeper;
  const session = new Session(facts, { owner: SELF, epoch: 1 as Epoch }, keeper, 0);
  const requests = new RequestServer({ clock, keepAlive: new KeepAlive(clock), ...parts } as unknown as RequestServerParts);
  const answer = new RecordingAnswer();
  const body = { kind: 'request', message: { jsonrpc: '2.0', id: 7, method, params: {} } } as Extract<
    RequestBody,
    { kind: 'request' }
  >;
  const exchange = { headers: {}, answer, note: {}, onAbort: () => undefined } as unknown as Exchange;
  return { clock, session, answer, served: requests.serve(session, exchange, body) };
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

it.each(['released', 'ended'] as const)('a request that outlives its session, which is %s, is answered', async (state) => {
  const opening: Array<(error: GatewayError) => void> = [];
  const open = () => new Promise((_resolve, reject) => void opening.push(reject));
  const { clock, session, answer, served } = begin('logging/setLevel', { sessionBackends: { get: () => ({ open }) } });
  clock.advance(20_000);
  expect(answer.startedAsEvents).toBe(true);
  session.close(state, new GatewayError('SESSION_NOT_FOUND'));
  expect(answer.finished).toBe(false);
  for (const fail of opening) fail(new GatewayError('NOT_OWNER'));
  expect(await served).toBe('done');
  expect(answer.events.map((data) => JSON.parse(data))).toMatchObject([{ id: 7, error: { code: -32012 } }]);
  expect(answer.ends).toBe(1);
});
