// Progress, cancellation, log levels, subscriptions, changed lists and completion through any worker, and each with the owner of the
// session killed in the middle: over an HTTP backend, whose session lives on, and a stdio backend, which is started anew.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  LoggingMessageNotificationSchema,
  PromptListChangedNotificationSchema,
  ResourceListChangedNotificationSchema,
  ResourceUpdatedNotificationSchema,
  ToolListChangedNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { type Cluster, type Ownership, startCluster, whenAllServe } from '../support/cluster.js';
import { isAlive, killNow } from '../support/processes.js';
import { eventsOf, getStream, JSON_HEADERS, openSession, responseOf, rpc, sendRaw, toolCall } from '../support/raw-request.js';
import { beginStream } from '../support/raw-stream.js';
import { type RecordingBackend, startRecordingBackend } from '../support/recording-backend.js';
import { connectSdkClient, type SdkClient } from '../support/sdk-client.js';
import { type SdkSseBackend, startSdkSseBackend } from '../support/sdk-sse-backend.js';
import { nextListener } from '../support/next-listener.js';
import { StrictBackend } from '../support/strict-backend.js';
import { waitFor } from '../support/wait-for.js';

const BOTH = '/servers/both/mcp';
const [REMOTE, LOCAL, ALL, STRICT] = ['remote', 'local', 'all', 'strict'].map((id) => `/servers/${id}/mcp`) as [
  string,
  string,
  string,
  string,
];
const dir = mkdtempSync(join(tmpdir(), 'berth-record-'));
const file = join(dir, 'record');

let backend: RecordingBackend;
let old: SdkSseBackend;
let strict: StrictBackend;
let cluster: Cluster;

beforeAll(async () => {
  backend = await startRecordingBackend({ features: true });
  old = await startSdkSseBackend();
  strict = await StrictBackend.start();
  const args = [join(__dirname, '../support/fixtures/stdio-backend.mjs'), '--features'];
  const local = { command: process.execPath, args, env: { RECORD_FILE: file }, onStateLoss: 'reinitialize' };
  cluster = await startCluster({
    config: {
      mcpServers: {
        remote: { type: 'http', url: backend.url },
        local,
        old: { type: 'sse', url: old.url },
        strict: { type: 'http', url: strict.url },
      },
      servers: { both: { backends: ['remote', 'local'] }, all: { backends: ['remote', 'local', 'old'], prefix: 'always' } },
    },
  });
});
afterAll(async () => {
  await cluster?.dispose();
  await backend?.close();
  await old?.close();
  await strict?.close();
  rmSync(dir, { recursive: true, force: true });
});
beforeEach(() => whenAllServe(cluster));

/** What stdio children wrote down, oldest first. */
const ofChildren = () =>
  readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as { kind: string; what?: string; pid: number });

const ownerOf = (session: { sessionId: string }) => cluster.ownerOf(session.sessionId);

async function killOwner(session: { sessionId: string }): Promise<Ownership> {
  const owner = await ownerOf(session);
  killNow(owner.pid);
  await waitFor(`worker ${owner.pid} to be dead`, () => !isAlive(owner.pid));
  return owner;
}

const backendSession = () => backend.issued.at(-1) as string;
const listening = (id: string) => waitFor(`the gateway to listen at the backend in ${id}`, () => backend.listening.has(id));

/** A worker that neither owns the session nor is one of `others`. */
function third(owner: Ownership, ...others: number[]) {
  const worker = cluster.workers().find(({ pid }) => pid !== owner.pid && !others.includes(pid));
  if (!worker) throw new Error('too few workers');
  return worker;
}

async function notify(
  sessionId: string,
  { pid, pod }: ReturnType<typeof third>,
  method: string,
  params: object,
): Promise<number> {
  const body = JSON.stringify({ jsonrpc: '2.0', method, params });
  const headers = { ...JSON_HEADERS, 'mcp-session-id': sessionId };
  return (await pod.sendTo(pid, { path: BOTH, headers, body })).status;
}

