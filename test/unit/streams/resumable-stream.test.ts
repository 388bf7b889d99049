// What a reader gets of a stream: everything from where it was, once, in order, or a told gap.

import { EventBudget } from '../../../src/streams/event-budget.js';
import { decodeEventId, encodeEventId } from '../../../src/streams/event-id.js';
import type { Exchange } from '../../../src/streams/exchange.js';
import { LastEventId } from '../../../src/streams/last-event-id.js';
import { type NewReader, ResumableStream, type ResumableStreamOptions } from '../../../src/streams/resumable-stream.js';
import { eventsOf } from '../../support/raw-request.js';
import { Readers } from '../../../src/streams/readers.js';
import { FakeClock } from '../../support/fake-clock.js';
import { RecordingAnswer } from './recording-answer.js';

const SESSION = 'abcdefghijklmnopqrstuv';

function makeStream(options: Partial<ResumableStreamOptions> = {}): ResumableStream {
  return new ResumableStream({
    session: SESSION,
    name: { kind: 'call', id: 7 },
    epoch: 3,
    budget: new EventBudget(),
    ...options,
  });
}

function read(stream: ResumableStream, how: Partial<NewReader> = {}) {
  const answer = new RecordingAnswer();
  const left: Array<() => void> = [];
  const exchange = { answer, onAbort: (listener: () => void) => void left.push(listener) } as unknown as Exchange;
  const ends: string[] = [];
  stream.attach({ exchange, headers: {}, isPrimed: false, onEnd: (end) => void ends.push(end), ...how });
  return {
    answer,
    exchange,
    ends,
    events: () => eventsOf(answer.text),
    seqs: () => eventsOf(answer.text).map(({ id }) => decodeEventId(id ?? '', SESSION)?.seq),
    leave: () => {
      for (const listener of left) listener();
    },
  };
}

const isGap = (data: string) => JSON.parse(data).params?.data?.gap === true;

test('every event carries an id, and the last one is marked', () => {
  const stream = makeStream();
  const reader = read(stream);
  stream.push('{"n":1}');
  stream.push(Buffer.from('{"n":2}'), true);
  expect(reader.events().map(({ data }) => data)).toEqual(['{"n":1}', '{"n":2}']);
  const ids = reader.events().map(({ id }) => decodeEventId(id ?? '', SESSION));
  expect(ids).toEqual([
    { session: SESSION, stream: { kind: 'call', id: 7 }, epoch: 3, seq: 1, isFinal: false },
    { session: SESSION, stream: { kind: 'call', id: 7 }, epoch: 3, seq: 2, isFinal: true },
  ]);
  expect(reader.answer.ends).toBe(1);
  expect(reader.ends).toEqual(['complete']);
});

test('a reader that left gets exactly what it missed, however often it drops', () => {
  const stream = makeStream();
  const first = read(stream, { isPrimed: true });
  expect(first.seqs()).toEqual([0]);
  first.leave();
  stream.push('1');
  const second = read(stream, { isPrimed: true, after: 0 });
  expect(second.seqs()).toEqual([0, 1]);
  second.leave();
  stream.push('2');
  stream.push('3', true);
  const third = read(stream, { after: 1 });
  expect(third.events().map(({ data }) => data)).toEqual(['2', '3']);
  expect(third.answer.ends).toBe(1);
  expect(stream.hasMoreAfter(2)).toBe(true);
  expect(stream.hasMoreAfter(3)).toBe(false);
});

test('what the ring has lost is told first', () => {
  const stream = makeStream({ maxEvents: 3 });
  for (let n = 1; n <= 10; n++) stream.push(String(n));
  const reader = read(stream, { after: 2 });
  const [gap, ...rest] = reader.events();
  expect(isGap(gap?.data ?? '')).toBe(true);
  expect(rest.map(({ data }) => data)).toEqual(['8', '9', '10']);
  // The id of the gap stands before the first event that follows it.
  expect(reader.seqs()).toEqual([7, 8, 9, 10]);
  const exact = read(stream, { after: 7 });
  expect(exact.events().map(({ data }) => data)).toEqual(['8', '9', '10']);
});

test('bytes are bounded, per stream and over all; the last event always stays', () => {
  const budget = new EventBudget(100);
  const one = makeStream({ budget, maxBytes: 60 });
  const other = makeStream({ budget });
  for (let n = 0; n < 10; n++) one.push('x'.repeat(20));
  expect(budget.bytes).toBeLessThanOrEqual(60);
  other.push('y'.repeat(1000));
  other.push('z'.repeat(1000));
  const reader = read(other, { after: 0 });
  expect(reader.events().at(-1)?.data).toBe('z'.repeat(1000));
  other.forget();
  one.forget();
  expect(budget.bytes).toBe(0);
});

