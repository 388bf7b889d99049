// The bench believes no answer: each kind of wrong that a gateway could do has to void its run.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

interface Outcome {
  readonly verified: number;
  readonly errors: number;
  readonly crossed: number;
  readonly firstError?: string;
  readonly faults: readonly string[];
}

const program = join(__dirname, 'fixtures/bench-with-liar.mjs');
const run = promisify(execFile);
const load = async (lie: string) => JSON.parse((await run(process.execPath, [program, lie])).stdout) as Outcome;

let outcomes: Readonly<Record<string, Outcome>>;

beforeAll(async () => {
  const lies = ['none', 'cross', 'alter', 'lose', 'duplicate', 'stale'];
  outcomes = Object.fromEntries(await Promise.all(lies.map(async (lie) => [lie, await load(lie)])));
});

test('an honest relay voids nothing', () => {
  expect(outcomes.none).toEqual({ verified: 40, errors: 0, crossed: 0, faults: [] });
});

test.each([
  ['cross', 'crossed', 'expected'],
  ['stale', 'crossed', 'expected'],
  ['alter', 'errors', 'expected'],
  ['lose', 'errors', 'no answer within'],
  ['duplicate', 'errors', 'nobody has asked for'],
] as const)('one answer of a relay that does this is found: %s', (lie, kind, text) => {
  const outcome = outcomes[lie] as Outcome;
  expect(outcome[kind]).toBeGreaterThan(0);
  expect(outcome.firstError).toContain(text);
  expect(outcome.faults).toHaveLength(1);
});
