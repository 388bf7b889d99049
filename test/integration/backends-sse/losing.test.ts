// The state of an HTTP+SSE session lives in its stream: what callers and the session hear when it is gone.
import { GatewayError } from '../../../src/errors/gateway-error.js';
import { waitFor } from '../../support/wait-for.js';
import { callTool, type Opened, soon, useBackends } from './harness.js';

const { open, start, connect, createSession } = useBackends();

const lose = ({ raw }: Opened, how: 'clean' | 'reset' = 'clean') => raw.last.end(how);

test.each(['clean', 'reset'] as const)(
  'reinitialize: after a %s end the next call opens a new stream, the call in flight is not repeated',
  async (how) => {
    const made = await open();
    const { session, raw, host } = made;
    const caller = callTool(session, 1, 'hang');
    await waitFor('the call', () => raw.sent('tools/call').length === 1);
    lose(made, how);
    await expect(caller.response).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN', details: { backend: 'b' } });
    await waitFor('the session to be closed', () => !session.isOpen);
    expect(session.isBoundToWorker).toBe(false);
    expect((await callTool(session, 2, 'echo').response).id).toBe(2);
    expect(raw.streams).toHaveLength(2);
    expect(raw.sent('tools/call').filter(({ params }) => params.name === 'hang')).toHaveLength(1);
    expect(host.saves.map(({ previousGeneration, value }) => [previousGeneration, value.generation])).toEqual([
      [0, 1],
      [1, 2],
    ]);
    expect(host.lost).toEqual([]);
  },
);

test('it is never opened again by itself', async () => {
  const made = await open();
  made.raw.last.write('retry: 1\n\n');
  lose(made);
  await waitFor('the session to be closed', () => !made.session.isOpen);
  await made.session.notify({ jsonrpc: '2.0', method: 'notifications/roots/list_changed' }, {});
  expect(made.raw.streams).toHaveLength(1);
});

test('fail: calls in flight have an unknown outcome, then the session ends', async () => {
  const made = await open({}, { onStateLoss: 'fail' });
  const { session, raw, host } = made;
  const caller = callTool(session, 1, 'hang');
  await waitFor('the call', () => raw.sent('tools/call').length === 1);
  lose(made);
  await expect(caller.response).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' });
  expect(host.lost).toEqual(['the event stream ended (stream_ended)']);
  await expect(callTool(session, 2, 'echo').response).rejects.toMatchObject({ code: 'SESSION_NOT_FOUND' });
  expect(raw.streams).toHaveLength(1);
});

test.each([
  ['TypeScript SDK', 400, 'No transport found for sessionId'],
  ['Python SDK', 404, 'Could not find session'],
  ['Go', 400, JSON.stringify({ jsonrpc: '2.0', id: null, error: { code: -32602, message: 'Invalid session ID' } })],
  ['C#', 400, 'Session ID not found'],
])('a server that forgot the stream (%s): all calls that it refused run once, in one new session', async (_, status, body) => {
  let known = 1;
  const { session, raw, host } = await open({
    onPost: ({ stream }) => (stream && stream.id >= known ? undefined : { status, body }),
  });
  known = 2;
  const callers = [1, 2, 3, 4].map((id) => callTool(session, id, 'counter'));
  const answers = await Promise.all(callers.map(({ response }) => response));
  expect(answers.map(({ result }) => result.count).sort()).toEqual([1, 2, 3, 4]);
  expect(raw.streams).toHaveLength(2);
  expect(host.saves).toHaveLength(2);
  await waitFor('the forgotten stream to end', () => !raw.streams[0]?.isOpen);
  expect(raw.streams[1]?.isOpen).toBe(true);
});

test('what the server had begun before it forgot may still be answered on the old stream', async () => {
  let known = 1;
  const { session, raw } = await open({ onPost: ({ stream }) => (stream && stream.id >= known ? undefined : { status: 404 }) });
  const begun = callTool(session, 1, 'hang');
  await waitFor('the call', () => raw.sent('tools/call').length === 1);
  known = 2;
  await callTool(session, 2, 'echo').response;
  expect(raw.streams.map(({ isOpen }) => isOpen)).toEqual([true, true]);
  raw.streams[0]?.say({ id: raw.sent('tools/call')[0].id, result: { late: true } });
  expect((await begun.response).result).toEqual({ late: true });
  await waitFor('the forgotten stream to end', () => !raw.streams[0]?.isOpen);
});

