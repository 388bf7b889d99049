// Arrays of messages: cut up without being parsed, message by message as they stand in the text.
import { elementsOf, isBatch, takeEach, unwrap } from '../../../src/protocol/batch.js';

const cut = (text: string) => [...elementsOf(Buffer.from(text))].map(String);
const taken = (text: string) => {
  const messages: string[] = [];
  takeEach(Buffer.from(text), (message) => messages.push(message.toString()));
  return messages;
};
const RESPONSE = '{"jsonrpc":"2.0","id":1,"result":{}}';
const NOTE = '{"jsonrpc":"2.0","method":"notifications/message"}';

it.each([
  ['[]', []],
  [' [ \n]', []],
  ['[1]', ['1']],
  ['\t[ {"a":1} ,\r\n[2,[3]] , "x" ]\n', ['{"a":1}', '[2,[3]]', '"x"']],
  ['["],[\\"",{"k":"}]"}]', ['"],[\\""', '{"k":"}]"}']],
  ['["\\\\",2]', ['"\\\\"', '2']],
  ['[{"n":9007199254740993,"m":1e400}]', ['{"n":9007199254740993,"m":1e400}']],
  ['["grüße 🚢",null]', ['"grüße 🚢"', 'null']],
])('%s is cut into its elements, byte for byte', (text, elements) => {
  expect(cut(text)).toEqual(elements);
});

it('whatever JSON can hold is cut as JSON.parse reads it', () => {
  const leaves = ['"', '\\', '[', ']', '{', '}', ',', ':', ' ', 'ü', '\u2028', '__proto__'];
  let seed = 7;
  const pick = (below: number) => {
    seed = (seed * 1103515245 + 12345) % 2 ** 31;
    return seed % below;
  };
  const text = () => Array.from({ length: pick(5) }, () => leaves[pick(leaves.length)]).join('');
  const make = (depth: number): unknown => {
    const kind = pick(depth > 0 ? 6 : 4);
    if (kind < 2) return text();
    if (kind === 2) return pick(1000) - 500;
    if (kind === 3) return [true, false, null][pick(3)];
    const children = Array.from({ length: pick(4) }, () => make(depth - 1));
    return kind === 4 ? children : Object.fromEntries(children.map((child, index) => [`${text()}${index}`, child]));
  };
  for (let n = 0; n < 500; n++) {
    const values = Array.from({ length: pick(6) }, () => make(3));
    for (const space of [0, 1])
      expect(cut(JSON.stringify(values, undefined, space)).map((one) => JSON.parse(one))).toEqual(values);
  }
});

it.each(['', '{}', '[', '[}', '[,,', '[1', '["a', '[1}{2', '[[[[', '[1]2'])(
  'what is no JSON array (%s) comes to an end',
  (text) => {
    expect(cut(text).length).toBeLessThan(4);
  },
);

it('a depth that would exhaust the stack is one element', () => {
  const deep = `${'['.repeat(200_000)}${']'.repeat(200_000)}`;
  expect(cut(`[${deep},1]`)).toEqual([deep, '1']);
});

it('an array is told by its first byte', () => {
  expect([' \n[1]', '[', '{"a":[]}', '"["', ''].map((text) => isBatch(Buffer.from(text)))).toEqual([
    true,
    true,
    false,
    false,
    false,
  ]);
});

it('responses are taken last, so that nothing that belongs to a call comes after its end', () => {
  expect(taken(`[${RESPONSE},${NOTE}]`)).toEqual([NOTE, RESPONSE]);
});

it.each([
  ['[]', []],
  [`[${NOTE}]`, [true]],
  [`[${NOTE},7,[1]]`, [false, true]],
  [`[${RESPONSE},${NOTE},${NOTE}]`, [false, false, true]],
])('the last one of %s is told', (text, expected) => {
  const lasts: boolean[] = [];
  takeEach(Buffer.from(text), (_message, isLast) => lasts.push(isLast));
  expect(lasts).toEqual(expected);
});

it('arrays within are left out, so that nothing is nested', () => {
  expect(taken(`[[${NOTE}],${NOTE},[[${RESPONSE}]]]`)).toEqual([NOTE]);
});

it.each([
  ['no array', RESPONSE, RESPONSE],
  ['the response among others', `[${NOTE},${RESPONSE}]`, RESPONSE],
  ['the only element, whatever it is', '[{"jsonrpc":"2.0","id":null,"error":{}}]', '{"jsonrpc":"2.0","id":null,"error":{}}'],
  ['others only', `[${NOTE},${NOTE}]`, `[${NOTE},${NOTE}]`],
  ['nothing', '', ''],
])('an answer that is an array is the message in it: %s', (_name, text, expected) => {
  expect(unwrap(text, 1)).toBe(expected);
});
