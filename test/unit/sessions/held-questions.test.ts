// Questions that no stream can carry when they come: they wait for one, for a while, within bounds, and nobody waits for ever.
import { GatewayError } from '../../../src/errors/gateway-error.js';
import type { Exchange } from '../../../src/streams/exchange.js';
import { RecordingAnswer } from '../streams/recording-answer.js';
import { settle } from './lease-fixture.js';
import { make, makeSession } from './questions-fixture.js';

const NO_CALL = { sink: undefined };
const CANCELLED = '{"method":"notifications/cancelled","params":{"requestId":1}}';

/** The client opens its standalone stream. */
function listen({ session, requests }: ReturnType<typeof make>): RecordingAnswer {
  const answer = new RecordingAnswer();
  const exchange = { answer, onAbort: () => undefined } as unknown as Exchange;
  session.streams.standalone.attach({ exchange, headers: {}, isPrimed: false });
  session.standalone = session.streams.standalone;
  requests.deliverHeld(session);
  return answer;
}

test('delivered in order on the standalone stream as soon as it is open, and answered like any other', () => {
  const made = make();
  const { ask, session, counts, answer, delivered, clock } = made;
  expect(ask(1, 'roots/list', {}, NO_CALL)).toBeUndefined();
  expect(ask(2, 'sampling/createMessage', {}, NO_CALL)).toBeUndefined();
  // Not to be released meanwhile: its next owner would not know of them.
  expect(session.isIdle).toBe(false);
  clock.advance(19_000);
  const { events } = listen(made);
  const asked = events.map((text) => JSON.parse(text) as { id: string; method: string });
  expect(asked.map(({ method }) => method)).toEqual(['roots/list', 'sampling/createMessage']);
  expect(session.isIdle).toBe(true);
  expect(answer(asked[1]?.id as string)).toBe('delivered');
  expect(delivered.map(({ id }) => id)).toEqual([2]);
  clock.advance(60_000);
  expect(events).toHaveLength(2);
  expect(counts).toEqual(['held', 'held', 'asked', 'asked', 'answered']);
});

test('one that a backend tells again goes out again under the same id, if it went out where it can be lost; one answer counts', () => {
  const made = make();
  const { ask, session, counts, answer, delivered, clock, open, told, lastId, requests } = made;
  const listening = listen(made);
  const asked = (index: number) => JSON.parse(listening.events[index] as string).id as string;
  ask(1, 'roots/list', {}, NO_CALL);
  clock.advance(9 * 60_000);
  ask(1, 'roots/list', {}, NO_CALL);
  expect(listening.events[1]).toBe(listening.events[0]);
  // Its time begins anew, and only once.
  clock.advance(9 * 60_000);
  expect(delivered).toEqual([]);
  expect(answer(asked(0))).toBe('delivered');
  expect(answer(asked(1))).toBe('dropped');
  expect(delivered.map(({ id }) => id)).toEqual([1]);
  expect(counts).toEqual(['asked', 'asked', 'answered', 'dropped']);
  expect(clock.pendingTimers).toBe(0);
  // On the stream of a call it can be resumed, and what waits for a stream is still to go out.
  ask(2);
  expect(ask(2, 'roots/list', {}, NO_CALL)).toBeUndefined();
  expect(told).toHaveLength(1);
  expect(listening.events).toHaveLength(2);
  expect(answer(lastId())).toBe('delivered');
  // Nobody reads: it waits, once, and is told once.
  ask(3, 'roots/list', {}, NO_CALL);
  session.standalone = undefined;
  for (let times = 0; times < 2; times++) ask(3, 'roots/list', {}, NO_CALL);
  expect(session.isIdle).toBe(false);
  session.standalone = session.streams.standalone;
  requests.deliverHeld(session);
  requests.deliverHeld(session);
  expect(listening.events).toHaveLength(4);
  expect(session.isIdle).toBe(true);
  // It is held once more, and the client has seen it.
  session.standalone = undefined;
  ask(3, 'roots/list', {}, NO_CALL);
  expect(session.isIdle).toBe(false);
  expect(requests.withdraw(session, 'b', 3, CANCELLED)).toContain(asked(3));
  expect(session.isIdle).toBe(true);
  session.standalone = session.streams.standalone;
  // Another session of the backend asks something else.
  open('b', 2);
  ask(3, 'roots/list', {}, NO_CALL);
  expect(asked(4)).not.toBe(asked(3));
  ask(3, 'roots/list', {}, NO_CALL);
  expect(asked(5)).toBe(asked(4));
});

