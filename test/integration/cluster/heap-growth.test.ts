import { fork } from 'node:child_process';
import { join } from 'node:path';

const FIXTURE = join(__dirname, 'fixtures/collecting-worker.mjs');
/** V8 allows for the young generation as well. */
const MOST_YOUNG_KB = 34 * 1024;

test('the heap of a worker may double before all of it is collected', async () => {
  const { code, out, err } = await run();
  expect([code, err]).toEqual([0, '']);
  const limits = [...out.matchAll(/\[HeapController] Limit: old size: (\d+) KB, new limit: (\d+) KB/g)];
  const [, old, limit] = limits.at(-1)?.map(Number) ?? [];
  // Else V8 is free to choose: here more than four times.
  expect(old).toBeGreaterThan(15_000);
  expect(limit).toBeGreaterThanOrEqual(2 * (old as number));
  expect(limit).toBeLessThan(2 * (old as number) + MOST_YOUNG_KB);
});

async function run(): Promise<{ code: number | null; out: string; err: string }> {
  const child = fork(FIXTURE, [], { execArgv: ['--expose-gc', '--trace-gc-verbose'], silent: true });
  let [out, err] = ['', ''];
  child.stdout?.on('data', (chunk) => (out += chunk));
  child.stderr?.on('data', (chunk) => (err += chunk));
  const code = await new Promise<number | null>((resolve, reject) => child.once('close', resolve).once('error', reject));
  return { code, out, err };
}
