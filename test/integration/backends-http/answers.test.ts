import type { LookupFunction } from 'node:net';
import { gzipSync, brotliCompressSync } from 'node:zlib';
import { GatewayError } from '../../../src/errors/gateway-error.js';
import { type Framing, sendError } from '../../support/strict-backend.js';
import { waitFor } from '../../support/wait-for.js';
import { useBackends } from './fixture.js';
import { CollectingSink, callTool, makeCall, toolCall } from './harness.js';

describe('answers of a backend', () => {
  const { open, startStrict, connect, createSession } = useBackends();

  test('a JSON answer is relayed as bytes, with its length', async () => {
    const { session } = await open();
    const sink = await callTool(session, 'big', { bytes: 300_000 }, { id: 'big' });
    expect(sink.messages).toEqual([]);
    expect(sink.contentLength).toBe(Buffer.concat(sink.chunks).length);
    expect(sink.chunks.length).toBeGreaterThan(1);
    expect(sink.response.id).toBe('big');
    expect(sink.text).toHaveLength(300_000);
  });

  const framings: Framing[] = ['lf', 'crlf', 'cr', 'no-space', 'id-first', 'id-last', 'multi-line', 'primed', 'comments', 'bom'];
  test.each(framings)('S55: events framed as %s give notifications and then the result', async (framing) => {
    const { session, strict } = await open({ reply: 'sse', framing });
    const sink = await callTool(session, 'progress', { steps: 2 }, { id: 'text id', progressToken: 'p' });
    expect(sink.messages).toHaveLength(3);
    expect(sink.messages.slice(0, 2).map((m) => JSON.parse(m).params.progress)).toEqual([1, 2]);
    expect(sink.response.id).toBe('text id');
    expect(sink.text).toBe('done');
    expect(strict.of('initialize')).toHaveLength(1);
  });

  test('progress under another token than that of the call is not for its caller; the session finds whose it is', async () => {
    const { session, host } = await open({ reply: 'sse' });
    const calls: Array<[object, string | number | undefined]> = [
      [{}, undefined],
      [{ token: 'foreign' }, 'own'],
      [{ token: 'foreign' }, 1],
    ];
    for (const [args, progressToken] of calls) {
      const options = progressToken === undefined ? {} : { progressToken };
      const sink = await callTool(session, 'progress', { steps: 1, ...args }, options);
      expect(sink.messages).toHaveLength(1);
    }
    expect(host.notifications.map((json) => JSON.parse(json).params.progressToken)).toEqual(['p', 'foreign', 'foreign']);
    // What differs in type alone is meant for it.
    expect((await callTool(session, 'progress', { steps: 1, token: '4' }, { progressToken: 4 })).messages).toHaveLength(2);
  });

  test('a changed list that is told in a call is known to the session before the caller hears of it', async () => {
    const { session, host, strict } = await open();
    strict.once('tools/call', (request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write('data: {"jsonrpc":"2.0","method":"notifications/tools/list_changed"}\n\n');
      response.end(`data: {"jsonrpc":"2.0","id":${request.message.id},"result":{}}\n\n`);
    });
    const knownAt: number[] = [];
    const sink = new CollectingSink();
    const message = sink.message.bind(sink);
    sink.message = (json, final) => {
      knownAt.push(host.notifications.length);
      return message(json, final);
    };
    await callTool(session, 'x', {}, { sink });
    expect(knownAt).toEqual([1, 1]);
  });

  test('S56: the backend sees our Accept, whatever the client accepts', async () => {
    const { strict, session } = await open({}, { forwardHeaders: ['accept'] });
    await callTool(session, 'echo', {}, { headers: { accept: 'application/json' } });
    expect(strict.of('tools/call')[0]?.headers.accept).toBe('application/json, text/event-stream');
  });

  test('a response of another type of id is not the answer', async () => {
    const { session, strict } = await open({ reply: 'sse' });
    strict.once('tools/call', (request, response, b) => {
      b.send(response, [
        { jsonrpc: '2.0', id: String(request.message.id), result: { wrong: true } },
        { jsonrpc: '2.0', id: request.message.id, result: { right: true } },
      ]);
    });
    expect((await callTool(session, 'x', {}, { id: 7 })).response.result).toEqual({ right: true });
  });

  test('requests of the backend inside a stream are answered by us', async () => {
    const { session, strict } = await open({ reply: 'sse' });
    strict.once('tools/call', (request, response, b) => {
      b.send(response, [
        { jsonrpc: '2.0', id: 'p1', method: 'ping' },
        { jsonrpc: '2.0', id: 5, method: 'sampling/createMessage', params: {} },
        { jsonrpc: '2.0', id: request.message.id, result: {} },
      ]);
    });
    const sink = await callTool(session, 'x');
    expect(sink.messages).toHaveLength(1);
    await waitFor('two answers', () => strict.of('response').length === 2);
    const answers = strict.of('response').sort((a, b) => String(b.message.id).localeCompare(String(a.message.id)));
    expect(answers.map((a) => a.message)).toEqual([
      { jsonrpc: '2.0', id: 'p1', result: {} },
      { jsonrpc: '2.0', id: 5, error: { code: -32601, message: 'Method not found' } },
    ]);
    expect(answers.every((a) => a.sessionId === 'session-1')).toBe(true);
  });

  test.each([400, 403, 404, 429, 500])(
    'S68: a JSON-RPC error under %i reaches the caller unchanged, with his id',
    async (status) => {
      // Without a session id a 404 cannot mean a lost session.
      const { session, strict } = await open({ issueId: status !== 404 });
      strict.once('tools/call', (_request, response) => sendError(response, status, -32055, 'quota "x"', null, { left: [0] }));
      const sink = await callTool(session, 'x', {}, { id: 'mine' });
      expect(sink.response).toEqual({
        jsonrpc: '2.0',
        id: 'mine',
        error: { code: -32055, message: 'quota "x"', data: { left: [0] } },
      });
      expect(strict.of('initialize')).toHaveLength(1);
    },
  );

  test('a JSON-RPC error under 200 is relayed as it is', async () => {
    const { session } = await open();
    const sink = await callTool(session, 'no such tool');
    expect(sink.bodyStarted).toBe(true);
    expect(sink.response.error?.code).toBe(-32602);
  });

  test.each([
    [202, 'no_answer'],
    [301, 'redirect'],
    [307, 'redirect'],
    [401, 'http_401'],
    [403, 'http_403'],
    [429, 'http_429'],
    [502, 'http_502'],
  ])('%i without a JSON-RPC body is unavailable: %s; nothing is repeated', async (status, reason) => {
    const { session, strict } = await open();
    strict.once(
      'tools/call',
      (_request, response) => void response.writeHead(status, { location: 'http://127.0.0.1:1/x' }).end('nope'),
    );
    const { error } = await callTool(session, 'x');
    if (status === 202) {
      expect(error).toMatchObject({ code: 'BACKEND_UNAVAILABLE', details: { backend: 'b', status } });
    } else expect(error).toMatchObject({ code: 'BACKEND_UNAVAILABLE', details: { backend: 'b', reason, status } });
    expect(strict.sequence).toEqual(['initialize', 'notifications/initialized', 'tools/call']);
  });

  test.each([
    ['an empty JSON body', { 'content-type': 'application/json', 'content-length': '0' }, '', 'no_answer'],
    ['an empty chunked JSON body', { 'content-type': 'application/json' }, '', 'no_answer'],
    ['a page', { 'content-type': 'text/html' }, '<html>', 'bad_reply'],
  ])('%s under 200 is no answer', async (_name, headers, body, reason) => {
    const { session, strict } = await open();
    strict.once('tools/call', (_request, response) => void response.writeHead(200, headers).end(body));
    const sink = await callTool(session, 'x');
    expect(sink.bodyStarted).toBe(false);
    expect(sink.error).toMatchObject({ code: 'BACKEND_UNAVAILABLE', details: { reason, executed: 'unknown' } });
  });

  test.each([
    ['gzip', gzipSync],
    ['br', brotliCompressSync],
  ])('a reply compressed with %s, although we did not ask, is decoded', async (encoding, compress) => {
    const { session, strict } = await open();
    strict.always('tools/call', (request, response) => {
      const json = JSON.stringify({
        jsonrpc: '2.0',
        id: request.message.id,
        result: { content: [{ text: 'ö'.repeat(200_000) }] },
      });
      const bytes = compress(Buffer.from(json));
      response.writeHead(200, {
        'content-type': 'application/json',
        'content-encoding': encoding,
        'content-length': bytes.length,
      });
      response.end(bytes);
    });
    const sink = new CollectingSink();
    sink.readiness.push(false);
    const done = callTool(session, 'x', {}, { sink });
    await waitFor('a pause', () => sink.resume !== undefined);
    sink.resume?.();
    expect((await done).text).toHaveLength(200_000);
    expect(sink.contentLength).toBeUndefined();
  });

  test.each([
    ['an encoding nobody knows', 'zstd9', Buffer.from('x')],
    ['bytes that are not what they claim', 'gzip', Buffer.from('no gzip at all')],
  ])('%s leaves the outcome unknown', async (_name, encoding, bytes) => {
    const { session, strict } = await open();
    strict.once('tools/call', (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': encoding }).end(bytes);
    });
    expect((await callTool(session, 'x')).error).toMatchObject({
      code: 'OUTCOME_UNKNOWN',
      details: { reason: 'content_encoding' },
    });
  });

  test('a slow caller stops the reading of a JSON body, and of events within one chunk', async () => {
    const { session, strict } = await open();
    const sink = new CollectingSink();
    sink.readiness.push(false);
    const done = callTool(session, 'big', { bytes: 20_000_000 }, { sink });
    await waitFor('a pause', () => sink.resume !== undefined);
    expect(sink.chunks).toHaveLength(1);
    await waitFor('the backend to be held back', () => strict.of('tools/call').length === 1);
    expect(sink.ended).toBe(false);
    sink.resume?.();
    expect((await done).text).toHaveLength(20_000_000);

    strict.options.reply = 'sse';
    const events = new CollectingSink();
    events.readiness.push(true, false);
    const eventsDone = callTool(session, 'progress', { steps: 5 }, { sink: events, progressToken: 7 });
    await waitFor('a pause', () => events.resume !== undefined);
    expect(events.messages).toHaveLength(2);
    events.resume?.();
    expect((await eventsDone).messages).toHaveLength(6);
  });

  test('slow callers that hold every connection are given up where others wait for one, not before', async () => {
    const { session } = await open({}, {}, { connections: 2 });
    const letGo: number[] = [];
    const slow = [0, 1].map((n) => {
      const sink = new CollectingSink();
      sink.readiness.push(false);
      const goOn = () => {
        letGo.push(n);
        sink.resume?.();
      };
      void callTool(session, 'big', { bytes: 20_000_000 }, { sink: Object.assign(sink, { letGo: goOn }) });
      return sink;
    });
    await waitFor('both to be paused', () => slow.every(({ resume }) => resume !== undefined));
    const begun = performance.now();
    await waitFor('more time than anybody has while others wait', () => performance.now() - begun > 1500);
    expect(letGo).toEqual([]);
    expect((await callTool(session, 'echo', { text: 'quick' })).text).toContain('quick');
    // One for each that waits: the other one is let alone.
    expect(letGo).toHaveLength(1);
    for (const { resume } of slow) resume?.();
    for (const { done } of slow) expect((await done).text).toHaveLength(20_000_000);
  });

  test('a slow caller is let alone where others only wait for a connection of their own to be made', async () => {
    const strict = await startStrict();
    const held: Array<() => void> = [];
    let isHolding = false;
    const lookup = ((_name: string, _options: object, callback: (e: null, found: object[]) => void) => {
      const go = () => callback(null, [{ address: '127.0.0.1', family: 4 }]);
      if (isHolding) held.push(go);
      else go();
    }) as unknown as LookupFunction;
    const session = createSession(connect(`http://localhost:${strict.port}/mcp`, {}, { lookup, connections: 4 }));
    const sink = new CollectingSink();
    sink.readiness.push(false);
    let wasLetGo = false;
    const letGo = () => {
      wasLetGo = true;
    };
    void callTool(session, 'big', { bytes: 20_000_000 }, { sink: Object.assign(sink, { letGo }) });
    await waitFor('a pause', () => sink.resume !== undefined);
    isHolding = true;
    const other = callTool(session, 'echo', { text: 'late' });
    await waitFor('the other one to wait for its connection', () => held.length > 0);
    const begun = performance.now();
    await waitFor('more time than anybody has while others wait', () => performance.now() - begun > 1600);
    expect(wasLetGo).toBe(false);
    for (const go of held) go();
    expect((await other).text).toContain('late');
    sink.resume?.();
    expect((await sink.done).text).toHaveLength(20_000_000);
  });

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
