// The decoder: any portions give the same frames, and a bad length is found before its payload is kept.
import fc from 'fast-check';
import { detachSmall, FRAME, FrameDecoder, writeFrameHead } from '../../../src/forward/frames.js';
import { MAX_DATA_BYTES, MAX_HEAD_BYTES } from '../../../src/forward/limits.js';

interface Frame {
  type: number;
  id: number;
  payload: Buffer;
}

function encode({ type, id, payload }: Frame, length = payload.length): Buffer {
  const bytes = Buffer.alloc(8 + payload.length);
  writeFrameHead(bytes, 0, type, id, length);
  payload.copy(bytes, 8);
  return bytes;
}

/** DATA of one stream joined, since its borders mean nothing. */
function decode(portions: Buffer[]): { frames: string[]; fault: string | undefined } {
  const frames: string[] = [];
  let data = '';
  const flush = () => {
    if (data) frames.push(data);
    data = '';
  };
  const decoder = new FrameDecoder({
    onFrame: (type, id, payload) => {
      flush();
      frames.push(`${type}/${id}/${payload.toString('hex')}`);
    },
    onData: (id, part) => {
      if (!data.startsWith(`3/${id}/`)) {
        flush();
        data = `3/${id}/`;
      }
      data += part.toString('hex');
    },
  });
  for (const portion of portions) {
    const fault = decoder.push(portion);
    if (fault) return { frames, fault };
  }
  flush();
  return { frames, fault: undefined };
}

const payloadOf: Record<number, [number, number]> = {
  1: [2, 60],
  2: [2, 300],
  3: [1, 900],
  4: [0, 0],
  5: [1, 1],
  6: [4, 4],
  7: [1, 1],
  8: [4, 4],
};
const anyFrame: fc.Arbitrary<Frame> = fc.constantFrom(1, 2, 3, 4, 5, 6, 7, 8).chain((type) => {
  const [min, max] = payloadOf[type] as [number, number];
  const ofStream = ![FRAME.HELLO, FRAME.PING, FRAME.GOAWAY].includes(type as never);
  return fc.record({
    type: fc.constant(type),
    id: ofStream ? fc.integer({ min: 1, max: 0xffffffff }) : fc.constant(0),
    payload: fc.uint8Array({ minLength: min, maxLength: max }).map((bytes) => Buffer.from(bytes)),
  });
});

test('frames survive any cutting', () => {
  fc.assert(
    fc.property(fc.array(anyFrame, { maxLength: 12 }), fc.array(fc.integer({ min: 1, max: 40 })), (frames, sizes) => {
      const bytes = Buffer.concat(frames.map((frame) => encode(frame)));
      const portions: Buffer[] = [];
      for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
        const size = sizes.length ? (sizes[turn % sizes.length] as number) : bytes.length;
        portions.push(bytes.subarray(at, at + size));
        at += size;
      }
      expect(decode(portions)).toEqual(decode([bytes]));
      expect(decode([bytes]).fault).toBeUndefined();
    }),
  );
});

test('bytes of anybody never throw, and never make more than they are', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 64 })), (portions) => {
      decode(portions.map((bytes) => Buffer.from(bytes)));
    }),
  );
});

test.each([
  ['an unknown type', 0, 1, 0, 'frame_type'],
  ['an unknown type', 9, 1, 0, 'frame_type'],
  ['DATA over the limit', FRAME.DATA, 1, MAX_DATA_BYTES + 1, 'frame_length'],
  ['empty DATA', FRAME.DATA, 1, 0, 'frame_length'],
  ['HEAD over the limit', FRAME.HEAD, 1, MAX_HEAD_BYTES + 1, 'frame_length'],
  ['HELLO over the limit', FRAME.HELLO, 0, 1025, 'frame_length'],
  ['the greatest length', FRAME.HEAD, 1, 0xffffff, 'frame_length'],
  ['END with a payload', FRAME.END, 1, 1, 'frame_length'],
  ['CREDIT cut short', FRAME.CREDIT, 1, 3, 'frame_length'],
  ['DATA without a stream', FRAME.DATA, 0, 5, 'frame_stream'],
  ['PING on a stream', FRAME.PING, 4, 1, 'frame_stream'],
])('%s is found in the frame head (type %i)', (_name, type, id, length, fault) => {
  const head = encode({ type, id, payload: Buffer.alloc(0) }, length);
  expect(decode([head]).fault).toBe(fault);
  expect(decode([...head].map((byte) => Buffer.from([byte]))).fault).toBe(fault);
});

test('nothing is delivered after stop, also from the portion at hand', () => {
  const seen: number[] = [];
  const decoder: FrameDecoder = new FrameDecoder({
    onFrame: (_type, id) => {
      seen.push(id);
      decoder.stop();
    },
    onData: () => {},
  });
  const end = (id: number) => encode({ type: FRAME.END, id, payload: Buffer.alloc(0) });
  decoder.push(Buffer.concat([end(1), end(2)]));
  decoder.push(end(3));
  expect(seen).toEqual([1]);
});

test('a small part that is kept does not keep its read buffer', () => {
  const slab = Buffer.alloc(64 * 1024);
  expect(detachSmall(slab.subarray(10, 20)).buffer.byteLength).toBeLessThan(slab.length);
  expect(detachSmall(slab.subarray(0, 40_000)).buffer).toBe(slab.buffer);
});
