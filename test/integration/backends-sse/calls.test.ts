// Calls on one stream: whose answer is whose, what a POST may answer, and what a slow caller costs.
import { AskedClient } from '../../support/asked-client.js';
import { waitFor } from '../../support/wait-for.js';
import { callTool, soon, useBackends } from './harness.js';

const { make, open } = useBackends();

test('two calls of the same id run side by side, each gets its own answer under its own id', async () => {
  const { session, raw } = await open();
  const [first, second] = [callTool(session, 7, 'echo', { n: 1 }), callTool(session, 7, 'echo', { n: 2 })];
  const answers = await Promise.all([first.response, second.response]);
  expect(answers.map(({ id, result }) => [id, result.params.arguments.n])).toEqual([
    [7, 1],
    [7, 2],
  ]);
  const ids = raw.sent('tools/call').map(({ id }) => id);
  expect(new Set(ids).size).toBe(2);
});

test('ids of every kind come back as they were, and numbers that JavaScript cannot hold stay what they are', async () => {
  const { session } = await open();
  for (const id of ['7', 7, 0, -3, 'a"b\\c', '']) expect((await callTool(session, id, 'echo').response).id).toBe(id);
  const caller = callTool(session, 1, 'raw', {
    text: 'data: {"jsonrpc":"2.0","id":$ID,"result":{"n":12345678901234567890}}\n\n',
  });
  await caller.response;
  expect(caller.finalText).toContain('"n":12345678901234567890');
});

test('an event or the answer to a POST that holds an array is taken message by message', async () => {
  const { session } = await open({
    onPost: ({ message }) =>
      message.params?.name === 'here'
        ? {
            status: 200,
            body: JSON.stringify([
              { jsonrpc: '2.0', id: 'no', result: {} },
              { jsonrpc: '2.0', id: message.id, result: { here: true } },
            ]),
          }
        : undefined,
  });
  const text = 'data: [{"jsonrpc":"2.0","id":$ID,"result":{"n":1}},{"jsonrpc":"2.0","id":"no","result":{}}]\n\n';
  expect((await callTool(session, 1, 'raw', { text }).response).result).toEqual({ n: 1 });
  expect((await callTool(session, 'x', 'here').response).result).toEqual({ here: true });
});

test('an answer that comes before the 202 of its POST is the answer', async () => {
  const { session, raw } = await open({ answersFirst: true });
  expect((await callTool(session, 1, 'echo').response).id).toBe(1);
  expect((await callTool(session, 2, 'counter').response).result.count).toBe(1);
  expect(raw.streams).toHaveLength(1);
});

test('of two answers to one call the second is dropped', async () => {
  const { session } = await open();
  const caller = callTool(session, 1, 'twice');
  expect((await caller.response).result).toEqual({ n: 1 });
  await callTool(session, 2, 'echo').response;
  expect(caller.ends).toBe(1);
});

test('an answer that a server gives to the POST itself is taken', async () => {
  const { session } = await open({
    onPost: ({ message }) =>
      message.method === 'tools/call'
        ? { status: 200, body: JSON.stringify({ jsonrpc: '2.0', id: message.id, result: { here: true } }) }
        : undefined,
  });
  expect(await callTool(session, 'x', 'echo').response).toEqual({ jsonrpc: '2.0', id: 'x', result: { here: true } });
});

test('a refusal with data nested too deeply to be written reaches the caller without the data', async () => {
  const deep = `${'['.repeat(200_000)}${']'.repeat(200_000)}`;
  const body = `{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"no","data":${deep}}}`;
  const { session } = await open({
    onPost: ({ message }) => (message.params?.name === 'hang' ? { status: 400, body } : undefined),
  });
  expect(await callTool(session, 7, 'hang').response).toEqual({ jsonrpc: '2.0', id: 7, error: { code: 1, message: 'no' } });
  expect((await callTool(session, 8, 'echo').response).id).toBe(8);
});