test('streams that are over make room for those that run, the one that ended first before the others', () => {
  const budget = new EventBudget(1000);
  const ended = ['a', 'b', 'c'].map((letter) => {
    const stream = makeStream({ budget });
    stream.push(letter.repeat(300), true);
    return stream;
  });
  const live = makeStream({ budget });
  for (let n = 0; n < 5; n++) live.push(String(n).repeat(100));
  expect(ended.map((stream) => stream.isForgotten)).toEqual([true, true, false]);
  expect(read(live, { after: 0 }).events()).toHaveLength(5);
  expect(read(ended[2] as ResumableStream, { after: 0 }).events()).toHaveLength(1);
  expect(budget.bytes).toBe(800);
  // What is forgotten already is not forgotten again in place of another.
  ended[2]?.forget();
  live.forget();
  expect(budget.bytes).toBe(0);
});

test('a stream that is forgotten gives its reader the rest and what comes, and keeps nothing', () => {
  const budget = new EventBudget();
  const stream = makeStream({ budget });
  const drains: string[] = [];
  stream.onDrain = () => void drains.push('drain');
  const reader = read(stream);
  reader.answer.takes = false;
  stream.push('1');
  stream.push('2');
  stream.forget();
  expect(reader.events().map(({ data }) => data)).toEqual(['1', '2']);
  expect(budget.bytes).toBe(0);
  expect(stream.push('3')).toBe(false);
  reader.answer.drain();
  expect(drains).toEqual(['drain']);
  expect(stream.push('4')).toBe(true);
  stream.push('5', true);
  expect(reader.events().map(({ data }) => data)).toEqual(['1', '2', '3', '4', '5']);
  expect(reader.seqs()).toEqual([1, 2, 3, 4, 5]);
  expect(decodeEventId(reader.events().at(-1)?.id ?? '', SESSION)).toMatchObject({ isFinal: true });
  expect(reader.answer.ends).toBe(1);
  expect(reader.ends).toEqual(['complete']);
  expect(budget.bytes).toBe(0);
});

test('a stream that has ended does not hold its call', () => {
  const stream = makeStream();
  stream.onDrain = () => undefined;
  const reader = read(stream);
  reader.answer.takes = false;
  stream.push('1');
  stream.push('2', true);
  expect(stream.onDrain).toBeUndefined();
});

test('a slow reader gets the rest as it reads; one that falls behind the ring is ended and told when it comes again', () => {
  const stream = makeStream({ maxEvents: 5 });
  let drains = 0;
  stream.onDrain = () => void drains++;
  const slow = read(stream);
  slow.answer.takes = false;
  expect(stream.push('1')).toBe(false);
  expect(stream.push('2')).toBe(false);
  expect(slow.events().map(({ data }) => data)).toEqual(['1']);
  slow.answer.drain();
  expect(slow.events().map(({ data }) => data)).toEqual(['1', '2']);
  expect(drains).toBe(1);

  slow.answer.takes = false;
  for (let n = 3; n <= 20; n++) stream.push(String(n));
  expect(slow.answer.ends).toBe(1);
  expect(slow.ends).toEqual(['slow']);
  expect(drains).toBe(2);
  const again = read(stream, { after: 3 });
  expect(isGap(again.events()[0]?.data ?? '')).toBe(true);
  expect(again.events().at(-1)?.data).toBe('20');
});

