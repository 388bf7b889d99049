// S63, S64, S71 with servers that others wrote: restarted in the middle, they have forgotten their sessions, each in its own words; the
// client of the gateway keeps its session and notices nothing.
import { join } from 'node:path';
import { type Cluster, startCluster } from '../support/cluster.js';
import { connectSdkClient } from '../support/sdk-client.js';
import { type ServerProcess, startServerProcess } from '../support/server-process.js';

const MODULES = join(__dirname, '../../node_modules/@modelcontextprotocol');

interface Kind {
  readonly name: string;
  readonly script: string;
  readonly args: readonly string[];
  readonly env: (port: number) => Record<string, string>;
  readonly tool: string;
  readonly arguments: (text: string) => Record<string, unknown>;
}

const KINDS: readonly Kind[] = [
  {
    name: 'server-everything',
    script: join(MODULES, 'server-everything/dist/index.js'),
    args: ['streamableHttp'],
    env: (port) => ({ PORT: String(port) }),
    tool: 'echo',
    arguments: (message) => ({ message }),
  },
  {
    name: 'the example of the TypeScript SDK',
    script: join(MODULES, 'sdk/dist/esm/examples/server/simpleStreamableHttp.js'),
    args: [],
    env: (port) => ({ MCP_PORT: String(port) }),
    tool: 'greet',
    arguments: (name) => ({ name }),
  },
];

describe.each(KINDS)('$name, restarted in the middle', (kind) => {
  let server: ServerProcess;
  let cluster: Cluster;

  beforeAll(async () => {
    server = await startServerProcess(kind.script, kind.args, kind.env);
    cluster = await startCluster({ config: { mcpServers: { theirs: { type: 'http', url: `${server.origin}/mcp` } } } });
  });
  afterAll(async () => {
    await cluster?.dispose();
    await server?.stop();
  });

  test('is initialized once more; every call after it succeeds in the same session', async () => {
    const session = await connectSdkClient(cluster.url('/servers/theirs/mcp'));
    expect((await session.client.listTools()).tools.map(({ name }) => name)).toContain(kind.tool);
    expect(await session.callText(kind.tool, kind.arguments('before'))).toContain('before');
    const { sessionId } = session;

    await server.restart();
    const texts = await Promise.all(
      Array.from({ length: 30 }, (_, i) => session.callText(kind.tool, kind.arguments(`after-${i}.`))),
    );
    for (const [i, text] of texts.entries()) expect(text).toContain(`after-${i}.`);
    expect((await session.client.listTools()).tools.map(({ name }) => name)).toContain(kind.tool);
    expect(session.sessionId).toBe(sessionId);
    await session.end();
  });
});
