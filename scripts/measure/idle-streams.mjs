// What idle sessions with an open GET stream cost, each relayed to a stream of the backend: memory, processor and Redis at rest; whether
// comments keep the streams open and notifications reach them; how long it takes until all are back after an owner was killed.
// Run: npm run measure:idle-streams [-- --sessions 10000 --workers 2 --json FILE]
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { HttpConnection } from '../bench/http-connection.mjs';
import { startPod } from '../bench/pod.mjs';
import { cpuMicros, openFiles } from '../bench/proc.mjs';
import { askProcess, coreOf } from '../bench/processes.mjs';
import { probeProcess } from '../bench/special.mjs';
import { Workplace } from '../bench/workplace.mjs';
import { newSecret, RedisServer } from '../chaos/cluster.mjs';
import { obtainRedis } from '../obtain-redis.mjs';
import { IdleClient } from './idle-client.mjs';
import { RedisCost } from './redis-cost.mjs';

const here = import.meta.dirname;
const { values } = parseArgs({
  options: {
    sessions: { type: 'string', default: '10000' },
    workers: { type: 'string', default: '2' },
    json: { type: 'string' },
  },
});
const [SESSIONS, WORKERS] = [values.sessions, values.workers].map(Number);
/** More than two comments of every stream. */
const WATCH_MS = 40_000;
const EMPTY_MS = 10_000;
const CALLED = 1000;
const CONNECTIONS = 16;
const BACK_WITHIN_MS = 180_000;
const FEW = 50;
const print = (text) => process.stdout.write(`${text}\n`);
const began = performance.now();
const say = (text) => process.stderr.write(`${((performance.now() - began) / 1000).toFixed(0).padStart(5)} s  ${text}\n`);
const rest = (ms) => new Promise((wake) => setTimeout(wake, ms));

checkFiles();
const redis = new RedisServer();
const clients = [];
let cost;
const workplace = new Workplace('berth-measure-', { first: disconnect, last: () => redis.crash() });
const { processes, dir } = workplace;
const probeDir = join(dir, 'probe');
mkdirSync(probeDir);
process.exitCode = await workplace.run(main);

async function main() {
  await redis.start(join(dir, 'redis'), obtainRedis());
  cost = new RedisCost(redis.url);
  const { child: backend, port } = await processes.start(join(here, 'idle-backend.mjs'), [], coreOf(undefined));
  const pod = await startPod({
    processes,
    core: coreOf(undefined),
    dir,
    host: '127.0.0.1',
    nodeArgs: ['--import', pathToFileURL(join(here, '../bench/probe.mjs')).href],
    env: { BENCH_PROBE: probeDir },
    config: {
      workers: WORKERS,
      redis: { url: redis.url },
      internal: { host: '127.0.0.1', secret: newSecret() },
      sessions: { max: 2 * SESSIONS + FEW },
      mcpServers: { quiet: { type: 'http', url: `http://127.0.0.1:${port}/mcp` } },
    },
  });
  await pod.ready();
  await until('all workers', async () => {
    const { headers } = await fetch(`${pod.admin}/metrics`);
    return headers.get('x-berth-workers-reporting') === `${WORKERS}/${WORKERS}`;
  });
  const countOpen = async () => (await askProcess(backend, 'open')).open;
  // What is made with the first sessions is not the sessions'.
  await open(pod, FEW);
  const readings = [{ what: 'without sessions', ...(await weigh(pod)) }];
  const empty = await watchRest(pod, EMPTY_MS);
  await open(pod, SESSIONS);
  readings.push({ what: 'with a session each', ...(await weigh(pod)) });
  await inTurns(pod, async (client) => {
    client.listen();
    await until('a stream', () => client.isOpen, BACK_WITHIN_MS);
  });
  readings.push({ what: 'and its GET stream', ...(await weigh(pod)) });
  await inTurns(pod, async (client, http) => {
    if (!(await client.call(http))) throw new Error('a first call was answered wrongly');
  });
  await until('the streams of the backend', async () => (await countOpen()) === clients.length, BACK_WITHIN_MS);
  readings.push({ what: 'and a stream of the backend', ...(await weigh(pod)) });
  say(`${clients.length} sessions, each with its streams`);
  const atRest = await watchRest(pod, WATCH_MS);
  const told = await tellAll(backend, 1);
  say('at rest: measured');
  const silences = clients.reduce((sum, { silences }) => sum + silences, 0);
  const killed = await killOwner(pod, backend, countOpen);
  const result = {
    sessions: clients.length,
    workers: WORKERS,
    node: process.version,
    load: loadavg()[0],
    readings,
    empty,
    atRest,
    told,
    silences,
    killed,
  };
  report(result);
  if (values.json) writeFileSync(values.json, JSON.stringify(result, undefined, 2));
  const isWhole = [told, killed.told].every(({ heard }) => heard === clients.length);
  return isWhole && silences === 0 && killed.lost + killed.crossed === 0 && killed.wrongCalls === 0 ? 0 : 1;
}

