// What an owner remembers of a session's streams: for how long, and what becomes of it and of their readers at the end.
import { SessionStreams } from '../../../src/sessions/session-streams.js';
import { EventBudget } from '../../../src/streams/event-budget.js';
import type { Exchange } from '../../../src/streams/exchange.js';
import { type ReaderFacts, Readers } from '../../../src/streams/readers.js';
import type { ResumableStream } from '../../../src/streams/resumable-stream.js';
import type { NewReader } from '../../../src/streams/stream-reader.js';
import { FakeClock } from '../../support/fake-clock.js';
import { RecordingAnswer } from '../streams/recording-answer.js';

const MINUTE_MS = 60_000;

function make() {
  const budget = new EventBudget();
  return { budget, streams: new SessionStreams({ session: 'abcdefghijklmnopqrstuv', epoch: 1, budget }) };
}

function read(stream: ResumableStream, how: Partial<NewReader> = {}): RecordingAnswer {
  const answer = new RecordingAnswer();
  const exchange = { answer, onAbort: () => undefined } as unknown as Exchange;
  stream.attach({ exchange, headers: {}, isPrimed: false, ...how });
  return answer;
}

test('streams of callers that were sent away are kept, however many others come', () => {
  const { streams } = make();
  const call = streams.openCall('away');
  read(call, { isPrimed: true });
  call.sendAway(300);
  const others = Array.from({ length: 100 }, (_, i) => streams.openCall(i));
  for (const other of others) other.push('"result"', true);
  expect(streams.findCall('away')).toBe(call);
  expect(streams.findCall(0)).toBeUndefined();
  expect(streams.findCall(99)).toBe(others[99]);
  call.push('"result"', true);
  expect(read(call, { after: 0 }).events).toEqual(['"result"']);
});

test('where all are kept for callers that were sent away, another one just passes on what comes', () => {
  const { streams } = make();
  for (let i = 0; i < 64; i++) {
    const call = streams.openCall(i);
    read(call, { isPrimed: true });
    call.sendAway(300);
  }
  const call = streams.openCall('more');
  const answer = read(call, { isPrimed: true });
  call.sendAway(300);
  call.push('"result"', true);
  expect(answer.events.at(-1)).toBe('"result"');
  expect(streams.findCall(0)).toBeDefined();
});

describe.each(['moved', 'ended'] as const)('a session that has %s', (how) => {
  it('still answers a request that runs, at the POST that asked', () => {
    const { budget, streams } = make();
    const call = streams.openCall(1);
    const answer = read(call);
    call.push('"progress"');
    streams.close(how);
    expect(answer.finished).toBe(false);
    call.push('"result"', true);
    expect(answer.events).toEqual(['"progress"', '"result"']);
    expect(answer.ends).toBe(1);
    expect(budget.bytes).toBe(0);
  });

  it('also one that becomes a stream only then', () => {
    const { budget, streams } = make();
    streams.close(how);
    const call = streams.openCall(1);
    const answer = read(call);
    call.push('"result"', true);
    expect(answer.events).toEqual(['"result"']);
    expect(answer.ends).toBe(1);
    expect(streams.findCall(1)).toBeUndefined();
    expect(budget.bytes).toBe(0);
  });

  it('keeps nothing of what comes later', () => {
    const { budget, streams } = make();
    read(streams.standalone);
    streams.tell('"one"', 0);
    const [ended, running] = [streams.openCall(1), streams.openCall(2)];
    ended.push('"result"', true);
    running.push('"progress"');
    expect(budget.bytes).toBeGreaterThan(0);
    streams.close(how);
    streams.tell('"two"', 1);
    running.push('"result"', true);
    expect(budget.bytes).toBe(0);
  });
});

it('sends whoever resumed a call to the next owner, and keeps him when there is none', () => {
  for (const [how, ends, data] of [
    ['moved', ['moved'], []],
    ['ended', ['complete'], ['"result"']],
  ] as const) {
    const { streams } = make();
    const call = streams.openCall(1);
    const told: string[] = [];
    const answer = read(call, { after: 0, onEnd: (end) => void told.push(end) });
    streams.close(how);
    call.push('"result"', true);
    expect(told).toEqual(ends);
    expect(answer.events).toEqual(data);
    expect(answer.finished).toBe(how === 'ended');
  }
});

