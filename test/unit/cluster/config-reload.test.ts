// All workers or none; nobody waits for one that has died or has not started.
import { ConfigReload, type ReloadOutcome } from '../../../src/cluster/config-reload.js';
import type { ToWorker } from '../../../src/cluster/messages.js';
import { type Config, configSchema } from '../../../src/config/schema.js';
import { EXIT, StartError } from '../../../src/errors/start-error.js';
import { makeLogger } from '../../../src/observability/log.js';
import { FakeClock } from '../../support/fake-clock.js';

const configOf = (...names: string[]): Config =>
  configSchema.parse({ mcpServers: Object.fromEntries(names.map((name) => [name, { url: `http://u:pw@${name}.example/mcp` }])) });

class Worker {
  readonly got: string[] = [];
  hasStarted = true;
  hasExited = false;
  killed = false;
  /** Answers by itself. */
  answers: 'well' | 'badly' | 'never' = 'well';
  reload: ConfigReload | undefined;

  constructor(readonly index: number) {}

  send(message: ToWorker): void {
    if (message.kind !== 'reload' && message.kind !== 'apply') return;
    this.got.push(message.kind);
    if (this.answers === 'never') return;
    const { revision } = message;
    const error = this.answers === 'badly' ? { error: 'a reason' } : {};
    this.reload?.take(this, message.kind === 'apply' ? { kind: 'applied', revision } : { kind: 'reloaded', revision, ...error });
  }

  kill(): void {
    this.killed = true;
  }
}

function setUp(count = 2) {
  const clock = new FakeClock();
  const workers = Array.from({ length: count }, (_, i) => new Worker(i + 1));
  const lines: Array<Record<string, unknown>> = [];
  const log = makeLogger({
    level: 'info',
    format: 'json',
    isTty: false,
    destination: { write: (line) => void lines.push(JSON.parse(line)) },
  });
  const file: { load: () => Config; isEmpty?: boolean } = { load: () => configOf('a') };
  const outcomes: ReloadOutcome[] = [];
  const reload = new ConfigReload({
    running: configOf('a'),
    secrets: [],
    load: () => ({
      ...{ config: file.load(), warnings: [], file: '/f', isEmpty: file.isEmpty ?? false },
      ...{ clients: new Map(), secrets: [] },
    }),
    file: '/f',
    clock,
    log,
    workers: () => workers,
    onOutcome: (outcome) => void outcomes.push(outcome),
  });
  for (const worker of workers) worker.reload = reload;
  return { clock, workers, lines, file, outcomes, reload };
}

it('is prepared by all, then applied by all', async () => {
  const { reload, file, workers, lines, outcomes } = setUp();
  file.load = () => configOf('a', 'b');
  await reload.request('SIGHUP');
  expect(workers.map(({ got }) => got)).toEqual([
    ['reload', 'apply'],
    ['reload', 'apply'],
  ]);
  expect(Object.keys(reload.config.mcpServers)).toEqual(['a', 'b']);
  expect(outcomes).toEqual(['applied']);
  expect(lines.find(({ msg }) => msg === 'backend added')).toMatchObject({ backend: 'b', url: 'http://***@b.example/mcp' });
});

it('is applied by none where one cannot', async () => {
  const { reload, file, workers, outcomes, lines } = setUp();
  file.load = () => configOf('b');
  (workers[1] as Worker).answers = 'badly';
  await reload.request('file');
  expect(workers.flatMap(({ got }) => got)).toEqual(['reload', 'reload']);
  expect(Object.keys(reload.config.mcpServers)).toEqual(['a']);
  expect(outcomes).toEqual(['failed']);
  expect(lines.at(-1)?.reasons).toEqual(['worker 2: a reason']);
});

it('waits for a silent worker for a bounded time, and then applies nothing; what it says later changes nothing', async () => {
  const { reload, file, workers, outcomes, clock } = setUp();
  file.load = () => configOf('b');
  (workers[1] as Worker).answers = 'never';
  const done = reload.request('SIGHUP');
  clock.advance(10_000);
  await done;
  expect(outcomes).toEqual(['failed']);
  reload.take(workers[1] as Worker, { kind: 'reloaded', revision: 1, error: 'late' });
  expect(workers.map(({ killed }) => killed)).toEqual([false, false]);
});

it('is not kept up by a worker that dies', async () => {
  const { reload, file, workers, outcomes } = setUp();
  file.load = () => configOf('b');
  const dying = workers[1] as Worker;
  dying.answers = 'never';
  const done = reload.request('SIGHUP');
  await Promise.resolve();
  dying.hasExited = true;
  reload.exited(dying);
  await done;
  expect(outcomes).toEqual(['applied']);
});

it('reaches a worker that is still starting, without waiting for it; one that cannot is replaced', async () => {
  const { reload, file, workers, outcomes } = setUp();
  file.load = () => configOf('b');
  const starting = workers[1] as Worker;
  Object.assign(starting, { hasStarted: false, answers: 'never' });
  await reload.request('SIGHUP');
  expect(outcomes).toEqual(['applied']);
  expect(starting.got).toEqual(['reload', 'apply']);
  reload.take(starting, { kind: 'reloaded', revision: 1, error: 'out of memory' });
  expect(starting.killed).toBe(true);
});

it('says why a bad file changes nothing, and that there is nothing to apply', async () => {
  const { reload, file, workers, outcomes, lines } = setUp();
  await reload.request('SIGHUP');
  await reload.request('file');
  file.load = () => {
    throw new StartError(EXIT.config, 'line 3, column 7: no');
  };
  await reload.request('file');
  expect(outcomes).toEqual(['unchanged', 'unchanged', 'refused']);
  expect(lines.map(({ msg }) => msg)).toEqual([
    'SIGHUP: nothing to apply, the configuration is as it was',
    'the changed configuration is refused: nothing was applied',
  ]);
  expect(lines[1]).toMatchObject({ level: 'error', reason: 'line 3, column 7: no', file: '/f' });
  expect(workers.flatMap(({ got }) => got)).toEqual([]);
});

it('refuses what is impossible together with an option that keeps its value', async () => {
  const { reload, file, outcomes, lines } = setUp();
  file.load = () => configSchema.parse({ mcpServers: {}, internal: { lease: '1s' }, limits: { hold: '4s' } });
  await reload.request('SIGHUP');
  expect(outcomes).toEqual(['refused']);
  expect(lines.at(-1)?.reason).toMatch(/limits\.hold.*internal\.lease/);
});

it('runs once more for all that were asked for meanwhile', async () => {
  const { reload, file, outcomes } = setUp();
  let loads = 0;
  file.load = () => {
    loads++;
    return configOf('a', `b${loads}`);
  };
  await Promise.all(Array.from({ length: 20 }, () => reload.request('SIGHUP')));
  expect(loads).toBe(2);
  expect(outcomes).toEqual(['applied', 'applied']);
});

it('does not take an empty file at its word: whoever writes it may have just begun', async () => {
  const { reload, file, workers, lines, outcomes } = setUp();
  file.load = () => configOf();
  file.isEmpty = true;
  for (const cause of ['file', 'SIGHUP'] as const) await reload.request(cause);
  expect(outcomes).toEqual(['refused', 'refused']);
  expect(workers.map(({ got }) => got)).toEqual([[], []]);
  expect(Object.keys(reload.config.mcpServers)).toEqual(['a']);
  expect(lines.at(-1)).toMatchObject({ level: 'error', reason: expect.stringContaining('empty') });
  file.isEmpty = false;
  await reload.request('file');
  expect(outcomes.at(-1)).toBe('applied');
});
