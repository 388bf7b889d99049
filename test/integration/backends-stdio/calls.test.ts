// Ids, tokens, notifications, requests of the child, time-outs, cancellation, the guard.
import { GatewayError } from '../../../src/errors/gateway-error.js';
import { AskedClient } from '../../support/asked-client.js';
import { waitFor } from '../../support/wait-for.js';
import { type Answer, callTool, Caller, Fixture, RAW_SERVER, soon, stoppedClock } from './harness.js';

const fixtures: Fixture[] = [];
async function open(...args: ConstructorParameters<typeof Fixture>) {
  const fixture = new Fixture(...args);
  fixtures.push(fixture);
  const made = fixture.session();
  await made.session.open(soon());
  return { fixture, ...made };
}
afterEach(() => Promise.all(fixtures.splice(0).map(({ backend }) => backend.close())));

const seenBy = async (session: Parameters<typeof callTool>[0]): Promise<Answer[]> =>
  (await callTool(session, 'seen', 'seen').response).result.seen;

test('what prepares a session that was opened is ahead of the calls that wait for it, and its end lets them go', async () => {
  const fixture = new Fixture();
  fixtures.push(fixture);
  const { session, host } = fixture.session();
  const order: string[] = [];
  Object.assign(host, {
    opened: () =>
      callTool(session, 'first', 'echo', {}, { call: { isPreparation: true } }).response.then(() => void order.push('prepared')),
  });
  const calls = ['a', 'b'].map((id) => callTool(session, id, 'echo').response.then(() => void order.push(id)));
  await Promise.all(calls);
  expect(order[0]).toBe('prepared');
  const seen = (await seenBy(session)).map(({ method }: Answer) => method);
  expect(seen.slice(0, 4)).toEqual(['initialize', 'notifications/initialized', 'tools/call', 'tools/call']);

  const crashing = fixture.session();
  Object.assign(crashing.host, {
    opened: () =>
      callTool(crashing.session, 'first', 'crash', {}, { call: { isPreparation: true } }).response.catch(() => undefined),
  });
  await expect(callTool(crashing.session, 1, 'echo').response).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE' });
});

test('two calls of the same id run side by side, each gets its own answer under its own id', async () => {
  const { session } = await open();
  const callers = ['a', 'b'].map((text) => callTool(session, 7, 'echo', { text }));
  const answers = await Promise.all(callers.map(({ response }) => response));
  expect(answers.map(({ id, result }) => [id, result.params.arguments.text])).toEqual([
    [7, 'a'],
    [7, 'b'],
  ]);
  expect(answers[0]?.result.id).not.toBe(answers[1]?.result.id);
});

test('ids of every kind come back as they were', async () => {
  const { session } = await open();
  for (const id of [0, -1, 1.5, '7', 'ü"\\\n', '']) expect((await callTool(session, id, 'echo').response).id).toBe(id);
});

test('a big answer comes whole, whatever it takes of chunks', async () => {
  const { session } = await open();
  const { id, result } = await callTool(session, 'big', 'big', { bytes: 5_000_000 }).response;
  expect(id).toBe('big');
  expect(result.text).toHaveLength(5_000_000);
});

test('numbers that JavaScript cannot hold stay what they are, in both directions', async () => {
  const { session } = await open();
  const line = '{"jsonrpc":"2.0","id":$ID,"result":{"n":12345678901234567890}}';
  const caller = callTool(session, 1, 'raw', { line });
  await caller.response;
  expect(caller.finalText).toBe('{"jsonrpc":"2.0","id":1,"result":{"n":12345678901234567890}}');
});

test('a line that holds an array is taken message by message, the answer last', async () => {
  const { session, fixture } = await open();
  const note = (n: number) => ({ jsonrpc: '2.0', method: 'notifications/message', params: { n } });
  const line = `[{"jsonrpc":"2.0","id":$ID,"result":{"n":12345678901234567890}},${JSON.stringify(note(1))},[${JSON.stringify(note(3))}],7,${JSON.stringify(note(2))}]`;
  const caller = callTool(session, 1, 'raw', { line });
  await caller.response;
  expect(caller.finalText).toBe('{"jsonrpc":"2.0","id":1,"result":{"n":12345678901234567890}}');
  expect(fixture.hosts[0]?.notifications).toEqual([note(1), note(2)]);
});

test('a pretty-printed request reaches the child as one line', async () => {
  const { session } = await open();
  const message = { jsonrpc: '2.0' as const, id: 1, method: 'tools/call', params: { name: 'echo', arguments: { text: 'a\nb' } } };
  const caller = new Caller(session, message, { bytes: JSON.stringify(message, null, 2) });
  expect((await caller.response).result.params.arguments.text).toBe('a\nb');
});

