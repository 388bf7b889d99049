// What is judged: a backend directly, and the same behind two pods of two workers and a balancer that chooses per request.
import { join } from 'node:path';
import { coreOf, Processes } from '../bench/processes.mjs';
import { newSecret, PodPlace, RedisServer } from '../chaos/cluster.mjs';
import { startRoundRobin } from './round-robin.mjs';

const SERVER = join(import.meta.dirname, 'conformance-server.mjs');
const PODS = 2;
/** One backend of two: the other has the rest. */
const HALF = [
  'test_simple_text',
  'test_sampling',
  'test_elicitation',
  'test_tool_with_progress',
  'test_error_handling',
  'resources',
];
export const SUBJECTS = ['direct', 'http', 'sse', 'stdio', 'spread'];

export class Subjects {
  /** URL by subject. */
  urls = {};
  #processes = new Processes();
  #redis = new RedisServer();
  #balancer;

  /** @param redisProgram default redis-server */
  async start(dir, redisProgram) {
    const half = HALF.join(',');
    const [http, sse, one, other] = await Promise.all([
      this.#backend('http'),
      this.#backend('sse'),
      this.#backend('http', '--only', half),
      this.#backend('http', '--without', half),
      this.#redis.start(join(dir, 'redis'), redisProgram),
    ]);
    const places = await this.#startPods(dir, {
      http: { type: 'http', url: `${http}/mcp` },
      sse: { type: 'sse', url: `${sse}/sse` },
      stdio: { command: process.execPath, args: [SERVER, 'stdio'] },
      half: { type: 'http', url: `${one}/mcp` },
      rest: { type: 'http', url: `${other}/mcp` },
    });
    this.#balancer = await startRoundRobin(places);
    for (const name of SUBJECTS) this.urls[name] = `http://127.0.0.1:${this.#balancer.port}/servers/${name}/mcp`;
    this.urls.direct = `${http}/mcp`;
  }

  async #backend(...args) {
    const { port } = await this.#processes.start(SERVER, args, coreOf(undefined));
    return `http://127.0.0.1:${port}`;
  }

  async #startPods(dir, mcpServers) {
    const secret = newSecret();
    const places = Array.from({ length: PODS }, (_, i) => {
      const host = `127.0.0.${i + 2}`;
      const config = {
        workers: 2,
        hosts: [],
        redis: { url: this.#redis.url, prefix: 'conformance:' },
        internal: { host, secret },
        mcpServers,
        servers: { spread: { backends: ['half', 'rest'] } },
      };
      return new PodPlace(`pod ${i + 1}`, { processes: this.#processes, dir: join(dir, `pod-${i + 1}`), host, config });
    });
    await Promise.all(places.map((place) => place.start()));
    return places;
  }

  async stop() {
    this.#balancer?.close();
    await this.#processes.stop();
    if (this.#redis.isUp) await this.#redis.crash();
  }
}
