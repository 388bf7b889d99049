// Streams that break, are resumed, are not offered; and what the server says unasked.
import type { ServerResponse } from 'node:http';
import { sendError } from '../../support/strict-backend.js';
import { waitFor } from '../../support/wait-for.js';
import { textOf, useHarness } from './harness.js';

const use = useHarness();
const open = async (options = {}) => {
  const server = await use.server(options);
  const bridge = use.bridge(server.url);
  await bridge.open();
  return { server, bridge };
};
const events = (response: ServerResponse, text: string) => {
  if (!response.headersSent) response.writeHead(200, { 'content-type': 'text/event-stream' });
  response.write(text);
};
const message = (value: object) => `data: ${JSON.stringify({ jsonrpc: '2.0', ...value })}\n\n`;

test('notifications and requests of the server come on the GET stream, and the answers go back', async () => {
  const { server, bridge } = await open();
  await waitFor('the GET stream', () => server.streams.size === 1);
  server.streams.push({ jsonrpc: '2.0', method: 'notifications/tools/list_changed' });
  server.streams.push({ jsonrpc: '2.0', id: 'q1', method: 'sampling/createMessage', params: { messages: [], maxTokens: 1 } });
  await waitFor('both lines', () => bridge.lines.length === 3);
  bridge.send({ jsonrpc: '2.0', id: 'q1', result: { ok: true } });
  const answer = await waitFor('the answer', () => server.of('response')[0]);
  expect(answer.message).toMatchObject({ id: 'q1', result: { ok: true } });
});

test('the GET stream comes again with Last-Event-ID, after the time that retry names', async () => {
  const { server, bridge } = await open();
  await waitFor('the GET stream', () => server.streams.size === 1);
  server.streams.write('retry: 30\n\n');
  const id = server.streams.push({ jsonrpc: '2.0', method: 'notifications/message', params: { data: 1 } });
  await waitFor('the notification', () => bridge.lines.length === 2);
  server.streams.closeAll();
  await waitFor('the second GET', () => server.of('GET').length === 2);
  expect(server.of('GET')[1]?.headers['last-event-id']).toBe(id);
  await waitFor('the second stream', () => server.streams.size === 1);
  server.streams.push({ jsonrpc: '2.0', method: 'notifications/message', params: { data: 2 } });
  await waitFor('its notification', () => bridge.lines.length === 3);
});

test('an event id that no header can carry is no id: the GET stream comes again without one', async () => {
  const { server, bridge } = await open();
  await waitFor('the GET stream', () => server.streams.size === 1);
  server.streams.write(`retry: 30\nid: 日本\n${message({ method: 'notifications/message', params: { data: 1 } })}`);
  await waitFor('the notification', () => bridge.lines.length === 2);
  server.streams.closeAll();
  await waitFor('the second GET', () => server.of('GET').length === 2);
  expect(server.of('GET')[1]?.headers).not.toHaveProperty('last-event-id');
});

test('a Retry-After of months is no reason to ask without a pause', async () => {
  const server = await use.server();
  server.always('GET', (_, response) => {
    response.setHeader('retry-after', '9000000');
    sendError(response, 503, -32000, 'later', null);
  });
  const bridge = use.bridge(server.url);
  await bridge.open();
  await waitFor('the GET', () => server.of('GET').length === 1);
  await bridge.ask(1, 'tools/call', { name: 'slow', arguments: { ms: 500 } });
  expect(server.of('GET')).toHaveLength(1);
});

test('405: no stream is offered, and none is asked for again', async () => {
  const { server, bridge } = await open({ get: '405' });
  await waitFor('the GET', () => server.of('GET').length === 1);
  for (let i = 0; i < 5; i++) expect((await bridge.ask(i, 'ping')).result).toEqual({});
  await bridge.close();
  expect(server.of('GET')).toHaveLength(1);
});

test('404 on GET: a lost session is made anew; a server that just has no GET there is left alone', async () => {
  const { server } = await open();
  await waitFor('the GET stream', () => server.streams.size === 1);
  server.forget();
  await waitFor('a stream in a new session', () => server.streams.has('session-2'));
  expect(server.of('initialize')).toHaveLength(2);

  const other = await use.server();
  other.always('GET', (_, response) => sendError(response, 404, -32000, 'nothing here', null));
  const bridge = use.bridge(other.url);
  await bridge.open();
  await waitFor('the question behind it', () => other.of('ping').length === 1);
  expect(textOf(await bridge.ask(1, 'tools/call', { name: 'echo', arguments: { text: 'fine' } }))).toBe('fine');
  expect(other.of('initialize')).toHaveLength(1);
  expect(bridge.lines.map(({ id }) => id)).toEqual(['init', 1]);
});

