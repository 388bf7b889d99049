// What a backend asks the client: passed on from the stream it came on, answered by a POST in the same backend session.
import type { ServerResponse } from 'node:http';
import type { BackendSessionRecord } from '../../../src/directory/directory.js';
import { AskedClient } from '../../support/asked-client.js';
import type { RecordedRequest } from '../../support/strict-backend.js';
import { waitFor } from '../../support/wait-for.js';
import { type Opened, useBackends } from './fixture.js';
import { CollectingSink, callTool } from './harness.js';

const QUESTION = { jsonrpc: '2.0', id: 5, method: 'sampling/createMessage', params: { maxTokens: 1 } };
const event = (message: object) => `data: ${JSON.stringify(message)}\n\n`;

describe('questions of a backend', () => {
  const { open } = useBackends();

  /** The next call asks and leaves its stream open. */
  const holdNext = ({ strict }: Opened) => {
    const held: { request?: RecordedRequest; response?: ServerResponse } = {};
    strict.once('tools/call', (request, response) => {
      Object.assign(held, { request, response });
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(event(QUESTION));
    });
    return {
      say: (message: object) => held.response?.write(event(message)),
      finish: () => held.response?.end(event({ jsonrpc: '2.0', id: held.request?.message.id, result: {} })),
    };
  };

  test('what the client can be asked is told at initialize, also when the session is opened anew', async () => {
    const opened = await open();
    new AskedClient(opened.host);
    const tellsOpened: string[] = [];
    Object.assign(opened.host, { opened: () => void tellsOpened.push(...opened.strict.sequence.slice(-1)) });
    await callTool(opened.session, 'echo');
    opened.strict.forget();
    await callTool(opened.session, 'echo');
    // Before the first call in it.
    expect(tellsOpened).toEqual(['notifications/initialized', 'notifications/initialized']);
    const told = opened.strict.of('initialize').map(({ message }) => message.params?.capabilities);
    expect(told).toEqual([
      { sampling: {}, roots: { listChanged: true } },
      { sampling: {}, roots: { listChanged: true } },
    ]);
  });

  test('one within a call is passed on with it, the answer comes in the backend session, the call goes on', async () => {
    const opened = await open();
    const client = new AskedClient(opened.host);
    const call = holdNext(opened);
    const sink = new CollectingSink();
    const done = callTool(opened.session, 'x', {}, { sink });
    await waitFor('the question', () => client.asked.length === 1);
    expect(client.asked[0]).toMatchObject({ id: 5, method: QUESTION.method });
    expect(client.asked[0]?.sink).toBe(sink);
    await client.answer({ role: 'assistant' });
    const [answer] = opened.strict.of('response');
    expect(answer?.message).toEqual({ jsonrpc: '2.0', id: 5, result: { role: 'assistant' } });
    expect(answer?.sessionId).toBe('session-1');
    call.finish();
    expect((await done).response.result).toEqual({});
  });

  test('while the client is asked the time-out of the backend does not run; afterwards it does', async () => {
    const opened = await open({}, { timeout: 300 });
    const client = new AskedClient(opened.host);
    holdNext(opened);
    const begun = performance.now();
    const done = callTool(opened.session, 'x', {}, { withinMs: 600_000 });
    await waitFor('the question', () => client.asked.length === 1);
    await waitFor('three time-outs', () => performance.now() - begun > 900);
    expect(client.forgotten).toEqual([]);
    await client.answer({});
    expect((await done).error?.code).toBe('BACKEND_TIMEOUT');
  });

  test('the deadline of the caller runs on, and with the call its question is forgotten', async () => {
    const opened = await open();
    const client = new AskedClient(opened.host);
    holdNext(opened);
    const sink = await callTool(opened.session, 'x', {}, { withinMs: 300 });
    expect(sink.error?.code).toBe('BACKEND_TIMEOUT');
    expect(client.forgotten).toEqual([5]);
  });

  test('a question taken back is named to the client as it knows it', async () => {
    const opened = await open();
    const client = new AskedClient(opened.host);
    const call = holdNext(opened);
    const sink = new CollectingSink();
    const done = callTool(opened.session, 'x', {}, { sink });
    await waitFor('the question', () => client.asked.length === 1);
    const cancelled = (requestId: unknown) => ({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId } });
    call.say(cancelled(5));
    call.finish();
    await done;
    expect(sink.messages.slice(0, -1).map((text) => JSON.parse(text))).toEqual([cancelled('ours-5')]);
    expect(client.withdrawn).toEqual([5]);
  });

  test('who is not asked is told so at once, whatever the caller can take', async () => {
    const opened = await open();
    const client = new AskedClient(opened.host);
    client.refusal = { code: -32603, message: 'nobody listens' };
    const call = holdNext(opened);
    const done = callTool(opened.session, 'x');
    const [answer] = await waitFor(
      'the refusal',
      () => opened.strict.of('response').length === 1 && opened.strict.of('response'),
    );
    expect(answer?.message).toEqual({ jsonrpc: '2.0', id: 5, error: client.refusal });
    call.finish();
    await done;
  });

  test('one on the GET stream belongs to no call; the guard stops an answer', async () => {
    const opened = await open();
    const client = new AskedClient(opened.host);
    await callTool(opened.session, 'echo');
    opened.session.setListening(true);
    await waitFor('the stream', () => opened.strict.streams.size === 1);
    opened.strict.streams.push({ jsonrpc: '2.0', id: 'r', method: 'roots/list' });
    await waitFor('the question', () => client.asked.length === 1);
    expect(client.asked[0]?.sink).toBeUndefined();
    opened.host.owns = false;
    await client.answer({ roots: [] });
    expect(opened.strict.of('response')).toEqual([]);
    opened.host.owns = true;
    await client.answer({ roots: [] });
    expect(opened.strict.of('response').map(({ message }) => message.id)).toEqual(['r']);
  });

  test('an owner who goes on with the session answers what the one before was asked', async () => {
    const opened = await open();
    await callTool(opened.session, 'echo');
    // Also where the one before died before it had saved that the session was confirmed.
    for (const isConfirmed of [true, false]) {
      const heir = opened.backend.createSession(opened.host, { ...(opened.session.record as BackendSessionRecord), isConfirmed });
      await heir.respond('q', '{"jsonrpc":"2.0","id":"q","result":{}}', {});
    }
    expect(opened.strict.of('response').map(({ sessionId }) => sessionId)).toEqual(['session-1', 'session-1']);
    expect(opened.strict.of('initialize')).toHaveLength(1);
  });

  test('a backend that has lost its session waits for nothing any more', async () => {
    const opened = await open();
    const client = new AskedClient(opened.host);
    await callTool(opened.session, 'echo');
    opened.session.setListening(true);
    await waitFor('the stream', () => opened.strict.streams.size === 1);
    opened.strict.streams.push({ jsonrpc: '2.0', id: 'r', method: 'roots/list' });
    await waitFor('the question', () => client.asked.length === 1);
    opened.strict.forget();
    await callTool(opened.session, 'echo');
    expect(client.forgotten).toEqual(['r']);
  });

  test('what has no id that a request can have is dropped, and one told twice is asked once', async () => {
    const opened = await open();
    const client = new AskedClient(opened.host);
    await callTool(opened.session, 'echo');
    opened.session.setListening(true);
    await waitFor('the stream', () => opened.strict.streams.size === 1);
    const ask = (id: unknown) => opened.strict.streams.push({ jsonrpc: '2.0', id, method: 'roots/list' });
    for (const id of [null, { a: 1 }, ['r'], true, 'r', 'r', 1, '1']) ask(id);
    await waitFor('the questions', () => client.asked.at(-1)?.id === '1');
    expect(client.asked.map(({ id }) => id)).toEqual(['r', 1, '1']);
    await client.answer({ roots: [] });
    // The first one is over: the same id asks something new.
    ask('1');
    await waitFor('the next question', () => client.asked.length === 4);
    expect(opened.strict.of('response').map(({ message }) => message.id)).toEqual(['1']);
  });

  test('one that a backend tells again from its log, since it is listened to from an earlier event on, is asked again', async () => {
    const opened = await open();
    const client = new AskedClient(opened.host);
    await callTool(opened.session, 'echo');
    const listenFrom = async (again: boolean) => {
      const gets = opened.strict.of('GET').length;
      opened.session.setListening(true, {}, { eventId: '', generation: 1, again });
      if (again || gets === 0) await waitFor('the stream', () => opened.strict.of('GET').length === gets + 1);
      await waitFor('one stream', () => opened.strict.streams.size === 1);
    };
    const ask = (id: unknown) => opened.strict.streams.push({ jsonrpc: '2.0', id, method: 'roots/list' });
    await listenFrom(false);
    ask('r');
    await waitFor('the question', () => client.asked.length === 1);
    await listenFrom(true);
    for (const id of ['r', 'r', 's']) ask(id);
    await waitFor('the question behind it', () => client.asked.at(-1)?.id === 's');
    expect(client.asked.map(({ id }) => id)).toEqual(['r', 'r', 's']);
    // Whose client cannot be asked any more: the backend is told, and the next one under that id is a new one.
    await listenFrom(true);
    client.refusal = { code: -32603, message: 'nobody listens' };
    ask('s');
    await waitFor('the refusal', () => opened.strict.of('response').length === 1);
    client.refusal = undefined;
    ask('s');
    await waitFor('the new question', () => client.asked.length === 4);
  });
});
