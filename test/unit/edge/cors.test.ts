import { corsHeaders, preflightHeaders } from '../../../src/edge/cors.js';

const ORIGIN = 'https://app.example';
const allowed = (headers: Readonly<Record<string, string>>) =>
  (headers['access-control-allow-headers'] as string).toLowerCase().split(', ');

it('an answer names its origin, never "*", and shows what clients have to read', () => {
  const headers = corsHeaders(ORIGIN);
  expect(headers['access-control-allow-origin']).toBe(ORIGIN);
  expect(headers.vary).toBe('Origin');
  const exposed = (headers['access-control-expose-headers'] as string).toLowerCase().split(', ');
  expect(exposed).toEqual(['mcp-session-id', 'mcp-protocol-version', 'www-authenticate', 'retry-after']);
  expect(headers).not.toHaveProperty('access-control-allow-credentials');
});

it('OPTIONS without an origin only says what is allowed', () => {
  expect(preflightHeaders(undefined, 'x-anything')).toEqual({ allow: 'GET, POST, DELETE' });
});

it('a preflight allows the headers of the protocol', () => {
  const headers = preflightHeaders(ORIGIN, undefined);
  for (const name of ['authorization', 'content-type', 'accept', 'mcp-session-id', 'mcp-protocol-version', 'last-event-id']) {
    expect(allowed(headers)).toContain(name);
  }
  expect(headers['access-control-allow-methods']).toBe('GET, POST, DELETE');
});

it('a preflight allows every header of the Mcp family that is asked for, and nothing else', () => {
  const headers = preflightHeaders(ORIGIN, 'Mcp-Param-Region, x-forwarded-internally, mcp-, x-berth-owner, mcp-a\r\nx: y');
  expect(allowed(headers)).toContain('mcp-param-region');
  expect(allowed(headers).filter((name) => /berth|internal|\r|\n|^mcp-$/.test(name))).toEqual([]);
});
