// A real Redis, real HTTP backends that record what reaches them, and as many queues and workers as a test wants.
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Redis } from 'ioredis';
import { HttpBackend } from '../../../src/backends/http/http-backend.js';
import { systemClock } from '../../../src/lifecycle/clock.js';
import type { SessionRef } from '../../../src/protocol/ids.js';
import { openQueueConnection, type RedisConnection } from '../../../src/redis/connect.js';
import { makeKeyring, seal } from '../../../src/secrets/keyring.js';
import { BullTeardownQueue } from '../../../src/teardown/bull-teardown-queue.js';
import type { TeardownJob } from '../../../src/teardown/job.js';
import { TeardownWorker, type TeardownWorkerOptions } from '../../../src/teardown/teardown-worker.js';
import { contentOf } from '../../support/census.js';
import { type RedisServer, startRedis } from '../../support/redis-server.js';

export const keyring = makeKeyring(['a secret of the tests']);
export const PREFIX = 'berth-test:';

/** What a backend does with the nth request (0: the first): a status, or `hang`. */
export type Behaviour = (count: number, headers: IncomingHttpHeaders) => number | 'hang';

export class RecordingServer {
  readonly requests: { method: string; headers: IncomingHttpHeaders }[] = [];
  readonly #server: Server;

  private constructor(behave: Behaviour) {
    this.#server = createServer((request, response) => {
      const count = this.requests.push({ method: request.method ?? '', headers: request.headers }) - 1;
      const status = behave(count, request.headers);
      if (status !== 'hang') response.writeHead(status).end();
    });
  }

  static async start(behave: Behaviour): Promise<RecordingServer> {
    const made = new RecordingServer(behave);
    await new Promise<void>((resolve) => made.#server.listen(0, '127.0.0.1', resolve));
    return made;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/mcp`;
  }

  get ids(): string[] {
    return this.requests.map(({ headers }) => String(headers['mcp-session-id']));
  }

  async stop(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
  }
}

export class Bench {
  redis!: RedisServer;
  readonly results: string[] = [];
  readonly givenUp: string[] = [];
  readonly servers = new Map<string, RecordingServer>();
  readonly backends = new Map<string, HttpBackend>();
  readonly #connections: RedisConnection[] = [];
  readonly #queues: BullTeardownQueue[] = [];
  readonly #workers: TeardownWorker[] = [];

  async start(): Promise<void> {
    this.redis = await startRedis();
  }

  async backend(name: string, behave: Behaviour): Promise<RecordingServer> {
    const server = await RecordingServer.start(behave);
    this.servers.set(name, server);
    const backend = new HttpBackend({
      name,
      config: {
        type: 'http',
        url: server.url,
        headers: {},
        forwardHeaders: [],
        timeout: 5000,
        onStateLoss: 'reinitialize',
        keepAlive: 0,
      },
      limits: { connectTimeout: 1000, reinitializeTimeout: 1000 },
      keyring,
      clock: systemClock,
      version: '0.0.0-test',
    });
    this.backends.set(name, backend);
    return server;
  }

  queue(options: { attempts?: number; addTimeoutMs?: number } = {}): BullTeardownQueue {
    const connection = this.connect();
    const queue = new BullTeardownQueue({
      connection,
      redisPrefix: PREFIX,
      keyring,
      clock: systemClock,
      backoffMs: 50,
      ...options,
    });
    this.#queues.push(queue);
    return queue;
  }

  worker(options: Partial<TeardownWorkerOptions> = {}): TeardownWorker {
    const worker = new TeardownWorker({
      connection: this.connect(),
      redisPrefix: PREFIX,
      keyring,
      clock: systemClock,
      backend: (name) => this.backends.get(name),
      isOpenElsewhere: () => Promise.resolve(false),
      pauseMs: 50,
      timeoutMs: 1000,
      onResult: (result) => void this.results.push(result),
      onGivenUp: (_, reason) => void this.givenUp.push(reason),
      ...options,
    });
    this.#workers.push(worker);
    return worker;
  }

  connect(): RedisConnection {
    const connection = openQueueConnection(this.redis.url);
    this.#connections.push(connection);
    return connection;
  }

  /** Every key with its content, as one text. */
  async dump(): Promise<{ keys: string[]; text: string }> {
    const redis = this.connect() as Redis;
    const keys = await redis.keys('*');
    const contents = await Promise.all(keys.map((key) => contentOf(redis, key)));
    return { keys, text: JSON.stringify([keys, contents]) };
  }

  async stop(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.close(2000)));
    await Promise.all(this.#queues.map((queue) => queue.close()));
    for (const connection of this.#connections) connection.disconnect();
    await Promise.all([...this.backends.values()].map((backend) => backend.close()));
    await Promise.all([...this.servers.values()].map((server) => server.stop()));
    await this.redis.stop();
  }
}

export function makeJob(
  backend: string,
  id: string | undefined,
  more: Partial<TeardownJob> = {},
  headers: Record<string, string> = {},
): TeardownJob {
  const sessionRef = (more.sessionRef ?? `ref-${id}`) as SessionRef;
  const sealed = seal(keyring, JSON.stringify({ id, headers }), `${sessionRef}/${backend}`);
  return { backend, sessionRef, generation: 1, protocolVersion: '2025-06-18', sealed, ...more };
}