/** A worker may come to hold all of them: a socket to the client and one to the backend each. */
function checkFiles() {
  // Two sockets a session in a worker, when one of them has just died and the others have its sessions; one in the client and the backend.
  const wanted = Math.max(SESSIONS, Math.ceil((2 * SESSIONS) / (WORKERS - 1))) + 1000;
  const limit = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
  if (!(SESSIONS >= 100 && WORKERS >= 2))
    print('usage: npm run measure:idle-streams -- [--sessions 100…] [--workers 2…] [--json FILE]');
  else if (Number(limit) < wanted) {
    print(
      `${SESSIONS} sessions on ${WORKERS} workers need ${wanted} open files a process, and ${limit} are allowed: \`ulimit -n ${wanted}\` first, more --workers, or fewer --sessions`,
    );
  } else return;
  process.exit(64);
}

async function open(pod, count) {
  const from = clients.length;
  for (let i = 0; i < count; i++) clients.push(new IdleClient(`s${from + i}`, pod));
  await inTurns(pod, (client, http) => client.open(http), clients.slice(from));
}

async function inTurns(pod, work, of = clients) {
  const waiting = [...of];
  const connections = Array.from({ length: CONNECTIONS }, () => new HttpConnection(pod.host, pod.port));
  await Promise.all(connections.map((http) => http.opened()));
  const one = async (http) => {
    for (let client = waiting.pop(); client; client = waiting.pop()) await work(client, http);
  };
  await Promise.all(connections.map(one));
  for (const http of connections) http.close();
}

/** @returns `{ bytes, rss, files, workers }` of all workers */
async function weigh(pod) {
  await rest(2000);
  const workers = [];
  for (const pid of pod.workers()) workers.push({ ...(await probeProcess(pid, probeDir)), files: openFiles(pid) });
  const sum = (figure) => workers.reduce((all, one) => all + one[figure], 0);
  return { bytes: sum('bytes'), rss: sum('rss'), files: workers.map(({ files }) => files) };
}

async function watchRest(pod, forMs) {
  const before = { micros: cpuMicros(pod.workers()), commands: await cost.processed(), ms: performance.now() };
  await rest(forMs);
  const seconds = (performance.now() - before.ms) / 1000;
  const cores = (cpuMicros(pod.workers()) - before.micros) / 1e6 / seconds;
  return { cores, redisPerSecond: ((await cost.processed()) - before.commands) / seconds };
}

/** The backend says something to every session. @returns `{ heard, ms }` */
async function tellAll(backend, mark) {
  const startedAt = performance.now();
  backend.send({ mark });
  const heard = () => clients.filter((client) => client.mark >= mark).length;
  await until('every stream to hear of it', () => heard() === clients.length, 30_000).catch(() => undefined);
  return { heard: heard(), ms: performance.now() - startedAt };
}