test.each([
  [500, 'http_500', 'unknown'],
  [502, 'http_502', 'unknown'],
  [401, 'http_401', undefined],
  [403, 'http_403', undefined],
  [413, 'http_413', undefined],
  [429, 'http_429', undefined],
  [308, 'redirect', undefined],
])('a POST that is answered %i fails that call alone', async (status, reason, executed) => {
  const { session, raw } = await open({
    onPost: ({ message }) =>
      message.params?.name === 'hang' ? { status, body: 'no', headers: { location: 'http://127.0.0.1:1/' } } : undefined,
  });
  const caller = callTool(session, 1, 'hang');
  await expect(caller.response).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE', details: { reason, status } });
  expect(caller.error?.details?.executed).toBe(executed);
  expect((await callTool(session, 2, 'echo').response).id).toBe(2);
  expect(raw.streams).toHaveLength(1);
});

test("a JSON-RPC error in the POST's answer reaches the caller with the caller's id", async () => {
  const body = JSON.stringify({ jsonrpc: '2.0', id: null, error: { code: -32602, message: 'bad arguments', data: { a: 1 } } });
  const { session } = await open({
    onPost: ({ message }) => (message.params?.name === 'hang' ? { status: 400, body } : undefined),
  });
  expect(await callTool(session, 'mine', 'hang').response).toEqual({
    jsonrpc: '2.0',
    id: 'mine',
    error: { code: -32602, message: 'bad arguments', data: { a: 1 } },
  });
});

test('a POST whose connection breaks leaves the outcome unknown, and is not repeated', async () => {
  const { session, raw } = await open({ onPost: ({ message }) => (message.params?.name === 'hang' ? 'reset' : undefined) });
  await expect(callTool(session, 1, 'hang').response).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' });
  expect(raw.sent('tools/call')).toHaveLength(1);
  expect((await callTool(session, 2, 'echo').response).id).toBe(2);
});

test('a POST that is never answered holds back neither its own answer nor other calls', async () => {
  const { session, raw } = await open({ onPost: ({ message }) => (message.params?.name === 'hang' ? 'hang' : undefined) });
  const caller = callTool(session, 1, 'hang');
  await waitFor('the call', () => raw.sent('tools/call').length === 1);
  expect((await callTool(session, 2, 'echo').response).id).toBe(2);
  raw.last.say({ id: raw.sent('tools/call')[0].id, result: { late: true } });
  expect((await caller.response).result).toEqual({ late: true });
});

test('progress goes to the call that asked for it, also when two calls use the same token', async () => {
  const { session } = await open();
  const one = callTool(session, 1, 'progress', { steps: 2 }, { progressToken: 'same' });
  const two = callTool(session, 2, 'progress', { steps: 3 }, { progressToken: 'same' });
  await Promise.all([one.response, two.response]);
  const told = (caller: typeof one) => caller.progress.map(({ params }) => params as { progressToken: string; progress: number });
  expect(told(one).map(({ progressToken, progress }) => [progressToken, progress])).toEqual([
    ['same', 1],
    ['same', 2],
  ]);
  expect(told(two)).toHaveLength(3);
});

test('notifications outside calls go to the session; what is no message is skipped', async () => {
  const { session, host, raw } = await open();
  raw.last.write(
    ': comment\n\nevent: other\ndata: {"jsonrpc":"2.0","method":"notifications/no"}\n\ndata: nonsense\n\nretry: 5\n\nid: 7\n\n',
  );
  await callTool(session, 1, 'notify', { method: 'notifications/tools/list_changed' }).response;
  expect(host.notifications.map(({ method }) => method)).toEqual(['notifications/tools/list_changed']);
});

test('a ping of the server is answered, everything else refused', async () => {
  const { session, raw } = await open();
  callTool(session, 1, 'ask', { id: 'p', method: 'ping' });
  callTool(session, 2, 'ask', { id: 's', method: 'sampling/createMessage' });
  const answers = await waitFor('both answers', () => {
    const found = raw.posts.map(({ message }) => message).filter(({ method }) => method === undefined);
    return found.length === 2 && found;
  });
  expect(answers).toEqual(
    expect.arrayContaining([
      { jsonrpc: '2.0', id: 'p', result: {} },
      { jsonrpc: '2.0', id: 's', error: { code: -32601, message: 'Method not found' } },
    ]),
  );
});