test("an error of the child reaches the caller unchanged, with the caller's id", async () => {
  const { session } = await open();
  const caller = new Caller(session, { id: 'x', method: 'no/such' });
  expect(await caller.response).toEqual({ jsonrpc: '2.0', id: 'x', error: { code: -32601, message: 'no such method' } });
});

test('progress goes to the call that asked for it, also when two calls use the same token', async () => {
  const { session, host } = await open();
  const first = callTool(session, 1, 'progress', { steps: 2, hold: 'first' }, { progressToken: 1 });
  const second = callTool(session, 2, 'progress', { steps: 1, hold: 'second' }, { progressToken: 1 });
  const third = callTool(session, 3, 'progress', { steps: 1, hold: 'third' }, { progressToken: '1' });
  await waitFor(
    'progress of all three',
    () => first.progress.length === 2 && second.progress.length === 1 && third.progress.length === 1,
  );
  await callTool(session, 4, 'release', { hold: 'second' }).response;
  expect((await second.response).result).toEqual({ released: 'second' });
  await callTool(session, 5, 'release', { hold: 'first' }).response;
  await first.response;
  const tokens = (caller: Caller) => caller.progress.map(({ params }) => (params as Answer).progressToken);
  expect([tokens(first), tokens(second), tokens(third)]).toEqual([[1, 1, 1], [1, 1], ['1']]);
  expect(host.notifications).toEqual([]);
});

test('notifications outside calls go to the session; progress under a token that no running call gave goes nowhere', async () => {
  const { session, host } = await open();
  await callTool(session, 1, 'notify', { method: 'notifications/tools/list_changed' }).response;
  const line = '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"nobody\'s","progress":1}}';
  callTool(session, 2, 'raw', { line });
  await callTool(session, 3, 'notify', { method: 'notifications/prompts/list_changed' }).response;
  await waitFor('both notifications', () => host.notifications.length === 2);
  expect(host.notifications.map(({ method }) => method)).toEqual([
    'notifications/tools/list_changed',
    'notifications/prompts/list_changed',
  ]);
});

test('the child gets an answer to its ping and a refusal of everything else', async () => {
  const { session } = await open();
  const ping = await callTool(session, 1, 'ask', { method: 'ping' }).response;
  expect(ping.result.answer).toEqual({ jsonrpc: '2.0', id: 'ask-1', result: {} });
  const roots = await callTool(session, 2, 'ask', { method: 'roots/list' }).response;
  expect(roots.result.answer.error.code).toBe(-32601);
});

test('what the child asks is passed on with the newest call; no time-out of those that may wait for it runs meanwhile', async () => {
  const fixture = new Fixture({ timeout: 300 });
  fixtures.push(fixture);
  const { session, host } = fixture.session();
  const client = new AskedClient(host);
  await session.open(soon());
  const begun = performance.now();
  const older = callTool(session, 1, 'hang');
  const asking = callTool(session, 2, 'ask', { method: 'sampling/createMessage' });
  await waitFor('the question', () => client.asked.length === 1);
  expect(client.asked[0]?.sink).toBe(asking);
  // Began later: it cannot be what asks.
  await expect(callTool(session, 4, 'hang').response).rejects.toMatchObject({ code: 'BACKEND_TIMEOUT' });
  await waitFor('three time-outs', () => performance.now() - begun > 900);
  expect(older.ends).toBe(0);
  const answeredMs = performance.now();
  await client.answer({ text: 'a\nb' });
  await expect(older.response).rejects.toMatchObject({ code: 'BACKEND_TIMEOUT' });
  expect(performance.now() - answeredMs).toBeGreaterThan(250);
  expect((await asking.response).result.answer).toMatchObject({ result: { text: 'a\nb' } });
  const seen = await seenBy(session);
  expect(seen[0]).toMatchObject({
    method: 'initialize',
    params: { capabilities: { sampling: {}, roots: { listChanged: true } } },
  });

  const left = callTool(session, 3, 'ask', { method: 'roots/list' });
  await waitFor('the second question', () => client.asked.length === 2);
  left.running.cancel('no longer wanted', true);
  expect(client.forgotten).toEqual([client.asked[1]?.id]);
  // And the child is not left waiting for it.
  const told = (await seenBy(session)).find(({ id }) => id === client.asked[1]?.id);
  expect(told).toMatchObject({ error: { code: -32603 } });
});

