// S127: whatever form of the URL a user has at hand.
import { readEndpoint } from '../../../src/bridge/endpoint.js';

test.each([
  ['http://host:8080', 'http://host:8080/mcp'],
  ['http://host:8080/', 'http://host:8080/mcp'],
  ['http://host:8080/mcp', 'http://host:8080/mcp'],
  ['http://host:8080/mcp/', 'http://host:8080/mcp'],
  ['https://host/servers/support/mcp', 'https://host/servers/support/mcp'],
  ['https://host/servers/support/mcp/', 'https://host/servers/support/mcp'],
  ['https://host/servers/support', 'https://host/servers/support/mcp'],
  ['https://host/servers/support/', 'https://host/servers/support/mcp'],
  ['https://host/behind/a/proxy/mcp', 'https://host/behind/a/proxy/mcp'],
  ['https://host/behind/a/proxy', 'https://host/behind/a/proxy'],
  ['http://host/mcp?tenant=a&b=c', 'http://host/mcp?tenant=a&b=c'],
  ['http://host?tenant=a', 'http://host/mcp?tenant=a'],
  ['http://host/mcp#part', 'http://host/mcp'],
])('%s is %s', (text, expected) => {
  expect(readEndpoint(text)).toEqual({ url: new URL(expected) });
});

test.each([
  ['http://host/sse', 'http://host/mcp'],
  ['http://host/sse/', 'http://host/mcp'],
  ['http://host/servers/a/sse?x=1', 'http://host/servers/a/mcp?x=1'],
])('%s, of the old transport, is %s with a note', (text, expected) => {
  const { url, note } = readEndpoint(text);
  expect(url.href).toBe(expected);
  expect(note).toContain('/mcp');
});

test.each(['host:8080', 'localhost:8080/mcp', 'ftp://host/mcp', '/mcp', '', 'http:host', 'http://'])(
  '%j is refused: 64',
  (text) => {
    expect(() => readEndpoint(text)).toThrow(
      expect.objectContaining({ exitCode: 64, message: expect.stringContaining('http://127') }),
    );
  },
);

test('credentials in the URL are refused, and not told', () => {
  expect(() => readEndpoint('http://alice:s3cret@host/mcp')).toThrow(
    expect.objectContaining({ exitCode: 64, message: expect.not.stringMatching(/s3cret|alice/) }),
  );
});
