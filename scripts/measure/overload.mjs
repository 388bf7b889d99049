// What one worker does beyond its capacity: an open loop (arrivals that wait for nobody) at 80, 120, 150, 80, 200 and again 80 % of what it
// serves as many clients that each wait for their answer, refusing none, and then calls to a backend that takes a second for each. Worker on core 0, backend and load on core 1; every answer is
// verified, refusals too. The worker runs without optimized code: it has to be what cannot keep up, not the load on its one core. Exits 1
// if the accepted 99 of 100 take more than twice as long as at 80 %, if less is accepted, if an answer is wrong, if memory grows or if it
// goes on refusing; and if the worker did not have its core to itself, or the load was late: the figures mean nothing then.
// Run: npm run measure:overload [-- --seconds 10 --connections 1000 --only load,slow --node "--no-opt"]
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startPod } from '../bench/pod.mjs';
import { cpuMicros, isGone, rssBytes } from '../bench/proc.mjs';
import { startLoad } from '../bench/load-client.mjs';
import { canPin, coreOf, Processes } from '../bench/processes.mjs';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '10' },
    connections: { type: 'string', default: '1000' },
    only: { type: 'string', default: 'load,slow' },
    delay: { type: 'string', default: '50ms' },
    /** Arguments of node for the worker. */
    node: { type: 'string', default: '--no-opt' },
  },
});
const STEP_MS = Number(values.seconds) * 1000;
const CONNECTIONS = Number(values.connections);
const SESSIONS = 64;
const SHARES = [0.8, 1.2, 1.5, 0.8, 2, 0.8];
/** Above that to refuse the rest alone fills a core (a refusal costs about half of serving): only told. */
const MOST_JUDGED = 1.5;
/**
 * A queue stands for a second before anything is refused (PATIENCE_MS of src/routing/queue-watch.ts); what has come meanwhile has to be
 * worked off besides what goes on coming.
 */
const SETTLE_MS = 4000;
/** After the load has fallen; from then on at most so many of what comes are refused: the machine itself stands still now and then. */
const CALM_MS = 1000;
const MOST_CALM_SHED = 0.01;
const MOST_P99 = 2;
/** Of the worker, from the end of the first step to the end of the last: what V8 keeps for itself varies by tens of MiB. */
const MOST_GROWTH_BYTES = 64 * 2 ** 20;
/** Of the capacity: what is accepted above it. To refuse costs as well. */
const LEAST_ACCEPTED = { 1.2: 0.5, 1.5: 0.15 };
/** A worker that had no more of its core while it had more to do than it can was not alone there. */
const FULL = 0.95;
/** So often its capacity is looked for, until it was alone. */
const TRIES = 5;
/** A client that is late by so much measures itself. */
const MOST_LATE_MS = 5;
const CAPACITY_REQUESTS = 10_000;
/** Few enough that nothing is refused: warm code is what is asked for. */
const WARM_CONNECTIONS = 64;
const SLOW = { takesMs: 1000, requests: 500, perSecond: 1000, ms: 10_000 };

if (!(STEP_MS > SETTLE_MS)) {
  process.stderr.write(`--seconds: more than ${SETTLE_MS / 1000}\n`);
  process.exit(64);
}

const print = (text) => process.stdout.write(`${text}\n`);
const mib = (bytes) => (bytes / 2 ** 20).toFixed(0);
/** NaN is null behind a pipe: there was nothing to take it of. */
const ms = (value) => (Number.isFinite(value) ? value.toFixed(1) : '');
const faults = [];
const check = (isGood, fault) => isGood || faults.push(fault);
const pinned = canPin();
const [gatewayCore, otherCore] = [coreOf(pinned ? '0' : undefined), coreOf(pinned ? '1' : undefined)];

const dir = mkdtempSync(join(tmpdir(), 'berth-measure-'));
const processes = new Processes();
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => void cleanUp().finally(() => process.exit(1)));
try {
  print(
    `node ${process.version}, load ${loadavg()[0].toFixed(1)}, ${pinned ? 'worker on core 0, the rest on core 1' : 'not pinned'}`,
  );
  if (values.only.includes('load')) await overload();
  if (values.only.includes('slow')) await slowBackend();
} finally {
  await cleanUp();
}
for (const fault of faults) print(`FAULT: ${fault}`);
print(faults.length === 0 ? '\ngood' : '');
process.exitCode = faults.length === 0 ? 0 : 1;

async function cleanUp() {
  await processes.stop();
  rmSync(dir, { recursive: true, force: true });
}

