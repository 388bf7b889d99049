import fc from 'fast-check';
import { withId } from '../../../src/protocol/with-id.js';

const swap = (text: string, id: string | number = 'new') => withId(Buffer.from(text), id).toString();

test.each([
  ['{"jsonrpc":"2.0","id":1,"result":{"id":1}}', '{"jsonrpc":"2.0","id":"new","result":{"id":1}}'],
  ['{"id":"x","jsonrpc":"2.0","result":{}}', '{"id":"new","jsonrpc":"2.0","result":{}}'],
  ['{"result":{"id":1,"x":{"id":2}},"jsonrpc":"2.0","id":-3}', '{"result":{"id":1,"x":{"id":2}},"jsonrpc":"2.0","id":"new"}'],
  [
    '{"result":{"big":12345678901234567890},"id":4,"jsonrpc":"2.0"} ',
    '{"result":{"big":12345678901234567890},"id":"new","jsonrpc":"2.0"} ',
  ],
  ['{ "jsonrpc" : "2.0" , "id" : 7 , "method" : "m" }', '{ "jsonrpc" : "2.0" , "id" : "new" , "method" : "m" }'],
])('%s keeps every byte but those of its id', (before, after) => {
  expect(swap(before)).toBe(after);
});

test.each([
  '{"jsonrpc":"2.0","method":"m","id":1,"params":{}}',
  '{"jsonrpc":"2.0","id":1,"method":"m","id":2}',
  '{"jsonrpc":"2.0","id":1.5,"method":"m"}',
  '{"jsonrpc":"2.0","id":"a\\"b","method":"m"}',
])('%s has its id in an unusual place: parsed and written anew', (before) => {
  expect(JSON.parse(swap(before))).toEqual({ ...JSON.parse(before), id: 'new' });
});

test('whatever the message holds, only its id changes', () => {
  const member = fc.oneof(fc.jsonValue(), fc.record({ id: fc.integer() }), fc.constant(',"id":1}'));
  fc.assert(
    fc.property(
      member,
      fc.oneof(fc.integer(), fc.string()),
      fc.oneof(fc.integer(), fc.string()),
      fc.nat(2),
      (result, id, next, order) => {
        const orders = [
          { jsonrpc: '2.0', id, result },
          { result, jsonrpc: '2.0', id },
          { jsonrpc: '2.0', result, id },
        ];
        const message = orders[order] as object;
        expect(JSON.parse(swap(JSON.stringify(message), next))).toEqual({ ...JSON.parse(JSON.stringify(message)), id: next });
      },
    ),
  );
});

test('what is not JSON and hides its id throws', () => {
  expect(() => swap('{"result":')).toThrow(SyntaxError);
});
