import fc from 'fast-check';
import { formatEvent, type SseEvent, SseEventTooLarge, SseScanner } from '../../../src/protocol/sse.js';

function scan(chunks: readonly Buffer[]): SseEvent[] {
  const scanner = new SseScanner();
  const events: SseEvent[] = [];
  for (const chunk of chunks) {
    scanner.push(chunk);
    for (let event = scanner.next(); event; event = scanner.next()) events.push(event);
  }
  return events;
}

const dataOf = (events: readonly SseEvent[]) => events.map((e) => e.data.toString());
const scanText = (text: string) => scan([Buffer.from(text)]);

describe('the event scanner', () => {
  test.each([
    ['LF', 'data: {"a":1}\n\ndata: 2\n\n'],
    ['CRLF', 'data: {"a":1}\r\n\r\ndata: 2\r\n\r\n'],
    ['CR', 'data: {"a":1}\r\rdata: 2\r\r'],
    ['no space after the colon', 'data:{"a":1}\n\ndata:2\n\n'],
    ['mixed line ends', 'data:{"a":1}\r\n\ndata: 2\n\r\n'],
    ['comments between', ': hi\ndata:{"a":1}\n: there\n\n:\n\ndata: 2\n\n'],
    ['a byte order mark', '\ufeffdata:{"a":1}\n\ndata: 2\n\n'],
    ['unknown fields', 'dat: x\ndatabase: y\ndata:{"a":1}\n\ndata: 2\n\n'],
  ])('reads %s', (_name, text) => {
    expect(dataOf(scanText(text))).toEqual(['{"a":1}', '2']);
  });

  test('joins several data lines by LF and keeps only one leading space off', () => {
    expect(dataOf(scanText('data: {\ndata:  "a":1\ndata\ndata: }\n\n'))).toEqual(['{\n "a":1\n\n}']);
  });

  test('takes the id before or after the data, the type and the retry', () => {
    const [first, second] = scanText('id: 1\nevent: message\ndata: x\n\ndata: y\nretry: 250\nid:2\n\n');
    expect(first).toMatchObject({ id: '1', event: 'message', retryMs: undefined });
    expect(second).toMatchObject({ id: '2', event: undefined, retryMs: 250 });
  });

  test('shows a priming event as an event with empty data', () => {
    const [event] = scanText('id: p1\ndata: \n\n');
    expect(event?.id).toBe('p1');
    expect(event?.data.length).toBe(0);
  });

  test('ignores an id with a NUL and a retry that is no number', () => {
    expect(scanText('id: a\0b\nretry: 1s\ndata: x\n\n')[0]).toMatchObject({ id: undefined, retryMs: undefined });
  });

  test('does not carry a type over a blank line', () => {
    expect(scanText('event: other\n\ndata: x\n\n')[0]?.event).toBeUndefined();
  });

  test('hands an event out as soon as the CR of its blank line came', () => {
    const scanner = new SseScanner();
    scanner.push(Buffer.from('data: x\r\r'));
    expect(scanner.next()?.data.toString()).toBe('x');
    scanner.push(Buffer.from('\ndata: y\n\n'));
    expect(scanner.next()?.data.toString()).toBe('y');
  });

  test('gives what an event without its blank line holds at the end only', () => {
    const scanner = new SseScanner();
    scanner.push(Buffer.from('data: x\n'));
    scanner.push(Buffer.from('data: y'));
    expect(scanner.next()).toBeUndefined();
    expect(scanner.finish()?.data.toString()).toBe('x\ny');
    expect(scanner.finish()).toBeUndefined();
  });

  test('bounds an unfinished event, whether it is one line or many', () => {
    const one = new SseScanner(100);
    one.push(Buffer.from(`data: ${'x'.repeat(200)}`));
    expect(() => one.next()).toThrow(SseEventTooLarge);
    const many = new SseScanner(100);
    many.push(Buffer.from('data: 0123456789\n'.repeat(11)));
    expect(() => many.next()).toThrow(SseEventTooLarge);
    const fitting = new SseScanner(100);
    for (const piece of [`data: ${'x'.repeat(40)}`, 'x'.repeat(40), '\n\n']) {
      fitting.push(Buffer.from(piece));
      const event = fitting.next();
      if (event) expect(event.data.length).toBe(80);
    }
  });

  test('counts lines as well as bytes: empty data lines without end are not kept without end', () => {
    const scanner = new SseScanner(1000);
    scanner.push(Buffer.from('data:\n'.repeat(15)));
    expect(scanner.next()).toBeUndefined();
    scanner.push(Buffer.from('data:\n'.repeat(5)));
    expect(() => scanner.next()).toThrow(SseEventTooLarge);
  });

  test('an event of one line may have all the bytes of the limit, again and again', () => {
    const scanner = new SseScanner(100);
    for (let i = 0; i < 3; i++) {
      scanner.push(Buffer.from(`data: ${'x'.repeat(94)}\n\n`));
      expect(scanner.next()?.data.length).toBe(94);
    }
  });

  test('finds the same events however the bytes are cut', () => {
    const lineEnd = fc.constantFrom('\n', '\r\n', '\r');
    const line = fc.string({ unit: 'grapheme', maxLength: 20 }).map((text) => text.replace(/[\r\n\0]/g, ' '));
    const event = fc.record({ data: fc.array(line, { minLength: 1, maxLength: 3 }), id: fc.option(line), end: lineEnd });
    fc.assert(
      fc.property(fc.array(event, { maxLength: 6 }), fc.array(fc.nat(7), { minLength: 1 }), (events, cuts) => {
        const text = events
          .map((e) => {
            const id = e.id === null ? '' : `id: ${e.id}${e.end}`;
            return `${id}${e.data.map((d) => `data: ${d}${e.end}`).join('')}${e.end}`;
          })
          .join('');
        const bytes = Buffer.from(text);
        const chunks: Buffer[] = [];
        for (let pos = 0, i = 0; pos < bytes.length; i++) {
          const next = pos + 1 + (cuts[i % cuts.length] as number);
          chunks.push(bytes.subarray(pos, next));
          pos = next;
        }
        const found = scan(chunks);
        expect(dataOf(found)).toEqual(events.map((e) => e.data.join('\n')));
        expect(found.map((e) => e.id ?? null)).toEqual(events.map((e) => e.id));
      }),
    );
  });
});

describe('the event formatter', () => {
  test('writes id, type, retry and data', () => {
    expect(formatEvent({ id: '7', event: 'message', retryMs: 40, data: '{}' })).toBe(
      'event: message\nid: 7\nretry: 40\ndata: {}\n\n',
    );
    expect(formatEvent({ id: '7', data: '' })).toBe('id: 7\ndata: \n\n');
    expect(formatEvent({ retryMs: 40 })).toBe('retry: 40\n\n');
  });

  test('writes bytes and text alike, also with line breaks in them, and the scanner gives them back', () => {
    for (const data of ['{"a":"ü"}', '{\n"a":\r\n1}', 'x\ry', '']) {
      const fromText = Buffer.from(formatEvent({ id: 'ä', data }));
      const fromBytes = Buffer.from(formatEvent({ id: 'ä', data: Buffer.from(data) }));
      expect(fromBytes.equals(fromText)).toBe(true);
      const [event] = scan([fromText]);
      expect(event?.id).toBe('ä');
      expect(event?.data.toString()).toBe(data.replace(/\r\n|\r/g, '\n'));
    }
  });
});
