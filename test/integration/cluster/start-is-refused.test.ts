import { createServer, type Server } from 'node:net';
import { Redis } from 'ioredis';
import { type RedisServer, startRedis } from '../../support/redis-server.js';
import { type LaunchedPrimary, launchPrimary } from './fixtures/launch-primary.js';
import { freePort } from '../../support/ports.js';

const SECRET = 'a-secret-of-the-tests-0123456789';

describe('a start that cannot succeed', () => {
  let primary: LaunchedPrimary;
  const cleanups: Array<() => unknown> = [];
  afterEach(async () => {
    await primary.dispose();
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  });

  async function occupy(): Promise<number> {
    const server: Server = createServer();
    const port = await freePort();
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    cleanups.push(() => new Promise((resolve) => server.close(resolve)));
    return port;
  }

  async function redisServer(): Promise<RedisServer> {
    const redis = await startRedis({ host: '127.0.0.1' });
    cleanups.push(() => redis.stop());
    return redis;
  }

  it.each(['listen', 'admin.listen'])('because the port of %s is taken ends with 69 and names it', async (option) => {
    const port = await occupy();
    const address = `127.0.0.1:${port}`;
    primary = await launchPrimary({ config: option === 'listen' ? { listen: address } : { admin: { listen: address } } });
    expect((await primary.exited).code).toBe(69);
    expect(primary.stderr()).toContain(`${option}: port ${port} on 127.0.0.1 is in use`);
    expect(primary.stderr()).toContain(`set ${option} to another port`);
    // Nothing was set in motion before.
    expect(primary.logs()).toEqual([]);
  });

  it('because listen is not an address of this machine ends with 69', async () => {
    primary = await launchPrimary({ config: { listen: '192.0.2.1:8080' } });
    expect((await primary.exited).code).toBe(69);
    expect(primary.stderr()).toContain('listen: 192.0.2.1 is not an address of this machine');
  });

  it('because Redis cannot be reached ends with 69 after redis.startTimeout', async () => {
    const url = `redis://127.0.0.1:${await freePort()}`;
    primary = await launchPrimary({ config: { redis: { url, startTimeout: '500ms' }, internal: { secret: SECRET } } });
    expect((await primary.exited).code).toBe(69);
    expect(primary.stderr()).toContain('did not answer within 500 ms');
    expect(primary.stderr()).toContain('redis.url');
  });

  it('because Redis evicts ends with 78 and says what to do', async () => {
    const redis = await redisServer();
    const client = new Redis(redis.url);
    await client.config('SET', 'maxmemory-policy', 'allkeys-lru');
    client.disconnect();
    primary = await launchPrimary({ config: { redis: { url: redis.url }, internal: { secret: SECRET } } });
    expect((await primary.exited).code).toBe(78);
    expect(primary.stderr()).toContain('maxmemory-policy noeviction');
  });

  it('because no Redis is installed ends with 69 and says how to get one', async () => {
    primary = await launchPrimary({ env: { PATH: '/nonexistent' } });
    expect((await primary.exited).code).toBe(69);
    for (const command of ['apt-get install', 'dnf install', 'apk add', 'brew install', 'docker run', 'BERTH_REDIS_URL']) {
      expect(primary.stderr()).toContain(command);
    }
  });

  it('because dataDir cannot be written ends with 78', async () => {
    primary = await launchPrimary({ config: { dataDir: '/dev/null/data' } });
    expect((await primary.exited).code).toBe(78);
    expect(primary.stderr()).toContain('dataDir: /dev/null/data cannot be used');
  });

  it('because a worker of another host uses the same Redis over loopback ends with 78', async () => {
    const redis = await redisServer();
    const config = { redis: { url: redis.url }, internal: { secret: SECRET } };
    const other = await launchPrimary({ config, env: { FIXTURE_HOST: 'another-host' } });
    cleanups.push(() => other.dispose());
    // It finds the leases of its own workers foreign, too, as a host that started at the same moment would.
    expect((await other.exited).code).toBe(78);
    expect(other.stderr()).toContain('internal.host: 127.0.0.1 cannot be reached from another host');

    const client = new Redis(redis.url);
    const lease = { id: 'w.1', index: 1, pod: 'p', host: 'another-host', unixSocket: '', draining: false, startedMs: 0 };
    await client.set('berth:worker:w.1', JSON.stringify(lease), 'PX', 60_000);
    await client.zadd('berth:workers', Date.now() + 60_000, 'w.1');
    client.disconnect();
    primary = await launchPrimary({ config });
    expect((await primary.exited).code).toBe(78);
    expect(primary.hasLogged('worker forked')).toBe(false);
  });

  it('leaves a Redis alone that it did not start', async () => {
    const redis = await redisServer();
    primary = await launchPrimary({ config: { redis: { url: redis.url }, internal: { secret: SECRET } } });
    await primary.untilReady();
    expect(primary.redis()).toBeUndefined();
    primary.signal('SIGTERM');
    expect((await primary.exited).code).toBe(0);
    const client = new Redis(redis.url);
    expect(await client.ping()).toBe('PONG');
    expect(await client.keys('berth:worker:*')).toEqual([]);
    client.disconnect();
  });
});
