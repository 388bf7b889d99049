// What is measured: each subject is a set of processes with a way in. All are started before the first round and stay to the end,
// so that the rounds can be interleaved; all are ended by their pids.
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { childrenOf, commandOf } from './proc.mjs';

const here = import.meta.dirname;
const MAIN = join(here, '../../dist/main.js');
const READY_WITHIN_MS = 30_000;

/** In the order of a round: the reference first and, as the control, last. */
export const SUBJECTS = {
  direct: { what: 'load straight to the backend', workers: 0 },
  relay: { what: 'bare relay: node:http and undici dispatch', workers: 0 },
  owner: { what: 'Berth, 1 worker: every request on its owner', pods: 1, workers: 1 },
  random: { what: 'Berth, 2 workers, sessions at random', pods: 1, workers: 2 },
  sibling: { what: 'Berth, 2 workers, every request forwarded (Unix socket)', pods: 1, workers: 2, elsewhere: true },
  tls: { what: 'Berth, 2 pods of 1 worker, every request forwarded (TLS-PSK)', pods: 2, workers: 1 },
};

/** Starts a subject; @returns what a load job needs to know of it. */
export async function startSubject(name, { processes, backendPort, core, otherCore, dir }) {
  const subject = SUBJECTS[name];
  const backend = { host: '127.0.0.1', port: backendPort };
  if (name === 'direct') return { openAt: backend, callAt: backend, path: '/mcp', workers: [], elsewhere: false, gateway: [] };
  if (name === 'relay') {
    const relay = await processes.start('relay.mjs', [`http://127.0.0.1:${backendPort}`], core);
    const at = { host: '127.0.0.1', port: relay.port };
    return { openAt: at, callAt: at, path: '/mcp', workers: [], elsewhere: false, gateway: [relay.pid] };
  }
  // A Redis of its own: what the idle pods of other subjects do there must not be counted.
  const redisUrl = await startRedis(processes, join(dir, `${name}-redis`), otherCore);
  const prefix = `bench-${name}:`;
  const secret = randomBytes(32).toString('hex');
  const pods = [];
  for (let i = 0; i < subject.pods; i += 1) {
    const host = `127.0.0.${i + 2}`;
    pods.push(
      await startPod({
        processes,
        core,
        dir: join(dir, `${name}-${i}`),
        host,
        redisUrl,
        prefix,
        secret,
        backendPort,
        workers: subject.workers,
      }),
    );
  }
  const workers = pods.flatMap((pod) => pod.workers());
  return {
    openAt: pods[0],
    callAt: pods.at(-1),
    path: '/servers/bench/mcp',
    workers,
    elsewhere: subject.elsewhere === true,
    gateway: [...pods.map((pod) => pod.pid), ...workers],
    redis: new Redis(redisUrl),
    metrics: pods.map((pod) => `${pod.admin}/metrics`),
  };
}

async function startRedis(processes, dir, core) {
  mkdirSync(dir, { recursive: true });
  const port = await freePort('127.0.0.1');
  const args = ['--bind', '127.0.0.1', '--port', String(port), '--dir', dir, '--save', '', '--appendonly', 'no'];
  processes.spawn('redis-server', args, { stdio: 'ignore' }, core);
  return `redis://127.0.0.1:${port}`;
}

async function startPod({ processes, core, dir, host, redisUrl, prefix, secret, backendPort, workers }) {
  if (!existsSync(MAIN)) throw new Error('dist/main.js is missing: run `npm run build` first');
  mkdirSync(dir, { recursive: true });
  const port = await freePort(host);
  const adminPort = await freePort(host);
  const config = {
    listen: `${host}:${port}`,
    hosts: ['*'],
    auth: { mode: 'none' },
    admin: { listen: `${host}:${adminPort}`, token: 'bench' },
    workers,
    dataDir: join(dir, 'data'),
    redis: { url: redisUrl, prefix },
    internal: { host, secret },
    sessions: { max: 100_000, maxPerPrincipal: 100_000 },
    drain: { timeout: '2s' },
    log: { level: 'info', format: 'json' },
    mcpServers: { bench: { type: 'http', url: `http://127.0.0.1:${backendPort}/mcp` } },
  };
  const file = join(dir, 'berth.json');
  writeFileSync(file, JSON.stringify(config, undefined, 2));
  // Logs are on, as in production, and go where nobody has to read them.
  const child = processes.spawn(
    process.execPath,
    [MAIN, 'serve', '--config', file],
    { cwd: dir, stdio: ['ignore', 'ignore', 'inherit'] },
    core,
  );
  const admin = `http://${host}:${adminPort}`;
  await untilReady(`${admin}/readyz`, child);
  const workerPids = () => childrenOf(child.pid).filter((pid) => commandOf(pid).includes('main.js'));
  return { pid: child.pid, host, port, admin, workers: workerPids };
}

async function untilReady(url, child) {
  const deadline = performance.now() + READY_WITHIN_MS;
  while (performance.now() < deadline && child.exitCode === null) {
    const answer = await fetch(url).catch(() => undefined);
    await answer?.body?.cancel();
    if (answer?.status === 200) return;
    await new Promise((wake) => setTimeout(wake, 50));
  }
  throw new Error(`the pod did not become ready: ${url}, exit code ${child.exitCode}`);
}

export async function freePort(host) {
  const probe = createServer();
  await new Promise((resolve, reject) => probe.once('error', reject).listen(0, host, resolve));
  const { port } = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  return port;
}
