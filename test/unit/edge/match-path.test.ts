import { matchPath } from '../../../src/edge/match-path.js';

it.each([
  ['/mcp', ''],
  ['/mcp/', ''],
  ['/mcp?x=/servers/a/mcp', ''],
  ['/servers/a/mcp', 'a'],
  ['/servers/a/mcp/', 'a'],
  ['/servers/A-b_9/mcp?q=1', 'A-b_9'],
  [`/servers/${'a'.repeat(32)}/mcp`, 'a'.repeat(32)],
])('%s is an endpoint', (url, serverId) => {
  expect(matchPath(url)).toEqual({ kind: 'mcp', serverId });
});

it.each([
  '/servers',
  '/servers/',
  '/servers//mcp',
  '/servers/a',
  '/servers/a/b/mcp',
  '/servers/../mcp',
  '/servers/%61/mcp',
  '/servers/-a/mcp',
  '/servers/a.b/mcp',
  '/servers/__proto__/mcp',
  '/servers/a/MCP',
  `/servers/${'a'.repeat(33)}/mcp`,
])('%s can be no endpoint', (url) => {
  expect(matchPath(url)).toEqual({ kind: 'unknown' });
});

it.each(['/', '/livez', '/mcpx', '//mcp', '/mcp/x', '/MCP', '', '*'])('%s is no business of this', (url) => {
  expect(matchPath(url)).toEqual({ kind: 'other' });
});
