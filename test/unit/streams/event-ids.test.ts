// Ids of events: what they say survives the way over edges and backends, and nothing else is believed.
import { decodeEventId, encodeEventId } from '../../../src/streams/event-id.js';
import { LastEventId } from '../../../src/streams/last-event-id.js';
import type { ResumableStream } from '../../../src/streams/resumable-stream.js';
import { isGap, makeStream, read, SESSION } from './stream-fixture.js';

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
