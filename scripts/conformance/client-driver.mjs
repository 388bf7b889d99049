// Started by the suite with the URL of its server as the last argument: puts a gateway before that server and does, as a client of the
// gateway, what the scenario needs. The suite sees the gateway alone and judges it as a client.
//   node client-driver.mjs [--direct] URL      --direct: without a gateway, to see what the client itself is worth
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { startPod } from '../bench/pod.mjs';
import { coreOf, Processes } from '../bench/processes.mjs';

const HOST = '127.0.0.1';
const ARGUMENTS = { add_numbers: { a: 5, b: 3 } };

const flags = process.argv.slice(2);
const url = flags.at(-1);
const scenario = process.env.MCP_CONFORMANCE_SCENARIO;
const dir = mkdtempSync(join(tmpdir(), 'berth-conformance-client-'));
const processes = new Processes();
try {
  await act(flags.includes('--direct') ? url : await startGateway());
} finally {
  await processes.stop();
  rmSync(dir, { recursive: true, force: true });
}

/** One worker, a Redis of its own. @returns the URL of the suite's server behind it */
async function startGateway() {
  const config = { workers: 1, mcpServers: { suite: { type: 'http', url } } };
  const pod = await startPod({ processes, core: coreOf(undefined), dir, host: HOST, config, follows: true });
  await pod.ready();
  return `http://${HOST}:${pod.port}/servers/suite/mcp`;
}

/** Connects, lists the tools, and calls each. */
async function act(server) {
  const capabilities = { elicitation: { form: { applyDefaults: true } } };
  const client = new Client({ name: 'conformance-driver', version: '1.0.0' }, { capabilities });
  client.setRequestHandler(ElicitRequestSchema, () => ({ action: 'accept', content: {} }));
  const transport = new StreamableHTTPClientTransport(new URL(server));
  await client.connect(transport);
  // The scenario's server has no tools, and says so or not.
  const { tools } = scenario === 'initialize' ? await client.listTools().catch(() => ({ tools: [] })) : await client.listTools();
  for (const { name } of tools) {
    const result = await client.callTool({ name, arguments: ARGUMENTS[name] ?? {} });
    if (result.isError) throw new Error(`${name}: ${JSON.stringify(result.content)}`);
  }
  if (scenario !== 'initialize' && tools.length === 0) throw new Error('there are no tools to call');
  await transport.terminateSession();
  await client.close();
}
