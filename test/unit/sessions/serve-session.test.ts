// What an owned session does with a request, before any backend is asked: whose it is, whether it may act, DELETE, GET.
import { GatewayError } from '../../../src/errors/gateway-error.js';
import { DirectoryUnavailable } from '../../../src/directory/directory.js';
import { type Epoch, mintSessionId, type OwnerToken, referenceOf, type WorkerId } from '../../../src/protocol/ids.js';
import { ClientRequests } from '../../../src/sessions/client-requests.js';
import { makeKeyring } from '../../../src/secrets/keyring.js';
import type { SessionEnder } from '../../../src/sessions/end-session.js';
import type { LeaseKeeper } from '../../../src/sessions/lease-keeper.js';
import { CallResumer } from '../../../src/sessions/resume-call.js';
import type { RequestServer } from '../../../src/sessions/serve-request.js';
import { SessionServer } from '../../../src/sessions/serve-session.js';
import { Session } from '../../../src/sessions/session.js';
import type { Exchange } from '../../../src/streams/exchange.js';
import { KeepAlive } from '../../../src/streams/keep-alive.js';
import { FakeClock } from '../../support/fake-clock.js';
import { RecordingAnswer } from '../streams/recording-answer.js';
import { settle } from './lease-fixture.js';

const SELF = 'self.1' as WorkerId;

function make() {
  const clock = new FakeClock();
  const lease = { valid: true };
  const keepAlive = new KeepAlive(clock);
  const ends: { run: () => Promise<'ended' | 'fenced'> } = { run: async () => 'ended' };
  const listening: boolean[] = [];
  const id = mintSessionId();
  const server = { id: 'support', backends: ['tickets'] } as never;
  const client = { clientInfo: {}, capabilities: {} };
  const facts = { id, ref: referenceOf(id), server, principal: 'alice', protocolVersion: '2025-06-18', client, createdMs: 0 };
  const token: OwnerToken = { owner: SELF, epoch: 1 as Epoch };
  const session = new Session(facts, token, { id: SELF, isValid: () => lease.valid } as unknown as LeaseKeeper, 0);
  session.backends.set('tickets', { setListening: (on: boolean) => listening.push(on), close: () => undefined } as never);
  const audited: string[] = [];
  const sessions = new SessionServer({
    clock,
    keepAlive,
    ender: { end: () => ends.run() } as unknown as SessionEnder,
    requests: {} as RequestServer,
    resumer: new CallResumer({ clock, maxCallMs: () => 60_000, onBackendError: () => undefined }),
    clientRequests: new ClientRequests({ keyring: makeKeyring(['secret']), clock, count: () => undefined }),
    standing: { listening: () => undefined },
    audit: (ref, { method, principal }) => audited.push(`${method} of ${ref} by ${principal.name}`),
  });
  return { clock, lease, keepAlive, ends, listening, session, sessions, audited };
}

function exchangeOf(changes: Partial<Exchange> = {}): Exchange & { answer: RecordingAnswer; leave: () => void } {
  const left: Array<() => void> = [];
  return {
    method: 'GET',
    serverId: 'support',
    headers: {},
    body: undefined,
    principal: { name: 'alice', digest: 'alice' },
    deadlineMs: Number.MAX_SAFE_INTEGER,
    startedMs: 0,
    hop: undefined,
    answer: new RecordingAnswer(),
    note: {} as Exchange['note'],
    aborted: false,
    onAbort: (listener) => void left.push(listener),
    leave: () => {
      for (const listener of left) listener();
    },
    ...changes,
  } as Exchange & { answer: RecordingAnswer; leave: () => void };
}

it.each([
  ['another principal', { principal: { name: 'bob', digest: 'bob' } }],
  ['another server', { serverId: 'other' }],
  ['all servers', { serverId: '' }],
])('%s is told that there is no such session, also by DELETE', async (_name, changes) => {
  const { sessions, session, audited } = make();
  for (const method of ['GET', 'DELETE'] as const) {
    const exchange = exchangeOf({ ...changes, method });
    await expect(async () => sessions.serve(session, exchange)).rejects.toMatchObject({ code: 'SESSION_NOT_FOUND' });
    expect(exchange.answer.log).toEqual([]);
  }
  // S85: who tried to reach what is not his is noted.
  const { ref } = session.facts;
  expect(audited).toEqual('principal' in changes ? [`GET of ${ref} by bob`, `DELETE of ${ref} by bob`] : []);
});