describe('a reader that is sent away', () => {
  it('is told for how long, and finds everything when it comes again', () => {
    const away: boolean[] = [];
    const stream = makeStream({ onAway: (isAway) => void away.push(isAway) });
    const first = read(stream, { isPrimed: true });
    stream.push('{"n":1}');
    stream.sendAway(300);
    expect(first.ends).toEqual(['away']);
    expect(first.answer.text.match(/^retry: .*/gm)?.at(-1)).toBe('retry: 300');
    expect([away, stream.isAwaited]).toEqual([[true], true]);
    stream.push('{"n":2}');
    stream.push('{"n":3}', true);
    const second = read(stream, { isPrimed: true, after: 1 });
    expect(second.seqs()).toEqual([1, 2, 3]);
    expect([away, stream.isAwaited]).toEqual([[true, false], false]);
  });

  it('is asked to come before what is kept for it is dropped', () => {
    const stream = makeStream();
    const reader = read(stream, { isPrimed: true });
    stream.sendAway(3_600_000);
    expect(reader.answer.text.match(/^retry: .*/gm)?.at(-1)).toBe('retry: 20000');
  });

  it('is no longer waited for when the stream is forgotten', () => {
    const away: boolean[] = [];
    const stream = makeStream({ onAway: (isAway) => void away.push(isAway) });
    read(stream, { isPrimed: true });
    stream.sendAway(300);
    stream.forget();
    stream.forget();
    expect(away).toEqual([true, false]);
  });

  it.each<[string, (stream: ResumableStream, budget: EventBudget) => void, boolean]>([
    ['has no id to come again with', () => undefined, false],
    ['would find nothing kept', (stream) => stream.forget(), true],
    ['might find that memory is short', (_stream, budget) => budget.add(51), true],
  ])('stays where it %s', (_why, prepare, isPrimed) => {
    const budget = new EventBudget(100);
    const stream = makeStream({ budget });
    const reader = read(stream, { isPrimed });
    prepare(stream, budget);
    stream.sendAway(300);
    expect(reader.ends).toEqual([]);
    stream.push('{"n":1}', true);
    expect(reader.events().at(-1)?.data).toBe('{"n":1}');
  });
});

describe('a reader that takes nothing', () => {
  const STALL_MS = 30_000;

  function blocked(options: Partial<ResumableStreamOptions> = {}) {
    const clock = new FakeClock();
    const told: string[] = [];
    const readers = new Readers({ clock, onEnded: (_facts, how) => void told.push(how) });
    const stream = makeStream({ readers, ...options });
    const reader = read(stream);
    reader.answer.takes = false;
    stream.push('1');
    return { clock, readers, told, stream, reader };
  }

  test('for 30 s is ended in order; the stream goes on without it and gives it everything when it comes again', () => {
    const { clock, readers, told, stream, reader } = blocked();
    let drains = 0;
    stream.onDrain = () => void drains++;
    stream.push('2');
    clock.advance(STALL_MS - 1000);
    expect([reader.answer.ends, drains]).toEqual([0, 0]);
    clock.advance(1500);
    expect([reader.answer.ends, drains]).toEqual([1, 1]);
    expect(reader.ends).toEqual(['slow']);
    // Whoever pushes is held up no more.
    expect(stream.push('3', true)).toBe(true);
    const again = read(stream, { after: 1 });
    expect(again.events().map(({ data }) => data)).toEqual(['2', '3']);
    expect(told).toEqual(['slow', 'complete']);
    expect([readers.open, readers.blocked, clock.pendingTimers]).toEqual([0, 0, 0]);
  });

  test('for a while, again and again, is left alone', () => {
    const { clock, stream, reader } = blocked();
    for (let n = 2; n < 10; n++) {
      clock.advance(STALL_MS - 1000);
      reader.answer.drain();
      reader.answer.takes = false;
      stream.push(String(n));
    }
    expect(reader.answer.ends).toBe(0);
    expect(reader.events()).toHaveLength(9);
  });

  test('has its end waiting for it as well, and then no longer', () => {
    const { clock, stream, reader } = blocked();
    stream.push('2', true);
    expect(reader.events().map(({ data }) => data)).toEqual(['1']);
    reader.answer.drain();
    expect(reader.events().map(({ data }) => data)).toEqual(['1', '2']);
    expect(reader.ends).toEqual(['complete']);

    const late = blocked();
    late.stream.push('2', true);
    late.clock.advance(STALL_MS + 1000);
    expect(late.reader.ends).toEqual(['slow']);
    expect(late.stream.hasMoreAfter(1)).toBe(true);
    expect(clock.pendingTimers).toBeLessThanOrEqual(1);
  });

  test('loses nothing to the end of its stream, however large that is', () => {
    const { stream, reader } = blocked({ maxBytes: 1000 });
    stream.push('2'.repeat(900));
    stream.push('3'.repeat(5000), true);
    reader.answer.drain();
    expect(reader.events().map(({ data }) => data.length)).toEqual([1, 900, 5000]);
    expect(reader.ends).toEqual(['complete']);
  });

  test('is not waited for where memory runs out', () => {
    const budget = new EventBudget(1000);
    const { stream, reader } = blocked({ budget });
    stream.push('2'.repeat(800), true);
    const other = makeStream({ budget });
    other.push('x'.repeat(900));
    expect(reader.ends).toEqual(['slow']);
    // Nothing of it was put where nobody counts it.
    expect(reader.answer.text).not.toContain('222');
    expect(stream.isForgotten).toBe(true);
    expect(budget.bytes).toBe(900);
  });

  test('tells whoever reads for others as well that he should wait, before it is too late', () => {
    const { stream, reader } = blocked({ maxEvents: 100 });
    expect(stream.isNearBound).toBe(false);
    for (let n = 0; n < 26; n++) stream.push('x');
    expect(stream.isNearBound).toBe(true);
    reader.answer.drain();
    expect(stream.isNearBound).toBe(false);
    // What it has read already may fill the ring.
    for (let n = 0; n < 200; n++) stream.push('x');
    reader.answer.takes = false;
    stream.push('y');
    expect(stream.isNearBound).toBe(false);
    stream.push('y'.repeat(300_000));
    expect(stream.isNearBound).toBe(true);
  });

  test('of a stream that is forgotten gets what comes up to a bound, then its end', () => {
    const { stream, reader } = blocked({ maxBytes: 1000 });
    stream.forget();
    for (let n = 0; n < 9; n++) stream.push('x'.repeat(100));
    expect(reader.answer.ends).toBe(0);
    reader.answer.drain();
    reader.answer.takes = false;
    for (let n = 0; n < 20; n++) stream.push('y'.repeat(100));
    expect(reader.ends).toEqual(['slow']);
    expect(reader.events().length).toBeLessThan(25);
  });

  test('is not blamed for the time in which this process was stopped', () => {
    const { clock, reader } = blocked();
    clock.jump(10 * STALL_MS);
    clock.advance(1000);
    expect(reader.answer.ends).toBe(0);
    clock.advance(STALL_MS);
    expect(reader.answer.ends).toBe(1);
  });
});

