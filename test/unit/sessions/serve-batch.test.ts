// A batch at the owner: each element as if it came alone, all of them answered together, each request exactly once.
import { readMessage } from '../../../src/edge/read-message.js';
import { GatewayError } from '../../../src/errors/gateway-error.js';
import type { BackendCall } from '../../../src/backends/backend.js';
import { type Epoch, mintSessionId, referenceOf, type WorkerId } from '../../../src/protocol/ids.js';
import { makeKeyring } from '../../../src/secrets/keyring.js';
import { ClientRequests } from '../../../src/sessions/client-requests.js';
import type { LeaseKeeper } from '../../../src/sessions/lease-keeper.js';
import { RequestServer, type RequestServerParts } from '../../../src/sessions/serve-request.js';
import { SessionServer, type SessionServerParts } from '../../../src/sessions/serve-session.js';
import { Session } from '../../../src/sessions/session.js';
import { type Exchange, newNote } from '../../../src/streams/exchange.js';
import { KeepAlive } from '../../../src/streams/keep-alive.js';
import { FakeClock } from '../../support/fake-clock.js';
import { RecordingAnswer } from '../streams/recording-answer.js';
import { settle } from './lease-fixture.js';

const SELF = 'self.1' as WorkerId;
const call = (id: unknown, name = 'work') => ({ jsonrpc: '2.0', id, method: 'tools/call', params: { name } });
const ping = (id: unknown) => ({ jsonrpc: '2.0', id, method: 'ping' });
const cancelled = (requestId: unknown) => ({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId } });
const result = (id: unknown) => ({ jsonrpc: '2.0', id, result: { content: [] } });

class Fixture {
  readonly clock = new FakeClock();
  readonly calls: BackendCall[] = [];
  readonly cancelled: unknown[] = [];
  readonly notified: string[] = [];
  readonly errors: string[] = [];
  readonly lease = { valid: true };
  readonly session: Session;
  readonly #sessions: SessionServer;

  constructor(protocolVersion = '2025-03-26') {
    const id = mintSessionId();
    const server = { id: '', backends: ['tickets'], tools: { include: ['*'], exclude: [] } } as never;
    const client = { clientInfo: {}, capabilities: {} };
    const facts = { id, ref: referenceOf(id), server, principal: 'alice', protocolVersion, client, createdMs: 0 };
    const keeper = { id: SELF, isValid: () => this.lease.valid } as unknown as LeaseKeeper;
    this.session = new Session(facts, { owner: SELF, epoch: 1 as Epoch }, keeper, 0);
    const backend = {
      isOpen: true,
      close: () => undefined,
      notify: async ({ method }: { method: string }) => void this.notified.push(method),
      call: (made: BackendCall) => {
        this.calls.push(made);
        return { mayHaveRun: true, cancel: () => void this.cancelled.push(made.message.id) };
      },
    };
    this.session.backends.set('tickets', backend as never);
    const keepAlive = new KeepAlive(this.clock);
    const requests = new RequestServer({
      clock: this.clock,
      keepAlive,
      sessionBackends: { get: () => backend },
      catalogs: { findNamedNow: (_s: unknown, _k: unknown, name: string) => ({ backend: 'tickets', name }) },
      onBackendError: (_backend: string, error: GatewayError) => this.errors.push(error.code),
    } as Partial<Record<keyof RequestServerParts, unknown>> as unknown as RequestServerParts);
    this.#sessions = new SessionServer({
      clock: this.clock,
      keepAlive,
      requests,
      clientRequests: new ClientRequests({ keyring: makeKeyring(['secret']), clock: this.clock, count: () => undefined }),
      audit: () => undefined,
    } as Partial<SessionServerParts> as SessionServerParts);
  }

  send(messages: readonly unknown[], accept?: string) {
    const answer = new RecordingAnswer();
    const body = readMessage(Buffer.from(JSON.stringify(messages)), '');
    const left: Array<() => void> = [];
    const exchange = {
      ...{ method: 'POST', serverId: '', headers: accept === undefined ? {} : { accept }, body, hop: undefined, startedMs: 0 },
      ...{ principal: { name: 'alice', digest: 'alice' }, deadlineMs: Number.MAX_SAFE_INTEGER, aborted: false },
      ...{ answer, note: newNote('POST', body), onAbort: (listener: () => void) => void left.push(listener) },
    } as unknown as Exchange;
    const leave = () => {
      for (const listener of left) listener();
    };
    return { answer, exchange, leave, served: this.#sessions.serve(this.session, exchange) };
  }

  serveAlone(exchange: Exchange) {
    return this.#sessions.serve(this.session, exchange);
  }

  reply(id: unknown): void {
    const made = this.calls.find(({ message }) => message.id === id);
    made?.sink.message(JSON.stringify(result(id)), true);
  }
}

