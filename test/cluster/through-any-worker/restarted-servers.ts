// S63, S64, S71 with servers that others wrote: restarted in the middle, they have forgotten their sessions, each in its own words; the
// client of the gateway keeps its session and notices nothing.
import { join } from 'node:path';
import { askAdmin } from '../../support/admin.js';
import type { Pod } from '../../support/pod.js';
import { connectSdkClient } from '../../support/sdk-client.js';
import { type ServerProcess, startServerProcess } from '../../support/server-process.js';
import { cluster, shareCluster } from '../../support/shared-cluster.js';
import { waitFor } from '../../support/wait-for.js';

const MODULES = join(__dirname, '../../../node_modules/@modelcontextprotocol');

interface Kind {
  readonly name: string;
  /** Among the backends. */
  readonly id: string;
  readonly script: string;
  readonly args: readonly string[];
  readonly env: (port: number) => Record<string, string>;
  readonly tool: string;
  readonly arguments: (text: string) => Record<string, unknown>;
}

const KINDS: readonly Kind[] = [
  {
    name: 'server-everything',
    id: 'their-everything',
    script: join(MODULES, 'server-everything/dist/index.js'),
    args: ['streamableHttp'],
    env: (port) => ({ PORT: String(port) }),
    tool: 'echo',
    arguments: (message) => ({ message }),
  },
  {
    name: 'the example of the TypeScript SDK',
    id: 'their-example',
    script: join(MODULES, 'sdk/dist/esm/examples/server/simpleStreamableHttp.js'),
    args: [],
    env: (port) => ({ MCP_PORT: String(port) }),
    tool: 'greet',
    arguments: (name) => ({ name }),
  },
];

const servers = new Map<Kind, ServerProcess>();

shareCluster({
  async begin() {
    for (const kind of KINDS) servers.set(kind, await startServerProcess(kind.script, kind.args, kind.env));
    const entries = [...servers].map(([{ id }, { origin }]) => [id, { type: 'http', url: `${origin}/mcp` }]);
    return { mcpServers: Object.fromEntries(entries) };
  },
  end: () => Promise.all([...servers.values()].map((server) => server.stop())),
});

test.each(KINDS)('$name, restarted, is initialized once more; every call after it succeeds in the same session', async (kind) => {
  const session = await connectSdkClient(cluster.url(`/servers/${kind.id}/mcp`));
  expect((await session.client.listTools()).tools.map(({ name }) => name)).toContain(kind.tool);
  expect(await session.callText(kind.tool, kind.arguments('before'))).toContain('before');
  const { sessionId } = session;

  await servers.get(kind)?.restart();
  // Whoever uses all backends of this cluster may have been refused meanwhile; until a probe finds it back, a down backend is not called.
  const verdicts = async () =>
    (await askAdmin(cluster.pods[0] as Pod, '/api/backends')).body.backends.find((one: { name: string }) => one.name === kind.id)
      .workers;
  await waitFor(
    () => `every worker to find ${kind.id} back`,
    async () => (await verdicts()).every(({ state }: { state: string }) => state !== 'down'),
    30_000,
  );
  const texts = await Promise.all(
    Array.from({ length: 30 }, (_, i) => session.callText(kind.tool, kind.arguments(`after-${i}.`))),
  );
  for (const [i, text] of texts.entries()) expect(text).toContain(`after-${i}.`);
  expect((await session.client.listTools()).tools.map(({ name }) => name)).toContain(kind.tool);
  expect(session.sessionId).toBe(sessionId);
  await session.end();
});
