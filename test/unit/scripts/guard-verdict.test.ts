// The guard of `npm test` notices what it is there for, and waits with its verdict until enough rounds agree.
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

interface Verdict {
  readonly isDone: boolean;
  readonly isMet: boolean;
  readonly lines: readonly string[];
}

const program = join(__dirname, 'fixtures/judge-rounds.mjs');
const GOOD = { errors: 0, crossed: 0, redis: 0.004, perSecond: 3000, commandsAtRest: 6 };
/** Usual on two cores: µs of CPU a request. */
const usual = () => ({
  owner: { ...GOOD, cpu: 100 },
  forwarded: { ...GOOD, cpu: 120 },
  naive: { ...GOOD, cpu: 1200 },
});
type Round = ReturnType<typeof usual>;
const changed = (side: keyof Round, change: object): Round => {
  const round = usual();
  return { ...round, [side]: { ...round[side], ...change } };
};
const times = (count: number, round: object) => Array.from({ length: count }, () => round);

function judge(rounds: readonly object[], major = 20): Verdict {
  return JSON.parse(
    execFileSync(process.execPath, [program, JSON.stringify({ rounds, major })], { encoding: 'utf8' }),
  ) as Verdict;
}
const broken = ({ lines }: Verdict) => lines.filter((line) => line.startsWith('BROKEN'));

test('usual costs are kept after five rounds, not earlier', () => {
  expect(judge(times(4, usual()))).toMatchObject({ isDone: false, isMet: false });
  expect(judge(times(5, usual()))).toMatchObject({ isDone: true, isMet: true });
});

test.each([
  ['an owner path that costs twice as much and more', changed('owner', { cpu: 240 }), 'naive / owner path'],
  ['a forward that costs a second time', changed('forwarded', { cpu: 200 }), 'forwarded / owner path'],
  ['a command to Redis for each request of the owner path', changed('owner', { redis: 1.002 }), 'owner path, Redis'],
  ['a command to Redis for each tenth forward', changed('forwarded', { redis: 0.102 }), 'forwarded, Redis'],
])('%s is noticed', (_what, round, label) => {
  const verdict = judge(times(25, round));
  expect(verdict).toMatchObject({ isDone: false, isMet: false });
  expect(broken(verdict)).toEqual([expect.stringContaining(label)]);
});

test('two disturbed rounds of five, or a slow beginning, break nothing', () => {
  const slow = changed('owner', { cpu: 400 });
  expect(judge([slow, usual(), usual(), slow, usual()])).toMatchObject({ isMet: true });
  expect(judge([...times(10, slow), ...times(5, usual())])).toMatchObject({ isMet: true });
});

test('each bound is judged by itself: what was kept once stays kept', () => {
  const rounds = [...times(5, changed('forwarded', { cpu: 200 })), ...times(5, changed('naive', { cpu: 550 }))];
  expect(judge(rounds)).toMatchObject({ isDone: true, isMet: true });
});

test('commands that come with time count for nobody, however long a turn takes', () => {
  // A crowded machine: 60 requests a second, and 6 commands a second of leases among them.
  expect(judge(times(5, changed('owner', { perSecond: 60, redis: 0.1 })))).toMatchObject({ isMet: true });
});

test('one wrong answer ends it at once', () => {
  const verdict = judge([changed('forwarded', { crossed: 1, firstError: 'expected this, got that' })]);
  expect(verdict).toMatchObject({ isDone: true, isMet: false });
  expect(verdict.lines.at(-1)).toBe('forwarded: 0 errors, 1 crossed; first: expected this, got that');
});

test('on Node 24 the naive gateway is faster, and the bound lower', () => {
  const round = changed('naive', { cpu: 450 });
  expect(judge(times(5, round), 24).isMet).toBe(true);
  expect(judge(times(5, round), 20).isMet).toBe(false);
});
