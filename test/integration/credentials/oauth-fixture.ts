// Several workers' tokens of one client, on a real Redis and a real token endpoint.
import { OAuthToken } from '../../../src/backends/credentials/oauth-token.js';
import { requestToken } from '../../../src/backends/credentials/token-request.js';
import { oauth } from '../../../src/config/schema-credentials.js';
import { makeKeys } from '../../../src/directory/keys.js';
import { RedisTokens } from '../../../src/directory/redis-tokens.js';
import { systemClock } from '../../../src/lifecycle/clock.js';
import { openOwnershipConnection, type RedisConnection } from '../../../src/redis/connect.js';
import { closeConnection } from '../../../src/redis/ready.js';
import { makeKeyring, type Keyring } from '../../../src/secrets/keyring.js';
import { type RedisServer, startRedis } from '../../support/redis-server.js';
import { startTokenServer, type TokenServer } from '../../support/token-server.js';
import { waitFor } from '../../support/wait-for.js';

export const keyring = makeKeyring(['a secret of the tests']);
const PREFIX = 'berth-test:';

export interface WorkerOptions {
  readonly keyring?: Keyring;
  readonly config?: Readonly<Record<string, unknown>>;
  readonly claimMs?: number;
}

export class OAuthBench {
  redis!: RedisServer;
  server!: TokenServer;
  readonly logged: Array<Record<string, unknown>> = [];
  readonly #connections: RedisConnection[] = [];
  readonly #closing: Array<() => unknown> = [];

  async start(): Promise<void> {
    this.redis = await startRedis();
    this.server = await startTokenServer();
  }

  async connect(): Promise<RedisConnection> {
    const connection = openOwnershipConnection(this.redis.url, { leaseMs: 4000 });
    this.#closing.push(() => closeConnection(connection));
    this.#connections.push(connection);
    await this.connected();
    return connection;
  }

  /** Every worker has its Redis. */
  async connected(): Promise<void> {
    for (const connection of this.#connections) await waitFor('Redis', async () => (await connection.ping()) === 'PONG', 15_000);
  }

  async worker(options: WorkerOptions = {}): Promise<OAuthToken> {
    const { clientSecret, url } = this.server;
    const config = oauth.parse({ tokenUrl: url, clientId: 'gate:way', clientSecret, ...options.config });
    const log = (fields: object, message: string) => void this.logged.push({ ...fields, message });
    const store = new RedisTokens({
      connection: await this.connect(),
      keys: makeKeys(PREFIX).token('b', 'digest'),
      clock: systemClock,
      ...(options.claimMs === undefined ? {} : { claimMs: options.claimMs }),
    });
    const token = new OAuthToken({
      backend: 'b',
      place: 'token/b/digest',
      store,
      keyring: options.keyring ?? keyring,
      clock: systemClock,
      logger: { info: log, warn: log },
      request: (signal) => requestToken(config, { connectTimeoutMs: 1000, clock: systemClock, signal }),
    });
    this.#closing.push(() => token.close());
    return token;
  }

  workers(count: number): Promise<OAuthToken[]> {
    return Promise.all(Array.from({ length: count }, () => this.worker()));
  }

  /** Every key with its content, as one text. */
  async dump(): Promise<{ readonly keys: string[]; readonly text: string; readonly ttlMs: number[] }> {
    const redis = await this.connect();
    const keys = (await redis.keys('*')).sort();
    const contents = await Promise.all(
      keys.map(async (key) => ((await redis.type(key)) === 'hash' ? redis.hgetall(key) : redis.get(key))),
    );
    return { keys, text: JSON.stringify(contents), ttlMs: await Promise.all(keys.map((key) => redis.pttl(key))) };
  }

  async stop(): Promise<void> {
    for (const close of this.#closing.splice(0).reverse()) await close();
    await this.server.close();
    await this.redis.stop();
  }
}

export const inMs = (ms: number): number => systemClock.monotonicMs() + ms;