test('a question that rode on another call outlives it, and its answer arrives', async () => {
  const fixture = new Fixture();
  fixtures.push(fixture);
  const { session, host } = fixture.session();
  const client = new AskedClient(host);
  await session.open(soon());
  const asking = callTool(session, 1, 'ask', { method: 'roots/list' });
  const quick = callTool(session, 2, 'echo');
  await quick.response;
  await waitFor('the question', () => client.asked.length === 1);
  // Began last, so it was taken for the one that asks.
  expect(client.asked[0]?.sink).toBe(quick);
  expect(client.forgotten).toEqual([]);
  await client.answer({ roots: [] });
  expect((await asking.response).result.answer).toMatchObject({ result: { roots: [] } });
});

test('what is no JSON-RPC on stdout is logged and skipped', async () => {
  const { session, fixture } = await open({ args: [RAW_SERVER, '--banner'] });
  await callTool(session, 1, 'echo').response;
  const stray = fixture.log.filter(({ fields }) => fields.stream === 'stdout').map(({ fields }) => fields.text);
  expect(stray).toEqual(['Welcome to the server', '{"not":"json-rpc"}', '{broken']);
});

test('a child that floods stdout with noise fills no log, and its answers are found in it', async () => {
  const { session, fixture } = await open({}, { clock: stoppedClock() });
  expect((await callTool(session, 1, 'noise', { lines: 5000 }).response).id).toBe(1);
  expect(fixture.log.filter(({ fields }) => fields.stream === 'stdout')).toHaveLength(100);
  session.close(new GatewayError('SESSION_NOT_FOUND'));
  await waitFor('the end of the group', () => fixture.groups.at(-1)?.alive === false);
  expect(fixture.log.find(({ message }) => message.includes('suppressed'))?.fields.lines).toBe(4900);
});

test('a child that floods stderr fills neither log nor memory, and its secrets are blanked', async () => {
  const chatty = { args: [RAW_SERVER, '--chatter'], env: { KEY: 'xxxxxxxxxx' } };
  const { session, fixture } = await open(chatty, { clock: stoppedClock() });
  await callTool(session, 1, 'echo').response;
  session.close(new GatewayError('SESSION_NOT_FOUND'));
  await waitFor('the end of the group', () => fixture.groups.at(-1)?.alive === false);
  const lines = fixture.log.filter(({ fields }) => fields.stream === 'stderr').map(({ fields }) => String(fields.text));
  expect(lines).toHaveLength(100);
  expect(lines[0]?.length).toBeLessThanOrEqual(2048);
  expect(lines[1]).toBe('line 1 token=*** ***');
  const suppressed = fixture.log.filter(({ message }) => message.includes('suppressed'));
  expect(suppressed.map(({ fields }) => fields.lines)).toEqual([4900]);
});

test("the backend's own timeout ends a call and the child is told under the id it knows", async () => {
  const { session } = await open({ timeout: 150 });
  const caller = callTool(session, 'mine', 'hang');
  await expect(caller.response).rejects.toMatchObject({
    code: 'BACKEND_TIMEOUT',
    details: { backend: 'raw', reason: 'timeout' },
  });
  const seen = await seenBy(session);
  const call = seen.find(({ params }) => params?.name === 'hang');
  expect(seen.find(({ method }) => method === 'notifications/cancelled').params.requestId).toBe(call.id);
});

test("the caller's deadline ends a call too", async () => {
  const { session } = await open();
  const caller = callTool(session, 1, 'hang', {}, { call: { deadlineMs: soon(100) } });
  await expect(caller.response).rejects.toMatchObject({ code: 'BACKEND_TIMEOUT' });
});

test('a cancelled call hears nothing more; the child is told only if it is wanted', async () => {
  const { session } = await open();
  const loud = callTool(session, 1, 'progress', { steps: 0, hold: 'loud' }, { progressToken: 'l' });
  const quiet = callTool(session, 2, 'progress', { steps: 0, hold: 'quiet' }, { progressToken: 'q' });
  loud.running.cancel('no longer needed', true);
  quiet.running.cancel('gone', false);
  await callTool(session, 3, 'release', { hold: 'loud' }).response;
  await callTool(session, 4, 'release', { hold: 'quiet' }).response;
  expect([loud.ends, loud.progress.length, quiet.ends, quiet.progress.length]).toEqual([0, 0, 0, 0]);
  const cancelled = (await seenBy(session)).filter(({ method }) => method === 'notifications/cancelled');
  expect(cancelled.map(({ params }) => params.reason)).toEqual(['no longer needed']);
});

