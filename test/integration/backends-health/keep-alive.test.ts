// S74: pings for idle backend sessions where they are switched on, and none where not.
import { unsealBackendSession } from '../../../src/backends/http/sealed-session.js';
import { GatewayError } from '../../../src/errors/gateway-error.js';
import { waitFor } from '../../support/wait-for.js';
import { callTool, keyring, makeBackend, RecordingHost } from '../backends-http/harness.js';
import { useHealth } from './harness.js';

const world = useHealth();
const KEEP_ALIVE_MS = 400;

test('an idle open session is pinged within the interval, in its own id, and again; one that was not opened is not', async () => {
  const strict = await world().strict();
  const backend = world().watch(makeBackend(strict.url), { keepAliveMs: KEEP_ALIVE_MS });
  const session = world().session(backend);
  world().session(backend);
  await callTool(session, 'echo');
  await waitFor('three pings', () => strict.of('ping').length >= 3);
  expect(new Set(strict.of('ping').map(({ sessionId }) => sessionId))).toEqual(new Set(['session-1']));
  expect(strict.of('initialize')).toHaveLength(1);
});

test('a ping that finds the session lost opens it anew at once, not at the next call', async () => {
  const strict = await world().strict();
  const session = world().session(world().watch(makeBackend(strict.url), { keepAliveMs: KEEP_ALIVE_MS }));
  await callTool(session, 'echo');
  strict.forget();
  await waitFor('a new session', () => strict.issued.length === 2);
  expect((await callTool(session, 'echo', { text: 'x' })).text).toContain('x');
  expect(strict.issued).toHaveLength(2);
});

test('what a ping opens anew has the headers of the caller, and so has the ping', async () => {
  const strict = await world().strict();
  const host = new RecordingHost();
  const inner = makeBackend(strict.url, { forwardHeaders: ['X-Tenant'] });
  const session = world().session(world().watch(inner, { keepAliveMs: KEEP_ALIVE_MS }), host);
  await callTool(session, 'echo', {}, { headers: { 'x-tenant': 'blue', 'x-other': 'no' } });
  strict.forget();
  await waitFor('a new session', () => host.saves.length === 2);
  for (const { headers } of [...strict.of('initialize'), ...strict.of('ping')]) expect(headers['x-tenant']).toBe('blue');
  const sealed = host.saves.map(({ value }) => unsealBackendSession(keyring, host.sessionRef, 'b', value.sealed)?.headers);
  expect(sealed).toEqual([{ 'x-tenant': 'blue' }, { 'x-tenant': 'blue' }]);
});

test('the guard is asked for a ping as for everything', async () => {
  const strict = await world().strict();
  const host = new RecordingHost();
  const session = world().session(world().watch(makeBackend(strict.url), { keepAliveMs: KEEP_ALIVE_MS }), host);
  await callTool(session, 'echo');
  await waitFor('a ping', () => strict.of('ping').length >= 1);
  host.owns = false;
  const [asked, pings] = [host.asked, strict.of('ping').length];
  await waitFor('a ping that was refused', () => host.asked > asked + 1);
  expect(strict.of('ping')).toHaveLength(pings);
});

test('switched off there is no ping; a closed session gets none', async () => {
  const strict = await world().strict();
  const session = world().session(world().watch(makeBackend(strict.url)));
  await callTool(session, 'echo');
  // Another one that is pinged tells when enough time has passed.
  const other = await world().strict();
  const pinged = makeBackend(other.url, {}, { name: 'other' });
  const watched = world().watch(pinged, { keepAliveMs: KEEP_ALIVE_MS });
  const closed = world().session(watched);
  await callTool(closed, 'echo');
  closed.close(new GatewayError('SESSION_NOT_FOUND'));
  await callTool(world().session(watched), 'echo');
  await waitFor('three pings', () => other.of('ping').length >= 3);
  expect(new Set(other.of('ping').map(({ sessionId }) => sessionId))).toEqual(new Set(['session-2']));
  expect(strict.of('ping')).toEqual([]);
});
