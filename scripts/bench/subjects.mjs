// What is measured: each subject is a set of processes with a way in. All are started before the first round and stay to the end,
// so that the rounds can be interleaved; all are ended by their pids.
import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { freePort, startPod } from './pod.mjs';

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
        config: {
          workers: subject.workers,
          redis: { url: redisUrl, prefix },
          internal: { host, secret },
          sessions: { max: 100_000, maxPerPrincipal: 100_000 },
          drain: { timeout: '2s' },
          mcpServers: { bench: { type: 'http', url: `http://127.0.0.1:${backendPort}/mcp` } },
        },
      }),
    );
  }
  await Promise.all(pods.map((pod) => pod.ready()));
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