test("the client's own cancellation is sent under the child's id, one of an unknown call nowhere", async () => {
  const { session } = await open();
  const caller = callTool(session, 'mine', 'hang');
  await session.notify({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 'other' } }, {});
  await session.notify({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 'mine', reason: 'r' } }, {});
  await session.notify({ jsonrpc: '2.0', method: 'notifications/roots/list_changed' }, {});
  await session.notify({ jsonrpc: '2.0', method: 'notifications/initialized' }, {});
  const seen = await seenBy(session);
  const call = seen.find(({ params }) => params?.name === 'hang');
  const notes = seen.filter(({ id }) => id === undefined).map(({ method, params }) => [method, params?.requestId]);
  expect(notes).toEqual([
    ['notifications/initialized', undefined],
    ['notifications/cancelled', call.id],
    ['notifications/roots/list_changed', undefined],
  ]);
  caller.running.cancel('', false);
});

test('the guard is asked right before each write: what it refuses never reaches the child', async () => {
  const { session, host } = await open();
  host.allowed = false;
  const refused = callTool(session, 1, 'counter');
  await session.notify({ jsonrpc: '2.0', method: 'notifications/roots/list_changed' }, {});
  await expect(refused.response).rejects.toMatchObject({ code: 'NOT_OWNER' });
  host.allowed = true;
  expect((await callTool(session, 2, 'counter').response).result.count).toBe(1);
  expect((await seenBy(session)).some(({ method }) => method === 'notifications/roots/list_changed')).toBe(false);
});

test('a child may be started only by who may act', async () => {
  const fixture = new Fixture();
  const { session, host } = fixture.session();
  host.allowed = false;
  await expect(session.open(soon())).rejects.toMatchObject({ code: 'NOT_OWNER' });
  expect(fixture.groups).toEqual([]);
});

test('what waits for a child that does not read is asked again at its write, and bounded', async () => {
  const { session, host } = await open();
  await callTool(session, 1, 'stopReading').response;
  const pad = 'p'.repeat(4 * 1024 * 1024);
  const written = callTool(session, 2, 'echo', { pad });
  const waiting = Array.from({ length: 9 }, (_, i) => callTool(session, 10 + i, 'echo', { pad }));
  const busy = waiting.filter(({ error }) => error?.details?.reason === 'busy');
  expect(busy.length).toBeGreaterThanOrEqual(1);
  expect(written.error).toBeUndefined();
  const asked = waiting.filter(({ error }) => !error);
  asked[0]?.running.cancel('', true);
  host.allowed = false;
  process.kill(fixtures[0]?.lastPid as number, 'SIGKILL');
  await expect(written.response).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' });
  await expect(asked[1]?.response).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE' });
  expect(asked[0]?.ends).toBe(0);
});

test('a caller that does not read holds up the other calls of his child for a moment only', async () => {
  const { session } = await open();
  const pad = 'p'.repeat(1024);
  const slow = callTool(session, 1, 'progress', { steps: 3000, pad, hold: 'slow' }, { progressToken: 1, slow: true });
  // Behind three megabytes of the slow one's, while that still takes nothing.
  expect((await callTool(session, 2, 'counter').response).result.count).toBe(1);
  expect(slow.progress).toHaveLength(3000);
  const begun = performance.now();
  for (let n = 2; n < 12; n++) expect((await callTool(session, n, 'counter').response).result.count).toBe(n);
  // They would take five seconds if each of them waited for him once more.
  expect(performance.now() - begun).toBeLessThan(2500);
  await callTool(session, 20, 'release', { hold: 'slow' }).response;
  expect((await slow.response).result).toEqual({ released: 'slow' });
});

test('a caller who catches up in that moment gets everything from the line on at which it was paused', async () => {
  const { session } = await open();
  const progress = (n: number) =>
    JSON.stringify({ jsonrpc: '2.0', method: 'notifications/progress', params: { progressToken: 1, progress: n } });
  // All of it is one write of the child.
  const line = [...[1, 2, 3].map(progress), '{"jsonrpc":"2.0","id":$ID,"result":{}}'].join('\n');
  const slow = callTool(session, 1, 'raw', { line }, { progressToken: 1, slow: true });
  let inOneTurn = 0;
  const take = slow.message.bind(slow);
  slow.message = (json, final) => {
    if (slow.progress.length === 0) {
      setImmediate(() => {
        inOneTurn = slow.progress.length;
      });
    }
    return take(json, final);
  };
  await waitFor('the first message', () => inOneTurn > 0);
  expect(inOneTurn).toBe(1);
  slow.isSlow = false;
  slow.resume?.();
  await slow.response;
  expect(slow.progress.map(({ params }) => (params as Answer).progress)).toEqual([1, 2, 3]);
});