it.each(['reclaiming', 'released'] as const)('a session that is %s goes back to routing, untouched', async (state) => {
  const { sessions, session } = make();
  session.state = state;
  const exchange = exchangeOf();
  expect(await sessions.serve(session, exchange)).toBe('notOwner');
  expect(exchange.answer.log).toEqual([]);
});

it('a lapsed lease goes back to routing', async () => {
  const { sessions, session, lease } = make();
  lease.valid = false;
  expect(await sessions.serve(session, exchangeOf({ method: 'DELETE' }))).toBe('notOwner');
});

it('progress of a client reaches nobody under a token that no question gave; other notifications reach every open backend', async () => {
  const { sessions, session } = make();
  const heard: string[] = [];
  const notify = async ({ method }: { method: string }) => void heard.push(method);
  session.backends.set('open', { isOpen: true, notify } as never);
  for (const method of ['notifications/progress', 'notifications/initialized', 'notifications/custom']) {
    const message = { jsonrpc: '2.0' as const, method, params: { progressToken: 1, progress: 1 } };
    const exchange = exchangeOf({ method: 'POST', body: { kind: 'notification', message, bytes: Buffer.alloc(0) } });
    expect(await sessions.serve(session, exchange)).toBe('done');
    expect(exchange.answer.status).toBe(202);
  }
  expect(heard).toEqual(['notifications/custom']);
});

describe('DELETE', () => {
  it('is answered 202 with the version of the session, and leaves no timer', async () => {
    const { sessions, session, clock } = make();
    const exchange = exchangeOf({ method: 'DELETE' });
    expect(await sessions.serve(session, exchange)).toBe('done');
    expect(exchange.answer.status).toBe(202);
    expect(exchange.answer.headers).toEqual({ 'mcp-protocol-version': '2025-06-18' });
    expect(clock.pendingTimers).toBe(0);
  });

  it('of a session that another worker took over goes there', async () => {
    const { sessions, session, ends } = make();
    ends.run = async () => 'fenced';
    const exchange = exchangeOf({ method: 'DELETE' });
    expect(await sessions.serve(session, exchange)).toBe('notOwner');
    expect(exchange.answer.log).toEqual([]);
  });

  it('is told to try again when Redis stays silent', async () => {
    const { sessions, session, ends, clock } = make();
    let fail: (error: Error) => void = () => undefined;
    ends.run = () =>
      new Promise((_resolve, reject) => {
        fail = reject;
      });
    const served = sessions.serve(session, exchangeOf({ method: 'DELETE' }));
    clock.advance(10_000);
    await expect(served).rejects.toMatchObject({ code: 'HELD_TOO_LONG', status: 503 });
    // A late failure has nobody to tell, and must not end the process.
    fail(new DirectoryUnavailable(new Error('late')));
    await settle();
  });
});

