// The reference servers of the protocol, from npm as users run them, merged behind one endpoint of a cluster and used by the official
// client.
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Cluster, startCluster } from '../support/cluster.js';
import { connectSdkClient } from '../support/sdk-client.js';
import { connectStdioClient } from '../support/stdio-client.js';

const BIN = join(__dirname, '../../node_modules/.bin');
const dir = realpathSync(mkdtempSync(join(tmpdir(), 'berth-files-')));
writeFileSync(join(dir, 'hello.txt'), 'hello from a file');

let cluster: Cluster;

beforeAll(async () => {
  cluster = await startCluster({
    config: {
      mcpServers: {
        everything: { command: join(BIN, 'mcp-server-everything'), args: ['stdio'] },
        memory: { command: join(BIN, 'mcp-server-memory'), env: { MEMORY_FILE_PATH: join(dir, 'memory.jsonl') } },
        files: { command: join(BIN, 'mcp-server-filesystem'), args: [dir] },
        thinking: { command: join(BIN, 'mcp-server-sequential-thinking') },
      },
    },
  });
});
afterAll(async () => {
  await cluster?.dispose();
  rmSync(dir, { recursive: true, force: true });
});

const THOUGHT = { thought: 'one', nextThoughtNeeded: false, thoughtNumber: 1, totalThoughts: 1 };

describe.each([
  ['over HTTP', async () => connectSdkClient(cluster.url('/mcp'))],
  ['through the bridge', async () => connectStdioClient(cluster.url('/mcp'))],
] as const)('%s', (_name, connect) => {
  test('all four are listed and used in one session, through whichever worker', async () => {
    const { client, callText, close } = await connect();
    const names = (await client.listTools()).tools.map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(['echo', 'create_entities', 'read_text_file', 'sequentialthinking']));

    expect(await callText('echo', { message: 'hi' })).toContain('hi');
    expect(await callText('read_text_file', { path: join(dir, 'hello.txt') })).toContain('hello from a file');
    await callText('create_entities', { entities: [{ name: 'Ada', entityType: 'person', observations: ['counts'] }] });
    expect(await callText('search_nodes', { query: 'Ada' })).toContain('counts');
    expect(JSON.parse(await callText('sequentialthinking', THOUGHT))).toMatchObject({ thoughtNumber: 1 });

    const prompts = (await client.listPrompts()).prompts.map(({ name }) => name);
    expect(prompts.length).toBeGreaterThan(0);
    const { resources } = await client.listResources();
    expect(resources.length).toBeGreaterThan(0);
    const read = await client.readResource({ uri: resources[0]?.uri as string });
    expect(read.contents.length).toBeGreaterThan(0);
    await close();
  });
});

test('each alone at its own endpoint shows exactly its own tools', async () => {
  const counts = new Map<string, string[]>();
  for (const name of ['memory', 'files', 'thinking']) {
    const session = await connectSdkClient(cluster.url(`/servers/${name}/mcp`));
    counts.set(
      name,
      (await session.client.listTools()).tools.map((tool) => tool.name),
    );
    await session.end();
  }
  expect(counts.get('thinking')).toEqual(['sequentialthinking']);
  expect(counts.get('memory')).toContain('create_entities');
  expect(counts.get('files')).not.toContain('create_entities');
});
