// What a session does with the ids of a stream that an earlier owner wrote: it asks its own backends for the rest, and nobody else's.
import type { BackendCall, BackendSession, ListenFrom } from '../../../src/backends/backend.js';
import type { BackendSessionRecord } from '../../../src/directory/directory.js';
import { GatewayError } from '../../../src/errors/gateway-error.js';
import { type Epoch, mintSessionId, type OwnerToken, referenceOf, type WorkerId } from '../../../src/protocol/ids.js';
import { makeKeyring } from '../../../src/secrets/keyring.js';
import { ClientRequests } from '../../../src/sessions/client-requests.js';
import type { LeaseKeeper } from '../../../src/sessions/lease-keeper.js';
import { CallResumer } from '../../../src/sessions/resume-call.js';
import { SessionServer } from '../../../src/sessions/serve-session.js';
import { type CallInFlight, Session } from '../../../src/sessions/session.js';
import { encodeMark } from '../../../src/streams/backend-marks.js';
import { encodeEventId } from '../../../src/streams/event-id.js';
import type { Exchange } from '../../../src/streams/exchange.js';
import { KeepAlive } from '../../../src/streams/keep-alive.js';
import { FakeClock } from '../../support/fake-clock.js';
import { RecordingAnswer } from '../streams/recording-answer.js';

const SELF = 'self.2' as WorkerId;

class FakeBackend {
  isOpen = true;
  resumesStreams: boolean | undefined = true;
  readonly calls: BackendCall[] = [];
  readonly cancels: Array<{ reason: string; notify: boolean }> = [];
  readonly listening: Array<ListenFrom | undefined> = [];
  record: BackendSessionRecord | undefined;

  constructor(generation: number) {
    this.record = { generation } as BackendSessionRecord;
  }

  call(call: BackendCall) {
    this.calls.push(call);
    return { mayHaveRun: true, cancel: (reason: string, notify: boolean) => void this.cancels.push({ reason, notify }) };
  }

  setListening(listening: boolean, _headers?: unknown, from?: ListenFrom): void {
    if (listening) this.listening.push(from);
  }

  close(): void {}
}

function make() {
  const clock = new FakeClock();
  const id = mintSessionId();
  const server = { id: 'support', backends: ['one', 'two'] } as never;
  const client = { clientInfo: {}, capabilities: {} };
  const facts = { id, ref: referenceOf(id), server, principal: 'alice', protocolVersion: '2025-11-25', client, createdMs: 0 };
  const token: OwnerToken = { owner: SELF, epoch: 2 as Epoch };
  const session = new Session(facts, token, { id: SELF, isValid: () => true } as unknown as LeaseKeeper, 0);
  const [one, two] = [new FakeBackend(1), new FakeBackend(4)];
  session.backends.set('one', one as unknown as BackendSession);
  session.backends.set('two', two as unknown as BackendSession);
  const sessions = new SessionServer({
    clock,
    keepAlive: new KeepAlive(clock),
    ender: {} as never,
    requests: {} as never,
    resumer: new CallResumer({ clock, maxCallMs: () => 60_000, onBackendError: () => undefined }),
    clientRequests: new ClientRequests({ keyring: makeKeyring(['secret']), clock, count: () => undefined }),
    standing: { listening: () => undefined },
    audit: () => undefined,
  });
  const get = (lastId: string, aborted = false) => {
    const left: Array<() => void> = [];
    const answer = new RecordingAnswer();
    const exchange = {
      method: 'GET',
      serverId: 'support',
      headers: { 'last-event-id': lastId },
      principal: { name: 'alice', digest: 'alice' },
      deadlineMs: Number.MAX_SAFE_INTEGER,
      answer,
      note: {},
      aborted,
      onAbort: (listener: () => void) => (aborted ? listener() : void left.push(listener)),
    } as unknown as Exchange;
    const outcome = sessions.serve(session, exchange);
    return { answer, outcome, exchange, leave: () => left.map((listener) => listener()) };
  };
  const idOf = (marks: string, stream: Parameters<typeof encodeEventId>[0]['stream'], more = {}) =>
    encodeEventId({ session: facts.ref, stream, epoch: 1, seq: 5, isFinal: false, marks, ...more });
  const call = (marks: string, more = {}) => get(idOf(marks, { kind: 'call', id: 7 }, more));
  const standalone = (marks: string, aborted = false) => get(idOf(marks, { kind: 'standalone' }), aborted);
  const tell = (backend: string, generation: number, eventId: string | undefined, text: string) => {
    session.streams.mark(backend, generation, eventId);
    session.streams.tell(text, clock.monotonicMs());
  };
  return { session, one, two, call, standalone, tell, get };
}