describe('the stream of an answer that breaks', () => {
  test('goes on where it was, if an event had an id; the call runs once', async () => {
    const { server, bridge } = await open();
    await waitFor('the GET stream', () => server.streams.size === 1);
    server.once('tools/call', (_, response) => {
      events(response, 'id: a1\nretry: 20\ndata:\n\n');
      events(response, `id: a2\n${message({ method: 'notifications/progress', params: { progress: 1 } })}`);
      // Not before it has been read: a reset throws away what the other end has not taken.
      void waitFor('the progress', () => bridge.lines.length === 2).then(() => response.socket?.destroy());
    });
    // Refused once, empty once, then the rest.
    server.once('GET', (_, response) => {
      response.setHeader('retry-after', '0');
      sendError(response, 503, -32000, 'later', null);
    });
    server.once('GET', (_, response) => void response.writeHead(200, { 'content-type': 'text/event-stream' }).end());
    server.once('GET', ({ headers }, response) => {
      expect(headers['last-event-id']).toBe('a2');
      events(response, `id: a3\n${message({ method: 'notifications/progress', params: { progress: 2 } })}`);
      events(response, `id: a4\n${message({ id: 1, result: { content: [{ type: 'text', text: 'whole' }] } })}`);
      response.end();
    });
    expect(textOf(await bridge.ask(1, 'tools/call', { name: 'x' }))).toBe('whole');
    expect(bridge.lines.map(({ params, id }) => params?.progress ?? id)).toEqual(['init', 1, 2, 1]);
    expect(server.of('tools/call')).toHaveLength(1);
  });

  test('without an id: outcome unknown for a tool call, again for a list', async () => {
    const { server, bridge } = await open();
    const half = (_: unknown, response: ServerResponse) => {
      events(response, message({ method: 'notifications/progress', params: { progress: 1 } }));
      response.end();
    };
    server.once('tools/call', half).once('tools/list', half);
    expect((await bridge.ask(1, 'tools/call', { name: 'x' })).error?.code).toBe(-32012);
    expect(server.of('tools/call')).toHaveLength(1);
    expect((await bridge.ask(2, 'tools/list')).result?.tools).toHaveLength(1);
    expect(server.of('tools/list')).toHaveLength(2);
  });

  test('with an id that no header can carry: outcome unknown at once, not after the patience', async () => {
    const { server, bridge } = await open();
    server.once('tools/call', (_, response) => {
      events(response, `retry: 10\nid: 日本\n${message({ method: 'notifications/progress', params: { progress: 1 } })}`);
      response.end();
    });
    expect((await bridge.ask(1, 'tools/call', { name: 'x' })).error?.code).toBe(-32012);
    expect(server.of('tools/call')).toHaveLength(1);
  });

  test.each([
    ['the server knows it no more', 400],
    ['there is nothing more', 204],
    ['the session is gone', 404],
    ['no stream is offered', 405],
  ])('%s (%s): outcome unknown', async (_name, status) => {
    const { server, bridge } = await open();
    await waitFor('the GET stream', () => server.streams.size === 1);
    server.once('tools/call', (_, response) => {
      events(response, 'id: a1\nretry: 10\ndata:\n\n');
      response.end();
    });
    server.once('GET', (_, response) => void response.writeHead(status).end());
    expect((await bridge.ask(1, 'tools/call', { name: 'x' })).error?.code).toBe(-32012);
    expect(server.of('tools/call')).toHaveLength(1);
  });
});

test('a server that keeps the stream open behind its answer does not hold the answer back', async () => {
  const { server, bridge } = await open();
  server.once('tools/call', (_, response) => events(response, message({ id: 1, result: { content: [] } })));
  await bridge.ask(1, 'tools/call', { name: 'x' });
  await waitFor('the bridge to let go of it', () => server.of('tools/call')[0]?.aborted, 10_000);
});

test('an answer to a question of a session that is gone is not given to the next one', async () => {
  const { server, bridge } = await open();
  await waitFor('the GET stream', () => server.streams.size === 1);
  server.streams.push({ jsonrpc: '2.0', id: 0, method: 'roots/list' });
  await waitFor('the question', () => bridge.lines.some(({ method }) => method === 'roots/list'));
  server.forget();
  await bridge.ask(1, 'ping');
  await waitFor('a stream in the new session', () => server.streams.has('session-2'));
  bridge.send({ jsonrpc: '2.0', id: 0, result: { roots: [] } });
  server.streams.push({ jsonrpc: '2.0', id: 1, method: 'roots/list' });
  await waitFor('the next question', () => bridge.lines.filter(({ method }) => method === 'roots/list').length === 2);
  bridge.send({ jsonrpc: '2.0', id: 1, result: { roots: [] } });
  await waitFor('its answer', () => server.of('response').length === 1);
  expect(server.of('response')[0]?.message.id).toBe(1);
});
