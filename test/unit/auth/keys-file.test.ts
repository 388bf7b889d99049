// The keys file as it changes: what is taken, when, and what a bad one does. Real files; only the time is the test's.
import { createHash } from 'node:crypto';
import { mkdtempSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KeysFile } from '../../../src/auth/keys-file.js';
import { FakeClock } from '../../support/fake-clock.js';

const digest = (key: string) => createHash('sha256').update(key).digest('hex');
const line = (id: string, key = id) => `${id}: ${digest(key)}\n`;

let directory: string;
let file: string;
let read: string[][];
let bad: string[];
let keysFile: KeysFile;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'berth-keys-'));
  file = join(directory, 'keys.yaml');
  [read, bad] = [[], []];
  keysFile = new KeysFile({
    file,
    fixed: [{ id: 'fixed', sha256: [digest('fixed')] }],
    clock: new FakeClock(),
    onRead: (entries) => read.push(entries.map(({ id }) => id)),
    onBad: (reason) => bad.push(reason),
  });
});
afterEach(() => {
  keysFile.stop();
  rmSync(directory, { recursive: true });
});

/** Twice the same is a file that nobody writes any more. */
async function look(times = 2): Promise<void> {
  for (let n = 0; n < times; n++) await keysFile.look();
}

it('is read at the start, and not again while nothing changes', async () => {
  writeFileSync(file, line('alice'));
  await keysFile.start();
  await look(5);
  expect([read, bad]).toEqual([[['alice']], []]);
});

it('is read again once a change has come to rest', async () => {
  writeFileSync(file, line('alice'));
  await keysFile.start();
  writeFileSync(file, line('alice') + line('bob'));
  await look(1);
  expect(read).toHaveLength(1);
  await look(1);
  expect(read.at(-1)).toEqual(['alice', 'bob']);
});

it('is read again when another one of the same size and time was put in its place', async () => {
  const [time, next] = [new Date('2026-01-01'), join(directory, 'next')];
  writeFileSync(file, line('alice'));
  utimesSync(file, time, time);
  await keysFile.start();
  writeFileSync(next, line('carol'));
  utimesSync(next, time, time);
  renameSync(next, file);
  await look();
  expect(read.at(-1)).toEqual(['carol']);
});

it.each<[string, () => void, RegExp]>([
  ['is gone', () => rmSync(file), /ENOENT/],
  ['is empty', () => writeFileSync(file, ''), /no key in it/],
  ['is no YAML', () => writeFileSync(file, 'a: [\n'), /line/],
  ['holds a key in place of its digest', () => writeFileSync(file, 'alice: my-secret-key\n'), /64 hex digits/],
  [
    'names one caller twice',
    () => writeFileSync(file, `- { id: a, sha256: ${digest('1')} }\n- { id: a, sha256: ${digest('2')} }\n`),
    /"a" is given twice/,
  ],
  ['names one key twice', () => writeFileSync(file, line('a', 'same') + line('b', 'same')), /"a" and "b" have the same key/],
  ['repeats one of auth.keys', () => writeFileSync(file, line('fixed', 'other')), /"fixed" is given twice/],
])('that %s changes nothing, warns once without a value, and is taken when it is good again', async (_what, spoil, reason) => {
  writeFileSync(file, line('alice'));
  await keysFile.start();
  spoil();
  await look(6);
  expect(read).toHaveLength(1);
  expect(bad).toEqual([expect.stringMatching(reason)]);
  expect(bad[0]).not.toContain('my-secret-key');
  writeFileSync(file, line('dave'));
  await look();
  expect(read.at(-1)).toEqual(['dave']);
});

it('that is bad at the start is taken when it is good', async () => {
  await keysFile.start();
  expect([read, bad.length]).toEqual([[], 1]);
  writeFileSync(file, line('alice'));
  await look();
  expect(read).toEqual([['alice']]);
});