const exchangeOf = (): Exchange => ({ answer: new RecordingAnswer(), onAbort: () => undefined }) as unknown as Exchange;
const cancel = (session: Session) =>
  session.cancel({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 7, reason: 'enough' } }, {}, 0);
const hasGap = ({ answer }: { answer: RecordingAnswer }) => answer.text.includes('"gap":true');
const ONE = encodeMark('one', 1, 'a1');
const TWO = encodeMark('two', 4, 'b1');

describe('the rest of a call', () => {
  test('is asked of its backend, under the same id, and nothing is sent again', () => {
    const { one, two, call, session } = make();
    const { answer } = call(ONE);
    expect(one.calls).toMatchObject([{ message: { id: 7 }, bytes: '', resume: { eventId: 'a1', generation: 1 } }]);
    expect(two.calls).toEqual([]);
    expect(session.inFlight).toBe(1);
    const { sink } = one.calls[0] as BackendCall;
    sink.mark?.('a2');
    sink.message('{"n":2}', false);
    sink.message('{"id":7,"result":{}}', true);
    expect(answer.events).toEqual(['{"n":2}', '{"id":7,"result":{}}']);
    expect(answer.text).toContain(encodeMark('one', 1, 'a2'));
    expect(answer.ends).toBe(1);
    expect(session.isIdle).toBe(true);
  });

  test.each([
    ['another backend of the gateway', encodeMark('three', 1, 'x')],
    ['another session of that backend', encodeMark('one', 2, 'a1')],
    ['no event', encodeMark('one', 1, '')],
    ['no backend', ''],
    ['nonsense', '.one~1~%%%'],
    ['a header that would be two', `.one~1~${Buffer.from('a\r\nx: y').toString('base64url')}`],
  ])('made up of %s reaches nobody: the outcome is unknown', (_name, marks) => {
    const { one, two, call } = make();
    const { answer } = call(marks);
    expect([...one.calls, ...two.calls]).toEqual([]);
    expect(JSON.parse(answer.events[0] as string)).toMatchObject({ id: 7, error: { code: -32012 } });
  });

  test('of a backend that cannot pass it on (stdio): the outcome is unknown', () => {
    const { one, call } = make();
    one.resumesStreams = undefined;
    expect(JSON.parse(call(ONE).answer.events[0] as string)).toMatchObject({ error: { code: -32012 } });
    expect(one.calls).toEqual([]);
  });

  test('touches no call that was begun here, whoever claims to know its id', () => {
    const { one, call, session } = make();
    const stream = session.streams.openCall(7);
    stream.push('{"n":1}');
    expect(JSON.parse(call(ONE).answer.events[0] as string)).toMatchObject({ error: { code: -32012 } });
    expect(one.calls).toEqual([]);
    expect(session.streams.findCall(7)).toBe(stream);
  });

  test('is read once: who comes from the same place joins, who comes from further back begins anew', () => {
    const { one, call, session } = make();
    const first = call(ONE);
    (one.calls[0] as BackendCall).sink.mark?.('a2');
    (one.calls[0] as BackendCall).sink.message('{"n":2}', false);
    const joined = call(ONE);
    expect(one.calls).toHaveLength(1);
    expect(first.answer.ends).toBe(1);
    expect(joined.answer.events).toEqual(['{"n":2}']);
    const older = call(encodeMark('one', 1, 'a0'));
    expect(joined.answer.ends).toBe(1);
    expect(one.calls.map(({ resume }) => resume?.eventId)).toEqual(['a1', 'a0']);
    expect(one.cancels).toEqual([{ reason: expect.any(String), notify: false }]);
    expect(older.answer.finished).toBe(false);
    expect(session.inFlight).toBe(1);
  });

  test('is bounded for each session', () => {
    const { one, call, session } = make();
    for (let n = 0; n < 40; n++) call(ONE, { stream: { kind: 'call', id: n } });
    expect(one.calls).toHaveLength(32);
    expect(session.inFlight).toBe(32);
  });

  test('is bounded also where each comes from another place, and ends where its id is taken by a call that begins here', () => {
    const { one, call, session } = make();
    for (let n = 0; n < 40; n++) {
      call(encodeMark('one', 1, `a${n}`));
      session.openCallStream(7, exchangeOf(), {}).push('"result"', true);
      session.streams.age(0);
      session.streams.age(60_000);
      expect([session.inFlight, session.calls.size]).toEqual([0, 0]);
    }
    expect(one.cancels).toHaveLength(40);
    expect(one.cancels[0]).toEqual({ reason: '', notify: false });
  });

  test('is not pushed out by calls that begin here, however many', () => {
    const { call, session } = make();
    const rest = call(ONE);
    for (let n = 100; n < 200; n++) session.streams.openCall(n);
    expect(call(ONE).answer.finished).toBe(false);
    expect(rest.answer.ends).toBe(1);
    expect(session.calls.size).toBe(1);
  });

  test('ends where its stream had to make room, when it is asked for once more', () => {
    const { one, call, session } = make();
    const first = call(ONE);
    session.streams.findCall(7)?.makeRoom();
    session.streams.age(0);
    call(ONE);
    expect(first.answer.ends).toBe(1);
    expect(one.cancels).toEqual([{ reason: '', notify: false }]);
    expect(session.inFlight).toBe(1);
  });

  test('while the session waits for its lease, gives way to another call of its id and leaves nothing behind', () => {
    const { call, session } = make();
    call(ONE);
    session.state = 'reclaiming';
    session.openCallStream(7, exchangeOf(), {});
    expect([session.inFlight, session.calls.size]).toEqual([0, 0]);
  });

  test('is not asked for beside a call that began here and has no stream yet: a cancellation reaches that one', () => {
    const { one, call, session } = make();
    const cancelled: string[] = [];
    const answer = { cancel: () => true } as CallInFlight['answer'];
    const running = { mayHaveRun: true, cancel: (reason: string) => void cancelled.push(reason) };
    const own: CallInFlight = { id: 7, backend: 'one', progressToken: undefined, running, answer };
    session.calls.add(own);
    expect(JSON.parse(call(ONE).answer.events[0] as string)).toMatchObject({ error: { code: -32012 } });
    expect(one.calls).toEqual([]);
    session.calls.delete(own);
    session.requestsHere = new Set([own]);
    expect(JSON.parse(call(ONE).answer.events[0] as string)).toMatchObject({ error: { code: -32012 } });
    expect(one.calls).toEqual([]);
    // The other way round: it began after the rest.
    session.requestsHere = undefined;
    call(ONE);
    session.calls.add(own);
    cancel(session);
    expect(cancelled).toEqual(['enough']);
    expect(one.cancels).toEqual([{ reason: 'enough', notify: true }]);
  });

  test('that was cancelled before anybody came for it: its backend hears so, and whoever comes gets no answer', () => {
    const { one, call, session } = make();
    cancel(session);
    const { answer } = call(ONE);
    expect(one.calls).toHaveLength(1);
    expect(one.cancels).toEqual([{ reason: 'cancelled by the client', notify: true }]);
    expect([answer.events, answer.ends]).toEqual([[], 1]);
    expect(session.isIdle).toBe(true);
    expect(call(ONE).answer.status).toBe(204);
    expect(one.calls).toHaveLength(1);
  });

  test('that goes on elsewhere can be cancelled there, or here once it is back', () => {
    const { one, call, session } = make();
    call(ONE);
    (one.calls[0] as BackendCall).sink.fail(new GatewayError('NOT_OWNER'));
    cancel(session);
    call(ONE);
    expect(one.cancels).toHaveLength(1);
  });

  test('cancelled by its client, ends without an answer and leaves nothing in flight', () => {
    const { one, call, session } = make();
    const { answer } = call(ONE);
    cancel(session);
    expect(one.cancels).toEqual([{ reason: 'enough', notify: true }]);
    expect(answer.events).toEqual([]);
    expect(answer.ends).toBe(1);
    expect(session.isIdle).toBe(true);
  });

  test('goes on at the next owner where this one may not act, or gives the session up', async () => {
    const refused = make();
    const first = refused.call(ONE);
    (refused.one.calls[0] as BackendCall).sink.fail(new GatewayError('NOT_OWNER'));
    expect(await first.outcome).toBe('moved');
    expect(refused.session.isIdle).toBe(true);

    const released = make();
    const second = released.call(ONE);
    released.session.close('released', new GatewayError('OUTCOME_UNKNOWN'));
    expect(await second.outcome).toBe('moved');
    expect(second.answer.events).toEqual([]);
    expect(second.exchange.resumeAfter).toContain(ONE);
  });

  test('of a backend that is down is an unknown outcome, not a call that did not run', () => {
    const { one, call } = make();
    const { answer } = call(ONE);
    (one.calls[0] as BackendCall).sink.fail(new GatewayError('BACKEND_UNAVAILABLE', { details: { backend: 'one' } }));
    expect(JSON.parse(answer.events[0] as string)).toMatchObject({ id: 7, error: { code: -32012, data: { backend: 'one' } } });
  });
});