describe('progress', () => {
  it('of two calls under one token reaches each caller alone, live, and ends with a killed owner', async () => {
    const sessionId = await openSession(cluster.balancer.origin, BOTH);
    await sendRaw(cluster.balancer.origin, rpc(BOTH, sessionId, 'tools/list'));
    const owner = await cluster.ownerOf(sessionId);
    const held = backend.holdSteps();
    const begin = async (name: string, nonce: string) => {
      const edge = third(owner);
      const call = toolCall(BOTH, sessionId, name, { nonce, steps: 3 }, nonce);
      const message = JSON.parse(String(call.body));
      message.params._meta = { progressToken: 7 };
      const stream = await beginStream(edge, { ...call, body: JSON.stringify(message) });
      await waitFor(`the first progress of ${nonce}`, () => stream.messages().length > 0);
      return stream;
    };
    const [one, other] = [await begin('remote__emit', 'p1'), await begin('remote__emit', 'p2')];
    held.step();
    await waitFor('the second step of one of them', () => one.messages().length + other.messages().length === 3);
    killNow(owner.pid);
    await Promise.all([one.closed, other.closed]);
    for (const [nonce, { messages }] of Object.entries({ p1: one, p2: other })) {
      const tokens = messages().flatMap(({ params }) => (params ? [params.progressToken] : []));
      expect(new Set(tokens)).toEqual(new Set([7]));
      const whose = messages().flatMap(({ params }) => (params ? [params.message] : []));
      expect(new Set(whose)).toEqual(new Set([nonce]));
      // The last word is the outcome: nothing is told after it.
      expect(messages().at(-1)).toMatchObject({ id: nonce, error: { code: -32012 } });
    }
    const local = await connectSdkClient(cluster.url(LOCAL));
    const seen: number[] = [];
    const onprogress = ({ progress }: { progress: number }) => void seen.push(progress);
    await local.client.callTool({ name: 'emit', arguments: { steps: 4 } }, undefined, { onprogress });
    expect(seen).toEqual([1, 2, 3, 4]);
    await local.end();
  });

  it('is never told after the result, nor of a call that was lost with its owner, wherever the backend tells it', async () => {
    const sessionId = await openSession(cluster.balancer.origin, STRICT);
    await sendRaw(cluster.balancer.origin, toolCall(STRICT, sessionId, 'echo'));
    const issued = strict.issued.at(-1) as string;
    const owner = await cluster.ownerOf(sessionId);
    const edge = third(owner);
    const outside = await beginStream(third(owner, edge.pid), getStream(STRICT, sessionId));
    await waitFor('the gateway to listen at the backend', () => strict.streams.has(issued));
    // One that gave ids would be asked for the rest of the call that is lost.
    strict.streams.givesIds = false;
    const progress = (n: number) => ({
      jsonrpc: '2.0',
      method: 'notifications/progress',
      params: { progressToken: 'late', progress: n },
    });
    const frame = (message: object) => `data: ${JSON.stringify({ jsonrpc: '2.0', ...message })}\n\n`;
    const call = (id: string) => {
      const message = JSON.parse(String(toolCall(STRICT, sessionId, 'echo', {}, id).body));
      message.params._meta = { progressToken: 'late' };
      return beginStream(edge, { ...toolCall(STRICT, sessionId, 'echo'), body: JSON.stringify(message) });
    };
    const marks: string[] = [];
    /** What was told before it has arrived, or never will. */
    const mark = async () => {
      const data = `mark ${marks.push('')}`;
      strict.streams.push({ jsonrpc: '2.0', method: 'notifications/message', params: { level: 'warning', data } }, issued);
      await waitFor(
        () => `${data} of ${sessionId.slice(0, 4)}: ${outside.text()}`,
        () => outside.text().includes(data),
      );
    };

    strict.once('tools/call', ({ message: { id } }, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.end(frame(progress(1)) + frame({ id, result: { content: [] } }) + frame(progress(2)));
    });
    const answered = await call('answered');
    await answered.closed;
    strict.streams.push(progress(3), issued);
    await mark();
    expect(answered.messages().map(({ id, params }) => id ?? params?.progress)).toEqual([1, 'answered']);

    strict.once('tools/call', (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write(frame(progress(1)));
    });
    const lost = await call('lost');
    await waitFor('the first progress', () => lost.messages().length === 1);
    strict.streams.push(progress(2), issued);
    await waitFor(
      () => `progress from outside the call: ${lost.text()}`,
      () => lost.messages().length === 2,
    );
    killNow(owner.pid);
    await lost.closed;
    await nextListener(cluster, sessionId, owner, strict, issued);
    strict.streams.push(progress(3), issued);
    await mark();
    expect(lost.messages().map(({ id, params }) => id ?? params?.progress)).toEqual([1, 2, 'lost']);
    expect(lost.messages().at(-1)).toMatchObject({ error: { code: -32012 } });
    expect(outside.text()).not.toContain('notifications/progress');
    outside.leave();
  });
});