async function startSubject(name, delayMs, limits) {
  const { port } = await processes.start('backend.mjs', [String(delayMs)], otherCore);
  const home = join(dir, name);
  mkdirSync(home);
  const pod = await startPod({
    processes,
    core: gatewayCore,
    dir: home,
    host: '127.0.0.1',
    nodeArgs: values.node.split(' ').filter((arg) => arg !== ''),
    config: {
      workers: 1,
      limits: { keepAliveTimeout: '10m', ...limits },
      mcpServers: { bench: { type: 'http', url: `http://127.0.0.1:${port}/mcp` } },
    },
  });
  await pod.ready();
  const [worker] = pod.workers();
  const ask = startLoad(processes, otherCore);
  const at = { host: pod.host, port: pod.port };
  const subject = { name, openAt: at, callAt: at, path: '/mcp', headers: '', workers: [worker], gateway: [worker] };
  await ask('open', { subject: { ...subject, elsewhere: false }, sessions: SESSIONS });
  return { pod, worker, subject, ask };
}

async function overload() {
  const perSecond = await findCapacity();
  const { worker, subject, ask } = await startSubject('load', 0, { queueDelay: values.delay });
  await closedLoop(subject, ask, WARM_CONNECTIONS);
  const steps = SHARES.map((share) => ({ perSecond: perSecond * share, ms: STEP_MS, settleMs: SETTLE_MS, calmMs: CALM_MS }));
  const seen = watchProcess(worker);
  const arrive = { name: subject.name, connections: CONNECTIONS, steps };
  const rows = await ask('arrive', arrive, ({ step }) => {
    process.stderr.write(`${(SHARES[step] * 100).toFixed(0)} % …\n`);
    seen.begin(step);
  });
  seen.stop();
  print(
    '| load | accepted/s | refused/s | p50 ms | p99 ms | of p99 at 80 % | worst before it settled, ms | p99 of refusals, ms | client late p99, ms | worker busy, % | memory, MiB |',
  );
  print('|---|---|---|---|---|---|---|---|---|---|---|');
  const first = rows[0];
  for (const [index, row] of rows.entries()) {
    const ratio = row.p99 / first.p99;
    const cells = [
      `${SHARES[index] * 100} %`,
      ...[row.acceptedPerSecond, row.shedPerSecond].map((value) => value.toFixed(0)),
      ...[ms(row.p50), ms(row.p99), ratio.toFixed(2), ms(row.firstWorst), ms(row.shedP99), ms(row.lateP99)],
      (seen.busy[index] * 100).toFixed(0),
      `${mib(seen.most[index])}`,
    ];
    print(`| ${cells.join(' | ')} |`);
    check(row.errors + row.crossed === 0, `at ${cells[0]}: ${row.errors} errors, ${row.crossed} crossed: ${row.firstError}`);
    const isJudged = !SHARES.slice(0, index + 1).some((share) => share > MOST_JUDGED);
    if (index > 0 && isJudged)
      check(ratio <= MOST_P99, `at ${cells[0]} the accepted p99 is ${ratio.toFixed(2)} times that at 80 %`);
    if (SHARES[index] > 1) {
      const accepted = row.acceptedPerSecond / perSecond;
      if (isJudged) {
        check(
          accepted >= LEAST_ACCEPTED[SHARES[index]],
          `at ${cells[0]} ${(accepted * 100).toFixed(0)} % of the capacity was accepted`,
        );
        check(seen.busy[index] >= FULL, `at ${cells[0]} the worker was not full, or not alone on its core`);
      }
      check(row.shed > 0, `at ${cells[0]} nothing was refused`);
    }
    if (isJudged)
      check(row.unsent === 0, `at ${cells[0]} ${row.unsent} requests found no connection: the load is the bottleneck`);
    if (isJudged)
      check(row.lateP99 <= MOST_LATE_MS, `at ${cells[0]} the client was late by ${ms(row.lateP99)} ms: its figures are its own`);
  }
  const back = rows[SHARES.indexOf(MOST_JUDGED) + 1];
  const calmShare = (row) => row.calmShed / ((row.perSecond * (STEP_MS - CALM_MS)) / 1000);
  const after = (row) =>
    `the last refusal ${ms(row.lastShedMs)} ms after the load had fallen, from ${CALM_MS} ms on ${(calmShare(row) * 100).toFixed(1)} % refused`;
  print(
    `\nback at 80 % from ${MOST_JUDGED * 100} %: ${after(back)}; from 200 %, with all that had gathered: ${after(rows.at(-1))}`,
  );
  check(calmShare(back) <= MOST_CALM_SHED, `it went on refusing: ${after(back)}`);
  const growth = seen.last[rows.length - 1] - seen.last[0];
  check(growth < MOST_GROWTH_BYTES, `memory grew by ${mib(growth)} MiB`);
}