describe('the standalone stream of an earlier owner', () => {
  test('goes on behind the last event of each backend, without a gap', () => {
    const { one, two, standalone } = make();
    const reader = standalone(ONE + TWO);
    expect(one.listening).toEqual([{ eventId: 'a1', generation: 1, again: true }]);
    expect(two.listening).toEqual([{ eventId: 'b1', generation: 4, again: true }]);
    expect(hasGap(reader)).toBe(false);
  });

  test.each([
    ['says nothing of a backend that may have spoken', ONE],
    ['is of another session of a backend', ONE + encodeMark('two', 3, 'b1')],
    ['says nothing', ''],
  ])('has a gap where the id %s', (_name, marks) => {
    const { two, standalone } = make();
    expect(hasGap(standalone(marks))).toBe(true);
    expect(two.listening).toEqual([undefined]);
  });

  test('has none for a backend that offers no stream, or was never opened', () => {
    const { two, standalone, session } = make();
    expect(hasGap(standalone(ONE + encodeMark('two', 4, '')))).toBe(false);
    two.isOpen = false;
    two.record = undefined;
    session.streams.rewind([]);
    expect(hasGap(standalone(ONE))).toBe(false);
  });

  test('is not taken for the own one where the same owner had the same epoch before, as after a loss of data', () => {
    const { get, session, tell } = make();
    const idFrom = ({ streams: { epoch } }: Session) =>
      encodeEventId({ session: session.facts.ref, stream: { kind: 'standalone' }, epoch, seq: 1, isFinal: false });
    get(idFrom(session));
    for (const n of [1, 2]) tell('one', 1, undefined, `{"n":${n}}`);
    const own = get(idFrom(session));
    expect([hasGap(own), own.answer.events]).toEqual([false, ['{"n":2}']]);
    // Its first event was another one, and so was what came behind it.
    const before = make().session;
    expect(before.token).toEqual(session.token);
    expect(hasGap(get(idFrom(before)))).toBe(true);
  });

  test('is not read twice by who comes from where it began, or from within', () => {
    const { one, standalone, tell } = make();
    standalone(ONE + TWO);
    tell('one', 1, 'a2', '{"n":2}');
    tell('two', 4, 'b2', '{"n":3}');
    const from = standalone(encodeMark('one', 1, 'a2') + TWO);
    expect(from.answer.events).toEqual(['{"n":3}']);
    expect(one.listening.at(-1)).toMatchObject({ again: false });
    const again = standalone(ONE + TWO);
    expect(again.answer.events).toEqual(['{"n":2}', '{"n":3}']);
    expect([from, again].some(hasGap)).toBe(false);
  });

  test('is read anew for who comes from further back', () => {
    const { one, standalone, tell } = make();
    standalone(ONE + TWO);
    tell('one', 1, 'a2', '{"n":2}');
    const older = standalone(encodeMark('one', 1, 'a0') + TWO);
    expect(one.listening.at(-1)).toEqual({ eventId: 'a0', generation: 1, again: true });
    // What was there comes again from the backend, not from here.
    expect(older.answer.events).toEqual([]);
    tell('one', 1, 'a1', '{"n":1}');
    tell('one', 1, 'a2', '{"n":2}');
    expect(older.answer.events).toEqual(['{"n":1}', '{"n":2}']);
  });

  test('is told with a gap to who comes from before what this owner still holds: whether the backend has a log is not certain', () => {
    const { one, standalone, tell, get } = make();
    const slow = standalone(ONE + TWO);
    const early = slow.answer.text.match(/id: (\S+)/)?.[1] as string;
    for (let n = 0; n < 1500; n++) tell('one', 1, `g${n}`, `{"n":${n}}`);
    const asked = one.listening.filter((from) => from?.again).length;
    const back = get(early);
    expect(hasGap(back)).toBe(true);
    expect(back.answer.events.at(-1)).toBe('{"n":1499}');
    expect(back.answer.events.length).toBeGreaterThan(900);
    expect(one.listening.filter((from) => from?.again)).toHaveLength(asked);
    tell('one', 1, 'later', '{"n":"later"}');
    expect(back.answer.events.at(-1)).toBe('{"n":"later"}');
  });

  test('stays as it is for a reader that has left before it could begin', async () => {
    const { one, standalone, tell } = make();
    const reader = standalone(ONE + TWO);
    tell('one', 1, 'a2', '{"n":2}');
    const late = standalone(encodeMark('one', 1, 'a0') + TWO, true);
    expect(await late.outcome).toBe('done');
    expect(reader.answer.finished).toBe(false);
    expect(one.listening).toHaveLength(1);
    expect(standalone(ONE + TWO).answer.events).toEqual(['{"n":2}']);
  });

  test('is read anew: who offers no stream has said so once, and is not taken for one of whom nothing is known', () => {
    const { standalone, session, tell } = make();
    standalone(ONE);
    session.streams.mark('two', 4, '');
    const older = standalone(encodeMark('one', 1, 'a0'));
    expect(hasGap(older)).toBe(false);
    tell('one', 1, 'a1', '{"n":1}');
    expect(older.answer.text).toContain(encodeMark('one', 1, 'a1') + encodeMark('two', 4, ''));
    // It did offer one before: what that has said since is lost.
    expect(hasGap(standalone(encodeMark('one', 1, 'a0') + TWO))).toBe(true);
    // Another session of it may offer one.
    session.streams.mark('two', 3, '');
    const last = standalone(encodeMark('one', 1, 'a0'));
    expect(hasGap(last)).toBe(true);
    tell('one', 1, 'a1', '{"n":1}');
    expect(last.answer.text).not.toContain(encodeMark('two', 3, ''));
  });

  test('is read anew with a gap where something was told that no backend can tell again', () => {
    const { standalone, session } = make();
    standalone(ONE + TWO);
    session.streams.tell('{"own":1}', 0);
    expect(hasGap(standalone(encodeMark('one', 1, 'a0') + TWO))).toBe(true);
  });
});
