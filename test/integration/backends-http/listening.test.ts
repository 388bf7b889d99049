import { GatewayError } from '../../../src/errors/gateway-error.js';
import { waitFor } from '../../support/wait-for.js';
import { sendError } from '../../support/strict-backend.js';
import { useBackends } from './fixture.js';
import { callTool } from './harness.js';

const changed = { jsonrpc: '2.0', method: 'notifications/tools/list_changed' };

describe('the GET stream of a backend session', () => {
  const { open } = useBackends();

  test('is opened with the session, hands on notifications and answers requests', async () => {
    const { strict, session, host } = await open({}, { headers: { 'x-key': 'k' } });
    session.setListening(true);
    expect(strict.of('GET')).toHaveLength(0);
    await callTool(session, 'echo');
    await waitFor('the stream', () => strict.streams.size === 1);
    const [get] = strict.of('GET');
    expect(get?.headers).toMatchObject({
      accept: 'text/event-stream',
      'mcp-session-id': 'session-1',
      'mcp-protocol-version': '2025-11-25',
      'x-key': 'k',
    });
    expect(get?.headers['last-event-id']).toBeUndefined();
    strict.streams.push(changed);
    strict.streams.write('id: prime\ndata:\n\n: comment\n\n');
    strict.streams.push({ jsonrpc: '2.0', id: 3, method: 'roots/list' });
    strict.streams.push({ jsonrpc: '2.0', id: 4, method: 'ping' });
    await waitFor('the answers', () => strict.of('response').length === 2);
    expect(host.notifications.map((n) => JSON.parse(n))).toEqual([changed]);
    const answers = strict.of('response').map((r) => r.message);
    expect(answers.find((a) => a.id === 3)).toMatchObject({ error: { code: -32601 } });
    expect(answers.find((a) => a.id === 4)).toMatchObject({ result: {} });
  });

  test('is reconnected with Last-Event-ID after the retry that the backend named', async () => {
    const { strict, session, host } = await open();
    await callTool(session, 'echo');
    session.setListening(true);
    await waitFor('the stream', () => strict.streams.size === 1);
    strict.streams.write('retry: 20\n\n');
    const id = strict.streams.push(changed);
    await waitFor('the notification', () => host.notifications.length === 1);
    strict.streams.closeAll();
    await waitFor('the reconnect', () => strict.of('GET').length === 2);
    expect(strict.of('GET')[1]?.headers['last-event-id']).toBe(id);
    expect(strict.of('initialize')).toHaveLength(1);
  });

  test('405 means that none is offered: it is not asked for again', async () => {
    const { strict, session } = await open({ get: '405' });
    await callTool(session, 'echo');
    session.setListening(true);
    await waitFor('the refusal', () => strict.of('GET').length === 1);
    session.setListening(false);
    session.setListening(true);
    expect((await callTool(session, 'slow', { ms: 100 })).text).toBe('late');
    expect(strict.of('GET')).toHaveLength(1);
  });

  test('409 is tried again after a while, and calls go on', async () => {
    const { strict, session } = await open();
    await callTool(session, 'echo');
    strict.once('GET', (_request, response) => sendError(response, 409, -32000, 'Conflict', null));
    session.setListening(true);
    await waitFor('the conflict', () => strict.of('GET').length === 1);
    expect((await callTool(session, 'echo', { text: 'on' })).text).toBe('on');
    const started = performance.now();
    await waitFor('the second try', () => strict.streams.size === 1);
    expect(performance.now() - started).toBeGreaterThan(500);
    expect(strict.of('initialize')).toHaveLength(1);
  });

  test('404 is a lost session: it is opened anew, and so is the stream, with no old event id', async () => {
    const { strict, session, host } = await open();
    await callTool(session, 'echo');
    session.setListening(true);
    await waitFor('the stream', () => strict.streams.size === 1);
    strict.streams.write('retry: 10\n\n');
    strict.streams.push(changed);
    await waitFor('the notification', () => host.notifications.length === 1);
    strict.forget();
    await waitFor('the new stream', () => strict.streams.has('session-2'));
    expect(strict.of('initialize')).toHaveLength(2);
    expect(strict.of('GET').at(-1)?.headers['last-event-id']).toBeUndefined();
    expect(host.saves.at(-1)?.value.generation).toBe(2);
    strict.streams.push(changed);
    await waitFor('a notification of the new stream', () => host.notifications.length === 2);
  });

  test('404 of a server that has no GET initializes nothing', async () => {
    const { strict, session } = await open();
    await callTool(session, 'echo');
    strict.always('GET', (_request, response) => void response.writeHead(404).end('no route'));
    session.setListening(true);
    await waitFor('the ping that finds out', () => strict.of('ping').length === 1);
    expect((await callTool(session, 'slow', { ms: 100 })).text).toBe('late');
    expect(strict.of('GET')).toHaveLength(1);
    expect(strict.of('initialize')).toHaveLength(1);
  });

  test('a recovery by a call moves the stream to the new session', async () => {
    const { strict, session } = await open();
    await callTool(session, 'echo');
    session.setListening(true);
    await waitFor('the stream', () => strict.streams.has('session-1'));
    strict.once('tools/call', (_request, response) => sendError(response, 404, -32001, 'Session not found', null));
    await callTool(session, 'echo');
    await waitFor('the stream of the new session', () => strict.streams.has('session-2'));
    await waitFor('the end of the old one', () => !strict.streams.has('session-1'));
  });

  test('the guard refuses it', async () => {
    const { strict, session, host } = await open();
    await callTool(session, 'echo');
    host.owns = false;
    const asked = host.asked;
    session.setListening(true);
    await waitFor('the guard to be asked', () => host.asked > asked);
    expect(strict.of('GET')).toHaveLength(0);
    host.owns = true;
    await waitFor('the stream, once the guard allows', () => strict.streams.size === 1);
  });

  test('close() ends it', async () => {
    const { strict, session } = await open();
    await callTool(session, 'echo');
    session.setListening(true);
    await waitFor('the stream', () => strict.streams.size === 1);
    session.close(new GatewayError('SESSION_NOT_FOUND'));
    await waitFor('its end', () => strict.streams.size === 0);
  });
});
