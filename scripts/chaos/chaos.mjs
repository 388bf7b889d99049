// npm run chaos: a verified load on a real cluster while workers, pods and Redis are killed, paused and replaced. See README.md in
// this folder. Exit code 0: every invariant held; 1: one was broken, or the run failed; 64: bad usage.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { askProcess, coreOf } from '../bench/processes.mjs';
import { processesUnder } from '../bench/proc.mjs';
import { Workplace } from '../bench/workplace.mjs';
import { obtainRedis } from '../obtain-redis.mjs';
import { Balancer } from './balancer.mjs';
import { newSecret, PodPlace, podConfig, RedisServer } from './cluster.mjs';
import { Faults } from './faults.mjs';
import { findLeftKeys } from './left-keys.mjs';
import { Ledger } from './ledger.mjs';
import { Load } from './load.mjs';
import { Probes } from './probes.mjs';
import { makeTakeovers, makeText } from './report.mjs';
import { KINDS, makeSchedule } from './schedule.mjs';
import { Stalls } from './stalls.mjs';
import { judge } from './verdict.mjs';
import { countDeaths } from './worker-deaths.mjs';

const here = import.meta.dirname;
const PREFIX = 'chaos:';
const PODS = 2;
const WORKERS = 2;
const PROBES = 8;
/** No answer by then is a hung call: the gateway's own limit (60 s), what a pause adds, and a slow machine. */
const HUNG_MS = 100_000;
const TEARDOWN_MS = 60_000;
const USAGE = `usage: npm run chaos [-- --minutes 5 --seed N --only kill,pause --clients 24 --json FILE --keep]
faults: ${Object.entries(KINDS)
  .map(([kind, { what }]) => `\n  ${kind.padEnd(14)} ${what}`)
  .join('')}`;

const options = readOptions();
const redis = new RedisServer();
const workplace = new Workplace('berth-chaos-', { first: () => faults?.resumeAll(), last: endWorld });
workplace.isKept = options.keep;
const { processes, dir } = workplace;
const ledger = new Ledger(() => performance.now() - began);
let began = performance.now();
let faults;

process.exitCode = await workplace.run(main);

async function main() {
  obtainRedis();
  const world = await startWorld();
  const { balancer, places, backend } = world;
  const send = (request) => balancer.send(request);
  const session = { send, ledger, path: (server) => `/servers/${server}/mcp`, timeoutMs: HUNG_MS };
  const load = new Load(session, options.seed);
  const probes = new Probes({ session, redisUrl: redis.url, prefix: PREFIX });
  faults = new Faults({ ledger, redis, places, balancer, say, onFault: (fault) => probes.onFault(fault) });
  const schedule = makeSchedule({ ...options, pods: PODS, workers: WORKERS });
  say(
    `${options.clients} clients, ${PROBES} probes, ${schedule.length} faults in ${options.runMs / 1000} s, seed ${options.seed}`,
  );
  began = performance.now();

  const stalls = new Stalls(places, () => ledger.now());
  stalls.start();
  const running = [load.run(clientServers(options.clients)), probes.run(PROBES)];
  const progress = setInterval(() => say(`${ledger.entries.length} requests so far`), 20_000);
  await Promise.all([faults.run(schedule), new Promise((wake) => setTimeout(wake, options.runMs))]);
  await faults.stop();
  clearInterval(progress);
  say('no more faults; ending every session');
  load.stop();
  probes.stop();
  await Promise.all(running);
  stalls.stop();
  await untilTornDown(backend);
  const keys = await findLeftKeys({ url: redis.url, prefix: PREFIX, lostOpenings: countLostOpenings() });
  const record = await askProcess(backend, 'record');
  say('stopping the pods');
  for (const place of places) faults.drains.push({ pod: place.name, ...(await place.drain()) });
  balancer.close();
  return report({ record, keys, places, load, probes, stalls: stalls.seen });
}

