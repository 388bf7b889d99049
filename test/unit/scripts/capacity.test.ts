// The calculator and the page of the capacity model have one source (docs/capacity.json), and the model says what its words say.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const root = join(__dirname, '../../..');
const file = JSON.parse(readFileSync(join(root, 'docs/capacity.json'), 'utf8'));
const run = (...options: string[]) =>
  execFileSync(process.execPath, [join(root, 'scripts/capacity/capacity.mjs'), ...options], { encoding: 'utf8', stdio: 'pipe' });
const estimate = (...options: string[]) => JSON.parse(run('--json', ...options)) as Record<string, number>;
const value = (name: string): number => (file.coefficients[name] ?? file.assumptions[name]).value;

test('sessions that listen are held, claimed by nobody, and cost what they are said to cost', () => {
  const found = estimate(
    '--sessions',
    '100000',
    '--rate',
    '6',
    '--streams',
    '1',
    '--lifetime',
    '100',
    '--set',
    'ownersRemembered=1e9',
  );
  expect(found).toMatchObject({ requests: 10_000, held: 100_000, claims: 0, unknown: 0 });
  expect(found.opens).toBeCloseTo(100_000 / 6000);
  const { workers = 0, forwards = 0, opens = 0 } = found;
  expect(forwards).toBeCloseTo((10_000 * (workers - 1)) / workers);
  const micros =
    10_000 * value('cpuRequest') +
    forwards * value('cpuForward') +
    opens * (value('cpuOpen') + value('cpuEnd')) +
    100_000 * value('cpuStreamRest');
  expect(found.cores).toBeCloseTo(micros / 1e6);
  expect(found.redisBytes).toBe(value('redisBaseBytes') + 100_000 * value('redisBytesSession'));
  expect(workers).toBeGreaterThanOrEqual((found.cores ?? 0) / value('busy'));
});

test('sessions without a stream that rest longer than they are kept are claimed by each request', () => {
  const found = estimate('--sessions', '100000', '--rate', '0.01', '--streams', '0', '--lifetime', '1000');
  expect((found.claims ?? 0) / (found.requests ?? 1)).toBeCloseTo(Math.exp(-0.01));
  expect(found.held).toBeLessThan(1100);
});

test('more sessions never need less', () => {
  const sizes = [1000, 10_000, 100_000, 1_000_000].map((sessions) => estimate('--sessions', String(sessions), '--rate', '2'));
  for (const name of ['cores', 'workers', 'memory', 'redisBytes', 'redisCommands', 'redisBusy']) {
    const found = sizes.map((size) => size[name] ?? Number.NaN);
    expect(found).toEqual([...found].sort((a, b) => a - b));
  }
});

test('each coefficient says what it is, where it comes from and by which command it is measured', () => {
  const scripts = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).scripts;
  for (const [name, { value, unit, what, source, by }] of Object.entries<Record<string, unknown>>(file.coefficients)) {
    expect([name, typeof value, unit && what && source ? 'told' : 'not told']).toEqual([name, 'number', 'told']);
    expect(Object.keys(scripts)).toContain(/^npm run (\S+)/.exec(String(by))?.[1]);
  }
});

test('what the measurements write fills coefficients of the file', () => {
  const program = `
    import { readFileSync } from 'node:fs';
    const { fill, fromRecords, fromStreams } = await import('./scripts/capacity/fill.mjs');
    const { OPERATIONS } = await import('./scripts/measure/records-operations.mjs');
    const step = { commands: 1, redisMicros: 10, workerMicros: 100 };
    const many = Object.fromEntries(Object.keys(OPERATIONS).map((name) => [name, step]));
    const periodic = { used: { redisMicros: 5000 }, sessions: 1000, redisMicrosAtRest: 400 };
    const records = { many, periodic, memory: { total: 2000 }, workers: 4, emptyBytes: 1e6, records: 1000 };
    const at = (rss) => ({ rss });
    const rest = (cores, redisPerSecond) => ({ cores, redisPerSecond });
    const readings = [at(2e8), at(2.1e8), at(2.2e8), at(2.4e8)];
    const streams = { readings, empty: rest(0.01, 6), atRest: rest(0.02, 6), sessions: 1000, workers: 2 };
    const capacity = JSON.parse(readFileSync('docs/capacity.json', 'utf8'));
    const filled = fill(fill(capacity, fromRecords(records)), fromStreams(streams));
    process.stdout.write(JSON.stringify(filled.coefficients));
  `;
  const coefficients = JSON.parse(
    execFileSync(process.execPath, ['--input-type=module', '-e', program], { cwd: root, encoding: 'utf8' }),
  );
  const found = (name: string) => coefficients[name].value;
  expect([found('redisCommandsOpen'), found('redisMicrosClaim'), found('cpuEnd'), found('redisMicrosTouch')]).toEqual([
    2, 20, 100, 5,
  ]);
  expect([found('bytesWorker'), found('bytesSession'), found('bytesStream'), found('cpuStreamRest')]).toEqual([
    1e8, 1e4, 4e4, 10,
  ]);
  expect(coefficients.cpuEnd.source).toBe('measured with 1000 records');
});

test.each([['--sessions', '0'], ['--streams', '2'], ['--set', 'nothing=1'], ['--set', 'busy=x'], ['--wrong'], []])(
  'bad usage is refused with what may be given: %s %s',
  (...options) => {
    expect(() => run(...options)).toThrow(expect.objectContaining({ status: 64, stderr: expect.stringContaining('usage:') }));
  },
);
