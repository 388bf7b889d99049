import { GatewayError } from '../../../src/errors/gateway-error.js';
import type { JsonRpcMessage, JsonRpcRequest } from '../../../src/protocol/json-rpc.js';
import { injectServerId, withoutServerId } from '../../../src/servers/inject-server-id.js';

const request = (params?: unknown) =>
  ({ jsonrpc: '2.0', id: 1, method: 'tools/call', ...(params === undefined ? {} : { params }) }) as unknown as JsonRpcMessage & {
    params?: unknown;
  };

describe('injectServerId', () => {
  it.each([
    ['absent params become an object', undefined, 'a', { server_id: 'a' }, { changed: true, keepsClientBytes: true }],
    ['null params become an object', null, 'a', { server_id: 'a' }, { changed: true, keepsClientBytes: false }],
    ['an object gets it', { name: 'x' }, 'a', { name: 'x', server_id: 'a' }, { changed: true, keepsClientBytes: true }],
    [
      'what the client chose is replaced',
      { server_id: 'b' },
      'a',
      { server_id: 'a' },
      { changed: true, keepsClientBytes: false },
    ],
    [
      'the same from the client is still not for a backend',
      { server_id: 'a' },
      'a',
      { server_id: 'a' },
      { changed: false, keepsClientBytes: false },
    ],
    ['/mcp: none is injected', { name: 'x' }, '', { name: 'x' }, { changed: false, keepsClientBytes: true }],
    ['/mcp: absent params stay absent', undefined, '', undefined, { changed: false, keepsClientBytes: true }],
    ['/mcp: null params become an object', null, '', {}, { changed: true, keepsClientBytes: false }],
    [
      '/mcp: what the client chose is removed',
      { server_id: 'b', name: 'x' },
      '',
      { name: 'x' },
      { changed: true, keepsClientBytes: false },
    ],
  ])('%s', (_name, params, id, expected, told) => {
    const message = request(params);
    expect(injectServerId(message, id)).toEqual(told);
    expect(message.params).toEqual(expected);
  });

  it.each(['a', ''])('refuses an array with 400 and -32602 (server "%s")', (id) => {
    const refuse = () => injectServerId(request([1]), id);
    expect(refuse).toThrow(GatewayError);
    try {
      refuse();
    } catch (error) {
      expect((error as GatewayError).status).toBe(400);
      expect((error as GatewayError).toJsonRpc().code).toBe(-32602);
    }
  });

  it('keeps the params of notifications and responses (S25)', () => {
    const notification = {
      jsonrpc: '2.0',
      method: 'notifications/cancelled',
      params: { requestId: 1, server_id: 'mine' },
    } as const;
    const response = { jsonrpc: '2.0', id: 1, result: { server_id: 'mine' } } as const;
    const array = { jsonrpc: '2.0', method: 'x', params: [1] } as unknown as JsonRpcMessage;
    for (const message of [notification, response, array] as JsonRpcMessage[]) {
      const before = JSON.stringify(message);
      expect(injectServerId(message, 'a')).toEqual({ changed: false, keepsClientBytes: true });
      expect(JSON.stringify(message)).toBe(before);
    }
  });

  it('is undone by withoutServerId, in a copy', () => {
    const message = request({ name: 'x', arguments: { server_id: 'an argument of the tool' } });
    const before = JSON.stringify(message);
    injectServerId(message, 'a');
    const injected = JSON.stringify(message);
    const sent = withoutServerId(message as JsonRpcRequest);
    expect(JSON.stringify(sent)).toBe(before);
    expect(JSON.stringify(withoutServerId(sent))).toBe(before);
    expect(JSON.stringify(message)).toBe(injected);
    expect(withoutServerId(message as JsonRpcRequest, { name: 'y' }).params).toEqual({ ...sent.params, name: 'y' });
  });

  it('takes out even what is no string', () => {
    const message = request({ server_id: { evil: true } });
    expect(withoutServerId(message as JsonRpcRequest).params).toEqual({});
  });

  it('is not led astray by a prototype that the client names', () => {
    const message = JSON.parse(
      '{"jsonrpc":"2.0","id":1,"method":"x","params":{"__proto__":{"server_id":"b"}}}',
    ) as JsonRpcMessage & { params: object };
    expect(injectServerId(message, '')).toEqual({ changed: false, keepsClientBytes: true });
    injectServerId(message, 'a');
    const before = '{"jsonrpc":"2.0","id":1,"method":"x","params":{"__proto__":{"server_id":"b"}}}';
    expect(JSON.stringify(message)).not.toBe(before);
    expect(JSON.stringify(withoutServerId(message as unknown as JsonRpcRequest))).toBe(before);
  });
});
