// What is measured: each subject is a set of processes with a way in. All are started before the first round and stay to the end,
// so that the rounds can be interleaved; all are ended by their pids.
import { spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { basename, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { freePort, startPod } from './pod.mjs';
import { childrenOf } from './proc.mjs';
import { BALANCERS } from './references/balancers.mjs';

export const KEY = 'bench-key';
export const KEYS = { mode: 'keys', keys: [{ id: 'bench', sha256: createHash('sha256').update(KEY).digest('hex') }] };
const PROBE = pathToFileURL(join(import.meta.dirname, 'probe.mjs')).href;
const berth = (what, more) => ({ what, start: startBerth, pods: 1, workers: 1, ...more });

export const SUBJECTS = {
  direct: { what: 'the load straight to the backend', start: startDirect },
  relay: { what: 'bare relay: node:http and undici dispatch', start: startRelay },
  'watched-relay': { what: 'as relay, with a look at the event loop each ms', start: startRelay, probe: { BENCH_STALLS: '1' } },
  nginx: { what: 'nginx, hash of Mcp-Session-Id', start: startBalancer },
  haproxy: { what: 'HAProxy, stick store-response on Mcp-Session-Id', start: startBalancer },
  naive: { what: 'SDK server transport in front of an SDK client, under Express', start: startNaive },
  hop: { what: 'two bare relays in a row: a hop over HTTP/1.1', start: startHop },
  frames: { what: 'two bare relays with frames between them, over a Unix socket', start: startFrames },
  pubsub: { what: 'a hop over Redis pub/sub', start: startPubsub },
  owner: berth('Berth, 1 worker: every request on its owner'),
  plain: berth('the same without authentication and log', { config: { auth: { mode: 'none' }, log: { level: 'error' } } }),
  random: berth('Berth, 2 workers, sessions at random', { workers: 2 }),
  os: berth('the same, scheduling: os', { workers: 2, config: { scheduling: 'os' } }),
  'reuse-port': berth('the same, scheduling: reuse-port', { workers: 2, config: { scheduling: 'reuse-port' } }),
  sibling: berth('Berth, 2 workers, every request forwarded (Unix socket)', { workers: 2, elsewhere: true }),
  'one-way': berth('the same, one worker has all connections and the other one all sessions', {
    workers: 2,
    elsewhere: true,
    isOneWay: true,
  }),
  tls: berth('Berth, 2 pods of 1 worker, every request forwarded (TLS-PSK)', { pods: 2 }),
  watched: berth('as owner, with a look at the event loop each ms', { probe: { BENCH_STALLS: '1' } }),
  aggregate: berth('Berth, 1 worker, 3 backends behind /mcp', { backends: 3, path: '/mcp', isOnlyListed: true }),
  idle: berth('Berth, 1 worker, for its memory', { probe: {} }),
  listening: berth('Berth, 1 worker, each session with a GET stream relayed to one of the backend', {
    probe: {},
    backendPath: '/streams/mcp',
  }),
  'naive-idle': { what: 'naive, for its memory', start: startNaive, probe: {} },
  growing: berth('Berth, 1 worker, more and more live sessions'),
};

/**
 * Starts a subject.
 * @param bench `{ processes, backendPort, core, otherCore, dir, against, profileDir, imports }`; `imports`: modules that the gateway's
 *   processes load first
 * @returns what a load job needs to know of it, or `{ missing }` where a program it needs is not there
 */
export async function startSubject(name, bench) {
  const [plainName, before] = name.split('@');
  const subject = SUBJECTS[plainName];
  const dir = join(bench.dir, name);
  mkdirSync(dir, { recursive: true });
  const started = await subject.start({ ...bench, dir, main: before && join(bench.against, 'dist/main.js') }, subject, plainName);
  return {
    name,
    path: '/mcp',
    headers: '',
    workers: [],
    elsewhere: subject.elsewhere === true,
    isOneWay: subject.isOneWay === true,
    isOnlyListed: subject.isOnlyListed,
    probeDir: dir,
    ...started,
  };
}

const at = (port) => ({ openAt: { host: '127.0.0.1', port }, callAt: { host: '127.0.0.1', port } });

function startDirect({ backendPort }) {
  return { ...at(backendPort), gateway: [] };
}

async function startRelay({ processes, backendPort, core, dir, profileDir }, { probe }, name) {
  const watching = probe ? ['--import', PROBE] : [];
  const extra = { args: [...profilingArgs(profileDir, name), ...watching], env: { ...process.env, BENCH_PROBE: dir, ...probe } };
  const relay = await processes.start('references/relay.mjs', [`http://127.0.0.1:${backendPort}`], core, extra);
  return { ...at(relay.port), gateway: [relay.pid] };
}

const profilingArgs = (profileDir, name) => (profileDir ? ['--cpu-prof', `--cpu-prof-dir=${join(profileDir, name)}`] : []);

async function startHop({ processes, backendPort, core }) {
  const owner = await processes.start('references/relay.mjs', [`http://127.0.0.1:${backendPort}`], core);
  const edge = await processes.start('references/relay.mjs', [`http://127.0.0.1:${owner.port}`], core);
  return { ...at(edge.port), gateway: [edge.pid, owner.pid] };
}

async function startFrames({ processes, backendPort, core, dir }) {
  const args = (role) => [`http://127.0.0.1:${backendPort}`, join(dir, 'hop.sock'), role];
  const owner = await processes.start('references/frames-hop.mjs', args('owner'), core);
  const edge = await processes.start('references/frames-hop.mjs', args('edge'), core);
  return { ...at(edge.port), gateway: [edge.pid, owner.pid] };
}

async function startPubsub({ processes, backendPort, core, dir }) {
  // On the core of the gateway: Redis is what carries a request there, and a core of its own would be a gift.
  const { url: redisUrl, pid } = await startRedis(processes, dir, core);
  const args = (role) => [`http://127.0.0.1:${backendPort}`, redisUrl, role];
  const owner = await processes.start('references/pubsub-hop.mjs', args('owner'), core);
  const edge = await processes.start('references/pubsub-hop.mjs', args('edge'), core);
  return {
    ...at(edge.port),
    gateway: [edge.pid, owner.pid, pid],
    redisUrl,
  };
}

async function startNaive({ processes, backendPort, core, dir }, { probe }) {
  const extra = probe && { args: ['--import', PROBE], env: { ...process.env, BENCH_PROBE: dir, ...probe } };
  const naive = await processes.start('references/naive.mjs', [`http://127.0.0.1:${backendPort}/mcp`], core, extra);
  return { ...at(naive.port), gateway: [naive.pid] };
}

async function startBalancer({ processes, backendPort, core, dir }, _subject, program) {
  if (spawnSync(program, ['-v']).error) return { missing: `${program} is not installed` };
  const port = await freePort('127.0.0.1');
  const { args, conf } = BALANCERS[program];
  writeFileSync(join(dir, 'conf'), conf(dir, port, backendPort));
  const child = processes.spawn(program, args(dir), { stdio: ['ignore', 'ignore', 'inherit'] }, core);
  await untilListens(port);
  return { ...at(port), gateway: [child.pid, ...childrenOf(child.pid)] };
}

async function startBerth({ processes, backendPort, core, otherCore, dir, main, profileDir, imports = [] }, subject) {
  // A Redis of its own: what the idle pods of other subjects do there must not be counted.
  const { url: redisUrl } = await startRedis(processes, dir, otherCore);
  const secret = randomBytes(32).toString('hex');
  const { config, probe, path = '/servers/bench/mcp', backends = 1, backendPath = '/mcp' } = subject;
  const nodeArgs = [
    ...profilingArgs(profileDir, basename(dir)),
    ...[...(probe ? [PROBE] : []), ...imports].flatMap((module) => ['--import', module]),
  ];
  const names = Array.from({ length: backends }, (_, index) => (index === 0 ? 'bench' : `bench${index}`));
  const url = `http://127.0.0.1:${backendPort}${backendPath}`;
  const start = (_, i) => {
    const host = `127.0.0.${i + 2}`;
    return startPod({
      ...{ processes, core, dir: join(dir, String(i)), host, main, nodeArgs, env: { BENCH_PROBE: dir, ...probe } },
      config: {
        workers: subject.workers,
        redis: { url: redisUrl, prefix: 'bench:' },
        internal: { host, secret },
        // Nothing is released: what an idle session costs is asked of one that is still in memory.
        sessions: { max: 100_000, maxPerPrincipal: 100_000, releaseAfter: '0s' },
        drain: { timeout: '2s' },
        // No connection of the load is closed while others take their turns.
        limits: { keepAliveTimeout: '1h' },
        auth: KEYS,
        mcpServers: Object.fromEntries(names.map((name) => [name, { type: 'http', url }])),
        ...config,
      },
    });
  };
  const pods = await Promise.all(Array.from({ length: subject.pods }, start));
  await Promise.all(pods.map((pod) => pod.ready()));
  const workers = pods.flatMap((pod) => pod.workers());
  const where = ({ host, port }) => ({ host, port });
  return {
    openAt: where(pods[0]),
    callAt: where(pods.at(-1)),
    path,
    headers: `authorization: Bearer ${KEY}\r\n`,
    workers,
    gateway: [...pods.map((pod) => pod.pid), ...workers],
    redisUrl,
    admins: pods.map((pod) => pod.admin),
  };
}

async function startRedis(processes, dir, core) {
  mkdirSync(dir, { recursive: true });
  const port = await freePort('127.0.0.1');
  const args = ['--bind', '127.0.0.1', '--port', String(port), '--dir', dir, '--save', '', '--appendonly', 'no'];
  const { pid } = processes.spawn('redis-server', args, { stdio: 'ignore' }, core);
  await untilListens(port);
  return { url: `redis://127.0.0.1:${port}`, pid };
}

async function untilListens(port) {
  for (let tries = 0; ; tries += 1) {
    const socket = connect(port, '127.0.0.1');
    const failure = await new Promise((resolve) => socket.once('connect', resolve).once('error', resolve));
    socket.destroy();
    if (!failure) return;
    if (tries > 500) throw new Error(`nothing listens on ${port}: ${failure.message}`);
    await new Promise((wake) => setTimeout(wake, 20));
  }
}