async function startWorld() {
  await redis.start(join(dir, 'redis'));
  const backend = await processes.start(join(here, 'backend.mjs'), [], coreOf(undefined));
  const stdioCommand = [join(here, 'stdio-backend.mjs'), join(dir, 'stdio-calls')];
  const secret = newSecret();
  const places = Array.from({ length: PODS }, (_, i) => {
    const host = `127.0.0.${i + 2}`;
    const config = podConfig({ host, redisUrl: redis.url, prefix: PREFIX, secret, backendPort: backend.port, stdioCommand });
    return new PodPlace(`pod ${i + 1}`, { processes, dir: join(dir, `pod-${i + 1}`), host, config });
  });
  await Promise.all(places.map((place) => place.start()));
  const balancer = new Balancer(places);
  balancer.watch();
  return { balancer, places, backend: backend.child };
}

/** Two thirds with an HTTP backend, the rest with a stdio backend of either policy. */
function clientServers(count) {
  return Array.from({ length: count }, (_, i) => ['http', 'http', 'http', 'http', 'again', 'mortal'][i % 6]);
}

/** Sessions that the gateway may have opened without the client ever learning their id. */
function countLostOpenings() {
  const isUnknown = ({ method, outcome }) => method === 'initialize' && ['lost', 'hung', '200 -32012'].includes(outcome);
  return ledger.entries.filter(isUnknown).length;
}

async function untilTornDown(backend) {
  const deadline = performance.now() + TEARDOWN_MS;
  while ((await askProcess(backend, 'open')).open > 0 && performance.now() < deadline)
    await new Promise((wake) => setTimeout(wake, 250));
}

function report({ record, keys, places, load, probes, stalls }) {
  const file = join(dir, 'stdio-calls');
  const stdioNonces = existsSync(file) ? readFileSync(file, 'utf8').split('\n').filter(Boolean) : [];
  const leftovers = [...places.flatMap((place) => place.leftovers), ...processesUnder(dir)];
  const all = [...faults.done, ...stalls];
  const { drains } = faults;
  const verdict = judge({ ledger, faults: all, record, stdioNonces, leftovers, keys, drains, unended: load.unended });
  const counts = {};
  for (const { kind } of faults.done) counts[kind] = (counts[kind] ?? 0) + 1;
  const deaths = countDeaths(dir, places, faults.done);
  const result = {
    seed: options.seed,
    minutes: options.minutes,
    only: options.isAll ? '' : ` --only ${options.only.join(',')}`,
    faults: counts,
    skipped: faults.skipped,
    wrong: ledger.wrong.length,
    deaths,
    takeovers: makeTakeovers(probes.times, all),
    stalls: stalls.length,
    ...verdict,
  };
  process.stdout.write(`\n${makeText(result)}\n`);
  if (options.json) writeFileSync(options.json, JSON.stringify({ ...result, log: all, drains }, undefined, 2));
  const isBroken = verdict.breaches.length > 0;
  if (isBroken) workplace.isKept = true;
  return isBroken ? 1 : 0;
}

function readOptions() {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string', default: '5' },
      seed: { type: 'string', default: String(Math.floor(Math.random() * 1e6)) },
      only: { type: 'string' },
      clients: { type: 'string', default: '24' },
      json: { type: 'string' },
      keep: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  const only = values.only?.split(',') ?? Object.keys(KINDS);
  const [minutes, seed, clients] = [values.minutes, values.seed, values.clients].map(Number);
  if (values.help || !(minutes > 0 && seed >= 0 && clients > 0) || only.some((kind) => !KINDS[kind])) {
    process.stderr.write(`${USAGE}\n`);
    process.exit(values.help ? 0 : 64);
  }
  const { json, keep } = values;
  return { minutes, seed, only, isAll: !values.only, clients, json, keep, runMs: minutes * 60_000 };
}

function say(text) {
  process.stderr.write(`${((performance.now() - began) / 1000).toFixed(1).padStart(7)} s  ${text}\n`);
}

async function endWorld() {
  await redis.crash();
  if (workplace.isKept) say(`logs of the pods: ${dir}`);
}
