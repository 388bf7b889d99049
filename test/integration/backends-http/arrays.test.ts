// Servers that put several messages into one array, as 2025-03-26 allows and some do in any revision: each message goes its own way.
import { waitFor } from '../../support/wait-for.js';
import { useBackends } from './fixture.js';
import { callTool } from './harness.js';

const { open } = useBackends();

const note = (n: number) => ({ jsonrpc: '2.0', method: 'notifications/message', params: { n } });
const ok = (id: unknown, n = 1) => ({ jsonrpc: '2.0', id, result: { n } });
const asJson = (messages: unknown, headers: Record<string, string> = {}) =>
  [{ 'content-type': 'application/json', ...headers }, JSON.stringify(messages, undefined, 1)] as const;

test.each([
  ['JSON', (all: unknown[]) => asJson(all)],
  ['JSON behind blanks', (all: unknown[]) => [asJson(all)[0], `\n  ${asJson(all)[1]}`] as const],
  ['one event', (all: unknown[]) => [{ 'content-type': 'text/event-stream' }, `data: ${JSON.stringify(all)}\n\n`] as const],
])('an answer that is an array of messages, as %s, gives them one by one, the response last', async (_name, frame) => {
  const { session, strict } = await open();
  strict.once('tools/call', (request, response) => {
    const all = [
      ok('other'),
      ok(request.message.id),
      note(1),
      { jsonrpc: '2.0', id: 'p', method: 'ping' },
      [note(3)],
      7,
      note(2),
    ];
    const [headers, text] = frame(all);
    response.writeHead(200, headers).end(text);
  });
  const sink = await callTool(session, 'x', {}, { id: 'mine' });
  expect(sink.bodyStarted).toBe(false);
  expect(sink.messages.map((text) => JSON.parse(text))).toEqual([note(1), note(2), ok('mine')]);
  await waitFor('the answer to the ping', () => strict.of('response').length === 1);
  expect((await callTool(session, 'echo', { text: 'next' })).text).toBe('next');
});

test('numbers that JavaScript cannot hold stay what they are', async () => {
  const { session, strict } = await open();
  strict.once('tools/call', (_request, response) => {
    response
      .writeHead(200, { 'content-type': 'application/json' })
      .end('[{"jsonrpc":"2.0","id":1,"result":{"n":12345678901234567890}}]');
  });
  expect((await callTool(session, 'x', {}, { id: 1 })).messages).toEqual([
    '{"jsonrpc":"2.0","id":1,"result":{"n":12345678901234567890}}',
  ]);
});

test('an array that comes in many pieces is read whole, also a large one', async () => {
  const { session, strict } = await open();
  strict.once('tools/call', async (request, response) => {
    const text = JSON.stringify([{ ...ok(request.message.id), result: { text: 'x'.repeat(300_000) } }, note(1)]);
    response.writeHead(200, { 'content-type': 'application/json' });
    for (let at = 0; at < text.length; at += 50_000) {
      await new Promise((written) => response.write(text.slice(at, at + 50_000), written));
    }
    response.end();
  });
  const sink = await callTool(session, 'x', {}, { id: 5 });
  expect(sink.messages).toHaveLength(2);
  expect(sink.response).toMatchObject({ id: 5 });
});

test.each([
  ['empty', '[]'],
  ['of other answers', '[{"jsonrpc":"2.0","id":"other","result":{}}]'],
  ['half', '[{"jsonrpc":"2.0","method":"n"},'],
  ['an array in an array', '[[{"jsonrpc":"2.0","id":1,"result":{}}]]'],
  ['deep', '['.repeat(100_000)],
])('an array that is %s is no answer', async (_name, text) => {
  const { session, strict } = await open();
  strict.once('tools/call', (_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' }).end(text);
  });
  const { error } = await callTool(session, 'x', {}, { id: 1 });
  expect(error).toMatchObject({ code: 'BACKEND_UNAVAILABLE', details: { reason: 'bad_reply', executed: 'unknown' } });
});

test('an array without an end is given up', async () => {
  const { session, strict } = await open();
  strict.once('tools/call', (request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    const part = Buffer.alloc(1024 * 1024, ' ');
    response.write('[');
    const more = () => {
      if (!request.aborted) response.write(part, more);
    };
    more();
  });
  const { error } = await callTool(session, 'x', {}, { id: 1 });
  expect(error).toMatchObject({ code: 'OUTCOME_UNKNOWN', details: { reason: 'too_large' } });
});

test('an error in an array is the error, also one that says that the session is lost', async () => {
  const { session, strict } = await open({ lost: 'sdk' });
  strict.once('tools/call', (request, response) => {
    const error = { jsonrpc: '2.0', id: request.message.id, error: { code: -32602, message: 'no such' } };
    response.writeHead(400, { 'content-type': 'application/json' }).end(JSON.stringify([note(1), error]));
  });
  expect((await callTool(session, 'x', {}, { id: 1 })).response.error).toEqual({ code: -32602, message: 'no such' });
  strict.once('tools/call', (_request, response) => {
    const error = { jsonrpc: '2.0', id: null, error: { code: -32000, message: 'Bad Request: No valid session ID provided' } };
    response.writeHead(400, { 'content-type': 'application/json' }).end(JSON.stringify([error]));
  });
  expect((await callTool(session, 'echo', { text: 'again' })).text).toBe('again');
  expect(strict.of('initialize')).toHaveLength(2);
});

test.each(['json', 'sse'] as const)('a server that answers everything so, as %s, is used like any other', async (reply) => {
  const { session } = await open({ arrays: true, reply });
  expect((await callTool(session, 'echo', { text: 'open' })).text).toBe('open');
  const { messages } = await callTool(session, 'progress', { steps: 2 }, { id: 1, progressToken: 'p' });
  expect(messages.map((text) => JSON.parse(text).params?.progress ?? 'done')).toEqual([1, 2, 'done']);
});

test('an array on the GET stream is taken message by message', async () => {
  const { strict, session, host } = await open();
  await callTool(session, 'echo');
  session.setListening(true);
  await waitFor('the stream', () => strict.streams.size === 1);
  strict.streams.write(`data: ${JSON.stringify([note(1), { jsonrpc: '2.0', id: 4, method: 'ping' }, note(2)])}\n\n`);
  await waitFor('the answer to the ping', () => strict.of('response').length === 1);
  expect(host.notifications.map((text) => JSON.parse(text))).toEqual([note(1), note(2)]);
});
