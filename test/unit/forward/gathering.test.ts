// Large bodies get all their room or wait for it, in order.
import { Gathering } from '../../../src/forward/gathering.js';
import type { HopStream } from '../../../src/forward/stream.js';

test('first come, first served; a body larger than all room still gets in alone', () => {
  const gathering = new Gathering(10);
  const log: string[] = [];
  const stream = () => ({}) as HopStream;
  const [a, b, c, d] = [stream(), stream(), stream(), stream()] as const;
  gathering.admit(a, 6, () => log.push('a'));
  gathering.admit(b, 20, () => log.push('b'));
  gathering.admit(c, 2, () => log.push('c'));
  gathering.admit(d, 2, () => log.push('d'));
  expect(log).toEqual(['a']);
  gathering.release(c);
  gathering.release(a);
  expect(log).toEqual(['a', 'b']);
  gathering.release(b);
  gathering.release(b);
  expect(log).toEqual(['a', 'b', 'd']);
});
