// Progress, cancellation, log levels, subscriptions, changed lists and completion through any worker, and each with the owner of the
// session killed in the middle: over an HTTP backend, whose session lives on, and a stdio backend, which is started anew.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  PromptListChangedNotificationSchema,
  ResourceUpdatedNotificationSchema,
  ToolListChangedNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { type Cluster, type Ownership, startCluster, whenAllServe } from '../support/cluster.js';
import { isAlive, killNow } from '../support/processes.js';
import { eventsOf, JSON_HEADERS, openSession, rpc, sendRaw, toolCall } from '../support/raw-request.js';
import { beginStream } from '../support/raw-stream.js';
import { type RecordingBackend, startRecordingBackend } from '../support/recording-backend.js';
import { connectSdkClient, type SdkClient } from '../support/sdk-client.js';
import { waitFor } from '../support/wait-for.js';

const BOTH = '/servers/both/mcp';
const [REMOTE, LOCAL] = ['/servers/remote/mcp', '/servers/local/mcp'];
const dir = mkdtempSync(join(tmpdir(), 'berth-record-'));
const file = join(dir, 'record');

let backend: RecordingBackend;
let cluster: Cluster;

beforeAll(async () => {
  backend = await startRecordingBackend({ features: true });
  const args = [join(__dirname, '../support/fixtures/stdio-backend.mjs'), '--features'];
  const local = { command: process.execPath, args, env: { RECORD_FILE: file }, onStateLoss: 'reinitialize' };
  cluster = await startCluster({
    config: {
      mcpServers: { remote: { type: 'http', url: backend.url }, local },
      servers: { both: { backends: ['remote', 'local'] } },
    },
  });
});
afterAll(async () => {
  await cluster?.dispose();
  await backend?.close();
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
