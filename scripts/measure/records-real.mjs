// One session of a real pod, opened and called by a client: its record beside those that were written here.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { message } from '../bench/calls.mjs';
import { HttpConnection } from '../bench/http-connection.mjs';
import { startPod } from '../bench/pod.mjs';
import { coreOf, Processes } from '../bench/processes.mjs';
import { newSecret } from '../chaos/cluster.mjs';
import { INITIALIZE } from './records-member.mjs';

const PREFIX = 'real:';
const HEADERS = 'content-type: application/json\r\naccept: application/json, text/event-stream\r\n';

/** @returns `{ bytes, fields }` of its record */
export async function measureRealRecord({ redisUrl, dir, cost }) {
  const processes = new Processes();
  const core = coreOf(undefined);
  try {
    const backend = await processes.start('backend.mjs', [], core);
    const pod = join(dir, 'pod');
    mkdirSync(pod);
    const { host, port, ready } = await startPod({
      ...{ processes, core, dir: pod, host: '127.0.0.1' },
      config: {
        workers: 1,
        redis: { url: redisUrl, prefix: PREFIX },
        internal: { host: '127.0.0.1', secret: newSecret() },
        mcpServers: {
          tickets: {
            type: 'http',
            url: `http://127.0.0.1:${backend.port}/mcp`,
            headers: { authorization: `Bearer ${'x'.repeat(40)}` },
          },
        },
      },
    });
    await ready();
    const http = new HttpConnection(host, port);
    await http.opened();
    const { sessionId } = await http.send('POST', '/mcp', HEADERS, JSON.stringify(INITIALIZE));
    const own = `${HEADERS}mcp-session-id: ${sessionId}\r\n`;
    const answer = await http.send('POST', '/mcp', own, message(2, 'tools/call', { name: 'bench', arguments: { nonce: 'n' } }));
    if (answer.status !== 200) throw new Error(`a call: ${answer.status} ${answer.body}`);
    const [key] = await cost.redis.keys(`${PREFIX}{*}:session`);
    const deadline = performance.now() + 5000;
    while (!/"isConfirmed":true/.test(await cost.redis.hget(key, 'b:tickets')) && performance.now() < deadline) {
      await new Promise((wake) => setTimeout(wake, 50));
    }
    http.close();
    return { bytes: await cost.bytesEach([key]), fields: (await cost.redis.hkeys(key)).sort().join(' ') };
  } finally {
    await processes.stop();
  }
}
