import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readOwnIdentity } from '../../../src/cluster/process-identity.js';
import { makeSocketDir, sweepSocketDirs } from '../../../src/cluster/socket-dir.js';

describe('directories of sockets', () => {
  let parent: string;
  beforeEach(() => {
    parent = mkdtempSync(join(tmpdir(), 'berth-sweep-'));
  });
  afterEach(() => rmSync(parent, { recursive: true, force: true }));

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

  it('are refused where their path would be too long for sockets', () => {
    const long = join(parent, 'd'.repeat(80));
    expect(() => makeSocketDir(long)).toThrow(
      expect.objectContaining({ exitCode: 78, message: expect.stringContaining('TMPDIR') }),
    );
  });
});