it('a call of a batch whose reader has left carries no question, and what it answers is not kept', async () => {
  const fixture = new Fixture();
  const { served, leave } = fixture.send([call(1), call(2)]);
  const sinks = fixture.calls.map(({ sink }) => sink);
  expect(sinks.map(({ carriesRequests }) => carriesRequests)).toEqual([true, true]);
  // Also of that whose part has not begun.
  sinks[0]?.message('{"jsonrpc":"2.0","method":"notifications/message"}', false);
  leave();
  expect(sinks.map(({ carriesRequests }) => carriesRequests)).toEqual([false, false]);
  sinks[1]?.bodyStart(undefined);
  for (let times = 0; times < 20; times++) expect(sinks[1]?.bodyChunk(Buffer.alloc(1024 * 1024))).toBe(true);
  sinks[1]?.bodyEnd();
  fixture.reply(1);
  expect(await served).toBe('done');
  expect(fixture.errors).toEqual([]);
  expect(fixture.session.isIdle).toBe(true);
});

it('bodies that are collected at a time have a bound, over all calls of a batch', async () => {
  const fixture = new Fixture();
  const { served, answer } = fixture.send([call(1), call(2)]);
  const bodies = [1, 2].map((id) => {
    const json = JSON.stringify({ ...result(id), result: { text: 'x'.repeat(9 * 1024 * 1024) } });
    return [json.slice(0, 5 * 1024 * 1024), json.slice(5 * 1024 * 1024)] as const;
  });
  for (const { sink } of fixture.calls) sink.bodyStart(undefined);
  for (const part of [0, 1] as const) {
    for (const [index, { sink }] of fixture.calls.entries()) sink.bodyChunk(Buffer.from(bodies[index]?.[part] ?? ''));
  }
  for (const { sink } of fixture.calls) sink.bodyEnd();
  await served;
  expect(JSON.parse(answer.text)).toMatchObject([
    { id: 2, error: { code: -32012, data: { reason: 'too_large' } } },
    { id: 1, result: {} },
  ]);
});

it('requests run at once, whatever order they end in; notifications go on; every id is answered once', async () => {
  const fixture = new Fixture();
  const { answer, served, exchange } = fixture.send([
    call(1),
    { jsonrpc: '2.0', method: 'notifications/x' },
    call('1'),
    ping(2),
    7,
    call(1),
  ]);
  expect(fixture.calls.map(({ message }) => message.id)).toEqual([1, '1']);
  expect(fixture.notified).toEqual(['notifications/x']);
  fixture.reply('1');
  await settle();
  expect(answer.started).toBe(false);
  expect(fixture.session.isIdle).toBe(false);
  fixture.reply(1);
  expect(await served).toBe('done');
  expect(answer).toMatchObject({
    status: 200,
    headers: { 'mcp-protocol-version': '2025-03-26', 'content-type': 'application/json' },
  });
  expect(JSON.parse(answer.text)).toMatchObject([{ id: 2, result: {} }, result('1'), result(1), ...refusals(2)]);
  expect(exchange.note).toMatchObject({ method: 'batch', outcome: 'ok' });
  expect(fixture.session.isIdle).toBe(true);
  expect(fixture.clock.pendingTimers).toBeLessThanOrEqual(1);
});

const refusals = (count: number) => Array.from({ length: count }, () => ({ id: null, error: { code: -32600 } }));

it.each(['2024-11-05', '2025-06-18', '2025-11-25'])('in a session of %s nothing of it is begun', async (version) => {
  const fixture = new Fixture(version);
  const { served } = fixture.send([call(1), { jsonrpc: '2.0', method: 'notifications/x' }]);
  await expect(served).rejects.toMatchObject({ code: 'BATCH_UNSUPPORTED', message: expect.stringContaining(version) });
  expect([fixture.calls, fixture.notified]).toEqual([[], []]);
  expect(fixture.session.isIdle).toBe(true);
});

it('notifications alone are 202; with what is no message among them that is told', async () => {
  const fixture = new Fixture();
  const note = { jsonrpc: '2.0', method: 'notifications/x' };
  const alone = fixture.send([note, note]);
  await alone.served;
  expect(alone.answer).toMatchObject({ status: 202, text: '' });
  const mixed = fixture.send([note, 7]);
  await mixed.served;
  expect(mixed.answer.status).toBe(200);
  expect(JSON.parse(mixed.answer.text)).toMatchObject(refusals(1));
  const refused = fixture.send([7, [note]]);
  await refused.served;
  expect(refused.answer.status).toBe(400);
  expect(JSON.parse(refused.answer.text)).toMatchObject(refusals(2));
  expect(fixture.notified).toHaveLength(3);
});

it('a response to nothing is told, and costs the others nothing', async () => {
  const fixture = new Fixture();
  const { answer, served } = fixture.send([{ jsonrpc: '2.0', id: 'forged', result: {} }, ping(1)]);
  await served;
  expect(JSON.parse(answer.text)).toMatchObject([{ id: 1, result: {} }, ...refusals(1)]);
});

