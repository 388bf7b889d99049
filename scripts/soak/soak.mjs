// npm run soak: two pods of two workers under session churn, every answer verified, and looked at all the time whether anything grows:
// memory, descriptors, keys and connections of Redis, sessions and connections of the backend. When the last session has ended everything
// has to be gone. Exit code 0: flat, and nothing left; 1: something grows, is left, or was answered wrongly; 64: bad usage.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { askProcess, coreOf } from '../bench/processes.mjs';
import { processesUnder } from '../bench/proc.mjs';
import { Workplace } from '../bench/workplace.mjs';
import { Balancer } from '../chaos/balancer.mjs';
import { newSecret, PodPlace, RedisServer } from '../chaos/cluster.mjs';
import { Load } from '../chaos/load.mjs';
import { obtainRedis } from '../obtain-redis.mjs';
import { Census } from './census.mjs';
import { SoakLedger } from './ledger.mjs';
import { plotSoak } from './plot.mjs';
import { Strays } from './strays.mjs';
import { judgeRun, judgeSeries, LIMITS } from './verdict.mjs';

const here = import.meta.dirname;
const PREFIX = 'soak:';
const SERVER = 'http';
const IDLE_S = 20;
const RELEASE_S = 4;
/** An answer that has not come by then never will. */
const HUNG_MS = 70_000;
/** What sessions leave behind for a while: streams for two minutes, tombstones for one. */
const WARM_UP_S = 150;
const LEAST_JUDGED = 0.35;
const SAMPLES = 60;
const FASTEST_S = 3;
/** Idle limit, sweep, teardown. */
const EMPTY_WITHIN_MS = 120_000;
const USAGE = 'usage: npm run soak [-- --minutes 10 (2 at least) --seed N --clients 16 --strays 8 --out DIR]\n';

const options = readOptions();
const redis = new RedisServer();
const workplace = new Workplace('berth-soak-', { last: () => redis.crash() });
const { processes, dir } = workplace;
const probeDir = join(dir, 'probe');
const began = performance.now();
const seconds = () => (performance.now() - began) / 1000;
const say = (text) => process.stderr.write(`${seconds().toFixed(0).padStart(6)} s  ${text}\n`);
const sleep = (ms) => new Promise((wake) => setTimeout(wake, ms));

process.exitCode = await workplace.run(main);

async function main() {
  await redis.start(join(dir, 'redis'), obtainRedis());
  mkdirSync(probeDir);
  const { child: backend, port: backendPort } = await processes.start(join(here, '../chaos/backend.mjs'), [], coreOf(undefined));
  const places = await startPods(backendPort);
  const countOpen = async () => (await askProcess(backend, 'open')).open;
  const census = new Census({ redisUrl: redis.url, prefix: PREFIX, places, probeDir, backendPort, countOpen });
  const balancer = new Balancer(places);
  const before = { seconds: seconds(), values: await census.take() };
  const ledger = new SoakLedger();
  const parts = {
    send: (request) => balancer.send(request),
    ledger,
    path: (server) => `/servers/${server}/mcp`,
    timeoutMs: HUNG_MS,
  };
  const load = new Load(parts, options.seed);
  const strays = new Strays(parts, { seed: options.seed + 1, restMs: 2 * RELEASE_S * 1000 });
  const running = [load.run(Array(options.clients).fill(SERVER)), strays.run(SERVER, options.strays)];
  say(`${options.clients} clients and ${options.strays} strays for ${options.minutes} minutes, seed ${options.seed}`);
  const startedAt = performance.now();
  const samples = await watch(census, startedAt);
  say('ending every session');
  load.stop();
  strays.stop();
  await Promise.all(running);
  const leftKeys = await untilEmpty(census, countOpen);
  const after = { seconds: seconds(), values: await census.take() };
  const record = await askProcess(backend, 'record');
  const fromSeconds = Math.min(WARM_UP_S, options.minutes * 60 * (1 - LEAST_JUDGED));
  const judgedFrom = Math.max(fromSeconds, options.minutes * 30);
  const series = judgeSeries(samples, judgedFrom);
  if (load.unended > 0) ledger.reportWrong('sessions that could not be ended', load.unended, SERVER);
  const run = { series, failures: ledger.failures, wrong: ledger.wrong, leftKeys, breaches: record.breaches, before, after };
  run.openBackendSessions = await countOpen();
  const faults = judgeRun(run);
  say('stopping the pods');
  for (const place of places) {
    const { code } = await place.drain();
    if (code !== 0) faults.push(`${place.name} ended with ${code}`);
    for (const left of place.leftovers) faults.push(`process ${left} is left of ${place.name}`);
  }
  for (const left of processesUnder(dir)) faults.push(`process ${left} is left`);
  census.close();
  const totals = {
    requests: ledger.requests,
    sessions: record.sessions.length,
    strays: strays.counts,
    resumptions: strays.resumptions,
  };
  report({ ...totals, series, faults, judgedFrom }, samples);
  return faults.length === 0 ? 0 : 1;
}

