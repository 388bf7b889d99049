// What the guard says of its rounds. Bounds are coarse: far enough from what is usual that a busy machine does not break them, near
// enough that a doubled cost does. The figures that count are those of docs/benchmarks.md.
import { budgetsOf } from './budgets.mjs';
import { median } from './report.mjs';

/** Rounds that a median is of: so many in a row, since code gets faster while it warms up. */
export const WINDOW = 5;
/** Of what budget 1 demands: 6 on Node 20. */
const SHARE_OF_BUDGET = 0.6;
const MOST_FORWARDED = 1.8;
const MOST_COMMANDS = { owner: 0.02, forwarded: 0.05 };

/** The bounds on this version of Node. @param major of Node */
export function boundsOf(major) {
  const { must } = budgetsOf(major).find(({ id }) => id === 1);
  const cpu = (name) => (round) => round[name].cpu;
  const ratio = (of, over) => (round) => cpu(of)(round) / cpu(over)(round);
  return [
    { label: 'naive / owner path, CPU a request', of: ratio('naive', 'owner'), least: must * SHARE_OF_BUDGET },
    { label: 'forwarded / owner path, CPU a request', of: ratio('forwarded', 'owner'), most: MOST_FORWARDED },
    { label: 'owner path, Redis commands a request', of: commandsOf('owner'), most: MOST_COMMANDS.owner },
    { label: 'forwarded, Redis commands a request', of: commandsOf('forwarded'), most: MOST_COMMANDS.forwarded },
  ];
}

/** Without those that come with time (leases, the queue): a turn that takes long on a busy machine has many of them. */
const commandsOf = (name) => (round) => {
  const { redis, perSecond, commandsAtRest } = round[name];
  return Math.max(0, redis - commandsAtRest / perSecond);
};

/**
 * @param rounds of each: by 'owner', 'forwarded', 'naive' the figures of its turn; those that use Redis have `commandsAtRest`, a second
 * @returns { isDone, isMet, lines }: `isDone` when more rounds would change nothing: one answer was wrong, or enough rounds keep every bound
 */
export function judgeRounds(rounds, major) {
  const wrong = rounds.flatMap((round) => Object.entries(round)).filter(([, { errors, crossed }]) => errors + crossed > 0);
  const faults = wrong.map(([name, { errors, crossed, firstError }]) => {
    return `${name}: ${errors} errors, ${crossed} crossed; first: ${firstError}`;
  });
  const windows = Array.from({ length: Math.max(1, rounds.length - WINDOW + 1) }, (_, from) => rounds.slice(from, from + WINDOW));
  const judged = boundsOf(major).map(({ label, of, least = 0, most = Number.POSITIVE_INFINITY }) => {
    const values = windows.map((window) => median(window.map(of)));
    const isWithin = (value) => rounds.length >= WINDOW && value >= least && value <= most;
    // What was kept once stays so: the rounds go on for the sake of another bound, and the naive gateway still gets faster in them.
    const kept = values.find(isWithin);
    const bound = least > 0 ? `at least ${least}` : `at most ${most}`;
    return { isMet: kept !== undefined, line: `${label}: ${(kept ?? values.at(-1)).toFixed(3)}, ${bound}` };
  });
  const isMet = faults.length === 0 && judged.every((one) => one.isMet);
  const lines = [...judged.map(({ isMet: isKept, line }) => `${isKept ? 'ok    ' : 'BROKEN'} ${line}`), ...faults];
  return { isDone: faults.length > 0 || isMet, isMet, lines };
}