describe('GET', () => {
  it('opens a stream that the newest one replaces, cleanly', async () => {
    const { sessions, session, keepAlive, listening } = make();
    const [first, second] = [exchangeOf(), exchangeOf()];
    const firstServed = sessions.serve(session, first);
    const secondServed = sessions.serve(session, second);
    expect(await firstServed).toBe('done');
    expect(first.answer.log.at(-1)).toBe('end');
    session.standalone?.push('{"to":"the newest"}');
    expect(second.answer.events).toEqual(['{"to":"the newest"}']);
    expect(first.answer.events).toEqual([]);
    expect(listening.at(-1)).toBe(true);
    second.leave();
    expect(await secondServed).toBe('done');
    expect(session.standalone).toBeUndefined();
    expect(listening.at(-1)).toBe(false);
    expect(keepAlive.size).toBe(0);
  });

  it('keeps what a pausing reader has not taken, in order, and ends the stream of one that takes nothing', () => {
    const { sessions, session } = make();
    const exchange = exchangeOf();
    void sessions.serve(session, exchange);
    exchange.answer.takes = false;
    for (const n of [1, 2, 3]) session.standalone?.push(String(n));
    expect(exchange.answer.events).toEqual(['1']);
    exchange.answer.drain();
    expect(exchange.answer.events).toEqual(['1', '2', '3']);
    exchange.answer.takes = false;
    for (let n = 0; n < 20 && session.standalone; n++) session.standalone.push('x'.repeat(100_000));
    expect(session.standalone).toBeUndefined();
    expect(exchange.answer.log.at(-1)).toBe('end');
  });

  it('ends cleanly with its session', async () => {
    const { sessions, session } = make();
    const exchange = exchangeOf();
    const served = sessions.serve(session, exchange);
    session.close('ended', new Error('gone') as never);
    expect(await served).toBe('done');
    expect(exchange.answer.log.filter((step) => step === 'end')).toHaveLength(1);
  });
});

describe('a call that was cancelled', () => {
  it('has nothing more to say to whoever comes again; what was missed before is given', async () => {
    const { sessions, session } = make();
    const caller = exchangeOf();
    const stream = session.openCallStream(1, caller, {});
    for (const n of [1, 2]) stream.push(`{"n":${n}}`);
    stream.finish();
    expect(caller.answer.log.at(-1)).toBe('end');
    expect(caller.answer.events).toEqual(['{"n":1}', '{"n":2}']);
    stream.push('{"late":true}', true);
    const ids = [...caller.answer.text.matchAll(/^id: ?(.+)$/gm)].map(([, id]) => id as string);
    const resume = async (id: string | undefined) => {
      const exchange = exchangeOf({ headers: { 'last-event-id': id as string } });
      expect(await sessions.serve(session, exchange)).toBe('done');
      return exchange.answer;
    };
    expect((await resume(ids.at(-1))).status).toBe(204);
    const rest = await resume(ids.at(-2));
    expect([rest.events, rest.finished]).toEqual([['{"n":2}'], true]);
  });
});

describe('a stream whose session is released', () => {
  it('goes back to routing, open, and its answer has what waited for a slow reader', async () => {
    const { sessions, session, listening } = make();
    const exchange = exchangeOf();
    const serving = sessions.serve(session, exchange);
    exchange.answer.takes = false;
    for (const n of [1, 2, 3]) session.standalone?.push(`{"n":${n}}`);
    session.close('released', new GatewayError('OUTCOME_UNKNOWN'));
    expect(await serving).toBe('moved');
    expect(exchange.answer.events).toEqual(['{"n":1}', '{"n":2}', '{"n":3}']);
    expect(exchange.answer.finished).toBe(false);
    expect(listening).toEqual([true, false]);
  });

  it('ends cleanly when the session ends', async () => {
    const { sessions, session } = make();
    const exchange = exchangeOf();
    const serving = sessions.serve(session, exchange);
    session.close('ended', new GatewayError('SESSION_NOT_FOUND'));
    expect(await serving).toBe('done');
    expect(exchange.answer.finished).toBe(true);
  });

  it('attached again, does not replace the one that its client opened meanwhile', async () => {
    const { sessions, session } = make();
    const newer = exchangeOf();
    const serving = sessions.serve(session, newer);
    const late = exchangeOf({ isReattached: true });
    expect(await sessions.serve(session, late)).toBe('done');
    // Over the hop nothing has begun here, and the edge that has begun it ends it when it hears of this.
    expect([late.answer.log, late.answer.status]).toEqual([['send'], 204]);
    const begun = exchangeOf({ isReattached: true });
    begun.answer.start(200, {});
    expect(await sessions.serve(session, begun)).toBe('done');
    expect(begun.answer.log).toEqual(['start', 'end']);
    expect(newer.answer.finished).toBe(false);
    newer.leave();
    expect(await serving).toBe('done');
  });
});
