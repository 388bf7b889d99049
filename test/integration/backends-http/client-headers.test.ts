// S30: forwarded headers are those of each request. What a session was opened with is not pinned: neither for its GET stream, nor for
// its recovery, nor for what is told to the backend meanwhile.
import { waitFor } from '../../support/wait-for.js';
import { useBackends } from './fixture.js';
import { callTool, CollectingSink, makeCall, toolCall } from './harness.js';

const tenant = (value: string) => ({ 'x-tenant': value });
const forwarding = { forwardHeaders: ['x-tenant'] };

describe('headers of the client', () => {
  const { open } = useBackends();

  test('the GET stream, and answers to its requests, carry those of the GET of the client', async () => {
    const { strict, session } = await open({}, forwarding);
    await callTool(session, 'echo', {}, { headers: tenant('first') });
    session.setListening(true, tenant('second'));
    await waitFor('the stream', () => strict.streams.size === 1);
    strict.streams.push({ jsonrpc: '2.0', id: 4, method: 'ping' });
    await waitFor('the answer', () => strict.of('response').length === 1);
    expect(strict.of('GET')[0]?.headers['x-tenant']).toBe('second');
    expect(strict.of('response')[0]?.headers['x-tenant']).toBe('second');
  });

  test('a GET with other ones opens the stream anew, with the last event id; one with the same keeps it', async () => {
    const { strict, session, host } = await open({}, forwarding);
    await callTool(session, 'echo', {}, { headers: tenant('first') });
    session.setListening(true, tenant('first'));
    await waitFor('the stream', () => strict.streams.size === 1);
    const id = strict.streams.push({ jsonrpc: '2.0', method: 'notifications/tools/list_changed' });
    await waitFor('the notification', () => host.notifications.length === 1);
    session.setListening(false);
    session.setListening(true, { ...tenant('first'), 'x-other': 'not forwarded' });
    expect(strict.of('GET')).toHaveLength(1);
    session.setListening(true, tenant('second'));
    await waitFor('the stream with the new headers', () =>
      strict.of('GET').find(({ headers }) => headers['x-tenant'] === 'second'),
    );
    expect(strict.of('GET')[1]?.headers['last-event-id']).toBe(id);
  });

  test('a lost session is opened anew with those of the request that found out', async () => {
    const { strict, session, host } = await open({}, forwarding);
    await callTool(session, 'echo', {}, { headers: tenant('old') });
    strict.forget();
    expect((await callTool(session, 'echo', { text: 'a' }, { headers: tenant('new') })).text).toBe('a');
    expect(strict.of('initialize').map(({ headers }) => headers['x-tenant'])).toEqual(['old', 'new']);
    expect(strict.of('notifications/initialized').map(({ headers }) => headers['x-tenant'])).toEqual(['old', 'new']);
    expect(host.saves).toHaveLength(2);
  });

  test('a cancellation carries those of the request that cancels', async () => {
    const { strict, session } = await open({}, forwarding);
    const sink = new CollectingSink();
    const call = session.call(makeCall(toolCall(7, 'slow', { ms: 5000 }), sink, 8000, tenant('call')));
    await waitFor('the call to arrive', () => strict.of('tools/call').length === 1);
    call.cancel('enough', true, tenant('cancel'));
    await waitFor('the cancellation', () => strict.of('notifications/cancelled').length === 1);
    expect(strict.of('notifications/cancelled')[0]?.headers['x-tenant']).toBe('cancel');
    expect(strict.of('tools/call')[0]?.headers['x-tenant']).toBe('call');
  });
});
