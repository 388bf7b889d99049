// What a reload means for each backend: whether sessions may go on with what they have open there.
import { compareBackends } from '../../../src/cluster/backend-changes.js';
import { configSchema } from '../../../src/config/schema.js';

const http = { url: 'http://h.example/mcp?x=1', headers: { a: '1' }, forwardHeaders: ['x-a'] };
const stdio = { command: 'run', args: ['a'], env: { A: '1' } };
const configOf = (mcpServers: Record<string, unknown>, rest = {}) => configSchema.parse({ mcpServers, ...rest });
const compare = (before: unknown, after: unknown) => compareBackends(configOf({ b: before }), configOf({ b: after }));
const NONE = { added: [], changed: [], adjusted: [], removed: [] };

test.each([
  ['nothing', http, http, NONE],
  ['the order of keys', { ...http }, { forwardHeaders: ['x-a'], headers: { a: '1' }, url: http.url }, NONE],
  ['the URL', http, { ...http, url: 'http://h.example/mcp?x=2' }, { ...NONE, changed: ['b'] }],
  ['credentials in the URL', http, { ...http, url: 'http://u:p@h.example/mcp?x=1' }, { ...NONE, adjusted: ['b'] }],
  ['headers', http, { ...http, headers: { a: '2' } }, { ...NONE, adjusted: ['b'] }],
  ['forwarded headers', http, { ...http, forwardHeaders: [] }, { ...NONE, adjusted: ['b'] }],
  ['the timeout', stdio, { ...stdio, timeout: '1s' }, { ...NONE, adjusted: ['b'] }],
  ['what follows a lost state', http, { ...http, onStateLoss: 'fail' }, { ...NONE, adjusted: ['b'] }],
  ['an argument', stdio, { ...stdio, args: ['b'] }, { ...NONE, changed: ['b'] }],
  ['the environment', stdio, { ...stdio, env: { A: '2' } }, { ...NONE, changed: ['b'] }],
  ['the directory', stdio, { ...stdio, cwd: '/tmp' }, { ...NONE, changed: ['b'] }],
  ['the kind', stdio, http, { ...NONE, changed: ['b'] }],
])('another backend or other settings: %s', (_what, before, after, expected) => {
  expect(compare(before, after)).toEqual(expected);
});

it('finds what came and what went', () => {
  const changes = compareBackends(configOf({ a: http, b: stdio }), configOf({ b: stdio, c: http }));
  expect(changes).toEqual({ ...NONE, added: ['c'], removed: ['a'] });
});

it('gives every backend the limits that they all share', () => {
  const changes = compareBackends(configOf({ b: http }), configOf({ b: http }, { limits: { connectTimeout: '1s' } }));
  expect(changes).toEqual({ ...NONE, adjusted: ['b'] });
});
