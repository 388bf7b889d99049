import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const SCRIPT = join(__dirname, 'fixtures', 'write-log.mjs');

function run(stdout: 'pipe' | number, worker: number, count: number, bytes: number, pauses = 0): ChildProcess {
  const args = [SCRIPT, ...[worker, count, bytes, pauses].map(String)];
  return spawn(process.execPath, args, { stdio: ['ignore', stdout, 'inherit'] });
}

const exitCode = (child: ChildProcess) => new Promise<number | null>((resolve) => child.once('exit', resolve));

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

  it('of several processes never mix', async () => {
    // Through a shell: the pipe is one, as that of a primary and its workers.
    const command = [1, 2, 3].map((worker) => `'${process.execPath}' '${SCRIPT}' ${worker} 1500 300 1 &`).join(' ');
    const child = spawn('/bin/sh', ['-c', `${command} wait`], { stdio: ['ignore', 'pipe', 'inherit'] });
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    await new Promise((resolve) => child.once('close', resolve));
    const lines = text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { worker: number });
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
