import fc from 'fast-check';
import { LineSplitter } from '../../../src/streams/line-splitter.js';

function split(chunks: readonly Buffer[], maxBytes = 1000, onTooLong: 'cut' | (() => void) = 'cut'): string[] {
  const lines: string[] = [];
  const splitter = new LineSplitter({ maxBytes, onTooLong }, (line) => void lines.push(line.toString()));
  for (const chunk of chunks) splitter.push(chunk);
  splitter.finish();
  return lines;
}

test('lines come out whole wherever the chunks were cut', () => {
  fc.assert(
    fc.property(
      fc.array(fc.string({ unit: 'grapheme' }).map((s) => s.replace(/[\r\n]/g, ''))),
      fc.array(fc.nat(50)),
      (lines, cuts) => {
        const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(''));
        const chunks: Buffer[] = [];
        let start = 0;
        for (const cut of cuts) {
          chunks.push(bytes.subarray(start, start + cut));
          start += cut;
        }
        chunks.push(bytes.subarray(start));
        expect(split(chunks, 100_000)).toEqual(lines);
      },
    ),
  );
});

test('CRLF ends a line as well, and a last line needs no end', () => {
  expect(split([Buffer.from('a\r\n\r\nb\r'), Buffer.from('\nc')])).toEqual(['a', '', 'b', 'c']);
});

test('a line beyond the bound is cut, and the next one is whole again', () => {
  expect(split([Buffer.from('123'), Buffer.from('456789'), Buffer.from('0\nab\n')], 5)).toEqual(['12345', 'ab']);
});

test('or it ends the splitting: nothing after it is given', () => {
  const onTooLong = jest.fn();
  expect(split([Buffer.from('ab\n123456'), Buffer.from('\ncd\n')], 5, onTooLong)).toEqual(['ab']);
  expect(onTooLong).toHaveBeenCalledTimes(1);
});

test('a longer line can be skipped: its ends are told in its place, the next one is read', () => {
  const told: string[] = [];
  const skip = (head: Buffer, tail: Buffer) => void told.push(`${head.length}:${head[0]} ${tail.length}:${tail.at(-1)}`);
  const splitter = new LineSplitter({ maxBytes: 3000, onTooLong: { skip } }, (line) => void told.push(line.toString()));
  const long = Buffer.concat([Buffer.alloc(2500, 1), Buffer.alloc(2500, 2)]);
  for (const size of [1, 7, 1000, 6000]) {
    const bytes = Buffer.concat([Buffer.from('a\n'), long, Buffer.from('\nb\n'), long]);
    for (let at = 0; at < bytes.length; at += size) splitter.push(bytes.subarray(at, at + size));
    splitter.push(Buffer.from('\n'));
  }
  expect(told).toEqual(Array.from({ length: 4 }, () => ['a', '1024:1 1024:2', 'b', '1024:1 1024:2']).flat());
});

test('it can be paused within a chunk, and goes on where it was', () => {
  const lines: string[] = [];
  const splitter: LineSplitter = new LineSplitter({ maxBytes: 1000, onTooLong: 'cut' }, (line) => {
    lines.push(line.toString());
    if (lines.length % 2 === 0) splitter.pause();
  });
  splitter.push(Buffer.from('1\n2\n3\n4\n5'));
  expect(lines).toEqual(['1', '2']);
  splitter.push(Buffer.from('5\n6'));
  expect(lines).toHaveLength(2);
  expect(splitter.resume()).toBe(false);
  expect(lines).toEqual(['1', '2', '3', '4']);
  expect(splitter.resume()).toBe(true);
  splitter.push(Buffer.from('6\n'));
  expect(lines).toEqual(['1', '2', '3', '4', '55', '66']);
  expect(splitter.resume()).toBe(true);
});
