import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { waitFor } from '../../support/wait-for.js';
import { type LaunchedPrimary, launchPrimary } from './fixtures/launch-primary.js';

describe('the end of a primary', () => {
  let primary: LaunchedPrimary;
  afterEach(() => primary.dispose());

  it.each(['SIGTERM', 'SIGINT'] as const)('drains on %s, ends Redis last and exits with 0', async (signal) => {
    primary = await launchPrimary({ fixture: { drainMs: 300 } });
    await primary.untilReady();
    expect(primary.workers()).toHaveLength(2);
    primary.signal(signal);
    await waitFor('both workers to drain', () => primary.workers().length === 0);
    expect(await primary.exited).toEqual({ code: 0, signal: null });
    const messages = primary.logs().map((line) => line.redis ?? line.msg);
    expect(messages.indexOf('stopping')).toBeGreaterThan(0);
    expect(messages.findIndex((text) => String(text).includes('Calling fsync() on the AOF file'))).toBeGreaterThan(
      messages.indexOf('stopping'),
    );
    expect(primary.processes()).toEqual([]);
    expect(readdirSync(primary.temporary)).toEqual([]);
    expect(existsSync(join(primary.dir, 'data', 'redis.sock'))).toBe(false);
  });

  it('says that it is not ready while it drains, and answers until the workers are gone', async () => {
    primary = await launchPrimary({ fixture: { drainMs: 800 } });
    await primary.untilReady();
    primary.signal('SIGTERM');
    await waitFor('readyz to say so', async () => {
      const answer = await fetch(primary.adminUrl('/readyz'));
      return answer.status === 503 && ((await answer.json()) as { reasons: string[] }).reasons.includes('stopping');
    });
    expect((await fetch(primary.adminUrl('/livez'))).status).toBe(200);
    expect((await primary.exited).code).toBe(0);
  });

  it('kills workers that do not drain in time, and still exits with 0', async () => {
    primary = await launchPrimary({ fixture: { drainMs: 60_000 }, config: { drain: { delay: '0s', timeout: '100ms' } } });
    await primary.untilReady();
    primary.signal('SIGTERM');
    expect(await primary.exited).toEqual({ code: 0, signal: null });
    expect(primary.hasLogged('workers did not drain in time: killed')).toBe(true);
  });

  it('is forced by a second signal: workers, their children and Redis end at once, exit code 1', async () => {
    primary = await launchPrimary({ fixture: { drainMs: 60_000 }, config: { drain: { delay: '0s', timeout: '60s' } } });
    await primary.untilReady();
    await waitFor('a child of each worker', () => primary.groups().length === 2);
    primary.signal('SIGTERM');
    await waitFor('the stop to begin', () => primary.hasLogged('stopping'));
    primary.signal('SIGINT');
    expect(await primary.exited).toEqual({ code: 1, signal: null });
    expect(primary.processes()).toEqual([]);
  });

  it('can be asked for while the start is still under way', async () => {
    primary = await launchPrimary();
    await waitFor('redis to start', () => primary.redis() !== undefined);
    primary.signal('SIGTERM');
    expect((await primary.exited).code).toBe(0);
    expect(primary.processes()).toEqual([]);
  });

  it('after SIGKILL leaves no process behind', async () => {
    primary = await launchPrimary();
    await primary.untilReady();
    await waitFor('a child of each worker', () => primary.groups().length === 2);
    primary.signal('SIGKILL');
    await waitFor(
      () => `no process to be left: ${primary.processes()}`,
      () => primary.processes().length === 0,
      3000,
    );
  });

  it('goes on after SIGHUP', async () => {
    primary = await launchPrimary();
    await primary.untilReady();
    primary.signal('SIGHUP');
    await waitFor('the refusal', () => primary.logs().some((line) => String(line.msg).includes('configuration')));
    expect((await fetch(primary.adminUrl('/readyz'))).status).toBe(200);
  });
});
