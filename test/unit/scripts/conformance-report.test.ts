// What the conformance lane says of the files that the official suite leaves: what is missing there has failed.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

interface Judged {
  readonly verdicts: ReadonlyArray<{ subject: string; scenario: string; verdict: string; messages: string[] }>;
  readonly table: readonly string[];
}

const program = join(__dirname, 'fixtures/judge-results.mjs');
const passed = { id: 'a', status: 'SUCCESS' };
const failed = { id: 'b', status: 'FAILURE', errorMessage: 'wrong' };
const warned = { id: 'c', status: 'WARNING' };
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'berth-unit-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function leave(subject: string, scenarios: Record<string, readonly object[]>): void {
  mkdirSync(join(folder, subject));
  for (const [name, checks] of Object.entries(scenarios)) {
    const place = join(folder, subject, `server-${name}-2026-01-01T00-00-00-000Z`);
    mkdirSync(place);
    writeFileSync(join(place, 'checks.json'), JSON.stringify(checks));
  }
}

function judge(): Judged {
  return JSON.parse(execFileSync(process.execPath, [program, folder], { encoding: 'utf8' })) as Judged;
}

function verdictsOf(subject: string): Record<string, string> {
  const own = judge().verdicts.filter((one) => one.subject === subject);
  return Object.fromEntries(own.map(({ scenario, verdict }) => [scenario, verdict]));
}

test('checks that passed are counted, warnings are neither, and the table says both', () => {
  leave('direct', { one: [passed, passed], two: [passed, warned], extra: [passed] });
  leave('http', { one: [passed], two: [passed, failed], extra: [passed] });
  expect(judge().table).toEqual([
    '| scenario | direct | http |',
    '|---|---|---|',
    '| one | 2 | 1 |',
    '| two | 1 | 1, **1 failed** |',
    '| extra (not scored) | 1 | 1 |',
    '| **scored scenarios passed** | 2/2 | 1/2 |',
    '| **others passed** | 1/1 | 1/1 |',
  ]);
  expect(verdictsOf('http')).toEqual({ one: 'passed', two: 'failed', extra: 'passed' });
});

test('a scenario without a result, or without a check, has failed', () => {
  leave('direct', { one: [], extra: [passed] });
  const { verdicts } = judge();
  expect(verdicts.map(({ verdict }) => verdict)).toEqual(['failed', 'failed', 'passed']);
  expect(verdicts[0]?.messages).toEqual(['nothing was checked']);
  expect(verdicts[1]?.messages).toEqual(['no result (exit code 7): the end']);
});

test('what is not scored fails the gateway only if the backend passes it directly', () => {
  const scored = { one: [passed], two: [passed] };
  leave('direct', { ...scored, extra: [failed] });
  leave('http', { ...scored, extra: [failed] });
  expect(verdictsOf('http').extra).toBe('skipped');
  rmSync(join(folder, 'direct'), { recursive: true });
  leave('direct', { ...scored, extra: [passed] });
  expect(verdictsOf('http').extra).toBe('failed');
});

test('of two scenarios whose names begin alike each has its own result', () => {
  leave('direct', { one: [passed], two: [passed], 'extra-long': [failed], extra: [passed] });
  expect(verdictsOf('direct').extra).toBe('passed');
});
