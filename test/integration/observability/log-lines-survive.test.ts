import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { setInterval } from 'node:timers/promises';

const SCRIPT = join(__dirname, 'fixtures', 'write-log.mjs');

function run(stdout: 'pipe' | number, worker: number, count: number, bytes: number, pauses = 0): ChildProcess {
  const args = [SCRIPT, ...[worker, count, bytes, pauses].map(String)];
  return spawn(process.execPath, args, { stdio: ['ignore', stdout, 'inherit'] });
}

const exitCode = (child: ChildProcess) => new Promise<number | null>((resolve) => child.once('exit', resolve));

/** So much at a time that the writers always fill whatever lies between. */
async function readSlowly(stream: Readable): Promise<string[]> {
  let text = '';
  // With a listener, or what is left when the process ends would be thrown away.
  stream.setEncoding('utf8').on('readable', () => {});
  for await (const _ of setInterval(1)) {
    text += stream.read(20_000) ?? stream.read() ?? '';
    if (stream.readableEnded) break;
  }
  return text.trim().split('\n');
}

describe('lines of the log on stdout', () => {
  it('are all written before the process exits, also to a reader who is slow', async () => {
    const child = run('pipe', 1, 3000, 100);
    let text = '';
    child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    await new Promise((resolve) => child.once('close', resolve));
    expect(child.exitCode).toBe(7);
    const lines = text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).line);
    expect(lines.sort((a, b) => a - b)).toEqual(Array.from({ length: 3000 }, (_, line) => line));
  });

  // Through a shell: they share one stdout, as a primary and its workers do. Node gives a child a socket, a container runtime a pipe.
  it.each([
    ['socket', ''],
    ['pipe', '| cat'],
  ])('of several processes never mix, on a %s whose reader lags', async (_kind, reader) => {
    const writers = [1, 2, 3].map((worker) => `'${process.execPath}' '${SCRIPT}' ${worker} 1500 300 1 &`).join(' ');
    const child = spawn('/bin/sh', ['-c', `{ ${writers} wait; } ${reader}`], { stdio: ['ignore', 'pipe', 'inherit'] });
    const lines = (await readSlowly(child.stdout)).map((line) => JSON.parse(line) as { worker: number });
    expect([1, 2, 3].map((worker) => lines.filter((line) => line.worker === worker).length)).toEqual([1500, 1500, 1500]);
  });

  it('keep no process from exiting when nobody reads them any more', async () => {
    const child = run('pipe', 1, 20_000, 100, 1);
    child.stdout?.destroy();
    expect(await exitCode(child)).toBe(7);
  });

  it('keep no process from exiting when the disk is full', async () => {
    const full = openSync('/dev/full', 'w');
    try {
      expect(await exitCode(run(full, 1, 100, 100))).toBe(7);
    } finally {
      closeSync(full);
    }
  });

  it('reach a file', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'berth-log-'));
    const file = openSync(join(dir, 'log'), 'a');
    expect(await exitCode(run(file, 1, 500, 10))).toBe(7);
    closeSync(file);
    expect(readFileSync(join(dir, 'log'), 'utf8').trim().split('\n')).toHaveLength(500);
    rmSync(dir, { recursive: true });
  });
});