it('open for 10 s it is a stream, whose comments come once however many run', async () => {
  const fixture = new Fixture();
  const { answer, served } = fixture.send([call(1), call(2), ping(3)]);
  fixture.clock.advance(9000);
  expect(answer.started).toBe(false);
  fixture.clock.advance(2000);
  expect(answer.startedAsEvents).toBe(true);
  expect(answer.text.match(/^: keep-alive$/gm)).toHaveLength(1);
  fixture.clock.advance(15_000);
  expect(answer.text.match(/^: keep-alive$/gm)).toHaveLength(2);
  fixture.reply(2);
  fixture.reply(1);
  await served;
  expect(answer.events.map((text) => JSON.parse(text).id)).toEqual([3, 2, 1]);
});

it('what is said during one call makes all a stream; a caller of JSON alone gets the array', async () => {
  const fixture = new Fixture();
  const progress = '{"jsonrpc":"2.0","method":"notifications/progress","params":{}}';
  for (const accept of ['application/json, text/event-stream', 'application/json']) {
    fixture.calls.length = 0;
    const { answer, served } = fixture.send([ping(1), call(2)], accept);
    fixture.calls[0]?.sink.message(progress, false);
    fixture.reply(2);
    await served;
    if (accept === 'application/json') expect(JSON.parse(answer.text)).toMatchObject([{ id: 1 }, { id: 2 }]);
    else expect(answer.events.map((text) => JSON.parse(text).id ?? 'progress')).toEqual([1, 'progress', 2]);
  }
});

it.each(['by a later POST', 'in the same batch'])(
  'a request that is cancelled %s ends, and holds the others up no longer',
  async (how) => {
    const fixture = new Fixture();
    const first = how === 'in the same batch' ? [call(1), call(2), cancelled(1)] : [call(1), call(2)];
    const { answer, served } = fixture.send(first);
    if (first.length === 2) await fixture.send([cancelled(1)]).served;
    expect(fixture.cancelled).toEqual([1]);
    fixture.reply(2);
    await served;
    expect(JSON.parse(answer.text)).toMatchObject([{ id: 1, error: { code: -32800, message: 'Request cancelled' } }, result(2)]);
    expect(fixture.session.isIdle).toBe(true);
    expect(fixture.errors).toEqual([]);
  },
);

it('what the guard refused all of goes back to routing, untold', async () => {
  const fixture = new Fixture();
  const { answer, served } = fixture.send([call(1), call(2), 7]);
  for (const { sink } of fixture.calls) sink.fail(new GatewayError('NOT_OWNER'));
  expect(await served).toBe('notOwner');
  expect(answer.log).toEqual([]);
});

it('what the guard refused a part of says so: that part has not begun', async () => {
  const fixture = new Fixture();
  const { answer, served } = fixture.send([call(1), call(2)]);
  fixture.calls[0]?.sink.fail(new GatewayError('NOT_OWNER'));
  fixture.reply(2);
  expect(await served).toBe('done');
  expect(JSON.parse(answer.text)).toMatchObject([
    result(2),
    { id: 1, error: { code: -32000, message: expect.stringContaining('not begun') } },
  ]);
});

it('a lapsed lease, or a drain, begins nothing of it', async () => {
  const fixture = new Fixture();
  fixture.lease.valid = false;
  expect(await fixture.send([call(1)]).served).toBe('notOwner');
  fixture.lease.valid = true;
  fixture.session.isLeaving = true;
  expect(await fixture.send([call(1)]).served).toBe('notOwner');
  expect(await fixture.send([{ jsonrpc: '2.0', method: 'notifications/x' }]).served).toBe('done');
  expect(fixture.calls).toEqual([]);
});

it.each(['released', 'ended'] as const)('a session that is %s answers each request that runs', async (state) => {
  const fixture = new Fixture();
  const { answer, served } = fixture.send([call(1), call(2), ping(3)]);
  fixture.session.close(state, new GatewayError('SESSION_NOT_FOUND'));
  await served;
  const expected = { error: { code: -32001, data: { executed: 'unknown' } } };
  expect(JSON.parse(answer.text)).toMatchObject([{ id: 3 }, { id: 1, ...expected }, { id: 2, ...expected }]);
});

it('a caller that leaves ends nothing', async () => {
  const fixture = new Fixture();
  const { leave, served } = fixture.send([call(1), call(2)]);
  leave();
  fixture.reply(1);
  fixture.reply(2);
  expect(await served).toBe('done');
  expect(fixture.cancelled).toEqual([]);
});

it('the stream of a single request that is cancelled ends without an answer, and its session is quiet again', async () => {
  const fixture = new Fixture();
  const message = call(9) as never;
  const answer = new RecordingAnswer();
  const body = { kind: 'request', message, bytes: Buffer.from(JSON.stringify(message)), mayRelay: true } as const;
  const { exchange } = fixture.send([ping(1)]);
  const served = fixture.serveAlone({ ...exchange, body, answer } as Exchange);
  await fixture.send([cancelled(9)]).served;
  await served;
  expect(answer.text).toMatch(/^retry: \d+\n\n$/);
  await settle();
  expect(fixture.session.isIdle).toBe(true);
});
