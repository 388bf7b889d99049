import { Redis } from 'ioredis';
import { join } from 'node:path';
import { waitFor } from '../../support/wait-for.js';
import { isAlive } from '../../support/processes.js';
import { type LaunchedPrimary, launchPrimary } from './fixtures/launch-primary.js';

describe('a worker that dies', () => {
  let primary: LaunchedPrimary;
  afterEach(() => primary.dispose());

  it('is replaced; its children are killed and its lease is deleted, those of others are not', async () => {
    primary = await launchPrimary();
    await primary.untilReady();
    const redis = new Redis({ path: join(primary.dir, 'data', 'redis.sock') });
    try {
      const leases = () => redis.keys('berth:worker:*');
      const [children, before, workers] = [primary.groups(), await leases(), primary.workers()];
      expect([children.length, before.length, workers.length]).toEqual([2, 2, 2]);
      process.kill(workers[0] as number, 'SIGKILL');
      await waitFor(
        () => `one of the children ${children} to be killed`,
        () => children.filter(isAlive).length === 1,
      );
      await waitFor('one of the leases to be deleted, long before it would run out', async () => {
        const now = await leases();
        return before.filter((key) => now.includes(key)).length === 1;
      });
      await waitFor('a new worker with a lease and a child of its own', async () => {
        return primary.workers().length === 2 && (await leases()).length === 2 && primary.groups().length === 2;
      });
      expect(primary.workers()).toContain(workers[1]);
    } finally {
      redis.disconnect();
    }
  });

  it('again and again is started with growing delays, while the others serve', async () => {
    primary = await launchPrimary({ fixture: { crashing: [2] } });
    const delays = () =>
      primary
        .logs()
        .filter((line) => line.msg === 'a worker died: it is started again')
        .map((line) => line.restartMs);
    await waitFor(
      () => `five deaths, got ${delays()}`,
      () => delays().length >= 5,
      15_000,
    );
    expect(delays().slice(0, 5)).toEqual([100, 200, 400, 800, 1600]);
    const answer = await fetch(primary.adminUrl('/readyz'));
    expect(answer.status).toBe(200);
    expect(await answer.json()).toMatchObject({ status: 'ready', workers: { configured: 2, ready: 1 } });
    expect(primary.hasLogged('ready')).toBe(false);
  });

  it('because it cannot run at all ends the gateway with its exit code and message', async () => {
    primary = await launchPrimary({ fixture: { failWith: 69 } });
    expect(await primary.exited).toEqual({ code: 69, signal: null });
    expect(primary.stderr()).toContain('the fixture fails');
    expect(primary.processes()).toEqual([]);
  });
});
