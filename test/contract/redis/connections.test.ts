// Start checks and connections against real servers.
import type { Redis } from 'ioredis';
import {
  openOwnershipConnection,
  openQueueConnection,
  openSubscriberConnection,
  type RedisConnection,
} from '../../../src/redis/connect.js';
import { checkEviction } from '../../../src/redis/eviction.js';
import { flushWrites } from '../../../src/redis/gather.js';
import { closeConnection, waitForRedis, whenUp } from '../../../src/redis/ready.js';
import {
  freePort,
  type RedisServer,
  type RedisServerOptions,
  startRedis,
  startRedisCluster,
} from '../../support/redis-server.js';
import { waitFor } from '../../support/wait-for.js';

jest.setTimeout(30_000);

const LEASE_MS = 1200;
const SECRET = 'hunter2-not-for-logs';

describe('connections to Redis', () => {
  const open: { close: () => Promise<unknown> }[] = [];

  afterEach(async () => {
    for (const { close } of open.splice(0).reverse()) await close();
  });

  const start = async (options?: RedisServerOptions): Promise<RedisServer> => {
    const server = await startRedis(options);
    open.push({ close: () => server.stop() });
    return server;
  };
  const track = async (connection: RedisConnection): Promise<RedisConnection> => {
    open.push({ close: () => closeConnection(connection) });
    await whenUp(connection, 5000);
    return connection;
  };

  describe('commands of one turn of the event loop', () => {
    it('leave in one write, and each has its own answer', async () => {
      const connection = (await track(openOwnershipConnection((await start()).url, { leaseMs: LEASE_MS }))) as Redis;
      const { stream } = connection;
      const writes = [jest.spyOn(stream, '_write'), jest.spyOn(stream, '_writev')];
      const asked = Array.from({ length: 10 }, (_, i) => connection.echo(`${i}`));
      expect(await Promise.all(asked)).toEqual(Array.from({ length: 10 }, (_, i) => `${i}`));
      expect(writes.reduce((sum, { mock }) => sum + mock.calls.length, 0)).toBe(1);
    });

    it('leave at once where somebody has little time, and what comes behind them gathers again', async () => {
      const connection = (await track(openOwnershipConnection((await start()).url, { leaseMs: LEASE_MS }))) as Redis;
      const writes = [jest.spyOn(connection.stream, '_write'), jest.spyOn(connection.stream, '_writev')];
      const written = () => writes.reduce((sum, { mock }) => sum + mock.calls.length, 0);
      const urgent = connection.echo('urgent');
      expect(written()).toBe(0);
      flushWrites(connection);
      expect(written()).toBe(1);
      const others = ['a', 'b'].map((text) => connection.echo(text));
      expect(written()).toBe(1);
      expect(await Promise.all([urgent, ...others])).toEqual(['urgent', 'a', 'b']);
      expect(written()).toBe(2);
    });

    it('are rejected when their connection is cut before they left, and the next one is used at once', async () => {
      const connection = (await track(openOwnershipConnection((await start()).url, { leaseMs: LEASE_MS }))) as Redis;
      const { stream } = connection;
      const asked = connection.incr('n');
      stream.destroy();
      await expect(asked).rejects.toThrow();
      await waitFor('a new connection', () => connection.status === 'ready' && connection.stream !== stream);
      expect(await connection.incr('n')).toBe(1);
    });
  });

  describe('waitForRedis', () => {
    it('returns once Redis answers, on a Unix socket, over TCP and on Cluster', async () => {
      await waitForRedis((await start()).url, 5000);
      await waitForRedis((await start({ host: '127.0.0.2' })).url, 5000);
      const cluster = await startRedisCluster();
      open.push({ close: () => cluster.stop() });
      await waitForRedis(cluster.url, 10_000);
    });

    it('waits for a Redis that comes later', async () => {
      const server = await start();
      await server.kill();
      const waiting = waitForRedis(server.url, 10_000);
      await server.start();
      await waiting;
    });

    it('names address and remedy, never the password, when nobody answers in time', async () => {
      const port = await freePort();
      for (const url of [`redis://user:${SECRET}@127.0.0.1:${port}`, `cluster:user:${SECRET}@127.0.0.1:${port}`]) {
        const error = await waitForRedis(url, 300).catch((thrown: unknown) => thrown as Error);
        expect(error).toMatchObject({ name: 'StartError', exitCode: 69 });
        expect(String(error)).toContain(`127.0.0.1:${port}`);
        expect(String(error)).toContain('redis.url');
        expect(JSON.stringify([String(error), (error as Error).cause ?? ''])).not.toContain(SECRET);
      }
    });

    it('refuses to start at once when Redis refuses the password', async () => {
      const { port } = await start({ host: '127.0.0.1', args: ['--requirepass', 'other'] });
      const error = await waitForRedis(`redis://:${SECRET}@127.0.0.1:${port}`, 20_000).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ name: 'StartError', exitCode: 78, message: expect.stringContaining('WRONGPASS') });
      expect(String(error)).not.toContain(SECRET);
      await expect(waitForRedis(`redis://127.0.0.1:${port}`, 20_000)).rejects.toMatchObject({ exitCode: 78 });
      await waitForRedis(`redis://:other@127.0.0.1:${port}`, 5000);
    });
  });

  describe('checkEviction', () => {
    it('accepts noeviction, refuses anything else with the command that corrects it', async () => {
      const { url } = await start();
      const connection = await track(openOwnershipConnection(url, { leaseMs: LEASE_MS }));
      expect(await checkEviction(connection)).toBeUndefined();
      await connection.config('SET', 'maxmemory-policy', 'allkeys-lru');
      await expect(checkEviction(connection)).rejects.toMatchObject({
        exitCode: 78,
        message: expect.stringMatching(/allkeys-lru[\s\S]*CONFIG SET maxmemory-policy noeviction/),
      });
    });

    it('warns where CONFIG is forbidden', async () => {
      const { url } = await start({ args: ['--rename-command', 'CONFIG', ''] });
      const connection = await track(openOwnershipConnection(url, { leaseMs: LEASE_MS }));
      expect(await checkEviction(connection)).toContain('noeviction');
    });
  });

  it('tells up and down, and reconnects by itself', async () => {
    const server = await start();
    const seen: string[] = [];
    const hooks = { onUp: () => seen.push('up'), onDown: () => seen.push('down') };
    const connection = await track(openOwnershipConnection(server.url, { leaseMs: LEASE_MS, ...hooks }));
    await server.kill();
    await waitFor(
      () => `down, saw ${seen}`,
      () => seen.length === 2,
    );
    await expect(connection.ping()).rejects.toThrow();
    await server.start();
    await waitFor(
      () => `up again, saw ${seen}`,
      () => seen.length === 3,
    );
    expect(seen).toEqual(['up', 'down', 'up']);
    expect(await connection.ping()).toBe('PONG');
  });

  it('gives up a connection whose server is silent', async () => {
    const server = await start();
    let downs = 0;
    const connection = await track(openOwnershipConnection(server.url, { leaseMs: LEASE_MS, onDown: () => downs++ }));
    server.pause();
    await expect(connection.ping()).rejects.toThrow();
    await waitFor('the connection to be given up', () => downs === 1);
    server.resume();
    await waitFor('the connection to be up again', () => connection.status === 'ready');
  });

  it('tells on Cluster that a master was lost and that it is back', async () => {
    const cluster = await startRedisCluster();
    open.push({ close: () => cluster.stop() });
    const seen: string[] = [];
    const hooks = { onUp: () => seen.push('up'), onDown: () => seen.push('down') };
    const connection = await track(openOwnershipConnection(cluster.url, { leaseMs: LEASE_MS, ...hooks }));
    await cluster.servers[1]?.kill();
    await waitFor(
      () => `down, saw ${seen}`,
      () => seen.includes('down'),
    );
    await cluster.servers[1]?.start();
    await waitFor(
      () => `up again, saw ${seen}`,
      () => seen.lastIndexOf('up') > seen.indexOf('down'),
      15_000,
    );
    const write = (i: number) => connection.set(`key-${i}`, i);
    await waitFor('every slot to be served', async () => (await Promise.all([1, 2, 3, 4, 5, 6].map(write))).length === 6, 15_000);
  });

  it('is up on Cluster soon, however busy the servers are', async () => {
    const cluster = await startRedisCluster();
    open.push({ close: () => cluster.stop() });
    // Many at once: the servers answer late, so that the answers of each connection come in every order.
    const connections = Array.from({ length: 40 }, () => track(openOwnershipConnection(cluster.url, { leaseMs: 6000 })));
    expect(await Promise.all(connections)).toHaveLength(40);
  });

  it('counts the commands it sends', async () => {
    const { url } = await start();
    let commands = 0;
    const connection = await track(openOwnershipConnection(url, { leaseMs: LEASE_MS, onCommand: () => commands++ }));
    const before = commands;
    await connection.ping();
    await connection.pipeline().set('a', 1).get('a').exec();
    expect(commands - before).toBe(3);
  });

  it('lets the queue wait for Redis and a subscriber subscribe again', async () => {
    const server = await start();
    const queue = await track(openQueueConnection(server.url));
    const subscriber = await track(openSubscriberConnection(server.url));
    const heard: string[] = [];
    subscriber.on('message', (_: string, text: string) => heard.push(text));
    await subscriber.subscribe('news');
    await server.kill();
    await waitFor('the queue to notice', () => queue.status !== 'ready');
    const patient = queue.set('a', 1);
    await server.start();
    expect(await patient).toBe('OK');
    await waitFor('the subscription to be back', async () => (await queue.publish('news', 'hello')) === 1);
    await waitFor('the message', () => heard.includes('hello'));
  });

  it('closes while it is still trying to connect', async () => {
    const connection = openOwnershipConnection(`redis://127.0.0.1:${await freePort()}`, { leaseMs: LEASE_MS });
    await waitFor('the first attempt to fail', () => connection.status === 'reconnecting');
    await closeConnection(connection);
  });
});
