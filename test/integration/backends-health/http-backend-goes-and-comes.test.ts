// A backend over HTTP that is away, goes away, comes back, half works: what its callers hear and what its probes do.
import { GatewayError } from '../../../src/errors/gateway-error.js';
import { freePort } from '../../support/ports.js';
import { sendError, StrictBackend } from '../../support/strict-backend.js';
import { waitFor } from '../../support/wait-for.js';
import { callTool, makeBackend } from '../backends-http/harness.js';
import { failureOf, useHealth } from './harness.js';

const world = useHealth();

test('away at the first use: after three failures calls fail at once, and it comes back although nobody calls', async () => {
  const port = await freePort();
  const backend = world().watch(makeBackend(`http://user:pass-word@127.0.0.1:${port}/secret-path`));
  const session = world().session(backend);
  expect(world().status()).toMatchObject({ state: 'unknown', failures: 0 });
  const first = await failureOf(session);
  expect(first.details).toEqual({ backend: 'b', reason: 'refused' });

  // The other failures are those of probes.
  const down = await world().whenState('down');
  expect(down).toMatchObject({ reason: 'refused', lastError: { reason: 'refused' }, openSessions: 0 });
  const broken = await callTool(session, 'echo');
  expect(broken.error?.code).toBe('BACKEND_UNAVAILABLE');
  expect(broken.error?.details).toMatchObject({ backend: 'b', reason: 'broken', cause: 'refused', since: expect.any(String) });
  expect(JSON.stringify([broken.error?.toJsonRpc(), down])).not.toMatch(/pass-word|secret-path|127\.0\.0\.1/);

  const strict = await world().strict({}, port);
  const up = await world().whenState('up');
  expect(up).toMatchObject({ failures: 0, info: { serverInfo: { name: 'strict' } } });
  expect(up.nextProbeMs).toBeUndefined();
  expect(world().transitions.map(({ from, to }) => `${from} ${to}`)).toEqual(['degraded down', 'down up']);
  // The probe was a session of its own, and it is gone.
  await waitFor('the DELETE of the probe', () => strict.of('DELETE').length === 1);
  expect(strict.sequence).toEqual(['initialize', 'notifications/initialized', 'DELETE']);
  expect((await callTool(session, 'echo', { text: 'x' })).text).toContain('x');
});

test('S72: restarted while it was down, it is asked by a new initialize, and its old session heals at its next call', async () => {
  const port = await freePort();
  const first = await world().strict({}, port);
  const backend = world().watch(makeBackend(first.url));
  const session = world().session(backend);
  expect((await callTool(session, 'echo', { text: 'a' })).text).toContain('a');
  await first.close();
  for (let i = 0; i < 3; i++) expect((await callTool(session, 'echo')).error?.code).not.toBeUndefined();
  await world().whenState('down');
  // Open here, but no connection is to be had: it fails without trying.
  expect(world().status().openSessions).toBe(1);
  expect((await callTool(session, 'echo')).error?.details).toMatchObject({ reason: 'broken', cause: 'refused' });

  const second = await world().strict({ idPrefix: 'second' }, port);
  await world().whenState('up');
  expect(second.requests[0]).toMatchObject({ what: 'initialize', sessionId: undefined });
  expect((await callTool(session, 'echo', { text: 'b' })).text).toContain('b');
});

test('a backend that a reload has replaced: its sessions are refused nothing, and its name hears nothing of it', async () => {
  const port = await freePort();
  const backend = world().watch(makeBackend(`http://127.0.0.1:${port}/mcp`));
  const session = world().session(backend);
  world().health.follow(new Map());
  for (let i = 0; i < 5; i++) expect((await failureOf(session)).details).toMatchObject({ reason: 'refused' });
  expect(world().transitions).toEqual([]);
  await world().strict({}, port);
  expect((await callTool(session, 'echo', { text: 'x' })).text).toContain('x');
});

