// Streams that an earlier owner read: taken up by their event ids with the same backend session, where the backend can; what it cannot is
// told. Nothing is ever sent again.
import type { ServerResponse } from 'node:http';
import type { BackendSession } from '../../../src/backends/backend.js';
import { NO_CREDENTIALS } from '../../../src/backends/credentials/credentials.js';
import { systemClock } from '../../../src/lifecycle/clock.js';
import type { BackendSessionRecord } from '../../../src/directory/directory.js';
import { waitFor } from '../../support/wait-for.js';
import { type Opened, useBackends } from './fixture.js';
import { CollectingSink, callTool, makeCall, RecordingHost, toolCall } from './harness.js';

const NOTE = { jsonrpc: '2.0', method: 'notifications/message', params: { n: 1 } };
const SSE = { 'content-type': 'text/event-stream' };
const event = (id: string, message: object) => `id: ${id}\ndata: ${JSON.stringify(message)}\n\n`;
const resultOf = (id: unknown) => ({ jsonrpc: '2.0', id, result: { ok: true } });

describe('streams of an earlier owner', () => {
  const { open, connect, createSession } = useBackends();

  /** The session of a dead owner, in the hands of the next one. */
  async function takenOver(
    options: Parameters<typeof open>[0] = {},
    config: Parameters<typeof open>[1] = {},
    choices: Parameters<typeof open>[2] = {},
  ) {
    const { strict, session }: Opened = await open(options, config);
    await callTool(session, 'echo');
    const host = new RecordingHost();
    const next = createSession(connect(strict.url, config, choices), host, session.record);
    return { strict, host, session: next, generation: session.record?.generation as number };
  }

  function takeUp(session: BackendSession, generation: number, after = 'e1', withinMs = 30_000) {
    const sink = new CollectingSink();
    const call = { ...makeCall(toolCall(7, 'x'), sink, withinMs), resume: { eventId: after, generation } };
    return { sink, running: session.call(call) };
  }

  const stream = (response: ServerResponse, ...parts: string[]) => {
    response.writeHead(200, SSE);
    response.flushHeaders();
    for (const part of parts) response.write(part);
    return response;
  };

  test('the rest of a call comes by a GET in the same backend session, and ends with its response', async () => {
    const { strict, session, generation } = await takenOver();
    const calls = strict.of('tools/call').length;
    strict.once('GET', (_request, response) => {
      stream(response, 'id: e2\ndata:\n\n', event('e3', NOTE), event('e4', resultOf(7))).end();
    });
    const { sink } = takeUp(session, generation);
    expect((await sink.done).response.result).toEqual({ ok: true });
    expect(sink.messages).toHaveLength(2);
    expect(sink.marks.at(-1)).toBe('e3');
    const [get] = strict.of('GET');
    expect(get?.headers).toMatchObject({ 'last-event-id': 'e1', 'mcp-session-id': 'session-1', accept: 'text/event-stream' });
    expect(strict.of('tools/call')).toHaveLength(calls);
    expect(strict.of('initialize')).toHaveLength(1);
  });

  test('an answer that breaks off once more is taken up where it was', async () => {
    const { strict, session, generation } = await takenOver();
    strict.once('GET', (_request, response) => void stream(response, 'retry: 10\n\n', event('e2', NOTE)).end());
    strict.once('GET', (_request, response) => void stream(response, event('e3', resultOf(7))).end());
    const { sink } = takeUp(session, generation);
    expect((await sink.done).messages).toHaveLength(2);
    expect(strict.of('GET').map(({ headers }) => headers['last-event-id'])).toEqual(['e1', 'e2']);
  });

  test('of several messages in one event only the last carries its id: an owner that dies between them loses none', async () => {
    const { strict, session, generation } = await takenOver();
    const several = (id: string, ...messages: unknown[]) => `${id}data: ${JSON.stringify(messages)}\n\n`;
    strict.once('GET', (_request, response) => {
      stream(response, several('id: e2\n', NOTE, NOTE), several('', NOTE, NOTE), several('id: e3\n', resultOf('other'))).end(
        several('id: e4\n', NOTE, resultOf(7)),
      );
    });
    const { sink } = takeUp(session, generation);
    const told: string[] = [];
    Object.assign(sink, {
      mark: (id: string | undefined) => void told.push(`mark ${id}`),
      message: (json: Buffer, final: boolean) => {
        told.push(final ? 'response' : 'note');
        return CollectingSink.prototype.message.call(sink, json, final);
      },
    });
    await sink.done;
    expect(told).toEqual([
      ...['note', 'mark e2', 'note'],
      // An event without an id: nobody can go on behind it.
      ...['mark undefined', 'note', 'mark undefined', 'note'],
      // Nothing of it is ours.
      'mark e3',
      ...['note', 'response'],
    ]);
  });

  test('409: the backend has not noticed yet that the reader before is dead; it is asked again', async () => {
    const { strict, session, generation } = await takenOver();
    for (let n = 0; n < 2; n++) strict.once('GET', (_request, response) => void response.writeHead(409).end('{}'));
    strict.once('GET', (_request, response) => void stream(response, event('e2', resultOf(7))).end());
    const { sink } = takeUp(session, generation);
    expect((await sink.done).response.result).toEqual({ ok: true });
    expect(strict.of('GET')).toHaveLength(3);
  });

  test.each([400, 404, 405])('%i: the outcome is unknown, and no session is opened anew for it', async (status) => {
    const { strict, session, generation } = await takenOver();
    strict.once('GET', (_request, response) => void response.writeHead(status).end());
    const { sink } = takeUp(session, generation);
    expect((await sink.done).error).toMatchObject({ code: 'OUTCOME_UNKNOWN' });
    expect(strict.of('GET')).toHaveLength(1);
    expect(strict.of('initialize')).toHaveLength(1);
  });

  test('an id of another backend session is never sent in this one', async () => {
    const { strict, session, generation } = await takenOver();
    const { sink } = takeUp(session, generation + 1);
    expect((await sink.done).error).toMatchObject({ code: 'OUTCOME_UNKNOWN', details: { reason: 'session_lost' } });
    expect(strict.of('GET')).toHaveLength(0);
  });

  test('what was never opened is not opened for it', async () => {
    const { strict, session } = await open();
    const { sink } = takeUp(session, 1);
    expect((await sink.done).error).toMatchObject({ code: 'OUTCOME_UNKNOWN' });
    expect(strict.requests).toHaveLength(0);
  });

  test('the guard is asked right before it leaves; the next owner can go on', async () => {
    const { strict, session, generation, host } = await takenOver();
    host.owns = false;
    const { sink } = takeUp(session, generation);
    expect((await sink.done).error).toMatchObject({ code: 'NOT_OWNER' });
    expect(strict.of('GET')).toHaveLength(0);
  });

  test('cancelled, the backend is told; given up for another reader, it is not, and the stream is let go', async () => {
    const { strict, session, generation } = await takenOver();
    strict.always('GET', (_request, response) => void stream(response, event('e2', NOTE)));
    const [first, second] = [takeUp(session, generation), takeUp(session, generation)];
    await waitFor('both to be read', () => first.sink.messages.length + second.sink.messages.length === 2);
    first.running.cancel('another reader', false);
    await waitFor('the first to be let go', () => strict.of('GET').filter(({ aborted }) => aborted).length === 1);
    expect(strict.of('notifications/cancelled')).toHaveLength(0);
    second.running.cancel('enough', true);
    await waitFor('the backend to hear of it', () => strict.of('notifications/cancelled').length === 1);
    expect(strict.of('notifications/cancelled')[0]?.message.params).toMatchObject({ requestId: 7, reason: 'enough' });
  });

  test('one that still waits for its backend session when it is cancelled is cancelled at the backend, and never asked for', async () => {
    const { strict, session, generation } = await takenOver();
    const unconfirmed = { ...session.record, isConfirmed: false } as BackendSessionRecord;
    const next = createSession(connect(strict.url), new RecordingHost(), unconfirmed);
    let confirm: (() => void) | undefined;
    strict.once('notifications/initialized', (_request, response) => {
      confirm = () => response.writeHead(202).end();
    });
    const { running } = takeUp(next, generation);
    await waitFor('the confirmation', () => confirm !== undefined);
    running.cancel('enough', true);
    await waitFor('the backend to hear of it', () => strict.of('notifications/cancelled').length === 1);
    expect(strict.of('notifications/cancelled')[0]?.message.params).toEqual({ requestId: 7, reason: 'enough' });
    confirm?.();
    await callTool(next, 'echo');
    expect(strict.of('GET')).toEqual([]);
  });

  test('one that waits for a credential: the same, but nothing is said in another backend session', async () => {
    let credential: string | undefined;
    let obtain: (value: string) => void = () => undefined;
    const obtained = new Promise<string>((resolve) => {
      obtain = resolve;
    });
    const credentials = { ...NO_CREDENTIALS, isDynamic: true, current: () => credential, ensure: () => obtained };
    const { strict, session, generation } = await takenOver({}, {}, { credentials });
    takeUp(session, generation + 1).running.cancel('of another backend session', true);
    takeUp(session, generation).running.cancel('enough', true);
    credential = 'Bearer late';
    obtain(credential);
    await waitFor('the backend to hear of it', () => strict.of('notifications/cancelled').length > 0);
    await callTool(session, 'echo');
    const told = strict.of('notifications/cancelled').map(({ message }) => message.params);
    expect(told).toEqual([{ requestId: 7, reason: 'enough' }]);
    expect(strict.of('GET')).toEqual([]);
  });

  test('cancelled after the backend has lost the session: nothing is said in the next one, and the stream is let go', async () => {
    const { strict, session, generation } = await takenOver();
    strict.once('GET', (_request, response) => void stream(response, event('e2', NOTE)));
    const { sink, running } = takeUp(session, generation);
    await waitFor('it to be read', () => sink.messages.length === 1);
    strict.forget();
    await callTool(session, 'echo');
    expect(session.record?.generation).toBe(generation + 1);
    running.cancel('enough', true);
    await waitFor('it to be let go', () => strict.of('GET')[0]?.aborted === true);
    await callTool(session, 'echo');
    expect(strict.of('notifications/cancelled')).toEqual([]);
  });

  test('the time-out of the backend does not run: its client may have been asked by the earlier owner', async () => {
    const { strict, session, generation } = await takenOver({}, { timeout: 200 });
    let silent: ServerResponse | undefined;
    strict.once('GET', (_request, response) => {
      silent = stream(response);
    });
    const { sink } = takeUp(session, generation);
    const begun = performance.now();
    await waitFor('three time-outs', () => performance.now() - begun > 600);
    expect(sink.error).toBeUndefined();
    silent?.end(event('e2', resultOf(7)));
    expect((await sink.done).response.result).toEqual({ ok: true });
    expect(strict.of('notifications/cancelled')).toEqual([]);
    // The caller's own runs.
    strict.once('GET', (_request, response) => void stream(response));
    expect((await takeUp(session, generation, 'e1', 200).sink.done).error).toMatchObject({ code: 'BACKEND_TIMEOUT' });
  });

  test('each break of a stream has its own patience with 409', async () => {
    const clock = { ...systemClock, after: (ms: number, run: () => void) => systemClock.after(ms / 50, run) };
    const { strict, session, generation } = await takenOver({}, {}, { clock });
    for (const last of [event('e2', NOTE), event('e3', resultOf(7))]) {
      for (let n = 0; n < 6; n++) strict.once('GET', (_request, response) => void response.writeHead(409).end('{}'));
      strict.once('GET', (_request, response) => void stream(response, last).end());
    }
    const { sink } = takeUp(session, generation);
    expect((await sink.done).response.result).toEqual({ ok: true });
    expect(strict.of('GET')).toHaveLength(14);
  });

  describe('outside calls', () => {
    const from = (generation: number, eventId = 'g7') => ({ eventId, generation, again: true });

    test('goes on behind the event, and tells the ids of what comes', async () => {
      const { strict, session, host, generation } = await takenOver();
      session.setListening(true, undefined, from(generation));
      await waitFor('the stream', () => strict.streams.size === 1);
      expect(strict.of('GET')[0]?.headers['last-event-id']).toBe('g7');
      const id = strict.streams.push(NOTE);
      await waitFor('the message', () => host.notifications.length === 1);
      strict.streams.write('id: alone\ndata:\n\n');
      strict.streams.write(`data: ${JSON.stringify(NOTE)}\n\n`);
      await waitFor('the second', () => host.notifications.length === 2);
      expect(host.events).toEqual([id, 'alone', undefined]);
    });

    test('of several messages in one event only the last carries its id', async () => {
      const { strict, session, host, generation } = await takenOver();
      const told: unknown[] = [];
      Object.assign(host, {
        onEventId: (id: string | undefined) => void told.push(id),
        onNotification: (json: Buffer) => void told.push(JSON.parse(json.toString()).params.n),
      });
      session.setListening(true, undefined, from(generation));
      await waitFor('the stream', () => strict.streams.size === 1);
      const note = (n: number) => ({ ...NOTE, params: { n } });
      strict.streams.write(`id: a\ndata: ${JSON.stringify([note(1), note(2)])}\n\n`);
      strict.streams.write(`data: ${JSON.stringify([note(3), note(4)])}\n\n`);
      strict.streams.write('id: b\ndata: []\n\n');
      strict.streams.write(`id: c\ndata: ${JSON.stringify(note(5))}\n\n`);
      await waitFor('the last', () => told.includes(5));
      expect(told).toEqual([1, 'a', 2, undefined, 3, undefined, 4, 'b', 'c', 5]);
    });

    test.each([400, 404, 405, 501])('%i: what was missed is lost, what comes is not', async (status) => {
      const { strict, session, host, generation } = await takenOver();
      strict.once('GET', (_request, response) => void response.writeHead(status).end());
      session.setListening(true, undefined, from(generation));
      await waitFor('the stream', () => strict.streams.size === 1);
      expect(strict.of('GET').map(({ headers }) => headers['last-event-id'])).toEqual(['g7', undefined]);
      expect(host.events).toEqual(['lost']);
      strict.streams.push(NOTE);
      await waitFor('what comes', () => host.notifications.length === 1);
      expect(strict.of('initialize')).toHaveLength(1);
    });

    test('409 is tried again with the same id', async () => {
      const { strict, session, host, generation } = await takenOver();
      strict.once('GET', (_request, response) => void response.writeHead(409).end());
      session.setListening(true, undefined, from(generation));
      await waitFor('the stream', () => strict.streams.size === 1);
      expect(strict.of('GET').map(({ headers }) => headers['last-event-id'])).toEqual(['g7', 'g7']);
      expect(host.events).toEqual([]);
    });

    test('a backend that goes on says by 409 that it has no other stream: it is asked once', async () => {
      const { strict, session, host, generation } = await takenOver();
      session.setListening(true, undefined, from(generation));
      await waitFor('the question', () => strict.of('GET').length === 2);
      strict.streams.push(NOTE);
      await waitFor('what comes', () => host.notifications.length === 1);
      expect(host.events).not.toContain('lost');
    });

    test('a backend that answers with a dead stream is found out: lost is told, and what comes is heard', async () => {
      const { strict, session, host, generation } = await takenOver();
      strict.once('GET', (_request, response) => void stream(response));
      session.setListening(true, undefined, from(generation));
      await waitFor('the stream that is one', () => strict.streams.size === 1);
      await waitFor('the loss', () => host.events.includes('lost'));
      await waitFor('the dead one to be let go', () => strict.of('GET')[0]?.aborted === true);
      strict.streams.push(NOTE);
      await waitFor('what comes', () => host.notifications.length === 1);
    });

    test('a stream that brings what was missed, and nothing new, is found out as well', async () => {
      const { strict, session, host, generation } = await takenOver();
      strict.once('GET', (_request, response) => void stream(response).write(`id: g8\ndata: ${JSON.stringify(NOTE)}\n\n`));
      session.setListening(true, undefined, from(generation));
      await waitFor('what was missed', () => host.notifications.length === 1);
      await waitFor('the stream that brings what is new', () => strict.streams.size === 1);
      await waitFor('the loss', () => host.events.includes('lost'));
      strict.streams.push(NOTE);
      await waitFor('what is new', () => host.notifications.length === 2);
    });

    test('405 without an id says that there is nothing to be missed', async () => {
      const { strict, session, host } = await takenOver({ get: '405' });
      session.setListening(true);
      await waitFor('that to be told', () => host.events.length === 1);
      expect(host.events).toEqual(['']);
      expect(strict.of('GET')).toHaveLength(1);
    });

    test('a stream that runs goes on, unless what it brought is wanted once more', async () => {
      const { strict, session, generation } = await takenOver();
      session.setListening(true, undefined, from(generation));
      await waitFor('the stream', () => strict.streams.size === 1);
      session.setListening(true, undefined, { ...from(generation, 'g6'), again: false });
      session.setListening(true, undefined, from(generation, 'g5'));
      await waitFor('the other stream', () => strict.of('GET').some(({ headers }) => headers['last-event-id'] === 'g5'));
      expect(strict.of('GET').some(({ headers }) => headers['last-event-id'] === 'g6')).toBe(false);
    });

    test('an id of a backend session that is gone is not sent in the next one, and that is told', async () => {
      const { strict, session, host, generation } = await takenOver();
      session.setListening(true, undefined, from(generation + 1));
      await waitFor('the stream', () => strict.streams.size === 1);
      expect(strict.of('GET')[0]?.headers['last-event-id']).toBeUndefined();
      expect(host.events).toEqual(['lost']);
    });
  });
});
