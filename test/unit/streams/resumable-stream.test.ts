// What a reader gets of a stream: everything from where it was, once, in order, or a told gap.
import { EventBudget } from '../../../src/streams/event-budget.js';
import { decodeEventId } from '../../../src/streams/event-id.js';
import type { ResumableStream } from '../../../src/streams/resumable-stream.js';
import { Readers } from '../../../src/streams/readers.js';
import { FakeClock } from '../../support/fake-clock.js';
import { isGap, makeStream, read, SESSION } from './stream-fixture.js';

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

test('a gap that the memory cannot tell again comes with the first id: no cut between the two hides it', () => {
  const gaps: unknown[] = [];
  const stream = makeStream({ readers: new Readers({ clock: new FakeClock(), onGap: (facts) => void gaps.push(facts) }) });
  stream.push('1');
  const reader = read(stream, { isPrimed: true, hasGap: true });
  expect(reader.events().map(({ data }) => isGap(data))).toEqual([true]);
  expect(reader.seqs()).toEqual([1]);
  // The log says it too, once.
  expect(gaps).toEqual([{ session: SESSION, name: { kind: 'call', id: 7 }, isGet: true }]);
  reader.leave();
  const again = read(stream, { isPrimed: true, after: 1 });
  stream.push('2');
  expect(again.events().map(({ data }) => data)).toEqual(['', '2']);
  expect(gaps).toHaveLength(1);
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

test.each(['x', '漢'])('of text of %s as many bytes wait for a reader as it was not given', (character) => {
  const stream = makeStream({ maxBytes: 1200 });
  const reader = read(stream);
  reader.answer.takes = false;
  stream.push('{}');
  stream.push(JSON.stringify(character.repeat(300 / Buffer.byteLength(character))));
  expect(stream.isNearBound).toBe(true);
  reader.answer.takes = true;
  reader.answer.drain();
  reader.answer.takes = false;
  stream.push('{}');
  stream.push(JSON.stringify(character.repeat(270 / Buffer.byteLength(character))));
  expect(stream.isNearBound).toBe(false);
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