test('the stream of a call carries it once that has begun, since one that has not may go back to routing, and while its caller is there', () => {
  const { ask, session, told, requests, clock } = make();
  const running = { mayHaveRun: false, cancel: () => undefined };
  const exchange = { aborted: true };
  const answer = { carriesRequests: true, message: (json: Buffer | string) => told.push(json.toString()) > 0 } as never;
  session.calls.add({ id: 1, backend: 'c', progressToken: undefined, running, answer, exchange });
  ask(1, 'roots/list', {}, NO_CALL);
  requests.deliverHeld(session);
  expect(told).toEqual([]);
  running.mayHaveRun = true;
  clock.advance(250);
  // And whose caller has left would perhaps never read it.
  expect(told).toEqual([]);
  exchange.aborted = false;
  clock.advance(250);
  expect(told).toHaveLength(1);
  // One that comes now need not wait.
  ask(2, 'roots/list', {}, NO_CALL);
  expect(told).toHaveLength(2);
});

test('after 20 s without a stream the backend is told, and a stream that opens later carries nothing', async () => {
  const made = make();
  const { ask, delivered, clock, counts, session } = made;
  ask('q', 'roots/list', {}, NO_CALL);
  clock.advance(20_500);
  expect(delivered).toHaveLength(1);
  expect(JSON.parse(delivered[0]?.json as string)).toMatchObject({ id: 'q', error: { code: -32603 } });
  expect(listen(made).events).toEqual([]);
  expect(counts).toEqual(['held', 'nobody']);
  expect(clock.pendingTimers).toBe(0);
  // Not before the backend has it.
  expect(session.isIdle).toBe(false);
  await settle();
  expect(session.isIdle).toBe(true);
});

test('what the guard would refuse is told once it allows it', () => {
  const { ask, delivered, clock, session } = make();
  ask(1, 'roots/list', {}, NO_CALL);
  session.state = 'reclaiming';
  clock.advance(30_000);
  expect(delivered).toEqual([]);
  session.state = 'active';
  clock.advance(300);
  expect(delivered).toHaveLength(1);
});

test('taken back, forgotten, or gone with the session: no timer and no byte stays', () => {
  const made = make();
  const { ask, requests, session, clock } = made;
  for (const id of [1, 2, 3]) ask(id, 'roots/list', {}, NO_CALL);
  // The client, who has not seen it, hears nothing of it.
  expect(requests.withdraw(session, 'b', 1, CANCELLED)).toBeUndefined();
  requests.forget(session, 'b', 2);
  expect(requests.withdraw(session, 'b', 2, CANCELLED)).toBeUndefined();
  expect(clock.pendingTimers).toBe(1);
  session.close('released', new GatewayError('NOT_OWNER'));
  expect(clock.pendingTimers).toBe(0);
  expect(session.isIdle).toBe(true);
});

test('so much is held of a session, and so much of all of them', () => {
  const { ask, requests, session } = make();
  // With a task in it, it is written anew, as text.
  const big = { text: '漢'.repeat(200 * 1024), task: {} };
  expect(ask(1, 'sampling/createMessage', big, NO_CALL)).toBeUndefined();
  expect(ask(2, 'sampling/createMessage', big, NO_CALL)).toMatchObject({ code: -32603 });
  expect(ask(3, 'sampling/createMessage', {}, NO_CALL)).toBeUndefined();
  const json = Buffer.from(JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'roots/list', params: big }));
  const others = Array.from({ length: 60 }, () => makeSession().session);
  const askOf = (other: typeof session) =>
    requests.ask(other, 'b', { id: 1, method: 'roots/list', json, sink: undefined, from: other.backends.get('b') as never });
  expect(others.map(askOf).filter((refusal) => refusal !== undefined).length).toBeGreaterThan(0);
  for (const one of [session, ...others]) one.close('ended', new GatewayError('SESSION_NOT_FOUND'));
  expect(askOf(makeSession().session)).toBeUndefined();
});