test('who reads is counted, and each end told once with its reason', () => {
  const told: string[] = [];
  const readers = new Readers({
    clock: new FakeClock(),
    onOpened: ({ isGet }) => void told.push(isGet ? 'GET' : 'POST'),
    onEnded: (_facts, how) => void told.push(how),
  });
  const stream = makeStream({ readers });
  const gone = read(stream);
  expect(readers.open).toBe(1);
  gone.leave();
  gone.leave();
  read(stream);
  const last = read(stream);
  expect(readers.open).toBe(1);
  stream.move();
  stream.end();
  last.leave();
  read(stream);
  stream.push('1', true);
  stream.end();
  expect(told).toEqual(['GET', 'left', 'GET', 'replaced', 'GET', 'moved', 'GET', 'complete']);
  expect(readers.open).toBe(0);
});

test('the newest reader wins, and the one before ends cleanly', () => {
  const stream = makeStream();
  const [first, second] = [read(stream), read(stream)];
  expect(first.answer.ends).toBe(1);
  stream.push('1');
  expect(first.events()).toEqual([]);
  expect(second.events().map(({ data }) => data)).toEqual(['1']);
  first.leave();
  stream.push('2');
  expect(second.events()).toHaveLength(2);
});

test('a stream that moves leaves its answer open and says where it was', () => {
  const stream = makeStream({ name: { kind: 'standalone' } });
  const reader = read(stream);
  reader.answer.takes = false;
  stream.push('1');
  stream.push('2');
  stream.move();
  expect(reader.ends).toEqual(['moved']);
  expect(reader.answer.finished).toBe(false);
  expect(decodeEventId(reader.exchange.resumeAfter ?? '', SESSION)).toMatchObject({ seq: 2, stream: { kind: 'standalone' } });
});

describe('an event id', () => {
  const id = { session: SESSION, stream: { kind: 'call', id: 'a "b"' }, epoch: 2, seq: 5, isFinal: true } as const;

  it('survives the way', () => {
    expect(decodeEventId(encodeEventId(id), SESSION)).toEqual(id);
    const standalone = { ...id, stream: { kind: 'standalone' } } as const;
    expect(decodeEventId(encodeEventId(standalone), SESSION)).toEqual(standalone);
  });

  it.each([
    ['of another session', encodeEventId({ ...id, session: 'zzzzzzzzzzzzzzzzzzzzzz' })],
    ['of nobody', 'x'],
    ['empty', ''],
    ['with a negative number', Buffer.from('["abcdefgh",-1,0,0]').toString('base64url')],
    ['with too much', Buffer.from('["abcdefgh",1,0,0,7,8]').toString('base64url')],
    ['with an object for a request', Buffer.from('["abcdefgh",1,0,0,{}]').toString('base64url')],
    ['endless', 'A'.repeat(100_000)],
  ])('%s is none of ours', (_name, text) => {
    expect(decodeEventId(text, SESSION)).toBeUndefined();
  });
});

