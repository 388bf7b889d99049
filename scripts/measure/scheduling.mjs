// What `scheduling` costs and gains: pods of two workers that differ in nothing else take turns, as in the bench. Kept connections, and a
// new connection for each request; how evenly connections come to the workers; what is lost while one worker leaves, in order and by
// SIGKILL. Run: npm run measure:scheduling [-- --rounds 5 --leaves 10 --out FILE], on other versions of Node with
// `npm run build && npx -p node@24 node scripts/measure/scheduling.mjs`.
import { writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { pathToFileURL } from 'node:url';
import { AGAIN } from '../bench/budgets.mjs';
import { HttpConnection } from '../bench/http-connection.mjs';
import { startLoad } from '../bench/load-client.mjs';
import { workersOf } from '../bench/pod.mjs';
import { holderOf } from '../bench/proc.mjs';
import { pinApart } from '../bench/processes.mjs';
import { makeReport } from '../bench/report.mjs';
import { startSubject } from '../bench/subjects.mjs';
import { Workplace } from '../bench/workplace.mjs';
import { reusePortObstacle } from '../../dist/config/reuse-port.js';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    turns: { type: 'string', default: '4' },
    leaves: { type: 'string', default: '10' },
    warmup: { type: 'string', default: '1' },
    out: { type: 'string' },
  },
});
const [rounds, turns, leaves, warmup] = ['rounds', 'turns', 'leaves', 'warmup'].map((name) => Number(values[name]));
const LEAVE = pathToFileURL(join(import.meta.dirname, 'leave-alone.mjs')).href;
/** Subjects of the bench, by policy. */
const POLICIES = { 'round-robin': 'random', os: 'os', 'reuse-port': 'reuse-port' };
const REFERENCE = POLICIES['round-robin'];
const SESSIONS = 64;
/** The loads: a turn's requests, and those before the first round. */
const LOADS = [
  { kind: 'kept', connections: 64, isFresh: false, requests: 1500, warmup: 10_000 },
  { kind: 'new', connections: 16, isFresh: true, requests: 800, warmup: 4000 },
];
/** Connections whose worker is looked up. */
const SAMPLE = 200;
/** Of the load while workers leave: it is asked for more until they have. */
const PART = { connections: 16, requests: 200 };
const LEAVES_WITHIN_MS = 60_000;

const rest = (ms) => new Promise((wake) => setTimeout(wake, ms));
const say = (text) => process.stderr.write(`${text}\n`);
const obstacle = reusePortObstacle();
const policies = Object.keys(POLICIES).filter((policy) => policy !== 'reuse-port' || obstacle === undefined);
const { gatewayCore: core, otherCore, told: pinning } = pinApart();
const workplace = new Workplace('berth-measure-');
const { processes, dir } = workplace;
const subjects = new Map();
let ask;
await workplace.run(main);

async function main() {
  const { port } = await processes.start('backend.mjs', [], otherCore);
  ask = startLoad(processes, otherCore);
  for (const policy of policies) {
    const subject = await startSubject(POLICIES[policy], {
      processes,
      backendPort: port,
      core,
      otherCore,
      dir,
      imports: [LEAVE],
    });
    subjects.set(policy, subject);
    await untilAllServe(subject);
    await ask('open', { subject, sessions: SESSIONS });
  }
  const costs = await measureCosts();
  const shares = [];
  for (const policy of policies) shares.push(await measureShares(policy));
  const losses = [];
  for (const policy of policies) for (const how of ['drain', 'SIGKILL']) losses.push(await measureLeaves(policy, how));
  tell(costs, shares, losses);
}

/** As the bench does it: rows of rounds, and each policy over round-robin. */
async function measureCosts() {
  const names = policies.map((policy) => POLICIES[policy]);
  const measure = ({ connections, isFresh, requests }, of, times) =>
    ask('measure', { names: of, kind: 'call', connections, turns: times, requests, isFresh });
  for (const load of LOADS) {
    const times = Math.ceil((warmup * load.warmup) / load.requests);
    for (const name of names) await measure(load, [name], times);
    say(`warm: ${load.kind} connections`);
  }
  const rows = [];
  for (let round = 1; round <= rounds; round += 1) {
    for (const load of LOADS) {
      const figures = await measure(load, [...names, `${REFERENCE}${AGAIN}`], turns);
      for (const [subject, one] of Object.entries(figures)) {
        rows.push({ round, subject, kind: load.kind, at: load.connections, ...one });
      }
    }
    say(`round ${round} of ${rounds} done`);
  }
  const ratio = (name, { kind, connections }, figure, what) => {
    return {
      id: 0,
      label: `${name} / round-robin, ${kind} connections, ${what}`,
      of: name,
      over: REFERENCE,
      kind,
      at: connections,
      figure,
    };
  };
  const others = names.filter((name) => name !== REFERENCE);
  const ratios = others.flatMap((name) =>
    LOADS.flatMap((load) => [ratio(name, load, 'cpu', 'CPU'), ratio(name, load, 'perSecond', 'requests/s')]),
  );
  return makeReport(rows, ratios);
}

