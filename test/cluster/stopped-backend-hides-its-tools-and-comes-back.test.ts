// S70, S71: one of two backends of a virtual server stops. Its tools vanish on every worker and the streams say so, calls to it fail
// at once with the reason, the other backend notices nothing. Started again, it is found by itself and the same sessions use it.
import { type Cluster, startCluster } from '../support/cluster.js';
import type { Pod } from '../support/pod.js';
import { freePort } from '../support/ports.js';
import { type RawRequest, responseOf, rpc, sendRaw, toolCall } from '../support/raw-request.js';
import { StrictBackend } from '../support/strict-backend.js';
import { waitFor } from '../support/wait-for.js';

const PATH = '/servers/both/mcp';
const WITHIN_MS = 30_000;
const INITIALIZE = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'raw', version: '1' } };
/** Without a GET stream of its own a backend that dies is noticed by calls alone. */
const BETA = { tools: [{ name: 'count', inputSchema: {} }], get: '405' } as const;

/** A client whose session one worker owns; its stream stands there, its requests come from anywhere. */
interface Member {
  readonly name: string;
  list(): Promise<string[]>;
  call(tool: string): Promise<ReturnType<typeof responseOf>>;
  /** How often the stream said that the tools have changed. */
  changes(): number;
}

let alpha: StrictBackend;
let beta: StrictBackend;
let betaPort: number;
let cluster: Cluster;
const members: Member[] = [];
const streams: Array<{ destroy(): void }> = [];

beforeAll(async () => {
  alpha = await StrictBackend.start({ tools: [{ name: 'echo', inputSchema: {} }] });
  betaPort = await freePort();
  beta = await StrictBackend.start(BETA, betaPort);
  cluster = await startCluster({
    config: {
      mcpServers: { alpha: { type: 'http', url: alpha.url }, beta: { type: 'http', url: beta.url } },
      servers: { both: { backends: ['alpha', 'beta'] } },
    },
  });
});
afterAll(async () => {
  for (const stream of streams) stream.destroy();
  await cluster?.dispose();
  await Promise.all([alpha?.close(), beta?.close()]);
});

async function join(pod: Pod, pid: number): Promise<Member> {
  const opened = await pod.sendTo(pid, rpc(PATH, undefined, 'initialize', INITIALIZE));
  const sessionId = opened.headers['mcp-session-id'] as string;
  const ask = (request: RawRequest) => sendRaw(cluster.balancer.origin, request);
  const headers = { accept: 'text/event-stream', 'mcp-session-id': sessionId };
  const { call, answer } = await pod.beginAt(pid, { method: 'GET', path: PATH, headers });
  streams.push(call);
  let text = '';
  answer.setEncoding('utf8').on('data', (part: string) => {
    text += part;
  });
  answer.on('error', () => undefined);
  return {
    name: `worker ${pid}`,
    async list() {
      const { result } = responseOf(await ask(rpc(PATH, sessionId, 'tools/list'))) as {
        result?: { tools: Array<{ name: string }> };
      };
      return (result?.tools ?? []).map(({ name }) => name).sort();
    },
    call: async (tool) => responseOf(await ask(toolCall(PATH, sessionId, tool, {}, 'mine'))),
    changes: () => text.split('notifications/tools/list_changed').length - 1,
  };
}

const logsOf = (message: string) =>
  cluster.pods.flatMap((pod) => pod.logs()).filter(({ msg }) => String(msg).startsWith(message));

async function gauges(): Promise<string[]> {
  const pages = await Promise.all(cluster.pods.map(async (pod) => (await fetch(pod.adminUrl('/metrics'))).text()));
  return pages.flatMap((page) => page.split('\n').filter((line) => line.startsWith('berth_backend_up{backend="beta"')));
}

test('its tools vanish everywhere, calls hear why, and everything comes back by itself', async () => {
  // One after the other: connections reach a worker in turn.
  for (const { pid, pod } of cluster.workers()) members.push(await join(pod, pid));
  for (const member of members) {
    expect(await member.list()).toEqual(['count', 'echo']);
    expect(await member.call('count')).toMatchObject({ result: { content: [{ text: '1' }] } });
  }

  await beta.close();
  const before = members.map((member) => member.changes());
  // One call on one worker: the rest it finds out itself, and tells the others.
  const [first] = members as [Member];
  expect(await first.call('count')).toMatchObject({ error: { data: { backend: 'beta' } } });
  for (const [i, member] of members.entries()) {
    await waitFor(`${member.name} to be told`, () => member.changes() > (before[i] as number), WITHIN_MS);
    await waitFor(
      `${member.name} to list without beta`,
      async () => JSON.stringify(await member.list()) === '["echo"]',
      WITHIN_MS,
    );
    expect(await member.call('echo')).toMatchObject({ result: { content: [{}] } });
    // The name is still known, and means what it meant.
    expect(await member.call('count')).toMatchObject({ id: 'mine', error: { code: -32010, data: { backend: 'beta' } } });
  }
  const broken = await waitFor(
    'calls to fail at once',
    async () => {
      const { error } = (await first.call('count')) as { error?: { data?: { reason?: string } } };
      return error?.data?.reason === 'broken' && error;
    },
    WITHIN_MS,
  );
  expect(broken).toMatchObject({ code: -32010, data: { backend: 'beta', cause: 'refused', since: expect.any(String) } });
  expect(logsOf('backend is down').map(({ backend, reason }) => [backend, reason])).toContainEqual(['beta', 'refused']);
  expect((await gauges()).some((line) => line.endsWith(' 0'))).toBe(true);

  const during = members.map((member) => member.changes());
  beta = await StrictBackend.start({ ...BETA, idPrefix: 'again' }, betaPort);
  for (const [i, member] of members.entries()) {
    await waitFor(`${member.name} to be told of the return`, () => member.changes() > (during[i] as number), WITHIN_MS);
    await waitFor(
      `${member.name} to list both`,
      async () => JSON.stringify(await member.list()) === '["count","echo"]',
      WITHIN_MS,
    );
    expect(await member.call('count')).toMatchObject({ result: { content: [{ text: '1' }] } });
  }
  await waitFor('the log to say so', () => logsOf('backend is up again').length > 0);
  await waitFor('the metric to say so', async () => (await gauges()).every((line) => line.endsWith(' 1')));
  // Probes ended what they opened: one session each is left for the four clients.
  await waitFor(`the probes' sessions to be gone, ${beta.sessionCount} are open`, () => beta.sessionCount === members.length);
}, 120_000);

test('nobody calls: a backend to which streams are open is missed, and found again, all the same', async () => {
  const { port } = alpha;
  const before = members.map((member) => member.changes());
  await alpha.close();
  for (const [i, member] of members.entries()) {
    await waitFor(`${member.name} to be told`, () => member.changes() > (before[i] as number), WITHIN_MS);
    await waitFor(
      `${member.name} to list without alpha`,
      async () => JSON.stringify(await member.list()) === '["count"]',
      WITHIN_MS,
    );
  }
  alpha = await StrictBackend.start({ tools: [{ name: 'echo', inputSchema: {} }], idPrefix: 'anew' }, port);
  for (const member of members) {
    await waitFor(
      `${member.name} to list both`,
      async () => JSON.stringify(await member.list()) === '["count","echo"]',
      WITHIN_MS,
    );
  }
  await waitFor('the streams to stand again', () => alpha.streams.size === members.length, WITHIN_MS);
}, 120_000);
