// How far backends are, as the ids of clients carry it: what is made up or too long is worth nothing.
import { BackendMarks, decodeMark, encodeMark, MAX_MARKS_LENGTH } from '../../../src/streams/backend-marks.js';
import { decodeEventId, encodeEventId, marksOf, MAX_EVENT_ID_LENGTH } from '../../../src/streams/event-id.js';

const SESSION = 'abcdefghijklmnopqrstuv';
const idWith = (marks: string) =>
  ({ session: SESSION, stream: { kind: 'standalone' }, epoch: 1, seq: 2, isFinal: false, marks }) as const;

it.each(['e1', '_GET_stream#12', 'a.b~c/d+e=', '~'.repeat(256), ''])('carries the id %j of a backend unharmed', (eventId) => {
  const mark = encodeMark('tickets', 12, eventId);
  expect(mark).toMatch(/^\.[\x21-\x7e]+$/);
  expect(decodeMark(mark.slice(1))).toEqual({ backend: 'tickets', generation: 12, eventId });
});

it.each([
  ['none', undefined],
  ['one that is too long', 'x'.repeat(257)],
  ['one with a space', 'a b'],
  ['one with a line break', 'a\nx-evil: 1'],
  ['one that is no ASCII', 'grüße'],
])('carries nothing of %s', (_name, eventId) => {
  expect(encodeMark('tickets', 1, eventId)).toBe('');
});

it('nothing of a backend session that was never saved', () => {
  expect(encodeMark('tickets', 0, 'e1')).toBe('');
});

it.each([
  ['a line break', `tickets~1~${Buffer.from('a\r\nx: y').toString('base64url')}`],
  ['a long one', `tickets~1~${Buffer.from('x'.repeat(257)).toString('base64url')}`],
  ['a name that no backend has', '../x~1~ZTE'],
  ['no generation', 'tickets~~ZTE'],
  ['a fourth part', 'tickets~1~ZTE~x'],
  ['nothing', ''],
])('made up with %s, it is none', (_name, text) => {
  expect(decodeMark(text)).toBeUndefined();
});

it('an id carries one for each backend, and is the same id without them', () => {
  const marks = encodeMark('one', 1, 'a') + encodeMark('two', 3, 'b');
  const text = encodeEventId(idWith(marks));
  const id = decodeEventId(text, SESSION);
  expect(id).toEqual(idWith(marks));
  expect([...marksOf(id as never).values()]).toEqual([
    { backend: 'one', generation: 1, eventId: 'a' },
    { backend: 'two', generation: 3, eventId: 'b' },
  ]);
  const { marks: _marks, ...without } = idWith(marks);
  expect(decodeEventId(text.slice(0, text.indexOf('.')), SESSION)).toEqual(without);
  // The first one of a name counts, and what is no mark is skipped.
  const doubled = decodeEventId(`${text}${encodeMark('one', 9, 'z')}.nonsense`, SESSION);
  expect(marksOf(doubled as never).get('one')).toEqual({ backend: 'one', generation: 1, eventId: 'a' });
  expect(marksOf(doubled as never).size).toBe(2);
});

it('an id that is too long is none of ours', () => {
  expect(decodeEventId(encodeEventId(idWith(`.${'x'.repeat(MAX_MARKS_LENGTH)}`)), SESSION)).toBeUndefined();
});

describe('the marks of all backends', () => {
  it('change where something changed, and only then', () => {
    const marks = new BackendMarks();
    marks.set('one', 1, 'a');
    marks.set('two', 1, 'b');
    const { text } = marks;
    marks.set('one', 1, 'a');
    expect(marks.text).toBe(text);
    marks.set('one', 1, 'c');
    expect(marks.text).toBe(encodeMark('one', 1, 'c') + encodeMark('two', 1, 'b'));
    marks.set('two', 1, undefined);
    expect(marks.text).toBe(encodeMark('one', 1, 'c'));
  });

  it('stay within the bounds of an id: backends that do not fit are left out', () => {
    const marks = new BackendMarks();
    for (let n = 1; n <= 40; n++) marks.set(`backend-${n}`, 1, 'x'.repeat(n % 2 ? 200 : 20));
    expect(marks.text.length).toBeLessThanOrEqual(MAX_MARKS_LENGTH);
    const text = encodeEventId({ ...idWith(marks.text), stream: { kind: 'call', id: 'x'.repeat(600) } });
    expect(text.length).toBeLessThanOrEqual(MAX_EVENT_ID_LENGTH);
    const id = decodeEventId(text, SESSION);
    expect(marksOf(id as never).size).toBeGreaterThan(5);
  });
});
