// Which errors of a backend speak against it, how much, and when they may be the caller's own fault.
import { blame, causeOf } from '../../../src/backends/health/causes.js';
import { statusError, timedOut, unavailable } from '../../../src/backends/http/transport-error.js';
import { GatewayError } from '../../../src/errors/gateway-error.js';

test.each([
  ['no connection', unavailable('b', 'refused'), { reason: 'refused', blocks: 'all' }],
  ['a reset before anything was sent', unavailable('b', 'reset'), { reason: 'reset', blocks: 'all' }],
  ['a reset within the handshake', unavailable('b', 'reset', { step: 'initialize' }), { reason: 'reset', blocks: 'openings' }],
  ['401 at initialize', statusError('b', 401), { reason: 'http_401', blocks: 'openings' }],
  ['503 at initialize', statusError('b', 503), { reason: 'http_503', blocks: 'openings' }],
  ['429 at initialize', statusError('b', 429), { reason: 'http_429', blocks: 'nothing' }],
  ['a redirect', statusError('b', 302), { reason: 'redirect', blocks: 'openings' }],
  [
    'a JSON-RPC error under 401',
    unavailable('b', 'initialize_refused', { status: 401, code: -32001 }),
    { reason: 'http_401', blocks: 'openings' },
  ],
  [
    'a JSON-RPC error under 200',
    unavailable('b', 'initialize_refused', { status: 200, code: -32603 }),
    { reason: 'initialize_refused', blocks: 'nothing' },
  ],
  ['a handshake that takes too long', timedOut('b'), { reason: 'timeout', blocks: 'openings' }],
  ['a command that is not there', unavailable('b', 'command_not_found'), { reason: 'command_not_found', blocks: 'openings' }],
])('%s', (_what, error, cause) => {
  expect(causeOf(error)).toEqual(cause);
});

test.each([
  ['the guard', new GatewayError('NOT_OWNER')],
  ['the end of the session', new GatewayError('SESSION_NOT_FOUND')],
  ['our own bounds', unavailable('b', 'busy')],
  ['the breaker itself', unavailable('b', 'broken', { cause: 'refused' })],
  ['a backend that we removed', unavailable('b', 'removed')],
  ['something unforeseen of ours', new GatewayError('INTERNAL')],
])('says nothing about the backend: %s', (_what, error) => {
  expect(causeOf(error)).toBeUndefined();
});

test('where a backend gets headers of callers, only a failed connection is certainly not theirs', () => {
  expect(blame({ reason: 'refused', blocks: 'all' })).toBe('backend');
  expect(blame({ reason: 'http_401', blocks: 'openings' })).toBe('his');
  expect(blame({ reason: 'http_403', blocks: 'openings' })).toBe('his');
  expect(blame({ reason: 'http_500', blocks: 'openings' })).toBe('perhaps');
  expect(blame({ reason: 'timeout', blocks: 'openings' })).toBe('perhaps');
});