test('a call is repeated once only', async () => {
  const { session, raw } = await open({
    onPost: ({ message }) => (message.params?.name === 'hang' ? { status: 404 } : undefined),
  });
  await expect(callTool(session, 1, 'hang').response).rejects.toMatchObject({
    code: 'BACKEND_UNAVAILABLE',
    details: { reason: 'session_lost', answer: 'http_404' },
  });
  expect(raw.sent('tools/call')).toHaveLength(2);
});

test('fail: a forgotten stream ends the session, and nothing is repeated', async () => {
  const { session, raw, host } = await open(
    { onPost: ({ message }) => (message.params?.name === 'hang' ? { status: 404 } : undefined) },
    { onStateLoss: 'fail' },
  );
  await expect(callTool(session, 1, 'hang').response).rejects.toMatchObject({ code: 'SESSION_NOT_FOUND', details: undefined });
  expect(host.lost).toEqual(['the backend lost the session']);
  expect(raw.sent('tools/call')).toHaveLength(1);
  expect(raw.streams).toHaveLength(1);
});

test('fail: what it had begun before it forgot is marked as what may have run', async () => {
  let known = 1;
  const { session, raw } = await open(
    { onPost: ({ stream }) => (stream && stream.id >= known ? undefined : { status: 404 }) },
    { onStateLoss: 'fail' },
  );
  const begun = callTool(session, 1, 'hang');
  await waitFor('the call', () => raw.sent('tools/call').length === 1);
  known = 2;
  const refused = callTool(session, 2, 'echo');
  await expect(begun.response).rejects.toMatchObject({ code: 'SESSION_NOT_FOUND', details: { executed: 'unknown' } });
  await expect(refused.response).rejects.toMatchObject({ code: 'SESSION_NOT_FOUND', details: undefined });
});

test('a 400 that says something else is no lost session', async () => {
  const { session, raw } = await open({
    onPost: ({ message }) => (message.params?.name === 'hang' ? { status: 400, body: 'Invalid message' } : undefined),
  });
  await expect(callTool(session, 1, 'hang').response).rejects.toMatchObject({ details: { reason: 'http_400' } });
  expect(raw.sent('tools/call')).toHaveLength(1);
  expect(raw.streams).toHaveLength(1);
});

test.each([
  ['fail', ['the event stream ended with its worker']],
  ['reinitialize', []],
] as const)('a record of an earlier owner with %s', async (onStateLoss, losses) => {
  const raw = await start();
  const backend = connect(raw.url, { onStateLoss });
  const first = createSession(backend);
  await first.session.open(soon());
  const { host, session } = createSession(backend, first.session.record);
  expect(host.lost).toEqual([]);
  if (onStateLoss === 'fail') await waitFor('the loss to be told', () => host.lost.length === 1);
  else {
    await callTool(session, 1, 'echo').response;
    expect(host.saves).toMatchObject([{ previousGeneration: 1, value: { generation: 2 } }]);
  }
  expect(host.lost).toEqual(losses);
});

test('closing ends the stream and sends nothing; closing the backend ends the streams of all sessions', async () => {
  const { session, raw, backend } = await open();
  const other = createSession(backend);
  await other.session.open(soon());
  const before = raw.posts.length;
  const hanging = callTool(session, 1, 'hang');
  await waitFor('the call', () => raw.sent('tools/call').length === 1);
  session.close(new GatewayError('SESSION_NOT_FOUND'));
  await expect(hanging.response).rejects.toMatchObject({ code: 'SESSION_NOT_FOUND', details: { executed: 'unknown' } });
  await waitFor('the stream to end', () => !raw.streams[0]?.isOpen);
  expect(raw.posts.slice(before).filter(({ message }) => message.method !== 'tools/call')).toEqual([]);
  await backend.close();
  await waitFor('the other stream to end', () => !raw.streams[1]?.isOpen);
  expect(backend.end).toBeUndefined();
});
