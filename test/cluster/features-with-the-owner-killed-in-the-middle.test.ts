// Progress, cancellation and disconnects of calls through any worker, each with the owner of the session killed in the middle: over an HTTP
// backend, whose session lives on, and a stdio backend, which is started anew. What stands beside calls: features-that-outlive-their-owner.
import { type Cluster, whenAllServe } from '../support/cluster.js';
import { BOTH, FeatureCluster, LOCAL, STRICT } from '../support/feature-cluster.js';
import { nextListener } from '../support/next-listener.js';
import { killNow } from '../support/processes.js';
import { eventsOf, getStream, openSession, responseOf, rpc, sendRaw, toolCall } from '../support/raw-request.js';
import { beginStream } from '../support/raw-stream.js';
import type { RecordingBackend } from '../support/recording-backend.js';
import { connectSdkClient } from '../support/sdk-client.js';
import type { StrictBackend } from '../support/strict-backend.js';
import { waitFor } from '../support/wait-for.js';

let fixture: FeatureCluster;
let backend: RecordingBackend;
let strict: StrictBackend;
let cluster: Cluster;

beforeAll(async () => {
  fixture = await FeatureCluster.start();
  ({ backend, strict, cluster } = fixture);
});
afterAll(() => fixture?.dispose());
beforeEach(() => whenAllServe(cluster));

describe('progress', () => {
  it('of two calls under one token reaches each caller alone, live, and ends with a killed owner', async () => {
    const sessionId = await openSession(cluster.balancer.origin, BOTH);
    await sendRaw(cluster.balancer.origin, rpc(BOTH, sessionId, 'tools/list'));
    const owner = await cluster.ownerOf(sessionId);
    const held = backend.holdSteps();
    const begin = async (name: string, nonce: string) => {
      const edge = fixture.third(owner);
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
    const edge = fixture.third(owner);
    const outside = await beginStream(fixture.third(owner, edge.pid), getStream(STRICT, sessionId));
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
    [
      'stdio',
      'local__hang',
      (nonce: string) => fixture.ofChildren().some(({ kind, what }) => kind === 'cancelled' && what === nonce),
    ],
  ] as const)(
    'over %s, through a third worker, is at the backend within a second, and ends the call without an answer',
    async (kind, tool, seen) => {
      const sessionId = await openSession(cluster.balancer.origin, BOTH);
      await sendRaw(cluster.balancer.origin, rpc(BOTH, sessionId, 'tools/list'));
      const owner = await cluster.ownerOf(sessionId);
      const edge = fixture.third(owner);
      const other = fixture.third(owner, edge.pid);
      const hanging = (nonce: string) => () =>
        backend.events.includes(`hanging ${nonce}`) ||
        fixture.ofChildren().some((one) => one.kind === 'hanging' && one.what === nonce);

      const nonce = `cancel-${kind}`;
      const answer = edge.pod.sendTo(edge.pid, toolCall(BOTH, sessionId, tool, { nonce }, 5));
      await waitFor('the call to run', hanging(nonce));
      // Of another session, or another type, it is nobody's.
      const foreign = await openSession(cluster.balancer.origin, BOTH);
      expect(await fixture.notify(foreign, other, 'notifications/cancelled', { requestId: 5 })).toBe(202);
      expect(await fixture.notify(sessionId, other, 'notifications/cancelled', { requestId: '5' })).toBe(202);
      expect(seen(nonce)).toBe(false);
      expect(await fixture.notify(sessionId, other, 'notifications/cancelled', { requestId: 5, reason: 'no more' })).toBe(202);
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
      expect(await fixture.notify(sessionId, other, 'notifications/cancelled', { requestId: 6 })).toBe(202);
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
    const owner = await cluster.ownerOf(sessionId);
    const edge = fixture.third(owner);
    const events = () => [...backend.events, ...fixture.ofChildren().map(({ kind: of, what }) => `${of} ${what}`)];
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
    expect(await fixture.notify(sessionId, fixture.third(owner, edge.pid), 'notifications/cancelled', { requestId: 11 })).toBe(
      202,
    );
    await waitFor('the cancellation', () => events().includes(`cancelled ${nonces[0]}`));

    await fixture.killOwner({ sessionId });
    expect((await edge.pod.sendTo(edge.pid, echo)).body).toContain('beside:x');
    expect(events().filter((event) => event.startsWith(`cancelled left-${kind}`))).toEqual([`cancelled ${nonces[0]}`]);
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
    const edge = fixture.third(owner);
    const asked = () => backend.requestsOf('POST', method).filter((one) => one.sessionId === fixture.backendSession()).length;
    const hung = backend.hang(({ rpcMethod, sessionId: of }) => rpcMethod === method && of === fixture.backendSession());
    const ask = () => edge.pod.sendTo(edge.pid, rpc(BOTH, sessionId, method, params, 'asked'));
    const lost = ask();
    await waitFor(`${method} to be at the backend`, () => asked() === 1);
    await fixture.killOwner({ sessionId });
    expect(responseOf(await lost)).toMatchObject({ id: 'asked', error: { code: -32012 } });
    hung.release();
    expect(responseOf(await ask())).toMatchObject({ id: 'asked', result: {} });
    expect(asked()).toBe(2);
  },
);