describe('cancellation', () => {
  it.each([
    ['HTTP', 'remote__hang', (nonce: string) => backend.events.includes(`cancelled ${nonce}`)],
    ['stdio', 'local__hang', (nonce: string) => ofChildren().some(({ kind, what }) => kind === 'cancelled' && what === nonce)],
  ] as const)(
    'over %s, through a third worker, is at the backend within a second, and ends the call without an answer',
    async (kind, tool, seen) => {
      const sessionId = await openSession(cluster.balancer.origin, BOTH);
      await sendRaw(cluster.balancer.origin, rpc(BOTH, sessionId, 'tools/list'));
      const owner = await cluster.ownerOf(sessionId);
      const edge = third(owner);
      const other = third(owner, edge.pid);
      const hanging = (nonce: string) => () =>
        backend.events.includes(`hanging ${nonce}`) || ofChildren().some((one) => one.kind === 'hanging' && one.what === nonce);

      const nonce = `cancel-${kind}`;
      const answer = edge.pod.sendTo(edge.pid, toolCall(BOTH, sessionId, tool, { nonce }, 5));
      await waitFor('the call to run', hanging(nonce));
      // Of another session, or another type, it is nobody's.
      const foreign = await openSession(cluster.balancer.origin, BOTH);
      expect(await notify(foreign, other, 'notifications/cancelled', { requestId: 5 })).toBe(202);
      expect(await notify(sessionId, other, 'notifications/cancelled', { requestId: '5' })).toBe(202);
      expect(seen(nonce)).toBe(false);
      expect(await notify(sessionId, other, 'notifications/cancelled', { requestId: 5, reason: 'no more' })).toBe(202);
      await waitFor('the cancellation at the backend', () => seen(nonce), 1000);
      expect(eventsOf((await answer).body).filter(({ data }) => data !== '')).toEqual([]);

      // The id is used again: the new call gets its own answer.
      const echo = toolCall(BOTH, sessionId, tool.replace('hang', 'echo'), { nonce: 'again', text: 'x' }, 5);
      expect((await edge.pod.sendTo(edge.pid, echo)).body).toContain('again:x');
      // And one whose owner is killed is lost; to cancel it then is harmless.
      const lost = `lost-${kind}`;
      const cut = edge.pod.sendTo(edge.pid, toolCall(BOTH, sessionId, tool, { nonce: lost }, 6));
      await waitFor('the call to run', hanging(lost));
      killNow(owner.pid);
      expect((await cut).body).toContain('-32012');
      expect(await notify(sessionId, other, 'notifications/cancelled', { requestId: 6 })).toBe(202);
      expect((await edge.pod.sendTo(edge.pid, { ...echo, body: String(echo.body).replace('"id":5', '"id":7') })).body).toContain(
        'again:x',
      );
    },
  );
});

