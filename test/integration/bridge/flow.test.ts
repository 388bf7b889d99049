// Cancellation, back-pressure, bounds, and every way to end.
import { waitFor } from '../../support/wait-for.js';
import { sendError } from '../../support/strict-backend.js';
import { textOf, useHarness } from './harness.js';

const use = useHarness();
const open = async (options = {}) => {
  const server = await use.server(options);
  const bridge = use.bridge(server.url);
  await bridge.open();
  return { server, bridge };
};

test('a cancellation is passed on; the answer that may still come is the only one', async () => {
  const { server, bridge } = await open();
  bridge.call(1, 'slow', { ms: 300 });
  await waitFor('the call', () => server.of('tools/call').length === 1);
  bridge.notify('notifications/cancelled', { requestId: 1, reason: 'enough' });
  const cancelled = await waitFor('the cancellation', () => server.of('notifications/cancelled')[0]);
  expect(cancelled.message.params).toMatchObject({ requestId: 1 });
  await bridge.answer(1);
  expect(bridge.lines).toHaveLength(2);
});

test('a cancelled call whose server never answers is let go without a line', async () => {
  const { server, bridge } = await open();
  server.once('tools/call', () => undefined);
  bridge.call(1, 'slow');
  const call = await waitFor('the call', () => server.of('tools/call')[0]);
  bridge.notify('notifications/cancelled', { requestId: 1 });
  await waitFor('the bridge to let go', () => call.aborted, 10_000);
  expect((await bridge.ask(2, 'ping')).result).toEqual({});
  expect(bridge.lines.map(({ id }) => id)).toEqual(['init', 2]);
});

test('a request that is cancelled while it waits in the bridge is never sent', async () => {
  const { server, bridge } = await open();
  server.once('tools/call', (_, response) => {
    response.setHeader('retry-after', '1');
    sendError(response, 503, -32000, 'later', null);
  });
  bridge.call(1, 'echo', { text: 'never' });
  await waitFor('the note', () => bridge.stderr.includes('the gateway is away'));
  bridge.notify('notifications/cancelled', { requestId: 1 });
  // It would come before this one, which is told to wait as long.
  server.once('tools/call', (_, response) => {
    response.setHeader('retry-after', '2');
    sendError(response, 503, -32000, 'later', null);
  });
  bridge.call(2, 'echo', { text: 'ran' });
  expect(textOf(await bridge.answer(2))).toBe('ran');
  expect(server.of('tools/call').map(({ message }) => message.id)).toEqual([1, 2, 2]);
  expect(server.of('notifications/cancelled')).toHaveLength(0);
  expect(bridge.lines.map(({ id }) => id)).toEqual(['init', 2]);
});

test('no more than 256 requests run at once; the others follow, and answers to the server pass them', async () => {
  const { server, bridge } = await open();
  const held: Array<() => void> = [];
  server.always('tools/call', (request, response) => void held.push(() => server.answer(request, response)));
  for (let i = 0; i < 400; i++) bridge.call(i, 'echo', { text: `${i}` });
  await waitFor(
    () => `256 calls, have ${held.length}`,
    () => held.length === 256,
    20_000,
  );
  bridge.send({ jsonrpc: '2.0', id: 'asked', result: {} });
  await waitFor('the answer to the server', () => server.of('response').length === 1);
  expect(held).toHaveLength(256);
  server.always('tools/call', undefined);
  for (const answer of held) answer();
  for (let i = 0; i < 400; i++) expect(textOf(await bridge.answer(i))).toBe(`${i}`);
});

test('a client that does not read stops the answers, and gets all of them when it reads again', async () => {
  const { server, bridge } = await open();
  bridge.child.stdout.pause();
  let written = 0;
  const total = 64;
  const text = 'y'.repeat(1024 * 1024);
  server.once('tools/call', async ({ message }, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    for (let i = 0; i < total; i++) {
      const event = `data: ${JSON.stringify({ jsonrpc: '2.0', method: 'notifications/message', params: { i, text } })}\n\n`;
      if (!response.write(event)) await new Promise((drained) => response.once('drain', drained));
      written++;
    }
    response.end(`data: ${JSON.stringify({ jsonrpc: '2.0', id: message.id, result: { content: [] } })}\n\n`);
  });
  bridge.call(1, 'x');
  let before = -1;
  // It has come to a halt when it stands between two looks that are far apart for a loopback connection.
  let looks = 0;
  await waitFor(
    'the stream to come to a halt',
    () => {
      looks = written === before && written > 0 ? looks + 1 : 0;
      before = written;
      return looks > 60;
    },
    30_000,
  );
  expect(written).toBeLessThan(total);
  bridge.child.stdout.resume();
  await bridge.answer(1, 30_000);
  expect(bridge.lines.filter(({ method }) => method).map(({ params }) => params?.i)).toEqual(
    Array.from({ length: total }, (_, i) => i),
  );
});

describe('the end', () => {
  test('stdin closed: answers under way arrive, then DELETE, exit code 0', async () => {
    const { server, bridge } = await open();
    bridge.call(1, 'slow', { ms: 300 });
    bridge.child.stdin.end();
    expect(await bridge.exited).toEqual({ code: 0, signal: null });
    expect(textOf(await bridge.answer(1))).toBe('late');
    expect(server.sequence.at(-1)).toBe('DELETE');
    expect(server.sessionCount).toBe(0);
  });

  test('stdin closed, and an answer that does not come: an error in its place after 2 s', async () => {
    const { server, bridge } = await open();
    server.once('tools/call', () => undefined);
    bridge.call(1, 'slow');
    bridge.child.stdin.end();
    expect((await bridge.exited).code).toBe(0);
    expect((await bridge.answer(1)).error?.code).toBe(-32012);
    expect(server.sessionCount).toBe(0);
  });

  test.each(['SIGTERM', 'SIGINT'] as const)('%s: DELETE, exit code 0', async (signal) => {
    const { server, bridge } = await open();
    bridge.child.kill(signal);
    expect(await bridge.exited).toEqual({ code: 0, signal: null });
    expect(server.sessionCount).toBe(0);
  });

  test('stdout closed by the client: the same', async () => {
    const { server, bridge } = await open();
    bridge.child.stdout.destroy();
    await waitFor('the GET stream', () => server.streams.size === 1);
    server.streams.push({ jsonrpc: '2.0', method: 'notifications/tools/list_changed' });
    expect((await bridge.exited).code).toBe(0);
    expect(server.sessionCount).toBe(0);
  });

  test('a gateway that does not answer the DELETE holds nobody up', async () => {
    const { server, bridge } = await open();
    server.always('DELETE', () => undefined);
    const { code } = await bridge.close();
    expect([code, server.of('DELETE').length]).toEqual([0, 1]);
  });

  test('a gateway that is gone neither', async () => {
    const { server, bridge } = await open();
    await server.close();
    expect((await bridge.close()).code).toBe(0);
  });
});