/**
 * What a worker that refuses nothing gives to as many connections as the open loop has, each of which waits for its answer: a request costs
 * more with a thousand under way than with a few (what a collection of garbage finds alive, what the caches hold).
 */
async function findCapacity() {
  const { subject, ask } = await startSubject('capacity', 0, { queueDelay: '0s' });
  await closedLoop(subject, ask, WARM_CONNECTIONS);
  for (let tries = 1; ; tries += 1) {
    const { perSecond, busy, p99, errors, firstError } = await closedLoop(subject, ask, CONNECTIONS);
    if (errors > 0) throw new Error(`a worker that refuses nothing: ${firstError}`);
    if (busy < FULL && tries < TRIES) continue;
    if (busy < FULL)
      throw new Error(`the worker had ${(busy * 100).toFixed(0)} % of a core: it is not what limits, or not alone there`);
    print(
      `capacity: ${perSecond.toFixed(0)}/s over ${CONNECTIONS} connections that wait for each answer (p99 ${ms(p99)} ms, worker ${(busy * 100).toFixed(0)} % busy)\n`,
    );
    await processes.stop();
    return perSecond;
  }
}

async function closedLoop(subject, ask, connections) {
  const what = { names: [subject.name], kind: 'call', connections, turns: 1, requests: CAPACITY_REQUESTS };
  return (await ask('measure', what))[subject.name];
}

/** A tool that takes a second, asked for a thousand times a second: what is under way is bounded, and everything accepted is answered. */
async function slowBackend() {
  const { pod, worker, subject, ask } = await startSubject('slow', SLOW.takesMs, { requests: SLOW.requests });
  const seen = watchProcess(worker);
  let most = 0;
  const scrape = setInterval(
    () =>
      void openRequests(pod).then(
        (open) => (most = Math.max(most, open)),
        () => undefined,
      ),
    250,
  );
  const steps = [{ perSecond: SLOW.perSecond, ms: SLOW.ms, settleMs: 0 }];
  const [row] = await ask('arrive', { name: subject.name, connections: CONNECTIONS, steps }, ({ step }) => seen.begin(step));
  clearInterval(scrape);
  seen.stop();
  const open = await openRequests(pod);
  print(`\nbackend that takes ${SLOW.takesMs} ms, ${SLOW.perSecond}/s, limits.requests ${SLOW.requests}: `);
  print(
    `accepted ${row.accepted}, refused ${row.shed}, p50 ${ms(row.p50)} ms, p99 ${ms(row.p99)} ms, p99 of refusals ${ms(row.shedP99)} ms`,
  );
  print(`under way at most ${most}, ${open} at the end; memory at most ${mib(seen.most[0])} MiB`);
  check(row.errors + row.crossed === 0, `slow backend: ${row.errors} errors, ${row.crossed} crossed: ${row.firstError}`);
  check(row.shed > 0 && row.accepted > 0, 'slow backend: both some accepted and some refused were expected');
  check(most > 0 && most <= SLOW.requests, `slow backend: ${most} requests were under way`);
  check(open === 0, `slow backend: ${open} requests are still under way`);
}

async function openRequests(pod) {
  const text = await (await fetch(`${pod.admin}/metrics`)).text();
  return Number(/^berth_open_requests\{[^}]*\} (\S+)$/m.exec(text)?.[1]);
}

/** Most and last RSS of a process by step, and its share of a core. */
function watchProcess(pid) {
  const [most, last, busy] = [[], [], []];
  let [step, sinceMs, micros] = [0, performance.now(), cpuMicros([pid])];
  const look = () => {
    if (isGone(pid)) return;
    last[step] = rssBytes(pid);
    most[step] = Math.max(most[step] ?? 0, last[step]);
  };
  const endStep = () => {
    busy[step] = (cpuMicros([pid]) - micros) / 1000 / (performance.now() - sinceMs);
  };
  const timer = setInterval(look, 250);
  return {
    most,
    last,
    busy,
    begin(next) {
      if (next !== step) endStep();
      [step, sinceMs, micros] = [next, performance.now(), cpuMicros([pid])];
      look();
    },
    stop() {
      look();
      endStep();
      clearInterval(timer);
    },
  };
}