/** kill -9 of one worker: streams that it held break and are opened again, what it owned is taken over. */
async function killOwner(pod, backend, countOpen) {
  const [victim] = pod.workers();
  const commands = await cost.processed();
  const breaks = () => clients.reduce((sum, client) => sum + client.breaks, 0);
  const before = breaks();
  const startedAt = performance.now();
  process.kill(victim, 'SIGKILL');
  await until('a stream to break', () => breaks() > before);
  const isBack = async () => clients.every(({ isOpen, isLost }) => isOpen || isLost) && (await countOpen()) >= clients.length;
  await until('all streams to be back', isBack, BACK_WITHIN_MS, 100).catch((error) => say(error.message));
  const seconds = (performance.now() - startedAt) / 1000;
  const perSession = ((await cost.processed()) - commands) / (clients.length / WORKERS);
  const told = await tellAll(backend, 2);
  let wrongCalls = 0;
  const called = [...clients].sort(() => Math.random() - 0.5).slice(0, CALLED);
  const check = async (client, http) => {
    if (!(await client.call(http))) wrongCalls += 1;
  };
  await inTurns(pod, check, called);
  const count = (figure) => clients.reduce((sum, client) => sum + Number(client[figure]), 0);
  return {
    broken: breaks() - before,
    seconds,
    perSession,
    told,
    lost: count('isLost'),
    crossed: count('crossed'),
    called: called.length,
    wrongCalls,
  };
}

async function until(what, isTrue, withinMs = 60_000, everyMs = 10) {
  const deadline = performance.now() + withinMs;
  while (!(await isTrue())) {
    if (performance.now() > deadline) throw new Error(`waited ${withinMs / 1000} s for: ${what}`);
    await rest(everyMs);
  }
}

function report({ readings, empty, atRest, told, silences, killed }) {
  const n = clients.length;
  print(`node ${process.version}, load ${loadavg()[0].toFixed(1)}, ${WORKERS} workers, ${n} sessions\n`);
  print(
    '| memory of the workers | heap and buffers, MiB | KiB a session more | resident, MiB | KiB a session more | open files |',
  );
  print('|---|---|---|---|---|---|');
  for (const [i, reading] of readings.entries()) {
    const grown = i === 1 ? SESSIONS : n;
    const more = (figure) => (i === 0 ? '' : ((reading[figure] - readings[i - 1][figure]) / grown / 1024).toFixed(1));
    const mib = (figure) => (reading[figure] / 2 ** 20).toFixed(0);
    print(
      `| ${reading.what} | ${mib('bytes')} | ${more('bytes')} | ${mib('rss')} | ${more('rss')} | ${reading.files.join(' + ')} |`,
    );
  }
  const each = ((atRest.cores - empty.cores) * 1e6) / n;
  print(
    `\nat rest: ${(atRest.cores * 100).toFixed(1)} % of a core, without sessions ${(empty.cores * 100).toFixed(1)} % (${each.toFixed(1)} µs a second for each session); commands of Redis/s: ${atRest.redisPerSecond.toFixed(1)}, without sessions ${empty.redisPerSecond.toFixed(1)}`,
  );
  print(
    `streams cut by a balancer that waits for 20 s: ${silences}; a notification reached ${told.heard} of ${n} within ${told.ms.toFixed(0)} ms`,
  );
  print(
    `one of ${WORKERS} workers killed: ${killed.broken} streams broke; all back after ${killed.seconds.toFixed(1)} s, ${killed.perSession.toFixed(1)} commands of Redis for each session that it owned`,
  );
  print(
    `then a notification reached ${killed.told.heard} of ${n}; lost sessions ${killed.lost}, crossed ${killed.crossed}, wrong calls ${killed.wrongCalls} of ${killed.called}`,
  );
}

function disconnect() {
  for (const client of clients) client.close();
  cost?.close();
}
