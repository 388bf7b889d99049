// What is left of a batch when the stream that answers it breaks off.
import { UnansweredIds } from '../../../src/streams/unanswered-ids.js';

const event = (id: unknown, more = '') => `data: ${JSON.stringify({ jsonrpc: '2.0', id, result: { more } })}\n\n`;
const PROGRESS = 'data: {"jsonrpc":"2.0","method":"notifications/progress","params":{}}\n\n';

function left(text: string, step = text.length): readonly unknown[] | undefined {
  const unanswered = new UnansweredIds([1, '1', 'a']);
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += step) unanswered.push(bytes.subarray(at, at + step));
  return unanswered.finish();
}

it('each response takes its id, and no other', () => {
  expect(left('')).toEqual([1, '1', 'a']);
  expect(left(`retry: 4000\n\n${PROGRESS}: keep-alive\n\n${event('1')}`)).toEqual([1, 'a']);
  expect(left(event(1) + event('1') + event('a'))).toEqual([]);
});

it('however the parts are cut', () => {
  const text = PROGRESS + event('a', 'grüße'.repeat(50)) + event(1);
  for (const step of [1, 2, 3, 7, 64]) expect(left(text, step)).toEqual(['1']);
});

it('a request of a server with the same id is no answer', () => {
  expect(left('data: {"jsonrpc":"2.0","id":1,"method":"roots/list"}\n\n')).toEqual([1, '1', 'a']);
});

it('an answer that lacks even its blank line alone is none: the edge makes a cut event void', () => {
  const whole = event(1);
  for (const cut of [1, 2, 3]) expect(left(whole.slice(0, -cut))).toEqual([1, '1', 'a']);
});

it('an event without an end is not kept for ever, and then nothing is claimed to be known', () => {
  const unanswered = new UnansweredIds([1]);
  const part = Buffer.alloc(8 * 1024 * 1024, 'x');
  unanswered.push(Buffer.from('data: '));
  for (let n = 0; n < 9; n++) unanswered.push(part);
  expect(unanswered.finish()).toBeUndefined();
});