/** The larger share of the two workers, of connections that come while nothing happens, and under load. */
async function measureShares(policy) {
  const subject = subjects.get(policy);
  const idle = await largestShare(subject);
  const load = keepLoading(subject);
  const loaded = await largestShare(subject);
  await load.end();
  return { policy, idle, loaded };
}

async function largestShare({ callAt, gateway }) {
  const workers = workersOf(gateway[0]);
  const counts = new Map(workers.map((pid) => [pid, 0]));
  const connections = [];
  for (let i = 0; i < SAMPLE; i += 1) {
    const connection = new HttpConnection(callAt.host, callAt.port);
    connections.push(connection);
    await connection.opened();
    let holder;
    for (let tries = 0; holder === undefined && tries < 500; tries += 1) {
      await rest(2);
      holder = holderOf(connection.socket, workers);
    }
    if (holder === undefined) throw new Error('no worker holds the connection');
    counts.set(holder, counts.get(holder) + 1);
  }
  for (const connection of connections) connection.close();
  return Math.max(...counts.values()) / SAMPLE;
}

/** One worker after the other leaves and is replaced, under constant new connections. */
async function measureLeaves(policy, how) {
  const subject = subjects.get(policy);
  await untilAllServe(subject);
  const load = keepLoading(subject);
  for (let leave = 0; leave < leaves; leave += 1) {
    const leaving = workersOf(subject.gateway[0])[0];
    process.kill(leaving, how === 'drain' ? 'SIGUSR2' : how);
    await untilAllServe(subject, leaving);
  }
  const sums = await load.end();
  say(`${policy}: ${leaves} workers have left by ${how}`);
  return { policy, how, leaves, ...sums };
}

/** New connections without a pause until `end()`, which says how many requests there were and what became of them. */
function keepLoading({ name }) {
  const sums = { requests: 0, lost: 0, errors: 0, crossed: 0, firstError: undefined };
  let isEnding = false;
  const done = (async () => {
    while (!isEnding) {
      const figures = (await ask('measure', { names: [name], kind: 'call', turns: 1, isFresh: true, ...PART }))[name];
      sums.requests += figures.verified + figures.errors + figures.crossed;
      sums.lost += figures.lost;
      sums.errors += figures.errors - figures.lost;
      sums.crossed += figures.crossed;
      sums.firstError ??= figures.firstError;
    }
  })();
  // A failure is heard by end(); until then it must not pass for unhandled.
  done.catch(() => undefined);
  return {
    async end() {
      isEnding = true;
      await done;
      return sums;
    },
  };
}

/** @param gone a worker that has to have been replaced */
async function untilAllServe({ gateway, admins }, gone) {
  const deadline = performance.now() + LEAVES_WITHIN_MS;
  for (; performance.now() < deadline; await rest(50)) {
    const workers = workersOf(gateway[0]);
    if (workers.length < 2 || workers.includes(gone)) continue;
    const answer = await fetch(`${admins[0]}/readyz`).then(
      (one) => one.json(),
      () => undefined,
    );
    if (answer?.workers.ready === 2) return;
  }
  throw new Error(`the pod did not get its two workers back within ${LEAVES_WITHIN_MS} ms`);
}

function tell(costs, shares, losses) {
  const machine = `Node ${process.version}, ${availableParallelism()} cores, ${pinning}`;
  const percent = (part) => `${(100 * part).toFixed(0)} %`;
  const lines = [
    machine,
    `${rounds} rounds of ${turns} turns, 2 workers, ${SESSIONS} sessions at random; round-robin is "${REFERENCE}"`,
    ...(obstacle ? [`without reuse-port: ${obstacle}`] : []),
    '',
    costs.text,
    '',
    `| scheduling | larger share of ${SAMPLE} connections, nothing else going on | under load |`,
    '|---|---|---|',
    ...shares.map(({ policy, idle, loaded }) => `| ${policy} | ${percent(idle)} | ${percent(loaded)} |`),
    '',
    '| scheduling | one worker leaves by | times | requests | lost with their connection | answered with an error | crossed | first |',
    '|---|---|---|---|---|---|---|---|',
    ...losses.map(({ policy, how, requests, lost, errors, crossed, firstError = '' }) => {
      const first = firstError.replaceAll(/[|\s]+/g, ' ').slice(0, 80);
      return `| ${policy} | ${how} | ${leaves} | ${requests} | ${lost} | ${errors} | ${crossed} | ${first} |`;
    }),
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
  const { summary, controls, ratios, faults } = costs;
  if (values.out)
    writeFileSync(
      values.out,
      `${JSON.stringify({ machine, summary, controls, ratios, faults, shares, losses }, undefined, 1)}\n`,
    );
  process.exitCode = faults.length > 0 ? 1 : 0;
}
