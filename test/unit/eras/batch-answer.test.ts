// The answers to a batch together: an array, or a stream; each request once, whatever comes from below.
import type { AcceptedTypes } from '../../../src/eras/legacy/accept.js';
import { BatchAnswer } from '../../../src/eras/legacy/batch-answer.js';
import type { Exchange } from '../../../src/streams/exchange.js';
import { RecordingAnswer } from '../streams/recording-answer.js';

const BOTH: AcceptedTypes = { json: true, events: true };
const VERSION = { 'mcp-protocol-version': '2025-03-26' };
const PROGRESS = '{"jsonrpc":"2.0","method":"notifications/progress","params":{}}';
const ERROR = '{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"x"}}';
const result = (id: number | string, text = '') => `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":{"text":"${text}"}}`;

function make(accepts: AcceptedTypes = BOTH) {
  const answer = new RecordingAnswer();
  const left: Array<() => void> = [];
  const exchange = { answer, onAbort: (listener: () => void) => void left.push(listener) } as unknown as Exchange;
  const batch = new BatchAnswer(exchange, accepts, VERSION);
  const leave = () => {
    for (const listener of left) listener();
  };
  return { answer, batch, one: batch.streamOf(1), two: batch.streamOf('two'), leave };
}

it('responses alone are one JSON array', () => {
  const { answer, batch, one, two } = make();
  one.push(result(1), true);
  two.push(Buffer.from(result('two')), true);
  expect(answer.started).toBe(false);
  batch.finish([ERROR], false);
  expect(answer.log).toEqual(['send']);
  expect(answer).toMatchObject({ status: 200, headers: { ...VERSION, 'content-type': 'application/json' } });
  expect(answer.text).toBe(`[${result(1)},${result('two')},${ERROR}]`);
});

it('what waits is counted in bytes, not in characters', () => {
  const { batch, one } = make();
  one.push(result(1, '漢'.repeat(100 * 1024)), true);
  expect(batch.isNearBound).toBe(true);
});

it('nothing to answer is 202 without a body', () => {
  const { answer, batch } = make();
  batch.finish([], false);
  expect(answer).toMatchObject({ status: 202, headers: VERSION, text: '' });
});

it('errors alone are 400', () => {
  const { answer, batch } = make();
  batch.finish([ERROR, ERROR], true);
  expect(answer).toMatchObject({ status: 400, text: `[${ERROR},${ERROR}]` });
});

it.each([
  ['something is said during a call', ({ two }: ReturnType<typeof make>) => two.push(PROGRESS), [PROGRESS]],
  ['it is open for long', ({ batch }: ReturnType<typeof make>) => batch.keepAlive(), []],
  ['a backend says that it takes its time', ({ batch }: ReturnType<typeof make>) => batch.begin(), []],
])('it is a stream as soon as %s, with what had come before', (_name, act, said) => {
  const made = make();
  const { answer, batch, one, two } = made;
  one.push(result(1), true);
  act(made);
  expect(answer.startedAsEvents).toBe(true);
  expect(answer.events).toEqual([result(1), ...said]);
  two.push(result('two'), true);
  batch.finish([ERROR], false);
  expect(answer.events).toEqual([result(1), ...said, result('two'), ERROR]);
  expect(answer.text).not.toMatch(/^id:/m);
  expect(answer.ends).toBe(1);
});

it('a caller that reads a stream alone gets one', () => {
  const { answer, batch, one } = make({ json: false, events: true });
  one.push(result(1), true);
  expect(answer.events).toEqual([result(1)]);
  batch.finish([], false);
  expect(answer.beginnings).toBe(1);
});

it('a caller that reads JSON alone gets the array, however long it takes', () => {
  const { answer, batch, one } = make({ json: true, events: false });
  batch.keepAlive();
  one.push(result(1), true);
  batch.finish([], false);
  expect(answer.text).toBe(`[${result(1)}]`);
});

it.each([
  ['no JSON', '{"jsonrpc":"2.0","id":1,"result":'],
  ['two values', `${result(1)}\n${result(1)}`],
  ['no JSON behind what looks like it', `{"jsonrpc":"2.0","result":"${'x'.repeat(10_000)}" oops ,"id":1}`],
  ['the answer to another', result('two')],
  ['an id of another type', result('1')],
  ['an array', `[${result(1)}]`],
  ['nothing', ''],
])('what a backend gives for an answer and is %s spoils no other answer', (_name, text) => {
  const { answer, batch, one, two } = make();
  two.push(result('two'), true);
  one.push(Buffer.from(text), true);
  batch.finish([], false);
  expect(JSON.parse(answer.text)).toMatchObject([
    { id: 'two', result: {} },
    { id: 1, error: { code: -32012, data: { reason: 'bad_reply' } } },
  ]);
});

