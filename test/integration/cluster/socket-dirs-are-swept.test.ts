import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readOwnIdentity } from '../../../src/cluster/process-identity.js';
import { endRecordedGroups, makeGroupFiles } from '../../../src/cluster/group-files.js';
import { makeSocketDir, sweepSocketDirs } from '../../../src/cluster/socket-dir.js';
import { readStartTime } from '../../../src/lifecycle/process-group.js';
import { isAlive } from '../../support/processes.js';
import { waitFor } from '../../support/wait-for.js';

describe('directories of sockets', () => {
  let parent: string;
  beforeEach(() => {
    parent = mkdtempSync(join(tmpdir(), 'berth-sweep-'));
  });
  const children: ChildProcess[] = [];
  afterEach(() => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
    rmSync(parent, { recursive: true, force: true });
  });

  function leave(name: string, owner: object | undefined): void {
    mkdirSync(join(parent, name));
    if (owner) writeFileSync(join(parent, name, 'owner'), JSON.stringify(owner));
  }

  it('are private, and gone when they are removed', () => {
    const made = makeSocketDir(parent);
    expect(statSync(made.path).mode & 0o777).toBe(0o700);
    writeFileSync(join(made.path, '1-2.sock'), '');
    made.remove();
    expect(readdirSync(parent)).toEqual([]);
  });

  it('of provably dead primaries are swept, of living and unknown ones are not', () => {
    const living = makeSocketDir(parent);
    const own = readOwnIdentity();
    leave('berth-run-dead', { ...own, startTime: '1' });
    leave('berth-run-elsewhere', { ...own, startTime: '1', pidSpace: 'another container' });
    leave('berth-run-young', undefined);
    leave('berth-run-old', undefined);
    leave('unrelated', undefined);
    utimesSync(join(parent, 'berth-run-old'), 0, 0);
    sweepSocketDirs(parent);
    const left = readdirSync(parent).filter((name) => !living.path.endsWith(name));
    expect(left).toEqual(['berth-run-elsewhere', 'berth-run-young', 'unrelated']);
  });

  it('take the process groups of dead primaries with them, and touch no other process', async () => {
    const start = async () => {
      const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { detached: true, stdio: 'ignore' });
      children.push(child);
      await once(child, 'spawn');
      const pid = child.pid as number;
      return { pid, startTime: readStartTime(pid) as string };
    };
    const [left, kept, elsewhere, reused] = await Promise.all([start(), start(), start(), start()]);
    const own = readOwnIdentity();
    const living = makeSocketDir(parent);
    leave('berth-run-dead', { ...own, startTime: '1' });
    leave('berth-run-elsewhere', { ...own, startTime: '1', pidSpace: 'another container' });
    const note = (dir: string, group: typeof left) => makeGroupFiles(dir, 7, () => undefined).note(group, true);
    note(join(parent, 'berth-run-dead'), left);
    // Its pid is somebody else's by now.
    note(join(parent, 'berth-run-dead'), { ...reused, startTime: '1' });
    note(join(parent, 'berth-run-elsewhere'), elsewhere);
    note(living.path, kept);
    expect(sweepSocketDirs(parent)).toBe(1);
    await waitFor('the group that was left to end', () => !isAlive(left.pid));
    expect([kept, elsewhere, reused].map(({ pid }) => isAlive(pid))).toEqual([true, true, true]);
    expect(readdirSync(parent)).not.toContain('berth-run-dead');
    living.remove();
  });

  it('know the groups of each worker by itself, until they are gone', async () => {
    const made = makeSocketDir(parent);
    const group = { pid: 2 ** 22 + 1, startTime: 'Sat Nov 21 10:00:00 2026' };
    const files = (worker: number) => makeGroupFiles(made.path, worker, () => undefined);
    const names = () => readdirSync(made.path).filter((name) => name.startsWith('group.'));
    files(1).note(group, true);
    files(2).note(group, true);
    files(3).note({ ...group, startTime: '' }, true);
    expect(names()).toHaveLength(2);
    files(2).note(group, false);
    expect(names()).toEqual([`group.1.${group.pid}.Sat%20Nov%2021%2010%3A00%3A00%202026`]);
    endRecordedGroups(made.path, 2);
    expect(names()).toHaveLength(1);
    endRecordedGroups(made.path, 1);
    expect(names()).toEqual([]);
  });

  it('tell once that they cannot be written', () => {
    const told: string[] = [];
    const files = makeGroupFiles(join(parent, 'missing'), 1, (code) => told.push(code));
    for (let i = 0; i < 3; i++) files.note({ pid: 2 ** 22 + 1, startTime: '1' }, true);
    expect(told).toEqual(['ENOENT']);
  });

  it('are refused where their path would be too long for sockets', () => {
    const long = join(parent, 'd'.repeat(80));
    expect(() => makeSocketDir(long)).toThrow(
      expect.objectContaining({ exitCode: 78, message: expect.stringContaining('TMPDIR') }),
    );
  });
});
