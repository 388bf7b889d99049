// Figures of several runs of the bench stand in one file and one table, each with the run that it is of.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

interface Judged {
  readonly id: number;
  readonly label: string;
  readonly must?: number;
  readonly value?: number;
  readonly verdict?: string;
  readonly run?: string;
}
interface Kept {
  readonly results: {
    readonly runs: ReadonlyArray<{ command: string; entries: Array<{ id: number }>; summary: Array<{ subject: string }> }>;
  };
  readonly judged: readonly Judged[];
  readonly page?: string;
  readonly command: string;
}

const program = join(__dirname, 'fixtures/keep-runs.mjs');
const BEGIN = '<!-- Made by `npm run docs` from the files in docs/benchmarks: -->';
const END = '<!-- End of what is made. -->';
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'berth-unit-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Rows of rounds in which each subject costs this much CPU a request. */
const rowsOf = (cpu: Record<string, number>, more: object = {}) =>
  [1, 2, 3].flatMap((round) =>
    Object.entries(cpu).map(([subject, value]) => ({
      ...{ round, subject, kind: 'call', at: 64, verified: 100, errors: 0, crossed: 0 },
      ...{ cpu: value * (1 + round / 100), perSecond: 1e6 / value, redis: 0.001, ...more },
    })),
  );
const told = (command: string) => ({ command, date: '2026-01-02', machine: 'a machine', method: 'a method', rounds: 3 });
const run = (only: number[], cpu: Record<string, number>, command = `only ${only}`, more?: object) => {
  return { only, told: told(command), rows: rowsOf(cpu, more) };
};

function keep(runs: object[], node = 20, page?: string, args: string[] = []): Kept {
  const argument = JSON.stringify({ folder, node, runs, page, args });
  return JSON.parse(execFileSync(process.execPath, [program, argument], { encoding: 'utf8' })) as Kept;
}
const find = ({ judged }: Kept, label: string) => judged.find((one) => one.label === label) as Judged;

const RELAY = 'owner path / bare relay, CPU';
const UNIX = 'forwarded (Unix socket) / owner path, CPU';

test('a later run replaces its own budgets, and leaves the others with the run that they are of', () => {
  const all = { relay: 50, 'relay-again': 50, owner: 70, sibling: 84 };
  const kept = keep([run([2, 5], all, 'first'), run([5], { relay: 50, 'relay-again': 51, owner: 70, sibling: 126 }, 'second')]);
  expect(kept.results.runs.map(({ command }) => command)).toEqual(['first', 'second']);
  expect(find(kept, RELAY)).toMatchObject({ value: 1.4, verdict: 'met', run: 'a' });
  expect(find(kept, UNIX)).toMatchObject({ value: 1.8, verdict: 'MISSED', run: 'b' });
  // Nothing of the first run looks at it any more.
  expect(kept.results.runs[0]?.summary.map(({ subject }) => subject)).toEqual(['relay', 'relay-again', 'owner']);
});

test('a run of which nothing is left goes, and a budget that is no more goes with it', () => {
  const cpu = { relay: 50, 'relay-again': 50, owner: 70 };
  keep([run([2], cpu, 'first')]);
  const file = join(folder, 'node-20/result.json');
  writeFileSync(file, readFileSync(file, 'utf8').replace(RELAY, 'of an earlier bench'));
  expect(keep([run([2], cpu, 'second')]).results.runs.map(({ command }) => command)).toEqual(['second']);
});

test('a void figure takes the place of none that is valid, and is marked where there was none', () => {
  const noisy = { relay: 50, 'relay-again': 60, owner: 60, sibling: 70 };
  const kept = keep([run([2], { relay: 50, 'relay-again': 50, owner: 70 }), run([2, 5], noisy)]);
  expect(find(kept, RELAY)).toMatchObject({ value: 1.4, verdict: 'met', run: 'a' });
  expect(find(kept, UNIX)).toMatchObject({ verdict: 'void', run: 'b' });
});

test('one wrong answer makes every figure of its run void', () => {
  const kept = keep([run([2, 8], { relay: 50, 'relay-again': 50, owner: 70 }, 'wrong', { crossed: 1 })]);
  expect(kept.judged.filter(({ value }) => value !== undefined).map(({ verdict }) => verdict)).toEqual(['void', 'void']);
});

test('the bounds are those of the Node version', () => {
  const cpu = { relay: 10, 'relay-again': 10, owner: 10, naive: 70 };
  expect(find(keep([run([1], cpu)], 20), 'owner path / naive, requests/s')).toMatchObject({ must: 10, verdict: 'MISSED' });
  expect(find(keep([run([1], cpu)], 24), 'owner path / naive, requests/s')).toMatchObject({ must: 6, verdict: 'met' });
  expect(existsSync(join(folder, 'node-24/budgets.svg'))).toBe(true);
});

test('the page shows every budget of both versions, and of each run the command, date and control', () => {
  keep([run([2], { relay: 50, 'relay-again': 51, owner: 70 }, 'npm run bench -- --only 2')], 20);
  const { page = '' } = keep([], 24, `before\n${BEGIN}\nold\n${END}\nafter\n`);
  expect(page.startsWith(`before\n${BEGIN}\n`)).toBe(true);
  expect(page.endsWith(`${END}\nafter\n`)).toBe(true);
  expect(page).not.toContain('old');
  expect(page).toContain('| 1 | owner path / naive, requests/s | ≥ 10 / 6 | 14 / 8 | not measured | not measured |');
  expect(page).toContain(`| 2 | ${RELAY} | ≤ 1.5 | 1.25 | 1.4 met, run a | not measured |`);
  expect(page).toMatch(
    /\| 20 a \| a machine \| 2026-01-02 \| `npm run bench -- --only 2` \| .*900 answers.*no errors.* \| relay again, cpu/,
  );
  expect(page).toContain('![Node 20: share of each bound that is used](benchmarks/node-20/budgets.svg)');
  expect(page).toContain('Node 24: no run yet.');
  expect(page).toMatch(/\n\| 16 .*\n\| 17 .*\n\| 18 /);
});

test.each([
  [[], 'npm run bench'],
  [['--out', '/home/me/out', '--force'], 'npm run bench'],
  [['--only=2', '--out=/home/me/out', '--rounds', '7'], 'npm run bench -- --only=2 --rounds 7'],
  [['--against', '/home/me/before', '--only', '2,5'], 'npm run bench -- --against DIR --only 2,5'],
])('the command of a run names no folder of a machine: %j', (args, command) => {
  expect(keep([], 20, undefined, args).command).toBe(command);
});