describe('a disconnect', () => {
  it.each([
    ['HTTP', 'remote__hang'],
    ['stdio', 'local__hang'],
  ] as const)('is no cancellation: over %s the call runs on, also past the death of the owner', async (kind, tool) => {
    const sessionId = await openSession(cluster.balancer.origin, BOTH);
    await sendRaw(cluster.balancer.origin, rpc(BOTH, sessionId, 'tools/list'));
    const owner = await ownerOf({ sessionId });
    const edge = third(owner);
    const events = () => [...backend.events, ...ofChildren().map(({ kind: of, what }) => `${of} ${what}`)];
    /** One that takes streams, one that takes JSON alone: both leave. */
    const leave = async (nonce: string, accept: string, id: number) => {
      const call = toolCall(BOTH, sessionId, tool, { nonce }, id);
      const socket = await edge.pod.connectTo(edge.pid);
      sendRaw(edge.pod.origin, { ...call, headers: { ...call.headers, accept } }, socket).catch(() => undefined);
      await waitFor(`${nonce} to run`, () => events().includes(`hanging ${nonce}`));
      socket.destroy();
    };
    const nonces = ['streams', 'json'].map((what) => `left-${kind}-${what}`);
    await leave(nonces[0] as string, 'application/json, text/event-stream', 11);
    await leave(nonces[1] as string, 'application/json', 12);
    // Behind the news of it, over the same hop, and through the same channel to the backend.
    const echo = toolCall(BOTH, sessionId, tool.replace('hang', 'echo'), { nonce: 'beside', text: 'x' }, 13);
    for (let n = 0; n < 3; n += 1) expect((await edge.pod.sendTo(edge.pid, echo)).body).toContain('beside:x');
    expect(events().filter((event) => event.startsWith(`cancelled left-${kind}`))).toEqual([]);
    // It runs: who cancels it now is heard.
    expect(await notify(sessionId, third(owner, edge.pid), 'notifications/cancelled', { requestId: 11 })).toBe(202);
    await waitFor('the cancellation', () => events().includes(`cancelled ${nonces[0]}`));

    await killOwner({ sessionId });
    expect((await edge.pod.sendTo(edge.pid, echo)).body).toContain('beside:x');
    expect(events().filter((event) => event.startsWith(`cancelled left-${kind}`))).toEqual([`cancelled ${nonces[0]}`]);
  });
});

describe('log level', () => {
  it('reaches all backends, outlives its owner, and is set first at what is opened anew', async () => {
    const session = await connectSdkClient(cluster.url(BOTH));
    const levels = () => backend.requestsOf('POST', 'logging/setLevel');
    const before = levels().length;
    await session.client.setLoggingLevel('error');
    expect(
      levels()
        .slice(before)
        .map(({ params }) => params),
    ).toEqual([{ level: 'error' }]);
    await expect(session.client.setLoggingLevel('loud' as never)).rejects.toMatchObject({ code: -32602 });
    const first = backendSession();
    const firstChild = ofChildren().at(-1)?.pid;
    await killOwner(session);
    expect(await session.callText('remote__counter')).toBe('1');
    // The backend's session lives on, and with it what it was told.
    expect(backendSession()).toBe(first);
    expect(levels()).toHaveLength(before + 1);
    backend.forgetSessions();
    expect(await session.callText('remote__counter')).toBe('1');
    const inNew = backend.requests.filter(({ sessionId }) => sessionId === backendSession()).map(({ rpcMethod }) => rpcMethod);
    expect(inNew.filter((method) => method !== undefined && method !== 'ping').slice(0, 3)).toEqual([
      'notifications/initialized',
      'logging/setLevel',
      'tools/call',
    ]);
    expect(await session.callText('local__counter')).toBe('1');
    const child = ofChildren().at(-1)?.pid;
    expect(child).not.toBe(firstChild);
    const inChild = ofChildren().filter(({ pid }) => pid === child);
    expect(inChild.map(({ kind }) => kind)).toEqual(['initialize', 'level', 'call']);
    await session.end();
  });
});