test('refused openings (401) stop openings alone: what is open goes on', async () => {
  const strict = await world().strict();
  const backend = world().watch(makeBackend(strict.url));
  const open = world().session(backend);
  await callTool(open, 'echo');
  strict.always('initialize', (_request, response) => void response.writeHead(401).end());
  for (let i = 0; i < 3; i++) expect((await failureOf(world().session(backend))).details?.reason).toMatch(/http_401|broken/);
  const down = await world().whenState('down');
  expect(down.reason).toBe('http_401');
  expect((await callTool(open, 'echo', { text: 'still' })).text).toContain('still');
  expect(world().status().state).toBe('down');
  expect((await failureOf(world().session(backend))).details).toMatchObject({ reason: 'broken', cause: 'http_401' });
  // Lists are hidden from all alike, so nobody reads them through what is open either.
  expect((await failureOf(open)).details).toMatchObject({ reason: 'broken', cause: 'http_401' });
  // Lost in the meantime, it is not opened anew for each call: that waits for a probe like every other opening.
  strict.forget();
  world().mayAct = false;
  const initialized = strict.of('initialize').length;
  for (let i = 0; i < 3; i++) {
    expect((await callTool(open, 'echo')).error?.details).toMatchObject({
      reason: 'session_lost',
      answer: 'http_404',
      cause: 'http_401',
    });
  }
  expect(strict.of('initialize').length - initialized).toBeLessThanOrEqual(1);
  world().mayAct = true;
  strict.always('initialize', undefined);
  await world().whenState('up');
});

test('the bad credentials of one caller do not concern the others', async () => {
  const strict = await world().strict();
  strict.always('initialize', (request, response) => {
    if (request.headers['x-tenant'] === 'bad') sendError(response, 401, -32001, 'who are you', null);
    else if (request.headers['x-tenant'] === 'odd') response.writeHead(500).end();
    else if (request.headers['x-tenant'] === undefined) response.writeHead(401).end();
    else strict.answer(request, response);
  });
  const backend = world().watch(makeBackend(strict.url, { forwardHeaders: ['x-tenant'] }), { isPersonal: true });
  for (const tenant of ['bad', 'odd', 'bad', 'odd', 'bad', 'odd']) {
    const session = world().session(backend);
    const sink = await callTool(session, 'echo', {}, { headers: { 'x-tenant': tenant } });
    expect(sink.error?.details?.reason).not.toBe('broken');
  }
  // The 500 was worth one look; that the probe was refused for having no credentials says that the backend is there.
  await waitFor('a probe', () => strict.of('initialize').some(({ headers }) => headers['x-tenant'] === undefined));
  const good = await callTool(world().session(backend), 'echo', { text: 'good' }, { headers: { 'x-tenant': 'good' } });
  expect(good.text).toContain('good');
  expect(world().status()).toMatchObject({ state: 'up', failures: 0 });
  expect(world().transitions).toEqual([]);
});

test('what became of calls never counts: errors of tools, JSON-RPC errors, time-outs, 5xx, resets', async () => {
  const strict = await world().strict();
  const backend = world().watch(makeBackend(strict.url));
  const session = world().session(backend);
  await callTool(session, 'echo');
  const probesBefore = strict.of('initialize').length;
  for (let i = 0; i < 4; i++) {
    await callTool(session, 'no such tool');
    strict.once('tools/call', () => undefined);
    expect((await callTool(session, 'echo', {}, { withinMs: 100 })).error?.code).toBe('BACKEND_TIMEOUT');
    strict.once('tools/call', (_request, response) => void response.writeHead(500).end());
    await callTool(session, 'echo');
    strict.once('tools/call', (_request, response) => void response.socket?.destroy());
    expect((await callTool(session, 'echo')).error?.code).toBe('OUTCOME_UNKNOWN');
    strict.once('tools/call', (request, response) => sendError(response, 400, -32602, 'bad params', request.message.id));
    await callTool(session, 'echo');
  }
  expect(world().status()).toMatchObject({ state: 'up', failures: 0 });
  expect(strict.of('initialize')).toHaveLength(probesBefore);
});

