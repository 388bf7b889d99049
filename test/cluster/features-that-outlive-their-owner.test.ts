// Log levels, subscriptions, changed lists and completion through any worker, and after the death of the session's owner: over an HTTP
// backend, whose session lives on, and a stdio backend, which is started anew.
import {
  LoggingMessageNotificationSchema,
  PromptListChangedNotificationSchema,
  ResourceListChangedNotificationSchema,
  ResourceUpdatedNotificationSchema,
  ToolListChangedNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { type Cluster, whenAllServe } from '../support/cluster.js';
import { ALL, BOTH, FeatureCluster, LOCAL, REMOTE } from '../support/feature-cluster.js';
import type { RecordingBackend } from '../support/recording-backend.js';
import { connectSdkClient, type SdkClient } from '../support/sdk-client.js';
import type { SdkSseBackend } from '../support/sdk-sse-backend.js';
import { waitFor } from '../support/wait-for.js';

let fixture: FeatureCluster;
let backend: RecordingBackend;
let old: SdkSseBackend;
let cluster: Cluster;

beforeAll(async () => {
  fixture = await FeatureCluster.start();
  ({ backend, old, cluster } = fixture);
});
afterAll(() => fixture?.dispose());
beforeEach(() => whenAllServe(cluster));

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
    const first = fixture.backendSession();
    const firstChild = fixture.ofChildren().at(-1)?.pid;
    await fixture.killOwner(session);
    expect(await session.callText('remote__counter')).toBe('1');
    // The backend's session lives on, and with it what it was told.
    expect(fixture.backendSession()).toBe(first);
    expect(levels()).toHaveLength(before + 1);
    backend.forgetSessions();
    expect(await session.callText('remote__counter')).toBe('1');
    const inNew = backend.requests
      .filter(({ sessionId }) => sessionId === fixture.backendSession())
      .map(({ rpcMethod }) => rpcMethod);
    expect(inNew.filter((method) => method !== undefined && method !== 'ping').slice(0, 3)).toEqual([
      'notifications/initialized',
      'logging/setLevel',
      'tools/call',
    ]);
    expect(await session.callText('local__counter')).toBe('1');
    const child = fixture.ofChildren().at(-1)?.pid;
    expect(child).not.toBe(firstChild);
    const inChild = fixture.ofChildren().filter(({ pid }) => pid === child);
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
    expect(fixture.ofChildren().at(-1)).toMatchObject({ kind: 'subscribe', what: 'local://some/thing' });
    await expect(session.client.subscribeResource({ uri: 'nobody://x' })).rejects.toMatchObject({
      code: -32002,
      data: { uri: 'nobody://x' },
    });
    await fixture.listening(fixture.backendSession());
    backend.touch('remote://watched');
    await waitFor('the update', () => updated.includes('remote://watched'));
    await session.client.unsubscribeResource({ uri: 'remote://watched' });
    expect(backend.events.at(-1)).toBe('unsubscribe remote://watched');
    await session.end();
  });

  it('outlive the owner: over HTTP in the same backend session, over stdio in a new one, while the client only listens', async () => {
    const { session, updated } = await subscribed(['remote://watched', 'local://watched']);
    const id = fixture.backendSession();
    await fixture.listening(id);
    const asked = backend.events.length;
    const child = fixture.ofChildren().at(-1)?.pid;
    await fixture.killOwner(session);
    await waitFor(
      'the subscription in a new child',
      () => {
        const last = fixture.ofChildren().at(-1);
        return last?.pid !== child && last?.what === 'local://watched';
      },
      15_000,
    );
    await waitFor('the client to hear that it may have changed', () => updated.includes('local://watched'));
    await waitFor('an update, without any request of the client', async () => {
      await fixture.listening(id);
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
    for (const id of backend.issued.slice(-3)) await fixture.listening(id);
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
    await fixture.killOwner(one.session);
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
      await fixture.listening(fixture.backendSession());
      await hear('an HTTP backend', lists, () => backend.add());
      await hear('a stdio backend', [...lists, 'local grown'], () => session.callText('local__grow'));
      await hear('an HTTP+SSE backend', ['tools'], () => old.sendToolListChanged());
      expect((await session.client.listTools()).tools.map(({ name }) => name)).toContain('local__more-1');
    };
    await round();
    await fixture.killOwner(session);
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
      if (round === 0) await fixture.killOwner(session);
    }
    await session.end();
  });
});