describe('what an edge knows of the bytes it passes on', () => {
  const text = 'retry: 4000\n\nid: a\ndata: \n\n: keep-alive\n\nid: b\ndata: {"x":"id: no"}\n\nid: c\ndata: {}\n\n';

  it.each([1, 2, 3, 5, 7, 1000])('is the id of the last whole event, in parts of %i bytes', (size) => {
    for (let end = 1; end <= text.length; end++) {
      const last = new LastEventId();
      for (let at = 0; at < end; at += size) last.push(Buffer.from(text.slice(at, Math.min(end, at + size))));
      const whole = text.slice(0, text.slice(0, end).lastIndexOf('\n\n') + 2);
      const expected = whole
        .match(/^id: (.*)$/gm)
        ?.at(-1)
        ?.slice(4);
      expect([end, last.value]).toEqual([end, expected]);
    }
  });
});

describe('how far the backends are', () => {
  const marked = (stream: ResumableStream, count: number, from = 1) => {
    for (let n = from; n < from + count; n++) {
      stream.marks = `.m~1~${n}`;
      stream.push(`{"n":${n}}`);
    }
  };
  const marksOfIds = (reader: ReturnType<typeof read>) =>
    reader.events().map(({ id }) => decodeEventId(id ?? '', SESSION)?.marks);

  test('stands in the id of each event as it was then, also of events that come late', () => {
    const stream = makeStream();
    marked(stream, 2);
    stream.push('{"own":1}');
    const reader = read(stream, { isPrimed: true, after: 0 });
    expect(marksOfIds(reader)).toEqual([undefined, '.m~1~1', '.m~1~2', '.m~1~2']);
    stream.marks = '.m~1~3';
    stream.push('{"last":1}', true);
    // Nobody comes again behind the end.
    expect(marksOfIds(reader).at(-1)).toBeUndefined();
  });

  test('is known of the event before the ring, whatever emptied it', () => {
    const stream = makeStream({ maxEvents: 2 });
    marked(stream, 4);
    expect(stream.findMarks('.m~1~2')).toBe(2);
    expect(stream.findMarks('.m~1~1')).toBeUndefined();
    expect(stream.findMarks('')).toBeUndefined();
    stream.clear();
    expect(marksOfIds(read(stream, { isPrimed: true }))).toEqual(['.m~1~4']);
    stream.marks = '.m~1~5';
    stream.skip();
    expect(marksOfIds(read(stream, { isPrimed: true }))).toEqual(['.m~1~5']);
    expect(stream.holdsAfter(4)).toBe(false);
    expect(stream.holdsAfter(5)).toBe(true);
  });

  test('tells whether the ring holds what no backend can be asked for again', () => {
    const stream = makeStream();
    marked(stream, 2);
    expect(stream.holdsUnmarked).toBe(false);
    stream.push('{"own":1}');
    expect(stream.holdsUnmarked).toBe(true);
    stream.rewind('.m~1~1');
    expect(stream.holdsUnmarked).toBe(false);
    const reader = read(stream, { isPrimed: true });
    marked(stream, 1, 2);
    expect(marksOfIds(reader)).toEqual(['.m~1~1', '.m~1~2']);
    expect(reader.events().some(({ data }) => data !== '' && isGap(data))).toBe(false);
  });

  test('a stream that nobody remembers passes it on all the same', () => {
    const stream = makeStream();
    const reader = read(stream);
    stream.forget();
    marked(stream, 2);
    expect(marksOfIds(reader)).toEqual(['.m~1~1', '.m~1~2']);
  });

  test('an edge reads it, however the bytes are cut', () => {
    const marks = `.${'m'.repeat(1000)}`;
    const id = encodeEventId({
      session: SESSION,
      stream: { kind: 'call', id: 'x'.repeat(500) },
      epoch: 1,
      seq: 1,
      isFinal: false,
      marks,
    });
    const bytes = Buffer.from(`id: ${id}\ndata: ${'x'.repeat(5000)}\n\n`);
    for (const size of [1, 7, 1000, 1500, 4096]) {
      const last = new LastEventId();
      for (let at = 0; at < bytes.length; at += size) last.push(bytes.subarray(at, at + size));
      expect(last.value).toBe(id);
    }
  });
});
