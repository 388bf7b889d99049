// The guard runs right before the bytes leave: also for what waited in a queue of the pool, and for every step of a handshake.
import type { ServerResponse } from 'node:http';
import { waitFor } from '../../support/wait-for.js';
import { useBackends } from './fixture.js';
import { callTool } from './harness.js';

describe('the guard', () => {
  const { open } = useBackends();

  test('a call that waited behind a busy connection never leaves once the guard refuses', async () => {
    const { strict, session, host } = await open({}, {}, { connections: 1 });
    await callTool(session, 'echo');
    let release: (() => void) | undefined;
    strict.once('tools/call', (request, response, b) => {
      release = () => b.answer(request, response);
    });
    const first = callTool(session, 'echo', { text: 'first' });
    await waitFor('the first call', () => release);
    const queued = [callTool(session, 'echo', { text: 'second' }), callTool(session, 'echo', { text: 'third' })];
    host.owns = false;
    release?.();
    expect((await first).text).toBe('first');
    for (const sink of await Promise.all(queued)) expect(sink.error?.code).toBe('NOT_OWNER');
    expect(strict.of('tools/call')).toHaveLength(2);
    // The connection is as good as before.
    host.owns = true;
    const connections = strict.connections;
    expect((await callTool(session, 'echo', { text: 'again' })).text).toBe('again');
    expect(strict.connections).toBe(connections);
    expect(strict.of('tools/call')).toHaveLength(3);
  });

  test('a queued call that was cancelled never leaves, and the backend is told nothing', async () => {
    const { strict, session } = await open({}, {}, { connections: 1 });
    await callTool(session, 'echo');
    let held: [ServerResponse, () => void] | undefined;
    strict.once('tools/call', (request, response, b) => {
      held = [response, () => b.answer(request, response)];
    });
    const first = callTool(session, 'echo', { text: 'first' });
    await waitFor('the first call', () => held);
    const timedOut = await callTool(session, 'echo', {}, { withinMs: 100 });
    expect(timedOut.error).toMatchObject({ code: 'BACKEND_TIMEOUT', details: { sent: false } });
    held?.[1]();
    expect((await first).text).toBe('first');
    expect((await callTool(session, 'echo', { text: 'x' })).text).toBe('x');
    expect(strict.of('tools/call')).toHaveLength(3);
    expect(strict.of('notifications/cancelled')).toHaveLength(0);
  });

  test('nothing of a handshake leaves: not initialize, not initialized, and not the call', async () => {
    const { strict, session, host } = await open();
    host.owns = false;
    expect((await callTool(session, 'echo')).error?.code).toBe('NOT_OWNER');
    expect(strict.sequence).toEqual([]);

    host.owns = true;
    host.onSave = () => {
      host.owns = false;
    };
    expect((await callTool(session, 'echo')).error?.code).toBe('NOT_OWNER');
    expect(strict.sequence).toEqual(['initialize']);
    // The record was saved: the id now belongs to the next owner, who goes on with it.
    expect(host.discarded).toEqual([]);
    expect(host.saves).toHaveLength(1);
  });

  test('a recovery and its repeat ask it again', async () => {
    const { strict, session, host } = await open();
    await callTool(session, 'echo');
    strict.forget();
    strict.once('tools/call', (request, response, b) => {
      host.owns = false;
      b.answer(request, response);
    });
    expect((await callTool(session, 'echo')).error?.code).toBe('NOT_OWNER');
    expect(strict.of('initialize')).toHaveLength(1);

    host.owns = true;
    strict.once('notifications/initialized', (request, response, b) => {
      host.owns = false;
      b.answer(request, response);
    });
    expect((await callTool(session, 'echo')).error?.code).toBe('NOT_OWNER');
    expect(strict.of('initialize')).toHaveLength(2);
    expect(strict.of('tools/call').map((r) => r.sessionId)).toEqual(['session-1', 'session-1', 'session-1']);
  });

  test('notifications and answers to the backend ask it too', async () => {
    const { strict, session, host } = await open({ reply: 'sse' });
    await callTool(session, 'echo');
    strict.once('tools/call', (request, response, b) => {
      host.owns = false;
      b.send(response, [
        { jsonrpc: '2.0', id: 1, method: 'ping' },
        { jsonrpc: '2.0', id: request.message.id, result: {} },
      ]);
    });
    const late = await callTool(session, 'echo');
    // What was begun before may still be answered to the caller who waits.
    expect(late.response.result).toEqual({});
    await session.notify({ jsonrpc: '2.0', method: 'notifications/roots/list_changed' }, {});
    expect(strict.sequence).toEqual(['initialize', 'notifications/initialized', 'tools/call', 'tools/call']);
  });
});