test('what the server asks reaches the client, and the answer the server; taken back, it has the name that the client knows', async () => {
  const { session, raw, host } = await make();
  const client = new AskedClient(host);
  await session.open(soon());
  const call = callTool(session, 1, 'ask', { id: 's', method: 'sampling/createMessage' });
  await waitFor('the question', () => client.asked.length === 1);
  expect(client.asked[0]?.sink).toBe(call);
  await client.answer({ role: 'assistant' });
  const answers = () => raw.posts.map(({ message }) => message).filter(({ method }) => method === undefined);
  expect(answers()).toEqual([{ jsonrpc: '2.0', id: 's', result: { role: 'assistant' } }]);
  callTool(session, 2, 'ask', { id: 't', method: 'roots/list' });
  await waitFor('the second question', () => client.asked.length === 2);
  raw.last.say({ method: 'notifications/cancelled', params: { requestId: 't' } });
  await waitFor('the withdrawal', () => host.notifications.length === 1);
  expect(host.notifications[0]).toMatchObject({ params: { requestId: 'ours-t' } });
});

test('time-out, deadline and cancellation tell the server under the id it knows', async () => {
  const { session, raw } = await open({}, { timeout: 150 });
  await expect(callTool(session, 'a', 'hang').response).rejects.toMatchObject({ code: 'BACKEND_TIMEOUT' });
  await expect(callTool(session, 'b', 'hang', {}, { call: { deadlineMs: soon(100) } }).response).rejects.toMatchObject({
    code: 'BACKEND_TIMEOUT',
  });
  const cancelled = callTool(session, 'c', 'hang');
  await waitFor('the third call', () => raw.sent('tools/call').length === 3);
  cancelled.running.cancel('enough', true);
  const told = await waitFor('three cancellations', () => {
    const found = raw.sent('notifications/cancelled');
    return found.length === 3 && found;
  });
  expect(told.map(({ params }) => params.requestId)).toEqual(raw.sent('tools/call').map(({ id }) => id));
  expect(cancelled.ends).toBe(0);
});

test('an event without end, and one that is too large, end the stream', async () => {
  const { session, raw } = await open();
  const caller = callTool(session, 1, 'raw', { text: 'data: ' });
  await waitFor('the call', () => raw.sent('tools/call').length === 1);
  const piece = 'x'.repeat(1 << 20);
  const more = () => {
    if (raw.last.isOpen) raw.last.response.write(piece, () => setImmediate(more));
  };
  more();
  await expect(caller.response).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN', details: { reason: 'event_too_large' } });
  await waitFor('the stream to end', () => !raw.streams[0]?.isOpen);
  expect((await callTool(session, 2, 'echo').response).id).toBe(2);
  expect(raw.streams).toHaveLength(2);
});

test('a caller that reads slowly stops the reading of its stream for a moment, in which it may read on', async () => {
  const { session, raw } = await open();
  const pad = 'p'.repeat(64 * 1024);
  const slow = callTool(session, 1, 'progress', { steps: 400, pad }, { progressToken: 't', slow: true });
  await waitFor('the first message', () => slow.progress.length === 1);
  await waitFor('the server to be held back', () => raw.last.response.writableLength > 0);
  slow.isSlow = false;
  slow.resume?.();
  await slow.response;
  expect(slow.progress).toHaveLength(400);
});

test('a caller that does not read holds up the other calls of his stream for a moment only', async () => {
  const { session, raw } = await open();
  const pad = 'p'.repeat(64 * 1024);
  const slow = callTool(session, 1, 'progress', { steps: 100, pad }, { progressToken: 't', slow: true });
  await waitFor('the server to be held back', () => raw.last.response.writableLength > 0);
  for (let id = 2; id < 6; id++) expect((await callTool(session, id, 'echo').response).id).toBe(id);
  expect(slow.progress).toHaveLength(100);
  await slow.response;
});

test('what came before the end of a stream is given to a slow caller too', async () => {
  const { session, raw } = await open();
  const slow = callTool(session, 1, 'progress', { steps: 3 }, { progressToken: 't', slow: true });
  await waitFor('the first message', () => slow.progress.length === 1);
  raw.last.end();
  slow.resume?.();
  slow.isSlow = false;
  await slow.response;
  expect(slow.progress).toHaveLength(3);
});
