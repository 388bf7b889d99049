// What a client has asked for is set in a backend session that has just been opened before any call of it is sent there.
import type { BackendSession } from '../../../src/backends/backend.js';
import { OwnRequests } from '../../../src/backends/own-requests.js';
import { GatewayError } from '../../../src/errors/gateway-error.js';
import { sendError } from '../../support/strict-backend.js';
import { waitFor } from '../../support/wait-for.js';
import { useBackends } from './fixture.js';
import { callTool, CollectingSink, makeCall, RecordingHost, toolCall } from './harness.js';

const { startStrict, connect, createSession } = useBackends();

/** Sets a level whenever the backend session is opened. */
class PreparingHost extends RecordingHost {
  session: BackendSession | undefined;
  readonly failures: unknown[] = [];

  async opened(_info: unknown, headers: Record<string, string>): Promise<void> {
    const params = { level: 'debug' };
    const request = { method: 'logging/setLevel', params, headers, deadlineMs: performance.now() + 2000, isPreparation: true };
    await new OwnRequests().request(this.session as BackendSession, request).catch((error) => this.failures.push(error.code));
  }
}

async function open() {
  const strict = await startStrict({ capabilities: { tools: {}, logging: {} } });
  const backend = connect(strict.url, { forwardHeaders: ['x-tenant'] });
  const host = new PreparingHost();
  const session = createSession(backend, host);
  host.session = session;
  return { strict, host, session };
}

test('calls wait for it, at the first opening and at each that replaces a lost session; it goes with the headers of the opening', async () => {
  const { strict, session, host } = await open();
  const headers = { 'x-tenant': 't' };
  for (const round of [1, 2]) {
    let answer: (() => void) | undefined;
    strict.once('logging/setLevel', async (request, response, b) => {
      await new Promise<void>((resolve) => {
        answer = resolve;
      });
      b.reply(request, response, {});
    });
    const calls = Array.from({ length: 3 }, () => callTool(session, 'echo', { text: 'x' }, { headers }));
    const opened = session.open(performance.now() + 5000, headers);
    await waitFor('the level to be set', () => answer !== undefined);
    // What comes while it is being set waits as well.
    calls.push(callTool(session, 'echo', { text: 'x' }, { headers }));
    const inNew = () => strict.requests.filter(({ sessionId }) => sessionId === `session-${round}`).map(({ what }) => what);
    expect(inNew()).toEqual(['notifications/initialized', 'logging/setLevel']);
    answer?.();
    expect((await Promise.all(calls)).map(({ text }) => text)).toEqual(['x', 'x', 'x', 'x']);
    await opened;
    expect(inNew().filter((what) => what === 'tools/call')).toHaveLength(4);
    expect(strict.of('logging/setLevel').at(-1)?.headers['x-tenant']).toBe('t');
    strict.forget();
  }
  expect(host.failures).toEqual([]);
});

test('a backend that forgets its session over it is not opened anew for that: the call that waited does it, once', async () => {
  const { strict, session, host } = await open();
  const lose = () =>
    strict.once('logging/setLevel', (request, response) => {
      strict.forget();
      sendError(response, 404, -32001, 'Session not found', request.message.id);
    });
  lose();
  expect((await callTool(session, 'echo', { text: 'x' })).text).toBe('x');
  expect(host.failures).toEqual(['BACKEND_UNAVAILABLE']);
  expect(strict.of('initialize')).toHaveLength(2);
});

test('a call that is cancelled or runs out of time while it waits is never sent; the end of the session ends the others', async () => {
  const { strict, session } = await open();
  strict.once('logging/setLevel', () => undefined);
  const late = callTool(session, 'echo', {}, { withinMs: 300 });
  const waiting = callTool(session, 'echo');
  const cancelled = new CollectingSink();
  const running = session.call(makeCall(toolCall(9, 'echo'), cancelled));
  const opened = session.open(performance.now() + 5000);
  await waitFor('the level to be set', () => strict.of('logging/setLevel').length === 1);
  expect((await late).error).toMatchObject({ code: 'BACKEND_TIMEOUT', details: { sent: false } });
  running.cancel('no more', true);
  session.close(new GatewayError('SESSION_NOT_FOUND'));
  expect((await waiting).error?.code).toBe('SESSION_NOT_FOUND');
  await expect(opened).rejects.toMatchObject({ code: 'SESSION_NOT_FOUND' });
  expect(strict.of('tools/call')).toEqual([]);
  // Nothing was begun that would have to be taken back.
  expect(strict.of('notifications/cancelled')).toEqual([]);
  expect(cancelled.ended).toBe(false);
});
