// The closed list of answers that say "this session is lost, and the request did not run": too few, and sessions stay broken after a
// restart of their backend; too many, and calls that ran are repeated.
import { isLostSession } from '../../../src/backends/http/lost-session.js';

const rpc = (code: number, message: string) => JSON.stringify({ jsonrpc: '2.0', error: { code, message }, id: null });

const LOST: ReadonlyArray<readonly [string, number, string]> = [
  ['the specification', 404, rpc(-32001, 'Session not found')],
  ['404 of any kind', 404, '<html>Not Found</html>'],
  ['examples of the TypeScript SDK, server-everything', 400, rpc(-32000, 'Bad Request: No valid session ID provided')],
  ['a restarted TypeScript transport', 400, rpc(-32000, 'Bad Request: Server not initialized')],
  ['Python SDK, stateful manager', 400, 'Bad Request: No valid session ID provided'],
  ['Python SDK, terminated transport', 404, rpc(-32600, 'Not Found: Session has been terminated')],
  ['Python SDK, later', 404, rpc(-32600, 'Session not found')],
  ['session expired', 400, rpc(-32001, 'Session expired')],
  ['session has expired', 400, rpc(-32001, 'The session has expired, initialize again')],
  ['session terminated', 400, rpc(-32000, 'Session terminated')],
];

const NOT_LOST: ReadonlyArray<readonly [string, number, string]> = [
  ['400 with another code', 400, rpc(-32602, 'Invalid params: session not found in database')],
  ['400 with another message', 400, rpc(-32000, 'Bad Request: Unsupported protocol version')],
  ['400 with prose that mentions it', 400, 'the tool said: No valid session ID provided'],
  ['400 without a body', 400, ''],
  ['401', 401, rpc(-32001, 'Session expired')],
  ['403', 403, rpc(-32000, 'Session not found')],
  ['429', 429, rpc(-32000, 'Session not found')],
  ['500', 500, rpc(-32001, 'Session not found')],
  ['a tool error in a 200', 200, rpc(-32001, 'Session not found')],
];

test.each(LOST)('lost: %s', (_name, status, text) => {
  expect(isLostSession(true, status, text, undefined)).toBe(true);
});

test.each(LOST)('nothing can be lost without an id: %s', (_name, status, text) => {
  expect(isLostSession(false, status, text, undefined)).toBe(false);
});

test.each(NOT_LOST)('not lost: %s', (_name, status, text) => {
  expect(isLostSession(true, status, text, undefined)).toBe(false);
});

test('a configured pattern widens the list for 4xx only', () => {
  const pattern = /unknown ticket/i;
  expect(isLostSession(true, 400, 'Unknown ticket 7', pattern)).toBe(true);
  expect(isLostSession(true, 410, 'Unknown ticket 7', pattern)).toBe(true);
  expect(isLostSession(true, 500, 'Unknown ticket 7', pattern)).toBe(false);
});
