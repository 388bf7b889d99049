import type { BackendSessionRecord } from '../../../src/directory/directory.js';
import { GatewayError } from '../../../src/errors/gateway-error.js';
import { sendError } from '../../support/strict-backend.js';
import { waitFor } from '../../support/wait-for.js';
import { useBackends } from './fixture.js';
import { callTool, keyring, RecordingHost } from './harness.js';
import { unsealBackendSession } from '../../../src/backends/http/sealed-session.js';

describe('opening a backend session', () => {
  const { open, startStrict, connect, createSession } = useBackends();

  test('S48: initialize, save, initialized, call, in that order and with the issued id and the negotiated version', async () => {
    const { strict, host, session, backend } = await open();
    host.onSave = () => expect(strict.sequence).toEqual(['initialize']);
    expect(session.isOpen).toBe(false);
    expect((await callTool(session, 'echo', { text: 'hi' })).text).toBe('hi');

    expect(strict.sequence).toEqual(['initialize', 'notifications/initialized', 'tools/call']);
    const [initialize, initialized, call] = strict.requests;
    expect(initialize?.sessionId).toBeUndefined();
    expect(initialize?.headers['mcp-protocol-version']).toBeUndefined();
    expect(initialize?.message.params).toEqual({
      protocolVersion: '2025-11-25',
      capabilities: {},
      clientInfo: { name: 'berth', version: '1.2.3' },
    });
    for (const request of [initialized, call]) {
      expect(request?.sessionId).toBe('session-1');
      expect(request?.headers['mcp-protocol-version']).toBe('2025-11-25');
      expect(request?.headers['accept-encoding']).toBeUndefined();
    }
    expect(session.isOpen).toBe(true);
    expect(session.info).toMatchObject({
      protocolVersion: '2025-11-25',
      serverInfo: { name: 'strict' },
      instructions: 'be strict',
    });
    expect(backend.lastInfo).toEqual(session.info);
    expect(host.saves[0]?.value.isConfirmed).toBe(false);
    expect(session.record).toEqual({ ...host.saves[0]?.value, isConfirmed: true });
    expect(host.confirmations).toEqual([session.record]);
    expect(host.saves[0]).toMatchObject({
      previous: 0,
      value: { generation: 1, transport: 'http', capabilities: { tools: {} } },
    });
    expect(JSON.stringify(host.saves)).not.toContain('session-1');
  });

  test('S47: a backend that issues no id gets none, and two calls succeed', async () => {
    const { strict, session, host } = await open({ issueId: false });
    expect((await callTool(session, 'echo', { text: 'a' })).text).toBe('a');
    expect((await callTool(session, 'echo', { text: 'b' })).text).toBe('b');
    expect(strict.requests.every((r) => !('mcp-session-id' in r.headers))).toBe(true);
    expect(strict.of('initialize')).toHaveLength(1);
    expect(host.saves).toHaveLength(1);
  });

  test('S49: two calls share one initialize; another session and another backend have their own', async () => {
    const { strict, session, backend } = await open();
    const other = await startStrict({ idPrefix: 'other' });
    const second = createSession(backend, new RecordingHost('ref-2'));
    const third = createSession(connect(other.url, {}, { name: 'c' }));
    await callTool(session, 'count');
    expect((await callTool(session, 'count')).text).toBe('2');
    expect((await callTool(second, 'count')).text).toBe('1');
    await callTool(third, 'count');
    expect(strict.of('initialize')).toHaveLength(2);
    expect(other.of('initialize')).toHaveLength(1);
    // S44, S46: no id but an issued one, and each only where it was issued.
    expect(new Set(strict.requests.map((r) => r.sessionId))).toEqual(new Set([undefined, 'session-1', 'session-2']));
    expect(new Set(other.requests.map((r) => r.sessionId))).toEqual(new Set([undefined, 'other-1']));
  });

  test('S50: 20 concurrent first calls send one initialize', async () => {
    const { strict, session } = await open();
    let asked = 0;
    strict.once('initialize', async (request, response, b) => {
      await waitFor('all calls to be made', () => asked === 20);
      b.answer(request, response);
    });
    const calls = Array.from({ length: 20 }, (_, i) => {
      asked++;
      return callTool(session, 'echo', { text: String(i) });
    });
    const answers = await Promise.all(calls);
    expect(answers.map((a) => a.text)).toEqual(Array.from({ length: 20 }, (_, i) => String(i)));
    expect(strict.of('initialize')).toHaveLength(1);
    expect(strict.of('notifications/initialized')).toHaveLength(1);
    expect(strict.sequence.slice(0, 2)).toEqual(['initialize', 'notifications/initialized']);
  });

  test.each([401, 500])('S53: initialized answered %i fails the call clearly and discards the fresh id', async (status) => {
    const { strict, session, host } = await open();
    strict.once('notifications/initialized', (_request, response) => void response.writeHead(status).end());
    const { error } = await callTool(session, 'echo');
    expect(error).toMatchObject({ code: 'BACKEND_UNAVAILABLE', details: { backend: 'b', reason: `http_${status}` } });
    expect(host.discarded.map((r) => unsealBackendSession(keyring, 'ref-1', 'b', r.sealed)?.id)).toEqual(['session-1']);
    expect(strict.of('tools/call')).toHaveLength(0);
    // The next call opens anew, from the generation that was saved.
    expect((await callTool(session, 'echo', { text: 'x' })).text).toBe('x');
    expect(host.saves.map((s) => [s.previous, s.value.generation])).toEqual([
      [0, 1],
      [1, 2],
    ]);
  });

  test('a refused save sends nothing with the id, discards it and goes back to routing', async () => {
    const { strict, session, host } = await open();
    host.refuseSave = true;
    const { error } = await callTool(session, 'echo');
    expect(error?.code).toBe('NOT_OWNER');
    expect(strict.sequence).toEqual(['initialize']);
    expect(host.discarded).toHaveLength(1);
    expect(session.isOpen).toBe(false);
    expect(session.record).toBeUndefined();
  });

  test('S54: a session closed while initialize is in flight discards the id that still comes', async () => {
    const { strict, session, host } = await open();
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    strict.once('initialize', async (request, response, b) => {
      await held;
      b.answer(request, response);
    });
    const call = callTool(session, 'echo');
    await waitFor('initialize', () => strict.of('initialize').length === 1);
    session.close(new GatewayError('SESSION_NOT_FOUND'));
    expect((await call).error).toMatchObject({ code: 'SESSION_NOT_FOUND', details: undefined });
    release();
    await waitFor('the discard', () => host.discarded.length === 1);
    expect(unsealBackendSession(keyring, 'ref-1', 'b', host.discarded[0]?.sealed ?? '')?.id).toBe('session-1');
    expect(host.saves).toHaveLength(0);
    expect(strict.sequence).toEqual(['initialize']);
    expect((await callTool(session, 'echo')).error?.code).toBe('SESSION_NOT_FOUND');
  });

  test('an answer to initialize that breaks off behind its head still has its id discarded', async () => {
    const { strict, session, host } = await open();
    strict.once('initialize', (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'mcp-session-id': 'half', 'content-length': 500 });
      response.write('{"jsonrpc"', () => response.destroy());
    });
    expect((await callTool(session, 'echo')).error).toMatchObject({ code: 'BACKEND_UNAVAILABLE', details: { reason: 'reset' } });
    expect(host.discarded.map((r) => unsealBackendSession(keyring, 'ref-1', 'b', r.sealed)?.id)).toEqual(['half']);
  });

  test.each([
    ['an id with a space', 'bad_session_id', (h: Record<string, string>) => ({ ...h, 'mcp-session-id': 'a b' }), '2025-11-25'],
    ['a version nobody asked for', 'unsupported_version', (h: Record<string, string>) => h, '2031-01-01'],
  ])('%s fails the handshake', async (_name, reason, alter, protocolVersion) => {
    const { strict, session } = await open();
    strict.once('initialize', (request, response, b) =>
      b.reply(request, response, { protocolVersion, capabilities: {} }, alter({})),
    );
    expect((await callTool(session, 'echo')).error).toMatchObject({
      code: 'BACKEND_UNAVAILABLE',
      details: { backend: 'b', reason },
    });
    expect(strict.sequence).toEqual(['initialize']);
  });

  test('a JSON-RPC error to initialize is named, and the next call tries again', async () => {
    const { strict, session } = await open();
    strict.once('initialize', (request, response) => sendError(response, 400, -32602, 'no such tenant', request.message.id));
    expect((await callTool(session, 'echo')).error).toMatchObject({
      code: 'BACKEND_UNAVAILABLE',
      details: { reason: 'initialize_refused', code: -32602, answer: 'no such tenant', status: 400 },
    });
    expect((await callTool(session, 'echo', { text: 'y' })).text).toBe('y');
  });

  test('S57: an older negotiated version goes to the backend from then on', async () => {
    const { strict, session, host } = await open({ protocolVersion: '2025-03-26' });
    await callTool(session, 'echo');
    expect(strict.requests.slice(1).map((r) => r.headers['mcp-protocol-version'])).toEqual(['2025-03-26', '2025-03-26']);
    expect(host.saves[0]?.value.protocolVersion).toBe('2025-03-26');
  });

  test('open() shares the flight of a call and keeps its own deadline', async () => {
    const { strict, session } = await open();
    strict.once('initialize', async (request, response, b) => {
      await waitFor('the deadline of the impatient', () => impatientFailed);
      b.answer(request, response);
    });
    let impatientFailed = false;
    const impatient = session.open(performance.now() + 100).catch((error: GatewayError) => {
      impatientFailed = true;
      return error;
    });
    const call = callTool(session, 'echo', { text: 'z' });
    expect(await impatient).toMatchObject({ code: 'BACKEND_TIMEOUT' });
    expect((await call).text).toBe('z');
    expect((await session.open(performance.now() + 100)).serverInfo?.name).toBe('strict');
    expect(strict.of('initialize')).toHaveLength(1);
  });

  test('a record restores the same backend session on another worker without initialize', async () => {
    const { strict, session, host } = await open({}, { headers: { 'x-key': 'k' }, forwardHeaders: ['x-tenant'] });
    await callTool(session, 'count', {}, { headers: { 'x-tenant': 't1' } });
    const elsewhere = connect(strict.url, { headers: { 'x-key': 'k' } });
    const restored = createSession(elsewhere, new RecordingHost('ref-1'), session.record);
    expect(restored.isOpen).toBe(true);
    expect((await callTool(restored, 'count')).text).toBe('2');
    expect(strict.of('initialize')).toHaveLength(1);
    expect(elsewhere.lastInfo?.protocolVersion).toBe('2025-11-25');
    // Sealed to its place: of another session it does not open, and is opened anew from its generation.
    const foreignHost = new RecordingHost('ref-2');
    const foreign = createSession(elsewhere, foreignHost, host.saves[0]?.value);
    expect(foreign.isOpen).toBe(false);
    expect((await callTool(foreign, 'count')).text).toBe('1');
    expect(foreignHost.saves[0]?.previous).toBe(1);
    expect(unsealBackendSession(keyring, 'ref-1', 'b', host.saves[0]?.value.sealed ?? '')).toEqual({
      id: 'session-1',
      headers: { 'x-key': 'k', 'x-tenant': 't1' },
      url: strict.url,
    });
  });

  describe('a record whose owner died before the backend had taken notifications/initialized', () => {
    const unconfirmed = async () => {
      const opened = await open();
      await callTool(opened.session, 'count');
      const record = opened.host.saves[0]?.value;
      const host = new RecordingHost('ref-1');
      return { ...opened, host, restored: createSession(opened.backend, host, record) };
    };

    test('is confirmed first, once, with the saved id, and goes on without initialize', async () => {
      const { strict, restored, host } = await unconfirmed();
      expect(restored.isOpen).toBe(false);
      const texts = await Promise.all([callTool(restored, 'count'), callTool(restored, 'count')]);
      expect(texts.map(({ text }) => text).sort()).toEqual(['2', '3']);
      expect(strict.sequence.slice(3)).toEqual(['notifications/initialized', 'tools/call', 'tools/call']);
      expect(strict.requests[3]?.sessionId).toBe('session-1');
      expect(host.saves).toEqual([]);
      expect(host.confirmations).toMatchObject([{ generation: 1, isConfirmed: true }]);
      expect(restored.record).toEqual(host.confirmations[0]);
    });

    test('is opened anew where the backend no longer knows it', async () => {
      const { strict, restored, host } = await unconfirmed();
      strict.forget();
      expect((await callTool(restored, 'count')).text).toBe('1');
      expect(strict.issued).toHaveLength(2);
      expect(host.saves).toMatchObject([{ previous: 1, value: { generation: 2 } }]);
    });

    test('a strict backend that had taken it refuses another: that confirms it as well', async () => {
      const { strict, restored, host } = await unconfirmed();
      strict.always('notifications/initialized', (_request, response) =>
        sendError(response, 400, -32600, 'already initialized', null),
      );
      expect((await callTool(restored, 'count')).text).toBe('2');
      expect(strict.issued).toHaveLength(1);
      expect(host.confirmations).toMatchObject([{ generation: 1, isConfirmed: true }]);
    });

    test.each([401, 403, 429, 503])('%i confirms nothing: the next call asks again', async (status) => {
      const { strict, restored, host } = await unconfirmed();
      strict.once('notifications/initialized', (_request, response) => void response.writeHead(status).end());
      expect((await callTool(restored, 'count')).error).toMatchObject({ details: { status } });
      expect(host.confirmations).toEqual([]);
      expect((await callTool(restored, 'count')).text).toBe('2');
      expect(host.confirmations).toHaveLength(1);
    });

    test('a record of an earlier version, which says nothing of it, is taken as confirmed', async () => {
      const { strict, backend, session } = await unconfirmed();
      const { generation, sealed, protocolVersion, capabilities, transport } = session.record as BackendSessionRecord;
      const host = new RecordingHost('ref-1');
      const restored = createSession(backend, host, { generation, sealed, protocolVersion, capabilities, transport });
      expect((await callTool(restored, 'count')).text).toBe('2');
      expect(strict.of('notifications/initialized')).toHaveLength(1);
    });
  });
});