test('S75: a backend that issues an id and refuses the rest holds one session of probes, whatever becomes of the DELETE', async () => {
  const strict = await world().strict();
  strict.always('notifications/initialized', (_request, response) => void response.writeHead(401).end());
  let most = 0;
  strict.always('initialize', (request, response) => {
    strict.answer(request, response);
    most = Math.max(most, strict.sessionCount);
  });
  const backend = world().watch(makeBackend(strict.url));
  const discarding = world().session(backend);
  await failureOf(discarding);
  // That session is the teardown's, which is not part of this test.
  const others = strict.sessionCount;
  strict.always('DELETE', (request, response) => {
    if (strict.of('DELETE').length % 3 !== 0) response.writeHead(503).end();
    else strict.answer(request, response);
  });
  await waitFor('twelve probes', () => strict.of('initialize').length >= 13, 15_000);
  expect(most - others).toBeLessThanOrEqual(1);
  expect(world().handedOver).toEqual([]);
  // The last of the two that a probe met: the refusal, or the DELETE that failed.
  expect(world().status()).toMatchObject({ state: 'down', reason: expect.stringMatching(/^http_(401|503)$/) });
});

test('a session of a probe that cannot be ended is handed to the teardown in the end', async () => {
  const strict = await world().strict();
  strict.always('notifications/initialized', (_request, response) => void response.writeHead(500).end());
  strict.always('DELETE', (_request, response) => void response.writeHead(500).end());
  await failureOf(world().session(world().watch(makeBackend(strict.url))));
  await waitFor('a session handed over', () => world().handedOver.length >= 1, 15_000);
  expect(world().handedOver[0]).toMatchObject({ backend: 'b', ref: expect.stringMatching(/^probe-/) });
});

test('streams that have backed off are opened soon after the return, not at their next attempt', async () => {
  const strict = await world().strict();
  const backend = world().watch(makeBackend(strict.url));
  const session = world().session(backend);
  await callTool(session, 'echo');
  for (const what of ['GET', 'initialize']) strict.always(what, (_request, response) => void response.writeHead(503).end());
  session.setListening(true);
  for (let i = 0; i < 3; i++) await failureOf(world().session(backend));
  await world().whenState('down');
  // After 1, 2 and 4 s; the next would follow after 8 s.
  await waitFor('four attempts', () => strict.of('GET').length === 4, 20_000);
  strict.always('GET', undefined).always('initialize', undefined);
  await world().whenState('up');
  await waitFor('the stream', () => strict.streams.size === 1, 5000);
}, 40_000);

test('without its lease a worker probes nothing', async () => {
  const port = await freePort();
  const session = world().session(world().watch(makeBackend(`http://127.0.0.1:${port}/mcp`)));
  world().mayAct = false;
  await failureOf(session);
  const strict = await world().strict({}, port);
  const due = world().status().nextProbeMs;
  await waitFor('probes that were due', () => (world().status().nextProbeMs ?? 0) > (due as number) + 20);
  expect(strict.requests).toEqual([]);
  world().mayAct = true;
  await world().whenState('up');
});

test('an existing session that is answered speaks for the connections', async () => {
  const port = await freePort();
  const strict = await world().strict({}, port);
  const backend = world().watch(makeBackend(strict.url));
  const session = world().session(backend);
  await callTool(session, 'echo');
  await strict.close();
  world().mayAct = false;
  // The first may meet a connection that has just died; it is the last failure that counts.
  await failureOf(world().session(backend));
  expect((await failureOf(world().session(backend))).details?.reason).toBe('refused');
  expect(world().status().state).toBe('degraded');
  const again = await StrictBackend.start({ idPrefix: 'again' }, port);
  world().later(() => again.close());
  expect((await callTool(session, 'echo', { text: 'x' })).text).toContain('x');
  expect(world().status().state).toBe('up');
});

test('S43: a backend whose list cannot be read is degraded, with the reason', async () => {
  const strict = await world().strict();
  const backend = world().watch(makeBackend(strict.url));
  await callTool(world().session(backend), 'echo');
  world().listFailure = 'bad_reply';
  expect(world().status()).toMatchObject({ state: 'degraded', reason: 'bad_reply' });
});

test('a handshake that was given up by its own side says nothing', async () => {
  const strict = await world().strict();
  strict.always('initialize', () => undefined);
  const backend = world().watch(makeBackend(strict.url));
  for (let i = 0; i < 3; i++) {
    const session = world().session(backend);
    const failing = failureOf(session, 10_000);
    await waitFor('initialize', () => strict.of('initialize').length === i + 1);
    session.close(new GatewayError('SESSION_NOT_FOUND'));
    await failing;
  }
  expect(world().status()).toMatchObject({ state: 'unknown', failures: 0 });
});
