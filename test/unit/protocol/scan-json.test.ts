import fc from 'fast-check';
import { scanMessage } from '../../../src/protocol/scan-json.js';

const big = { text: 'a"b\\c}{,"id":99}'.repeat(800), list: [[1, { id: 5 }], '}'] };

describe('the message scanner', () => {
  test('tells kind, id and method of small messages', () => {
    expect(scanMessage('{"jsonrpc":"2.0","id":1,"method":"ping"}')).toEqual({ kind: 'request', id: 1, method: 'ping' });
    expect(scanMessage(Buffer.from('{"method":"n","jsonrpc":"2.0"}'))).toEqual({ kind: 'notification', method: 'n' });
    expect(scanMessage('{"jsonrpc":"2.0","id":"a","result":{}}')).toEqual({ kind: 'response', id: 'a' });
    expect(scanMessage('{"jsonrpc":"2.0","id":0,"error":{"code":1,"message":""}}')).toEqual({ kind: 'response', id: 0 });
  });

  test.each(['', 'x', '[]', '{}', 'null', '{"jsonrpc":"2.0","id":null,"method":"m"}', '{"jsonrpc":"2.0","id":1}'])(
    'calls %j invalid',
    (text) => {
      expect(scanMessage(text)).toEqual({ kind: 'invalid' });
    },
  );

  test('never takes an id from inside the result, wherever the real one stands', () => {
    const response = { kind: 'response', id: 7 };
    expect(scanMessage(JSON.stringify({ jsonrpc: '2.0', id: 7, result: big }))).toEqual(response);
    expect(scanMessage(JSON.stringify({ result: big, jsonrpc: '2.0', id: 7 }))).toEqual(response);
    expect(scanMessage(JSON.stringify({ jsonrpc: '2.0', result: big, id: 7 }))).toEqual(response);
    expect(scanMessage(JSON.stringify({ result: big, id: 7, jsonrpc: '2.0' }))).toEqual(response);
    expect(scanMessage(JSON.stringify({ result: big, id: 7, extra: { id: 8 }, jsonrpc: '2.0' }, null, 2))).toEqual(response);
    expect(scanMessage(JSON.stringify({ id: 'x"\\', result: big }))).toEqual({ kind: 'response', id: 'x"\\' });
  });

  test('tells large requests and notifications apart', () => {
    expect(scanMessage(JSON.stringify({ method: 'm', params: big, id: 'q' }))).toEqual({ kind: 'request', id: 'q', method: 'm' });
    expect(scanMessage(JSON.stringify({ params: big, method: 'm', jsonrpc: '2.0' }))).toEqual({
      kind: 'notification',
      method: 'm',
    });
  });

  test('calls large broken text invalid', () => {
    const text = JSON.stringify({ params: big, method: 'm' });
    expect(scanMessage(text.slice(0, -1))).toEqual({ kind: 'invalid' });
    expect(scanMessage(`[${text}]`)).toEqual({ kind: 'invalid' });
    expect(scanMessage(JSON.stringify({ result: big, jsonrpc: '2.0' }))).toEqual({ kind: 'invalid' });
    expect(scanMessage(JSON.stringify({ id: { a: 1 }, result: big }))).toEqual({ kind: 'invalid' });
  });

  test('agrees with a parser on large messages of any shape', () => {
    const id = fc.oneof(fc.string({ maxLength: 30 }), fc.integer());
    fc.assert(
      fc.property(
        id,
        fc.jsonValue(),
        fc.shuffledSubarray(['id', 'result', 'jsonrpc', 'x'], { minLength: 4 }),
        (i, value, order) => {
          const fields: Record<string, unknown> = { id: i, result: { value, big }, jsonrpc: '2.0', x: value };
          const message = Object.fromEntries(order.map((key) => [key, fields[key]]));
          expect(scanMessage(Buffer.from(JSON.stringify(message)))).toEqual({ kind: 'response', id: i });
        },
      ),
    );
  });
});
