// Who reads slowly, or not at all, is sent away before what it lacks fills the memory, and told how to come again.
import { EventBudget } from '../../../src/streams/event-budget.js';
import type { ResumableStream, ResumableStreamOptions } from '../../../src/streams/resumable-stream.js';
import { Readers } from '../../../src/streams/readers.js';
import { FakeClock } from '../../support/fake-clock.js';
import { makeStream, read } from './stream-fixture.js';

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
