// What one worker does beyond its capacity: an open loop (arrivals that wait for nobody) at 80, 120, 200, 300 and again 80 % of what it
// can serve, and then calls to a backend that takes a second for each. Worker on core 0, backend and load on core 1; every answer is
// verified, refusals too. Exits 1 if the accepted 99 of 100 take more than twice as long as at 80 %, if an answer is wrong, if memory
// grows or if it goes on refusing; figures mean something only on a machine that does nothing else.
// Run: npm run measure:overload [-- --seconds 10 --connections 1000 --only load,slow]
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startPod } from '../bench/pod.mjs';
import { isGone, rssBytes } from '../bench/proc.mjs';
import { startLoad } from '../bench/load-client.mjs';
import { canPin, coreOf, Processes } from '../bench/processes.mjs';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '10' },
    connections: { type: 'string', default: '1000' },
    only: { type: 'string', default: 'load,slow' },
    delay: { type: 'string', default: '50ms' },
  },
});
const STEP_MS = Number(values.seconds) * 1000;
const CONNECTIONS = Number(values.connections);
const SESSIONS = 64;
const SHARES = [0.8, 1.2, 2, 3, 0.8];
/**
 * A queue stands for a second before anything is refused (PATIENCE_MS of src/routing/queue-watch.ts); what has come meanwhile has to be
 * worked off besides what goes on coming.
 */
const SETTLE_MS = 4000;
/** After the load has fallen: the last refusal. */
const RECOVERED_MS = 1000;
const MOST_P99 = 2;
/** Of the worker, from the end of the first step to the end of the last: what V8 keeps for itself varies by tens of MiB. */
const MOST_GROWTH_BYTES = 64 * 2 ** 20;
/** A client that is late by so much measures itself. */
const MOST_LATE_MS = 5;
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
  const { worker, subject, ask } = await startSubject('load', 0, { queueDelay: values.delay });
  const closed = (requests) => ask('measure', { names: [subject.name], kind: 'call', connections: 64, turns: 1, requests });
  await closed(20_000);
  const { perSecond: answered, busy, p99, errors, firstError } = (await closed(Math.round(STEP_MS * 5)))[subject.name];
  check(errors === 0, `64 connections that wait for each answer are no overload: ${firstError}`);
  // Also where the load's core was full before the worker's was.
  const perSecond = answered / busy;
  print(
    `closed loop of 64: ${answered.toFixed(0)}/s, p99 ${ms(p99)} ms, worker ${(busy * 100).toFixed(0)} % busy; its capacity: ${perSecond.toFixed(0)}/s\n`,
  );
  const steps = SHARES.map((share) => ({ perSecond: perSecond * share, ms: STEP_MS, settleMs: SETTLE_MS }));
  const memory = watchMemory(worker);
  const arrive = { name: subject.name, connections: CONNECTIONS, steps };
  const rows = await ask('arrive', arrive, ({ step }) => {
    process.stderr.write(`${(SHARES[step] * 100).toFixed(0)} % …\n`);
    memory.begin(step);
  });
  memory.stop();
  print(
    '| load | accepted/s | refused/s | p50 ms | p99 ms | of p99 at 80 % | worst before it settled, ms | p99 of refusals, ms | client late p99, ms | memory, MiB |',
  );
  print('|---|---|---|---|---|---|---|---|---|---|');
  const first = rows[0];
  for (const [index, row] of rows.entries()) {
    const ratio = row.p99 / first.p99;
    const cells = [
      `${SHARES[index] * 100} %`,
      ...[row.acceptedPerSecond, row.shedPerSecond].map((value) => value.toFixed(0)),
      ...[ms(row.p50), ms(row.p99), ratio.toFixed(2), ms(row.firstWorst), ms(row.shedP99), ms(row.lateP99)],
      `${mib(memory.most[index])}`,
    ];
    print(`| ${cells.join(' | ')} |`);
    check(row.errors + row.crossed === 0, `at ${cells[0]}: ${row.errors} errors, ${row.crossed} crossed: ${row.firstError}`);
    if (index > 0) check(ratio <= MOST_P99, `at ${cells[0]} the accepted p99 is ${ratio.toFixed(2)} times that at 80 %`);
    check(row.unsent === 0, `at ${cells[0]} ${row.unsent} requests found no connection: the load is the bottleneck`);
    check(row.lateP99 <= MOST_LATE_MS, `at ${cells[0]} the client was late by ${ms(row.lateP99)} ms: its figures are its own`);
  }
  const last = rows.at(-1);
  print(`\nback at 80 %: the last refusal ${ms(last.lastShedMs)} ms after the load had fallen`);
  check(last.lastShedMs < RECOVERED_MS, `it went on refusing for ${ms(last.lastShedMs)} ms`);
  const growth = memory.last[rows.length - 1] - memory.last[0];
  check(growth < MOST_GROWTH_BYTES, `memory grew by ${mib(growth)} MiB`);
}

/** A tool that takes a second, asked for a thousand times a second: what is under way is bounded, and everything accepted is answered. */
async function slowBackend() {
  const { pod, worker, subject, ask } = await startSubject('slow', SLOW.takesMs, { requests: SLOW.requests });
  const memory = watchMemory(worker);
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
  const [row] = await ask('arrive', { name: subject.name, connections: CONNECTIONS, steps }, ({ step }) => memory.begin(step));
  clearInterval(scrape);
  memory.stop();
  const open = await openRequests(pod);
  print(`\nbackend that takes ${SLOW.takesMs} ms, ${SLOW.perSecond}/s, limits.requests ${SLOW.requests}: `);
  print(
    `accepted ${row.accepted}, refused ${row.shed}, p50 ${ms(row.p50)} ms, p99 ${ms(row.p99)} ms, p99 of refusals ${ms(row.shedP99)} ms`,
  );
  print(`under way at most ${most}, ${open} at the end; memory at most ${mib(memory.most[0])} MiB`);
  check(row.errors + row.crossed === 0, `slow backend: ${row.errors} errors, ${row.crossed} crossed: ${row.firstError}`);
  check(row.shed > 0 && row.accepted > 0, 'slow backend: both some accepted and some refused were expected');
  check(most > 0 && most <= SLOW.requests, `slow backend: ${most} requests were under way`);
  check(open === 0, `slow backend: ${open} requests are still under way`);
}

async function openRequests(pod) {
  const text = await (await fetch(`${pod.admin}/metrics`)).text();
  return Number(/^berth_open_requests\{[^}]*\} (\S+)$/m.exec(text)?.[1]);
}

/** Most and last RSS of a process by step. */
function watchMemory(pid) {
  const [most, last] = [[], []];
  let step = 0;
  const look = () => {
    if (isGone(pid)) return;
    last[step] = rssBytes(pid);
    most[step] = Math.max(most[step] ?? 0, last[step]);
  };
  const timer = setInterval(look, 250);
  return {
    most,
    last,
    begin(next) {
      step = next;
      look();
    },
    stop() {
      look();
      clearInterval(timer);
    },
  };
}
