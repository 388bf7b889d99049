// The stdio backend: the same tools on a pipe. Each execution is written down in the file that the first argument names, because
// the process dies with its worker.
import { appendFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { createInterface } from 'node:readline';
import { runTool, TOOLS } from './tools.mjs';

const record = process.argv[2];
const session = { tag: randomBytes(6).toString('hex'), count: 0 };
const send = (message) => process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);

const methods = {
  initialize: ({ protocolVersion }) => ({
    protocolVersion,
    capabilities: { tools: {} },
    serverInfo: { name: 'chaos-stdio', version: '1.0.0' },
  }),
  ping: () => ({}),
  'tools/list': () => ({ tools: TOOLS }),
  async 'tools/call'(params) {
    appendFileSync(record, `${params.arguments.nonce}\n`);
    const text = await runTool(params, session, (method, what) => send({ method, params: what }));
    return { content: [{ type: 'text', text }] };
  },
};

createInterface({ input: process.stdin })
  .on('line', async (line) => {
    const { id, method, params } = JSON.parse(line);
    if (id === undefined || method === undefined) return;
    if (methods[method]) send({ id, result: await methods[method](params) });
    else send({ id, error: { code: -32601, message: 'Method not found' } });
  })
  .on('close', () => process.exit(0));