it.each([
  ['replaced by one of the same id', 1],
  ['among too many', 64],
])('a call that is %s is answered and no longer counted', (_name, others) => {
  const { budget, streams } = make();
  const call = streams.openCall(0);
  const answer = read(call);
  call.push('"progress"');
  for (let n = 0; n < others; n++) streams.openCall(others === 1 ? 0 : n + 1);
  call.push('"result"', true);
  expect(answer.events).toEqual(['"progress"', '"result"']);
  expect(budget.bytes).toBe(0);
  streams.close('ended');
  expect(budget.bytes).toBe(0);
});

it('keeps a call for a minute after its end, one that runs for as long as it runs', () => {
  const { budget, streams } = make();
  const [ended, running] = [streams.openCall(1), streams.openCall(2)];
  ended.push('"result"', true);
  running.push('"progress"');
  streams.age(0);
  streams.age(MINUTE_MS - 1);
  expect(streams.findCall(1)).toBe(ended);
  streams.age(MINUTE_MS);
  expect(streams.findCall(1)).toBeUndefined();
  expect(streams.findCall(2)).toBe(running);
  expect(budget.bytes).toBe('"progress"'.length);
});

it('keeps what was told for a minute after its reader has left; who comes later is told of the gap', () => {
  const { budget, streams } = make();
  read(streams.standalone);
  streams.tell('"one"', 0);
  streams.age(10 * MINUTE_MS);
  expect(budget.bytes).toBeGreaterThan(0);
  streams.standalone.end();
  streams.noteLeft(10 * MINUTE_MS);
  streams.tell('"two"', 10 * MINUTE_MS);
  streams.age(11 * MINUTE_MS);
  expect(read(streams.standalone, { after: 1 }).events).toEqual(['"two"']);
  streams.standalone.end();
  streams.age(11 * MINUTE_MS + 1);
  expect(budget.bytes).toBe(0);
  const [gap, ...rest] = read(streams.standalone, { after: 1 }).events;
  expect(JSON.parse(gap ?? '')).toMatchObject({ params: { data: { gap: true } } });
  expect(rest).toEqual([]);
});

it('says that there is a gap once somebody is told: at once, to whoever comes within a minute, or never', () => {
  const session = 'abcdefghijklmnopqrstuv';
  const gaps: ReaderFacts[] = [];
  const readers = new Readers({ clock: new FakeClock(), onGap: (facts) => void gaps.push(facts) });
  const streams = new SessionStreams({ session, epoch: 1, readers });
  const asGet = { onEnd: () => undefined };
  streams.tellGap(0);
  expect(gaps).toEqual([]);
  read(streams.standalone, asGet);
  streams.tellGap(0);
  expect(gaps).toEqual([{ session, name: { kind: 'standalone' }, isGet: true }]);

  streams.standalone.end();
  streams.noteLeft(0);
  streams.tellGap(1);
  expect(gaps).toHaveLength(1);
  const [again, ...rest] = read(streams.standalone, { after: 2, ...asGet }).events;
  expect(JSON.parse(again ?? '')).toMatchObject({ params: { data: { gap: true } } });
  expect(rest).toEqual([]);
  expect(gaps).toHaveLength(2);

  streams.standalone.end();
  streams.noteLeft(2);
  streams.tellGap(3);
  streams.age(2 * MINUTE_MS);
  expect(gaps).toHaveLength(2);
});

it('does not find a call that had to make room', () => {
  const budget = new EventBudget(100);
  const options = { session: 'abcdefghijklmnopqrstuv', epoch: 1, budget };
  const [idle, busy] = [new SessionStreams(options), new SessionStreams(options)];
  idle.openCall(1).push('x'.repeat(90), true);
  busy.openCall(1).push('y'.repeat(90));
  expect(idle.findCall(1)).toBeUndefined();
  expect(busy.findCall(1)).toBeDefined();
  expect(budget.bytes).toBe(90);
});
