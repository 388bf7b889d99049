import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { isAlive } from '../../support/processes.js';
import { waitFor } from '../../support/wait-for.js';
import { type LaunchedPrimary, launchPrimary } from './fixtures/launch-primary.js';

describe('the embedded Redis', () => {
  let dir: string;
  const launched: LaunchedPrimary[] = [];
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'berth-redis-test-'));
  });
  afterEach(async () => {
    const disposed = await Promise.allSettled(launched.splice(0).map((primary) => primary.dispose()));
    rmSync(dir, { recursive: true, force: true });
    expect(disposed.filter(({ status }) => status === 'rejected')).toEqual([]);
  });

  async function launch(options: Parameters<typeof launchPrimary>[0] = {}): Promise<LaunchedPrimary> {
    const primary = await launchPrimary({ dir, ...options });
    launched.push(primary);
    return primary;
  }

  async function ready(options?: Parameters<typeof launchPrimary>[0]): Promise<LaunchedPrimary> {
    const primary = await launch(options);
    await primary.untilReady();
    return primary;
  }

  /** Runs with a client of the Redis in dataDir. */
  async function withClient<T>(run: (client: Redis) => Promise<T>): Promise<T> {
    const client = new Redis({ path: join(dir, 'data', 'redis.sock') });
    try {
      return await run(client);
    } finally {
      client.disconnect();
    }
  }

  it('keeps its data over an orderly restart', async () => {
    const first = await ready();
    await withClient((client) => client.set('kept', 'yes'));
    first.signal('SIGTERM');
    await first.exited;
    await ready();
    expect(await withClient((client) => client.get('kept'))).toBe('yes');
  });

  it('evicts nothing, listens on no port, and is for this user only', async () => {
    await ready();
    await withClient(async (client) => {
      const config = async (name: string) => ((await client.config('GET', name)) as string[])[1];
      expect(await config('maxmemory-policy')).toBe('noeviction');
      expect(await config('hash-max-ziplist-value')).toBe('1024');
      expect(await config('appendonly')).toBe('yes');
      expect(await config('port')).toBe('0');
      expect(await config('unixsocketperm')).toBe('700');
    });
  });

  it('is started again with its data when it dies, and the new one ends with the gateway', async () => {
    const primary = await ready();
    await withClient(async (client) => {
      await client.set('kept', 'yes');
      // Race: while a file is being synced, on a slow disk for up to two seconds, Redis answers before it writes (`appendfsync everysec`).
      const isWritten = async () => /^aof_buffer_length:0\r?$/m.test(await client.info('persistence'));
      await waitFor('the append-only file to hold what was set', isWritten);
    });
    const first = primary.redis() as number;
    process.kill(first, 'SIGKILL');
    const second = await waitFor('another redis', () => {
      const pid = primary.redis();
      return pid !== undefined && pid !== first && pid;
    });
    await waitFor('it to serve', () => withClient(async (client) => (await client.get('kept')) === 'yes'));
    await waitFor('the workers to be told', () => primary.hasLogged('the embedded redis serves again'));
    primary.signal('SIGKILL');
    await waitFor('the second redis to end with its gateway', () => !isAlive(second), 3000);
  });

  it('that outlived its killed gateway is shut down before a new one starts', async () => {
    const first = await ready();
    await withClient((client) => client.set('kept', 'yes'));
    const survivor = first.redis() as number;
    // Stopped workers cannot end it when the primary dies.
    for (const worker of first.workers()) process.kill(worker, 'SIGSTOP');
    await first.kill();
    expect(isAlive(survivor)).toBe(true);

    const second = await ready();
    expect(isAlive(survivor)).toBe(false);
    expect(second.hasLogged('a redis of a dead gateway still runs on the data directory: it is shut down first')).toBe(true);
    expect(await withClient((client) => client.get('kept'))).toBe('yes');
  });

  it('that hangs and outlived its gateway is killed before a new one starts', async () => {
    const first = await ready();
    const survivor = first.redis() as number;
    for (const pid of [...first.workers(), survivor]) process.kill(pid, 'SIGSTOP');
    await first.kill();
    const second = await ready({ config: { redis: { startTimeout: '4s' } } });
    expect(isAlive(survivor)).toBe(false);
    expect(second.redis()).not.toBe(survivor);
  });

  it('is refused to a second gateway on the same data directory, which names the first', async () => {
    const first = await ready();
    const second = await launch();
    expect((await second.exited).code).toBe(69);
    expect(second.stderr()).toContain(`is in use by another gateway (pid ${first.pid})`);
    expect(second.stderr()).toContain('set dataDir to another directory');
    expect((await fetch(first.adminUrl('/readyz'))).status).toBe(200);
  });

  it('has its socket elsewhere where the path of dataDir is too long for one', async () => {
    const dataDir = join(dir, 'd'.repeat(100));
    const primary = await ready({ config: { dataDir } });
    expect(readdirSync(dataDir)).toContain('appendonlydir');
    expect(readdirSync(dataDir)).not.toContain('redis.sock');
    primary.signal('SIGTERM');
    expect((await primary.exited).code).toBe(0);
  });
});