async function startPods(backendPort) {
  const secret = newSecret();
  const places = [2, 3].map((last) => {
    const host = `127.0.0.${last}`;
    const config = {
      workers: 2,
      redis: { url: redis.url, prefix: PREFIX },
      internal: { host, secret },
      sessions: { idleTimeout: `${IDLE_S}s`, releaseAfter: `${RELEASE_S}s`, max: 100_000 },
      mcpServers: { [SERVER]: { type: 'http', url: `http://127.0.0.1:${backendPort}/mcp` } },
    };
    const nodeArgs = ['--import', pathToFileURL(join(here, '../bench/probe.mjs')).href];
    const place = { processes, dir: join(dir, `pod-${last - 1}`), host, config, nodeArgs, env: { BENCH_PROBE: probeDir } };
    return new PodPlace(`pod ${last - 1}`, place);
  });
  await Promise.all(places.map((place) => place.start()));
  // A worker that has not loaded its probe yet would die of being asked.
  for (const { adminUrl } of places) {
    while ((await fetch(`${adminUrl}/metrics`)).headers.get('x-berth-workers-reporting') !== '2/2') await sleep(100);
  }
  return places;
}

/** @returns samples, their seconds counted from the start of the load */
async function watch(census, startedAt) {
  const everyMs = Math.max(FASTEST_S, (options.minutes * 60) / SAMPLES) * 1000;
  const samples = [];
  for (let at = startedAt + everyMs; at <= startedAt + options.minutes * 60_000; at += everyMs) {
    await sleep(Math.max(0, at - performance.now()));
    samples.push({ seconds: (performance.now() - startedAt) / 1000, values: await census.take() });
  }
  return samples;
}

/** @returns keys that are left */
async function untilEmpty(census, countOpen) {
  const deadline = performance.now() + EMPTY_WITHIN_MS;
  for (;;) {
    const keys = await census.keys();
    if ((keys.length === 0 && (await countOpen()) === 0) || performance.now() > deadline) return keys;
    await sleep(500);
  }
}

function show(kind, value) {
  return LIMITS[kind].unit === 'bytes' ? `${(value / 2 ** 20).toFixed(1)} MiB` : String(Math.round(value) || 0);
}

function report(result, samples) {
  const { series, faults, requests, sessions, strays, resumptions, judgedFrom } = result;
  const head = ['series', 'mean', 'a minute', 'rise', 'allowed', ''];
  const rows = series.map(({ name, kind, mean, perMinute, rise, allowed, verdict }) =>
    verdict === 'too few'
      ? [name, '', '', '', '', verdict]
      : [name, ...[mean, perMinute, rise, allowed].map((value) => show(kind, value)), verdict],
  );
  const habits = Object.entries(strays).map(([habit, count]) => `${habit} ${count}`);
  const text = [
    `node ${process.version}, ${options.minutes} minutes, seed ${options.seed}; judged from ${judgedFrom.toFixed(0)} s, ${samples.length} samples`,
    `${requests} requests, ${sessions} backend sessions; strays: ${habits.join(', ')}; ${resumptions} streams resumed`,
    '',
    ...[head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`),
    '',
    faults.length === 0 ? 'flat, and nothing is left' : faults.map((fault) => `FAULT  ${fault}`).join('\n'),
  ].join('\n');
  process.stdout.write(`${text}\n`);
  if (!options.out) return;
  mkdirSync(options.out, { recursive: true });
  writeFileSync(join(options.out, 'soak.txt'), `${text}\n`);
  writeFileSync(join(options.out, 'soak.json'), JSON.stringify({ ...result, samples }, undefined, 1));
  writeFileSync(join(options.out, 'soak.svg'), plotSoak(samples, series, judgedFrom, show));
}

function readOptions() {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string', default: '10' },
      seed: { type: 'string', default: String(Math.floor(Math.random() * 1e6)) },
      clients: { type: 'string', default: '16' },
      strays: { type: 'string', default: '8' },
      out: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  const [minutes, seed, clients, strays] = [values.minutes, values.seed, values.clients, values.strays].map(Number);
  if (values.help || !(minutes >= 2 && seed >= 0 && clients > 0 && strays > 0)) {
    process.stderr.write(USAGE);
    process.exit(values.help ? 0 : 64);
  }
  return { minutes, seed, clients, strays, out: values.out };
}