describe('subscriptions', () => {
  async function subscribed(uris: string[]): Promise<{ session: SdkClient; updated: string[] }> {
    const updated: string[] = [];
    const session = await connectSdkClient(cluster.url(BOTH), {
      prepare: (client) =>
        client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => void updated.push(params.uri)),
    });
    for (const uri of uris) await session.client.subscribeResource({ uri });
    return { session, updated };
  }

  it('go to the backend that has the resource; unknown and foreign ones are refused', async () => {
    const { session, updated } = await subscribed(['remote://watched', 'local://some/thing']);
    expect(ofChildren().at(-1)).toMatchObject({ kind: 'subscribe', what: 'local://some/thing' });
    await expect(session.client.subscribeResource({ uri: 'nobody://x' })).rejects.toMatchObject({
      code: -32002,
      data: { uri: 'nobody://x' },
    });
    await listening(backendSession());
    backend.touch('remote://watched');
    await waitFor('the update', () => updated.includes('remote://watched'));
    await session.client.unsubscribeResource({ uri: 'remote://watched' });
    expect(backend.events.at(-1)).toBe('unsubscribe remote://watched');
    await session.end();
  });

  it('outlive the owner: over HTTP in the same backend session, over stdio in a new one, while the client only listens', async () => {
    const { session, updated } = await subscribed(['remote://watched', 'local://watched']);
    const id = backendSession();
    await listening(id);
    const asked = backend.events.length;
    const child = ofChildren().at(-1)?.pid;
    await killOwner(session);
    await waitFor(
      'the subscription in a new child',
      () => {
        const last = ofChildren().at(-1);
        return last?.pid !== child && last?.what === 'local://watched';
      },
      15_000,
    );
    await waitFor('the client to hear that it may have changed', () => updated.includes('local://watched'));
    await waitFor('an update, without any request of the client', async () => {
      await listening(id);
      backend.touch('remote://watched');
      return updated.includes('remote://watched');
    });
    expect(backend.events.slice(asked)).toEqual([]);

    // The backend restarts: its new session is asked for what the old one had, and the client hears of it.
    updated.length = 0;
    backend.forgetSessions();
    await waitFor(
      'the subscription in the new backend session',
      () => backend.events.at(-1) === 'subscribe remote://watched',
      15_000,
    );
    await waitFor('an update', () => {
      backend.touch('remote://watched');
      return updated.length > 1;
    });
    await session.client.unsubscribeResource({ uri: 'remote://watched' });
    expect(backend.events.at(-1)).toBe('unsubscribe remote://watched');
    await session.end();
  });
});

describe('changed lists', () => {
  it('are told to every session that uses the backend, on every worker, and what is listed then is new', async () => {
    const clients = await Promise.all(
      [BOTH, BOTH, REMOTE, LOCAL].map(async (path) => {
        const heard: string[] = [];
        const session = await connectSdkClient(cluster.url(path), {
          prepare(client) {
            client.setNotificationHandler(ToolListChangedNotificationSchema, () => void heard.push('tools'));
            client.setNotificationHandler(PromptListChangedNotificationSchema, () => void heard.push('prompts'));
          },
        });
        await session.client.listTools();
        return { path, heard, session };
      }),
    );
    const [one, two, remote, local] = clients;
    if (!one || !two || !remote || !local) throw new Error('no clients');
    expect(one.session.client.getServerCapabilities()).toMatchObject({
      tools: { listChanged: true },
      resources: { subscribe: true, listChanged: true },
      prompts: { listChanged: true },
      logging: {},
      completions: {},
    });
    // Its own session at the backend is what tells: a cached list opens none.
    await Promise.all(
      [one, two, remote].map(({ session }) => session.callText('whoami').catch(() => session.callText('remote__whoami'))),
    );
    for (const id of backend.issued.slice(-3)) await listening(id);
    const round = async (expected: number) => {
      for (const { heard } of clients) heard.length = 0;
      backend.add();
      for (const { heard, session, path } of [one, two, remote]) {
        await waitFor(`both notifications at ${path}`, () => heard.includes('tools') && heard.includes('prompts'));
        const names = (await session.client.listTools()).tools.map(({ name }) => name);
        expect(names.filter((name) => /^more-/.test(name))).toHaveLength(expected);
      }
      expect(local.heard).toEqual([]);
    };
    await round(1);
    let added = 1;
    await killOwner(one.session);
    // Its stream goes on at the next owner, who listens at the backend anew.
    await waitFor(
      'a change after the death of the owner',
      async () => {
        one.heard.length = 0;
        backend.add();
        added += 1;
        return waitFor('tools', () => one.heard.includes('tools'), 500);
      },
      15_000,
    );
    const { tools } = await one.session.client.listTools();
    expect(tools.filter(({ name }) => /^more-/.test(name))).toHaveLength(added);
    expect(local.heard).toEqual([]);
    await Promise.all(clients.map(({ session }) => session.end()));
  });
});

