// A command that does not start, and then does: probed by starting it, each time one child that is ended at once.
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { waitFor } from '../../support/wait-for.js';
import { Fixture, RAW_SERVER } from '../backends-stdio/harness.js';
import { failureOf, useHealth } from './harness.js';

const world = useHealth();

test('a command that is missing, then fails, then works comes back by itself; no child of a probe stays', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'berth-health-'));
  world().later(() => rmSync(dir, { recursive: true, force: true }));
  const command = join(dir, 'server');
  const starts = join(dir, 'starts');
  const install = (script: string) => {
    writeFileSync(command, `#!/bin/sh\necho x >> ${starts}\n${script}\n`);
    chmodSync(command, 0o755);
  };
  const fixture = new Fixture({ command, args: [] });
  const backend = world().watch(fixture.backend, { probeTimeoutMs: 10_000 });
  const session = world().session(backend);
  expect((await failureOf(session)).details?.reason).toBe('command_not_found');
  expect((await world().whenState('down', 'raw')).reason).toBe('command_not_found');
  expect((await failureOf(session)).details).toMatchObject({ reason: 'broken', cause: 'command_not_found' });

  install('exit 3');
  await waitFor(
    () => `the reason to change; it is ${JSON.stringify(world().status('raw'))}`,
    () => world().status('raw').reason === 'exited',
    15_000,
  );
  expect(existsSync(starts)).toBe(true);

  install(`exec ${process.execPath} ${RAW_SERVER}`);
  await world().whenState('up', 'raw');
  const alive = () => {
    const open = new Set<number>();
    for (const { group, alive: isAlive } of fixture.groups) {
      if (isAlive) open.add(group.pid);
      else open.delete(group.pid);
    }
    return open.size;
  };
  await waitFor('the child of the probe to be gone', () => alive() === 0, 15_000);
  // Well again: nothing is started until somebody needs it.
  const count = readFileSync(starts, 'utf8').length;
  await session.open(performance.now() + 10_000);
  expect(readFileSync(starts, 'utf8')).toHaveLength(count + 2);
  expect(alive()).toBe(1);
});
