// What a ring remembers: numbers without a gap, bytes that add up, and how far the backends were with each event.
import { EventBudget } from '../../../src/streams/event-budget.js';
import { EventRing } from '../../../src/streams/event-ring.js';

/** With what only streams do to it. */
class Ring extends EventRing {
  override append(json: Buffer | string): number {
    return super.append(json);
  }
  override dropFirst(): boolean {
    return super.dropFirst();
  }
  override eventAt(seq: number): Buffer | string {
    return super.eventAt(seq);
  }
  override marksAt(seq: number): string {
    return super.marksAt(seq);
  }
  override bytesAfter(seq: number): number {
    return super.bytesAfter(seq);
  }
  override exceeds(maxBytes: number, maxEvents: number): boolean {
    return super.exceeds(maxBytes, maxEvents);
  }
}

function makeRing(...events: string[]) {
  const budget = new EventBudget();
  const ring = new Ring(budget);
  for (const event of events) ring.append(event);
  return { ring, budget };
}

test('events are numbered from 1, whatever has gone', () => {
  const { ring } = makeRing('a', 'b', 'c');
  expect(ring.lastSeq).toBe(3);
  expect(ring.dropFirst()).toBe(true);
  ring.append('d');
  expect([2, 3, 4].map((seq) => ring.eventAt(seq))).toEqual(['b', 'c', 'd']);
  expect([0, 1, 4].map((seq) => ring.holdsAfter(seq))).toEqual([false, true, true]);
});

test('the last event stays', () => {
  const { ring } = makeRing('a', 'b');
  expect([ring.dropFirst(), ring.dropFirst()]).toEqual([true, false]);
  expect(ring.eventAt(2)).toBe('b');
  expect(makeRing().ring.dropFirst()).toBe(false);
});

test('the budget knows every byte, marks among them, and gets all of them back', () => {
  const { ring, budget } = makeRing('aaaa');
  ring.marks = 'mm';
  expect(ring.append('bbb')).toBe(3);
  expect(budget.bytes).toBe(9);
  expect([ring.bytesAfter(-5), ring.bytesAfter(0), ring.bytesAfter(1), ring.bytesAfter(2)]).toEqual([7, 7, 3, 0]);
  expect([ring.exceeds(9, 2), ring.exceeds(8, 2), ring.exceeds(9, 1)]).toEqual([false, true, true]);
  ring.dropFirst();
  expect(budget.bytes).toBe(5);
  ring.clear();
  expect(budget.bytes).toBe(0);
  expect(ring.holdsEvents).toBe(false);
});

test('text is counted in bytes, not in characters', () => {
  const { ring, budget } = makeRing('漢字');
  expect(ring.append('é😀')).toBe(6);
  expect(budget.bytes).toBe(12);
  expect([ring.bytesAfter(0), ring.exceeds(11, 9), ring.exceeds(12, 9)]).toEqual([12, true, false]);
  ring.dropFirst();
  expect(budget.bytes).toBe(6);
});

test('a small view of a large chunk is copied: it would keep all of it', () => {
  const { ring } = makeRing();
  const chunk = Buffer.from(new ArrayBuffer(1000));
  ring.append(chunk.subarray(0, 10));
  ring.append(chunk.subarray(0, 600));
  expect((ring.eventAt(1) as Buffer).buffer).not.toBe(chunk.buffer);
  expect((ring.eventAt(2) as Buffer).buffer).toBe(chunk.buffer);
});

test('what nobody will get has a number all the same', () => {
  const { ring } = makeRing('a');
  ring.skip();
  expect(ring.lastSeq).toBe(2);
  expect([ring.holdsAfter(1), ring.holdsAfter(2)]).toEqual([false, true]);
});

test('how far the backends were stays known of the event that went last', () => {
  const { ring } = makeRing();
  for (const marks of ['m1', 'm2', 'm3']) {
    ring.marks = marks;
    ring.append('x');
  }
  ring.dropFirst();
  ring.dropFirst();
  expect([1, 2, 3, 4].map((seq) => ring.marksAt(seq))).toEqual(['', 'm2', 'm3', '']);
  expect(['m1', 'm2', 'm3', ''].map((marks) => ring.findMarks(marks))).toEqual([undefined, 2, 3, undefined]);
  ring.clear();
  expect(ring.findMarks('m3')).toBe(3);
});

test('an event that moved no mark cannot be asked for again', () => {
  const { ring } = makeRing();
  ring.rewind('m1');
  ring.marks = 'm2';
  ring.append('marked');
  expect(ring.holdsUnmarked).toBe(false);
  ring.append('beside');
  expect(ring.holdsUnmarked).toBe(true);
});