describe('changed lists and log messages', () => {
  it('of every kind of backend reach one client, from whichever worker it is served, also after the death of its owner', async () => {
    const heard: string[] = [];
    const session = await connectSdkClient(cluster.url(ALL), {
      prepare(client) {
        client.setNotificationHandler(ToolListChangedNotificationSchema, () => void heard.push('tools'));
        client.setNotificationHandler(PromptListChangedNotificationSchema, () => void heard.push('prompts'));
        client.setNotificationHandler(ResourceListChangedNotificationSchema, () => void heard.push('resources'));
        client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => void heard.push(String(params.data)));
      },
    });
    const hear = async (from: string, expected: string[], tell: () => unknown) => {
      heard.length = 0;
      await tell();
      await waitFor(
        () => `${expected} from ${from}, for ${session.sessionId.slice(0, 4)}; heard: ${heard}`,
        () => expected.every((one) => heard.includes(one)),
      );
    };
    const lists = ['tools', 'prompts', 'resources'];
    const round = async () => {
      // Opened anew where they died with their owner.
      for (const name of ['remote', 'local', 'old']) await session.callText(`${name}__counter`);
      await listening(backendSession());
      await hear('an HTTP backend', lists, () => backend.add());
      await hear('a stdio backend', [...lists, 'local grown'], () => session.callText('local__grow'));
      await hear('an HTTP+SSE backend', ['tools'], () => old.sendToolListChanged());
      expect((await session.client.listTools()).tools.map(({ name }) => name)).toContain('local__more-1');
    };
    await round();
    await killOwner(session);
    await round();
    await session.end();
  });
});

describe('completion', () => {
  it('finds its backend by prompt and by template, with the arguments so far, also at the next owner', async () => {
    const session = await connectSdkClient(cluster.url(BOTH));
    const complete = async (ref: object, name: string, args: Record<string, string>) => {
      const argument = { name, value: 'x' };
      const { completion } = await session.client.complete({ ref: ref as never, argument, context: { arguments: args } });
      return completion.values;
    };
    for (let round = 0; round < 2; round += 1) {
      for (const [scheme, prefix] of [
        ['remote', 'remote__'],
        ['local', 'local__'],
      ]) {
        const prompt = { type: 'ref/prompt', name: `${prefix}greet` };
        expect(await complete(prompt, 'city', { country: 'nl' })).toEqual([`${scheme}-x-nl`]);
        const template = { type: 'ref/resource', uri: `${scheme}://{kind}/{name}` };
        expect(await complete(template, 'name', { kind: 'k' })).toEqual([`${scheme}-x-k`]);
      }
      for (const ref of [
        { type: 'ref/prompt', name: 'nobody' },
        { type: 'ref/resource', uri: 'nobody://{x}' },
      ]) {
        await expect(complete(ref, 'x', {})).rejects.toMatchObject({ code: -32602 });
      }
      if (round === 0) await killOwner(session);
    }
    await session.end();
  });
});

it.each([
  ['logging/setLevel', { level: 'debug' }],
  ['resources/subscribe', { uri: 'remote://watched' }],
  [
    'completion/complete',
    { ref: { type: 'ref/prompt', name: 'remote__greet' }, argument: { name: 'city', value: 'x' }, context: { arguments: {} } },
  ],
] as const)(
  'the owner is killed while the backend thinks about %s: told so, and the next one is answered',
  async (method, params) => {
    const sessionId = await openSession(cluster.balancer.origin, BOTH);
    await sendRaw(cluster.balancer.origin, toolCall(BOTH, sessionId, 'remote__counter'));
    const owner = await cluster.ownerOf(sessionId);
    const edge = third(owner);
    const asked = () => backend.requestsOf('POST', method).filter((one) => one.sessionId === backendSession()).length;
    const hung = backend.hang(({ rpcMethod, sessionId: of }) => rpcMethod === method && of === backendSession());
    const ask = () => edge.pod.sendTo(edge.pid, rpc(BOTH, sessionId, method, params, 'asked'));
    const lost = ask();
    await waitFor(`${method} to be at the backend`, () => asked() === 1);
    await killOwner({ sessionId });
    expect(responseOf(await lost)).toMatchObject({ id: 'asked', error: { code: -32012 } });
    hung.release();
    expect(responseOf(await ask())).toMatchObject({ id: 'asked', result: {} });
    expect(asked()).toBe(2);
  },
);
