import { sendError } from '../../support/strict-backend.js';
import { waitFor } from '../../support/wait-for.js';
import { useBackends } from './fixture.js';
import { callTool, CollectingSink, makeCall, RecordingHost, toolCall } from './harness.js';

describe('a backend that lost its session', () => {
  const { open, startStrict, connect, createSession } = useBackends();

  test.each(['404', 'sdk'] as const)('S63: answered %s, it is initialized once and the call repeated once', async (lost) => {
    const { strict, session, host } = await open({ lost });
    await callTool(session, 'count');
    strict.forget();
    expect((await callTool(session, 'count')).text).toBe('1');
    expect(strict.requests.slice(3).map((r) => [r.what, r.sessionId])).toEqual([
      ['tools/call', 'session-1'],
      ['initialize', undefined],
      ['notifications/initialized', 'session-2'],
      ['tools/call', 'session-2'],
    ]);
    expect(host.saves.map((s) => [s.previous, s.value.generation])).toEqual([
      [0, 1],
      [1, 2],
    ]);
    // What the backend itself declared lost is not ended once more.
    expect(host.discarded).toEqual([]);
    expect(session.record?.generation).toBe(2);
  });

  test('S64: 30 concurrent calls cause one initialize, and all are repeated with the same new id', async () => {
    const { strict, session, host } = await open();
    await callTool(session, 'echo');
    strict.forget();
    const sinks = await Promise.all(Array.from({ length: 30 }, (_, i) => callTool(session, 'echo', { text: String(i) })));
    expect(sinks.map((s) => s.text)).toEqual(Array.from({ length: 30 }, (_, i) => String(i)));
    expect(strict.of('initialize')).toHaveLength(2);
    const calls = strict.of('tools/call').slice(1);
    expect(calls.filter((r) => r.sessionId === 'session-2')).toHaveLength(30);
    expect(calls.filter((r) => r.sessionId === 'session-1').length).toBeLessThanOrEqual(30);
    expect(host.discarded).toEqual([]);
    expect(strict.of('DELETE')).toEqual([]);
  });

  test('S64: a 404 that comes after the recovery only repeats its call', async () => {
    const { strict, session } = await open();
    await callTool(session, 'echo');
    let recovered = false;
    strict.once('tools/call', async (_request, response) => {
      await waitFor('the recovery by another call', () => recovered, 3000);
      sendError(response, 404, -32001, 'Session not found', null);
    });
    const late = callTool(session, 'echo', { text: 'late' });
    await waitFor('the late call', () => strict.of('tools/call').length === 2);
    strict.forget();
    expect((await callTool(session, 'echo', { text: 'first' })).text).toBe('first');
    recovered = true;
    expect((await late).text).toBe('late');
    expect(strict.of('initialize')).toHaveLength(2);
  });

  test('S65: a failed initialize is tried once, and the error names the answer and the cause', async () => {
    const { strict, session } = await open();
    await callTool(session, 'echo');
    strict.forget();
    strict.always('initialize', (_request, response) => void response.writeHead(503).end());
    const sinks = await Promise.all(Array.from({ length: 10 }, () => callTool(session, 'echo')));
    for (const { error } of sinks) {
      expect(error).toMatchObject({
        code: 'BACKEND_UNAVAILABLE',
        details: { backend: 'b', reason: 'session_lost', answer: 'http_404', cause: 'http_503' },
      });
    }
    expect(strict.of('initialize')).toHaveLength(2);
    strict.always('initialize', undefined);
    expect((await callTool(session, 'echo', { text: 'well again' })).text).toBe('well again');
  });

  test('S65: a new session that is lost at once is no loop', async () => {
    const { strict, session } = await open();
    await callTool(session, 'echo');
    strict.always('tools/call', (_request, response) => sendError(response, 404, -32001, 'Session not found', null));
    expect((await callTool(session, 'echo')).error).toMatchObject({
      code: 'BACKEND_UNAVAILABLE',
      details: { reason: 'session_lost', answer: 'http_404', repeated: true },
    });
    expect(strict.of('initialize')).toHaveLength(2);
    expect(strict.of('tools/call')).toHaveLength(3);
  });

  test.each([
    ['another 400', 400, -32600, 'Bad Request'],
    ['a 400 with the code and another message', 400, -32000, 'Bad Request: unsupported protocol version'],
    ['a 400 with the message and another code', 400, -32602, 'Session not found'],
    ['401', 401, -32000, 'Session expired'],
    ['403', 403, -32001, 'Session not found'],
    ['429', 429, -32000, 'Too many'],
    ['500', 500, -32001, 'Session not found'],
  ])('S66: %s initializes nothing', async (_name, status, code, message) => {
    const { strict, session } = await open();
    await callTool(session, 'echo');
    strict.once('tools/call', (_request, response) => sendError(response, status, code, message, null));
    expect((await callTool(session, 'echo')).response.error).toMatchObject({ code, message });
    expect(strict.of('initialize')).toHaveLength(1);
    expect(strict.of('tools/call')).toHaveLength(2);
  });

  test('S66: a tool error, and a 404 to a call without a session id, initialize nothing', async () => {
    const { strict, session } = await open();
    expect((await callTool(session, 'fail')).response.result?.isError).toBe(true);
    expect(strict.of('initialize')).toHaveLength(1);

    const other = await open({ issueId: false });
    other.strict.once('tools/call', (_request, response) => void response.writeHead(404).end());
    expect((await callTool(other.session, 'echo')).error).toMatchObject({ details: { reason: 'http_404' } });
    expect(other.strict.of('initialize')).toHaveLength(1);
  });

  test.each([
    'Session not found',
    'Session expired',
    'session has terminated',
    'Bad Request: Server not initialized',
    'Bad Request: No valid session ID provided',
  ])('a 400 that says "%s" is a lost session', async (message) => {
    const { strict, session } = await open();
    await callTool(session, 'echo');
    strict.once('tools/call', (_request, response) => sendError(response, 400, -32000, message, null));
    expect((await callTool(session, 'echo', { text: 'ok' })).text).toBe('ok');
    expect(strict.of('initialize')).toHaveLength(2);
  });

  test('lostSessionPattern adds an answer of a server that is different', async () => {
    const { strict, session } = await open({}, { lostSessionPattern: 'unknown conversation' });
    await callTool(session, 'echo');
    strict.once('tools/call', (_request, response) => void response.writeHead(410).end('Unknown conversation 77'));
    expect((await callTool(session, 'echo', { text: 'ok' })).text).toBe('ok');
  });

  test('S67: the recovery ends with the last caller, and an id that still comes is discarded', async () => {
    const { strict, session, host } = await open();
    await callTool(session, 'echo');
    strict.forget();
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    strict.once('initialize', async (request, response, b) => {
      await held;
      b.answer(request, response);
    });
    const sink = new CollectingSink();
    const leaver = session.call(makeCall(toolCall(1, 'echo'), sink));
    const started = performance.now();
    const { error } = await callTool(session, 'echo', {}, { withinMs: 300 });
    expect(performance.now() - started).toBeLessThan(1500);
    expect(error).toMatchObject({ code: 'BACKEND_TIMEOUT' });
    leaver.cancel('gone', false);
    release();
    await waitFor('the discard', () => host.discarded.length === 1);
    expect(host.saves).toHaveLength(1);
    expect(strict.of('notifications/initialized')).toHaveLength(1);
    expect(strict.of('tools/call')).toHaveLength(3);
    expect(sink.ended).toBe(false);
  });

  test('S67: the recovery takes no longer than reinitializeTimeout', async () => {
    const { strict, session } = await open({}, {}, { reinitializeTimeout: 200 });
    await callTool(session, 'echo');
    strict.forget();
    strict.once('initialize', () => undefined);
    const started = performance.now();
    const { error } = await callTool(session, 'echo', {}, { withinMs: 20_000 });
    expect(performance.now() - started).toBeLessThan(2000);
    expect(error).toMatchObject({ code: 'BACKEND_TIMEOUT', details: { reason: 'session_lost', answer: 'http_404' } });
    await waitFor('the attempt to be cut', () => strict.of('initialize')[1]?.aborted);
    expect((await callTool(session, 'echo', { text: 'next' })).text).toBe('next');
  });

  test('S69: of three backends only the one that lost its session heals, at its next call', async () => {
    const stricts = await Promise.all([1, 2, 3].map((n) => startStrict({ idPrefix: `b${n}` })));
    const sessions = stricts.map((strict) => createSession(connect(strict.url)));
    await Promise.all(sessions.map((session) => callTool(session, 'count')));
    stricts[1]?.forget();
    const second = await Promise.all(sessions.map((session) => callTool(session, 'count')));
    expect(second.map((s) => s.text)).toEqual(['2', '1', '2']);
    expect(stricts.map((s) => s.of('initialize').length)).toEqual([1, 2, 1]);
  });

  test('with onStateLoss fail the session ends and nothing is initialized', async () => {
    const { strict, session, host } = await open({}, { onStateLoss: 'fail' });
    await callTool(session, 'echo');
    strict.forget();
    const { error } = await callTool(session, 'echo');
    // Refused: it did not run, and whoever asks again in a new session runs it once.
    expect(error).toMatchObject({ code: 'SESSION_NOT_FOUND', details: { reason: 'session_lost' } });
    expect(error?.details).not.toHaveProperty('executed');
    expect(host.losses).toHaveLength(1);
    expect(strict.of('initialize')).toHaveLength(1);
  });

  test('a refused save during recovery repeats nothing and goes back to routing', async () => {
    const { strict, session, host } = await open();
    await callTool(session, 'echo');
    strict.forget();
    host.refuseSave = true;
    expect((await callTool(session, 'echo')).error?.code).toBe('NOT_OWNER');
    expect(host.discarded).toHaveLength(1);
    expect(strict.of('tools/call')).toHaveLength(2);
  });

  test('a session restored from a record heals like any other', async () => {
    const { strict, session } = await open();
    await callTool(session, 'echo');
    strict.forget();
    const host = new RecordingHost();
    const restored = createSession(connect(strict.url), host, session.record);
    expect((await callTool(restored, 'echo', { text: 'r' })).text).toBe('r');
    expect(host.saves[0]).toMatchObject({ previous: 1, value: { generation: 2 } });
  });
});
