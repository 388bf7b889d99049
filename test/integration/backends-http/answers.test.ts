import { gzipSync, brotliCompressSync } from 'node:zlib';
import { type Framing, sendError } from '../../support/strict-backend.js';
import { waitFor } from '../../support/wait-for.js';
import { useBackends } from './fixture.js';
import { CollectingSink, callTool } from './harness.js';

describe('answers of a backend', () => {
  const { open } = useBackends();

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
});
