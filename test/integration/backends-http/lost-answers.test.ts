// What becomes of a call whose answer breaks off, comes too late, or is wanted by nobody any more.
import { GatewayError } from '../../../src/errors/gateway-error.js';
import { waitFor } from '../../support/wait-for.js';
import { useBackends } from './fixture.js';
import { CollectingSink, callTool, makeCall, toolCall } from './harness.js';

describe('answers that do not come', () => {
  const { open } = useBackends();

  test('a stream that ends without the response leaves the outcome unknown', async () => {
    const { session, strict } = await open();
    strict.once('tools/call', (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).end('data: {"jsonrpc":"2.0","method":"n"}\n\n');
    });
    const sink = await callTool(session, 'x');
    expect(sink.messages).toHaveLength(1);
    expect(sink.error).toMatchObject({ code: 'OUTCOME_UNKNOWN', details: { backend: 'b', reason: 'stream_ended' } });
  });

  test('a response whose last blank line is missing still counts', async () => {
    const { session, strict } = await open();
    strict.once('tools/call', (request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.end(`data: {"jsonrpc":"2.0","id":${request.message.id},"result":{"ok":1}}\n`);
    });
    expect((await callTool(session, 'x')).response.result).toEqual({ ok: 1 });
  });

  test('a stream with event ids that breaks is resumed by GET, not repeated', async () => {
    const { session, strict } = await open();
    let callId: unknown;
    strict.once('tools/call', (request, response) => {
      callId = request.message.id;
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.end('id: prime\nretry: 10\ndata: \n\nid: e1\ndata: {"jsonrpc":"2.0","method":"n","params":{"n":1}}\n\n');
    });
    strict.once('GET', (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.end(`id: e2\ndata: {"jsonrpc":"2.0","id":${JSON.stringify(callId)},"result":{"ok":2}}\n\n`);
    });
    const sink = await callTool(session, 'x');
    expect(sink.delays).toEqual([10]);
    expect(sink.messages).toHaveLength(2);
    expect(sink.response.result).toEqual({ ok: 2 });
    expect(strict.of('GET').map((r) => [r.headers['last-event-id'], r.sessionId])).toEqual([['e1', 'session-1']]);
    expect(strict.of('tools/call')).toHaveLength(1);
  });

  test('a stream that breaks names no time to come again, also after one that did', async () => {
    const { session, strict } = await open();
    let callId: unknown;
    strict.once('tools/call', (request, response) => {
      callId = request.message.id;
      response.writeHead(200, { 'content-type': 'text/event-stream' }).end('id: e1\nretry: 60\ndata: \n\n');
    });
    strict.once('GET', (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write('id: e2\ndata: \n\n', () => response.destroy());
    });
    strict.once('GET', (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.end(`data: {"jsonrpc":"2.0","id":${JSON.stringify(callId)},"result":{"ok":3}}\n\n`);
    });
    const sink = await callTool(session, 'x');
    expect(sink.delays).toEqual([60, undefined]);
    expect(sink.response.result).toEqual({ ok: 3 });
  });

  test('a stream that cannot be resumed leaves the outcome unknown', async () => {
    const { session, strict } = await open({ get: '405' });
    strict.once('tools/call', (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).end('id: e1\nretry: 10\ndata: \n\n');
    });
    expect((await callTool(session, 'x')).error).toMatchObject({ code: 'OUTCOME_UNKNOWN', details: { reason: 'stream_ended' } });
    expect(strict.of('GET')).toHaveLength(1);
  });

  test('a body that breaks off fails the call after its start', async () => {
    const { session, strict } = await open();
    strict.once('tools/call', (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': 1000 });
      response.write('{"jsonrpc":"2.0"', () => response.destroy());
    });
    const sink = await callTool(session, 'x');
    expect(sink.bodyStarted).toBe(true);
    expect(sink.error).toMatchObject({ code: 'OUTCOME_UNKNOWN' });
  });

  test('S73: of 300 calls exactly those whose connection was reset fail, with an unknown outcome, and none is repeated', async () => {
    const { session, strict } = await open();
    await callTool(session, 'echo');
    const broken = new Set([7, 50, 51, 120, 200, 299]);
    strict.always('tools/call', (request, response, b) => {
      if (broken.has(Number(request.message.id))) response.socket?.resetAndDestroy();
      else b.answer(request, response);
    });
    const failed: number[] = [];
    for (let from = 0; from < 300; from += 10) {
      const ids = Array.from({ length: 10 }, (_, i) => from + i);
      const sinks = await Promise.all(ids.map((id) => callTool(session, 'echo', { text: String(id) }, { id })));
      for (const [i, sink] of sinks.entries()) {
        if (sink.error) {
          expect(sink.error.code).toBe('OUTCOME_UNKNOWN');
          failed.push(from + i);
        } else expect(sink.text).toBe(String(from + i));
      }
    }
    expect(failed).toEqual([...broken]);
    expect(strict.of('tools/call')).toHaveLength(301);
  });

  test('a caller that leaves without a word is not a cancellation: the backend finishes undisturbed', async () => {
    const { session, strict } = await open();
    await callTool(session, 'echo');
    const sink = new CollectingSink();
    const running = session.call(makeCall(toolCall(1, 'slow', { ms: 50 }), sink));
    await waitFor('the call', () => strict.of('tools/call').length === 2);
    running.cancel('gone', false);
    expect((await callTool(session, 'slow', { ms: 100 })).text).toBe('late');
    expect(strict.of('tools/call')[1]?.aborted).toBe(false);
    expect(strict.of('notifications/cancelled')).toHaveLength(0);
    expect(sink.ended).toBe(false);
    expect(sink.chunks).toHaveLength(0);
  });

  test('a cancelled call tells the backend and frees the connection', async () => {
    const { session, strict } = await open();
    await callTool(session, 'echo');
    const sink = new CollectingSink();
    const running = session.call(makeCall(toolCall('c1', 'slow', { ms: 60_000 }), sink));
    await waitFor('the call', () => strict.of('tools/call').length === 2);
    running.cancel('not needed', true);
    await waitFor('the cancellation', () => strict.of('notifications/cancelled').length === 1);
    expect(strict.of('notifications/cancelled')[0]?.message.params).toEqual({ requestId: 'c1', reason: 'not needed' });
    await waitFor('the connection to be cut', () => strict.of('tools/call')[1]?.aborted);
    expect(sink.ended).toBe(false);
  });

  test('S77: a deadline is a time-out, told to the backend; the timeout of the backend caps it', async () => {
    const { session, strict } = await open({}, { timeout: 300 });
    await callTool(session, 'echo');
    const started = performance.now();
    const { error } = await callTool(session, 'slow', { ms: 60_000 }, { id: 9, withinMs: 60_000 });
    expect(error).toMatchObject({ code: 'BACKEND_TIMEOUT', details: { backend: 'b', reason: 'timeout' } });
    expect(performance.now() - started).toBeLessThan(2000);
    await waitFor('the cancellation', () => strict.of('notifications/cancelled').length === 1);
    expect(strict.of('notifications/cancelled')[0]?.message.params?.requestId).toBe(9);
  });

  test('close() fails the calls in flight and cuts their connections', async () => {
    const { session, strict } = await open();
    await callTool(session, 'echo');
    const call = callTool(session, 'slow', { ms: 60_000 });
    await waitFor('the call', () => strict.of('tools/call').length === 2);
    session.close(new GatewayError('SESSION_NOT_FOUND'));
    expect((await call).error).toMatchObject({ code: 'SESSION_NOT_FOUND', details: { executed: 'unknown' } });
    await waitFor('the connection to be cut', () => strict.of('tools/call')[1]?.aborted);
    expect(session.isOpen).toBe(false);
  });
});
