// npm run bench: what a request costs, as ratios taken side by side in one interleaved run. See README.md in this folder.
import { availableParallelism } from 'node:os';
import { resolve as resolvePath } from 'node:path';
import { parseArgs } from 'node:util';
import { AGAIN, againstOf, BUDGET_IDS, budgetsOf, groupOf, subjectsOf } from './budgets.mjs';
import { startLoad } from './load-client.mjs';
import { pinApart } from './processes.mjs';
import { makeReport } from './report.mjs';
import { commandOf, folderOf, LEAST_ROUNDS, makeRun, merge, readResults, writeResults } from './results.mjs';
import { longestStall, measureGrowth, measureMemory } from './special.mjs';
import { startSubject, SUBJECTS } from './subjects.mjs';
import { Workplace } from './workplace.mjs';

const SESSIONS = 64;
/**
 * Requests before the first round, for each subject and load: code that is compiled only while it is measured counts twice. A count, not
 * a time: on a crowded machine seconds bring too few.
 */
const WARMUP_REQUESTS = { call: 20_000, open: 2000, events: 4000, big: 6000, list: 10_000 };
const MAX_WARMUP_MS = 60_000;
/** Of a turn: about a third of a second each on a quiet machine. */
const TURN_REQUESTS = { call: 1500, open: 150, events: 100, big: 200, list: 1500 };
/** Subject and kind of request. */
const warmed = new Set();
const WATCHED = ['watched', 'watched-relay'];
const requestsOf = (kind, connections) => Math.ceil(TURN_REQUESTS[kind] / (connections === 1 ? 5 : 1));
const node = Number(process.versions.node.split('.', 1)[0]);
const USAGE = `usage: npm run bench -- [--only 2,5] [--rounds N] [--turns N] [--warmup FACTOR] [--sessions N] [--growth N]
                        [--against DIR] [--profile DIR] [--out DIR [--force]]
budgets: ${BUDGET_IDS.join(', ')}`;

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: BUDGET_IDS.join(',') },
    rounds: { type: 'string', default: '5' },
    turns: { type: 'string', default: '4' },
    warmup: { type: 'string', default: '1' },
    sessions: { type: 'string', default: '5000' },
    growth: { type: 'string', default: '10000' },
    against: { type: 'string' },
    profile: { type: 'string' },
    out: { type: 'string' },
    force: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
const only = values.only.split(',').map(Number);
const [rounds, turns, idleSessions, growth, warmup] = ['rounds', 'turns', 'sessions', 'growth', 'warmup'].map((name) =>
  Number(values[name]),
);
if (
  values.help ||
  ![rounds, turns, idleSessions, growth, warmup].every((value) => value > 0) ||
  !only.every((id) => BUDGET_IDS.includes(id))
) {
  process.stderr.write(`${USAGE}\n`);
  process.exit(values.help ? 0 : 64);
}
const isBerth = (name) => SUBJECTS[name].pods !== undefined;
const chosen = budgetsOf(node)
  .filter(({ id }) => only.includes(id))
  .map((one) => (one.kind === 'growth' ? { ...one, at: growth } : one));
const budgets = values.against ? [...chosen, ...againstOf(chosen, isBerth)] : chosen;

const { gatewayCore, otherCore, told: pinning } = pinApart();
const workplace = new Workplace('berth-bench-');
const { processes, dir } = workplace;
/** Subject by name. */
const ready = new Map();
/** One job of the load. */
let ask;
const say = (text) => process.stderr.write(`${text}\n`);

process.exitCode = await workplace.run(main);

async function main() {
  const backend = await processes.start('backend.mjs', [], otherCore);
  ask = startLoad(processes, otherCore);
  await startAll(backend.port);
  const rows = [...(await measureSpecial('memory')), ...(await measureTurns()), ...(await measureSpecial('growth'))];
  const report = makeReport(rows, budgets);
  const machine = `Node ${process.version}, ${availableParallelism()} cores, ${pinning}`;
  const method = `${rounds} rounds, in each ${turns} turns a subject, ${SESSIONS} sessions, medians`;
  process.stdout.write(`${machine}\n${method}\n\n${report.text}\n`);
  if (values.out) keep(report, machine, method);
  return report.faults.length > 0 ? 1 : 0;
}

/** Those that any chosen budget needs. A budget whose program is not installed is left out, with a word. */
async function startAll(backendPort) {
  const needed = new Set(budgets.flatMap(subjectsOf));
  if (budgets.some(({ kind }) => kind === 'growth')) needed.add('owner');
  const order = Object.keys(SUBJECTS).flatMap((name) => [name, `${name}@before`]);
  const against = values.against && resolvePath(values.against);
  const profileDir = values.profile && resolvePath(values.profile);
  for (const name of order.filter((one) => needed.has(one))) {
    const subject = await startSubject(name, { processes, backendPort, core: gatewayCore, otherCore, dir, against, profileDir });
    if (subject.missing) say(`left out ${name}: ${subject.missing}`);
    else ready.set(name, subject);
  }
}