it('what waits for the others has a bound', () => {
  const { answer, batch, one, two } = make();
  one.push(result(1, 'x'.repeat(12 * 1024 * 1024)), true);
  two.push(result('two', 'x'.repeat(12 * 1024 * 1024)), true);
  batch.finish([], false);
  expect(JSON.parse(answer.text)[1]).toMatchObject({ id: 'two', error: { code: -32012, data: { reason: 'too_large' } } });
});

it('bodies that are not whole yet count as well, each until its end', () => {
  const MIB = 1024 * 1024;
  const { answer, batch, one, two } = make();
  expect(one.collect(10 * MIB)).toBe(true);
  expect(two.collect(7 * MIB)).toBe(false);
  expect(two.collect(6 * MIB)).toBe(true);
  expect(one.collect(1)).toBe(false);
  one.push(result(1, 'x'.repeat(MIB)), true);
  expect(two.collect(10 * MIB)).toBe(false);
  expect(two.collect(8 * MIB)).toBe(true);
  two.finish();
  const three = batch.streamOf(3);
  expect(three.collect(14 * MIB)).toBe(true);
  three.push(result(3, 'x'.repeat(14 * MIB)), true);
  batch.finish([], false);
  expect(JSON.parse(answer.text)).toMatchObject([{ result: {} }, { error: { code: -32800 } }, { id: 3, result: {} }]);
});

it('whoever does not read is told so of each request without a response, in little, and the calls go on', () => {
  const { answer, batch, one, two } = make();
  let resumed = 0;
  two.onDrain = () => resumed++;
  answer.takes = false;
  two.push(PROGRESS);
  const long = `{"method":"m","params":"${'x'.repeat(600_000)}"}`;
  one.push(result(1), true);
  for (let times = 0; times < 3; times++) two.push(long);
  const slow = { code: -32012, data: { reason: 'slow' } };
  expect(answer.events.map((text) => JSON.parse(text))).toMatchObject([
    { method: 'notifications/progress' },
    { id: 1, error: slow },
    { id: 'two', error: slow },
  ]);
  expect(answer.text.length).toBeLessThan(2000);
  expect(answer.log.at(-1)).toBe('end');
  expect(resumed).toBe(1);
  const { length } = answer.log;
  expect(two.push(PROGRESS)).toBe(true);
  batch.keepAlive();
  two.push(result('two'), true);
  batch.finish([ERROR], false);
  expect(answer.log).toHaveLength(length);
});

it('a slow reader holds calls up, is given no more meanwhile, and loses nothing', () => {
  const { answer, batch, one, two } = make();
  let resumed = 0;
  two.onDrain = () => resumed++;
  answer.takes = false;
  expect(one.push(PROGRESS)).toBe(false);
  expect(one.push(result(1), true)).toBe(false);
  expect(two.push(PROGRESS)).toBe(false);
  expect(answer.events).toEqual([PROGRESS]);
  expect(resumed).toBe(0);
  answer.drain();
  expect(answer.events).toEqual([PROGRESS, result(1), PROGRESS]);
  expect(resumed).toBe(1);
  answer.takes = false;
  two.push(PROGRESS);
  two.push(result('two'), true);
  batch.finish([], false);
  expect(answer.events.slice(-2)).toEqual([PROGRESS, result('two')]);
  expect(answer.ends).toBe(1);
});

it('a reader that has left holds nothing up, and nothing is kept for it', () => {
  const { answer, batch, one, two, leave } = make();
  let resumed = 0;
  two.onDrain = () => resumed++;
  answer.takes = false;
  two.push(PROGRESS);
  expect(two.isLost).toBe(false);
  leave();
  expect(two.isLost).toBe(true);
  expect(resumed).toBe(1);
  const { length } = answer.events;
  expect(two.push(PROGRESS)).toBe(true);
  one.push(result(1), true);
  batch.finish([ERROR], false);
  expect(answer.events).toHaveLength(length);
});
