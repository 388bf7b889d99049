// npm run bench: what a request costs, as ratios taken side by side in one interleaved run. See README.md in this folder.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { coreOf, Processes } from './processes.mjs';
import { makeReport } from './report.mjs';
import { SUBJECTS, startSubject } from './subjects.mjs';

const WARMUP_MS = 300;
/** Before the first round, once for each subject: code that is compiled only while it is measured counts twice. */
const FIRST_WARMUP_MS = 4000;
const USAGE = `usage: npm run bench -- [--rounds N] [--seconds S] [--connections 1,64] [--sessions N] [--only a,b] [--json FILE]
subjects: ${Object.keys(SUBJECTS).join(', ')}`;

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '2' },
    connections: { type: 'string', default: '1,64' },
    sessions: { type: 'string', default: '64' },
    only: { type: 'string', default: Object.keys(SUBJECTS).join(',') },
    json: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});
const rounds = Number(values.rounds);
const measureMs = Number(values.seconds) * 1000;
const connectionCounts = values.connections.split(',').map(Number);
const sessions = Number(values.sessions);
const names = values.only.split(',');
const numbers = [rounds, measureMs, sessions, ...connectionCounts];
if (values.help || numbers.some((value) => !(value > 0)) || names.some((name) => !SUBJECTS[name])) {
  process.stderr.write(`${USAGE}\n`);
  process.exit(values.help ? 0 : 64);
}

const pinned = canPin();
const gatewayCore = coreOf(pinned ? '0' : undefined);
const otherCore = coreOf(pinned ? '1' : undefined);
const processes = new Processes();
const dir = mkdtempSync(join(tmpdir(), 'berth-bench-'));
/** Subject by name. */
const ready = new Map();
let cleaning;

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => void cleanUp().finally(() => process.exit(1)));
}
try {
  process.exitCode = await main();
} finally {
  await cleanUp();
}

async function main() {
  const backend = await processes.start('backend.mjs', [], otherCore);
  for (const name of names) {
    ready.set(name, await startSubject(name, { processes, backendPort: backend.port, core: gatewayCore, otherCore, dir }));
  }
  const load = processes.fork('load.mjs', [], otherCore);
  // The reference once more at the end of each round: if it differs from itself, nothing can be said about the others.
  const order = [...names, ...(names.includes('relay') ? ['relay-again'] : [])];

  for (const name of order) await measure(load, name, connectionCounts.at(-1), 0);
  const rows = [];
  for (let round = 1; round <= rounds; round += 1) {
    for (const connections of connectionCounts) {
      for (const subject of order) {
        rows.push({ round, subject, connections, ...(await measure(load, subject, connections, round)) });
      }
    }
    process.stderr.write(`round ${round} of ${rounds} done\n`);
  }
  const report = makeReport(rows);
  const machine = `Node ${process.version}, ${availableParallelism()} cores, ${pinned ? 'gateway on core 0, the rest on core 1' : 'not pinned'}`;
  process.stdout.write(`${machine}\n${rounds} rounds of ${measureMs} ms, ${sessions} sessions, medians\n\n${report.text}\n`);
  if (values.json) writeFileSync(values.json, JSON.stringify({ machine, rows, ...report }, undefined, 2));
  return report.faults.length > 0 ? 1 : 0;
}

/** One job of the load. Redis commands are counted from its word that it measures to its word that it has measured. */
async function measure(load, subject, connections, round) {
  const target = ready.get(subject.replace('-again', ''));
  const { redis, metrics, ...where } = target;
  const routesBefore = await countRoutes(metrics);
  const commands = [];
  const result = await new Promise((resolve, reject) => {
    const failed = (reason) => reject(new Error(`${subject} with ${connections} connections: ${reason}`));
    load.removeAllListeners();
    load.on('exit', () => failed('the load ended'));
    load.on('message', (message) => {
      if (message.phase) commands.push(countCommands(redis));
      else if (message.error) failed(message.error);
      else resolve(message.result);
    });
    load.send({ ...where, connections, sessions, warmupMs: WARMUP_MS, measureMs: round === 0 ? FIRST_WARMUP_MS : measureMs });
  });
  const [before, after] = await Promise.all(commands);
  const routesAfter = await countRoutes(metrics);
  const routed = routesAfter.all - routesBefore.all;
  return {
    ...result,
    redis: (after - before) / result.verified,
    forwarded: routed > 0 ? (routesAfter.forward - routesBefore.forward) / routed : Number.NaN,
  };
}

/** Commands that a Redis has served so far, without these questions themselves. */
async function countCommands(redis) {
  if (!redis) return Number.NaN;
  const stats = await redis.info('commandstats');
  return [...stats.matchAll(/^cmdstat_(\S+?):calls=(\d+)/gm)]
    .filter(([, name]) => name !== 'info')
    .reduce((sum, [, , calls]) => sum + Number(calls), 0);
}

/** Requests by the way they took, from the pods' own metrics: shows whether "forwarded" was. */
async function countRoutes(metrics = []) {
  const routes = { all: 0, forward: 0 };
  for (const url of metrics) {
    const text = await (await fetch(url)).text();
    for (const [, labels, value] of text.matchAll(/^berth_requests_total\{([^}]*)\} (\S+)/gm)) {
      routes.all += Number(value);
      if (labels.includes('route="forward"')) routes.forward += Number(value);
    }
  }
  return routes;
}

function canPin() {
  if (availableParallelism() < 2) return false;
  try {
    execFileSync('taskset', ['-c', '0,1', 'true'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** Once: a signal during the end must not begin a second one. */
function cleanUp() {
  cleaning ??= (async () => {
    for (const { redis } of ready.values()) redis?.disconnect();
    await processes.stop();
    rmSync(dir, { recursive: true, force: true });
  })();
  return cleaning;
}
