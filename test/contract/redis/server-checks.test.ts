// What is asked of a Redis before the gateway relies on it: each refusal with its remedy, and no word where it does not let us look.
import { openOwnershipConnection, type RedisConnection } from '../../../src/redis/connect.js';
import { closeConnection, whenUp } from '../../../src/redis/ready.js';
import { checkReplication } from '../../../src/redis/replication.js';
import { checkServers } from '../../../src/redis/server-checks.js';
import { checkVersion, isRecent } from '../../../src/redis/version.js';
import { startReplicatedRedis } from '../../support/redis-sentinel.js';
import { type RedisServerOptions, startRedis } from '../../support/redis-server.js';
import { startTcpProxy } from '../../support/tcp-proxy.js';

jest.setTimeout(30_000);

const open: Array<() => Promise<unknown>> = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

async function connect(url: string): Promise<RedisConnection> {
  const connection = openOwnershipConnection(url, { leaseMs: 6000 });
  open.push(() => closeConnection(connection));
  await whenUp(connection, 5000);
  return connection;
}

async function start(options?: RedisServerOptions) {
  const server = await startRedis(options);
  open.push(() => server.stop());
  return server;
}

async function startReplicated() {
  const redis = await startReplicatedRedis();
  open.push(() => redis.stop());
  return redis.master;
}

describe('the version', () => {
  it.each([
    ['6.0.16', false],
    ['5.0.14', false],
    ['6.2.0', true],
    ['7.0.15', true],
    ['10.1.0', true],
    ['255.255.255', true],
  ])('%s: recent enough %s', (version, expected) => expect(isRecent(version)).toBe(expected));

  it('of the Redis here is accepted', async () => {
    expect(await checkVersion(await connect((await start()).url))).toBeUndefined();
  });

  it('of an older one is refused with 78, naming both versions', async () => {
    const server = await start({ host: '127.0.0.1' });
    const direct = await connect(server.url);
    const [version = ''] = /(?<=redis_version:)\S+/.exec(String(await direct.call('INFO', 'server'))) ?? [];
    const proxy = await startTcpProxy({ host: '127.0.0.1', port: server.port });
    open.push(() => proxy.close());
    const old = '6.0.'.padEnd(version.length, '1');
    proxy.replaceInReplies(`redis_version:${version}`, `redis_version:${old}`);
    const checked = checkServers(await connect(`redis://127.0.0.1:${proxy.port}`), `redis://127.0.0.1:${proxy.port}`, 0);
    await expect(checked).rejects.toMatchObject({
      exitCode: 78,
      message: expect.stringContaining(`version ${old}, and 6.2 or later`),
    });
  });

  it('is a warning where INFO is forbidden', async () => {
    const { url } = await start({ args: ['--user', 'default', 'on', 'nopass', '~*', '&*', '+@all', '-info'] });
    const connection = openOwnershipConnection(url, { leaseMs: 6000 });
    open.push(() => closeConnection(connection));
    await whenUp(connection, 5000);
    expect(await checkVersion(connection)).toContain('6.2 or later');
  });
});

describe('replication', () => {
  it('is no matter for a Redis without replicas', async () => {
    expect(await checkReplication(await connect((await start()).url), 0, false)).toBeUndefined();
  });

  it('is warned about where nothing keeps an old master from taking writes, until something does', async () => {
    const connection = await connect((await startReplicated()).url);
    expect(await checkReplication(connection, 0, false)).toMatch(/two owners[\s\S]*waitReplicas[\s\S]*min-replicas-to-write 1/);
    expect(await checkReplication(connection, 1, false)).toBeUndefined();
    await connection.call('CONFIG', 'SET', 'min-replicas-to-write', '1');
    expect(await checkReplication(connection, 0, false)).toBeUndefined();
  });

  it('is warned about with Sentinel also when no replica is connected now', async () => {
    expect(await checkReplication(await connect((await start()).url), 0, true)).toContain('min-replicas-to-write');
  });

  it('is warned about when more confirmations are asked for than there are replicas', async () => {
    const connection = await connect((await startReplicated()).url);
    expect(await checkReplication(connection, 2, false)).toContain('redis.waitReplicas is 2, and Redis has 1 replicas');
  });

  it('is passed over in silence where CONFIG is forbidden', async () => {
    const connection = await connect((await start({ args: ['--rename-command', 'CONFIG', ''] })).url);
    expect(await checkReplication(connection, 0, true)).toBeUndefined();
  });
});