async function measureTurns() {
  const groups = new Map();
  for (const budget of budgets) {
    if (['memory', 'growth'].includes(budget.kind) || !subjectsOf(budget).every((name) => ready.has(name))) continue;
    const group = groups.get(groupOf(budget)) ?? { kind: budget.kind, at: budget.at, names: new Set(), over: undefined };
    groups.set(groupOf(budget), group);
    for (const name of subjectsOf(budget)) group.names.add(name);
    // The reference once more at the end of each turn: if it differs from itself, nothing can be said about the others.
    group.over ??= [budget.over].flat()[0];
  }
  const rows = [];
  const all = [...new Set([...groups.values()].flatMap(({ names }) => [...names]))];
  for (const name of all) await ask('open', { subject: ready.get(name), sessions: SESSIONS });
  for (const group of groups.values()) await warmUp(group);
  for (const name of WATCHED.filter((one) => ready.has(one))) await longestStall(ready.get(name));
  for (let round = 1; round <= rounds; round += 1) {
    for (const { kind, at, names, over } of groups.values()) {
      const reference = names.has('relay') ? 'relay' : over;
      const sorted = [...ready.keys()].filter((name) => names.has(name));
      const order = reference ? [...sorted.filter((name) => name !== 'relay'), `${reference}${AGAIN}`] : sorted;
      if (names.has('relay')) order.unshift('relay');
      const figures = await ask('measure', { names: order, kind, connections: at, turns, requests: requestsOf(kind, at) });
      for (const subject of order) {
        const stall = WATCHED.includes(subject) ? { stallMs: await longestStall(ready.get(subject)) } : {};
        rows.push({ round, subject, kind, at, ...figures[subject], ...stall });
      }
    }
    say(`round ${round} of ${rounds} done`);
  }
  for (const name of all.filter((one) => one !== 'owner')) await ask('close', { name });
  return rows;
}

async function warmUp({ kind, names, at }) {
  for (const name of names) {
    const untilMs = performance.now() + MAX_WARMUP_MS;
    // With another number of connections it is the same code.
    const wanted = (warmup * WARMUP_REQUESTS[kind]) / (warmed.has(`${name} ${kind}`) ? 5 : 1);
    warmed.add(`${name} ${kind}`);
    for (let done = 0; done < wanted && performance.now() < untilMs; ) {
      const figures = await ask('measure', { names: [name], kind, connections: at, turns: 1, requests: requestsOf(kind, at) });
      if (figures[name].errors + figures[name].crossed > 0) throw new Error(`${name} (${kind}): ${figures[name].firstError}`);
      done += figures[name].verified;
    }
  }
  say(`warm: ${kind} at ${at}`);
}

async function measureSpecial(kind) {
  const names = [...new Set(budgets.filter((one) => one.kind === kind).flatMap(subjectsOf))].filter((name) => ready.has(name));
  if (names.length === 0) return [];
  if (kind === 'growth') {
    const beside = ready.get('owner');
    await ask('open', { subject: beside, sessions: SESSIONS });
    return measureGrowth({
      ask,
      subject: ready.get('growing'),
      beside,
      rounds,
      turns: { turns, requests: requestsOf('call', 16) },
      most: growth,
    });
  }
  const rows = [];
  for (const name of names) {
    rows.push(await measureMemory({ ask, subject: ready.get(name), sessions: idleSessions }));
    say(`memory of ${name} done`);
  }
  return rows;
}

/** Into the folder of this Node version, beside the budgets that other runs have measured there. */
function keep(report, machine, method) {
  // What a control voids is void by itself: it takes the place of nothing that is valid.
  const isWrong = report.summary.some(({ errors, crossed }) => errors + crossed > 0);
  const reasons = isWrong ? ['an answer was wrong'] : [];
  if (rounds < LEAST_ROUNDS) reasons.push(`fewer than ${LEAST_ROUNDS} rounds`);
  if (warmup < 1) reasons.push('not warmed up');
  if (values.profile) reasons.push('profiling costs');
  if (reasons.length > 0 && !values.force) {
    say(`nothing is written to ${folderOf(values.out, node)}: ${reasons.join(', ')} (--force writes it all the same)`);
    return;
  }
  const told = {
    command: commandOf(process.argv.slice(2)),
    date: new Date().toISOString().slice(0, 10),
    machine,
    method,
    rounds,
  };
  writeResults(values.out, merge(readResults(values.out, node), makeRun(report, told)));
}
