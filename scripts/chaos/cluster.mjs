// What the faults hit: a Redis of our own (append-only file, written once a second, as in production) and pods in the loopback
// range. Addresses and ports stay the same over every restart.
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { freePort, startPod } from '../bench/pod.mjs';
import { isGone, processesUnder } from '../bench/proc.mjs';
import { coreOf } from '../bench/processes.mjs';

const REDIS_READY_MS = 30_000;
/** As in production. */
const APPEND_ONLY = ['--save', '', '--appendonly', 'yes', '--appendfsync', 'everysec'];
const GONE_WITHIN_MS = 20_000;
const sleep = (ms) => new Promise((wake) => setTimeout(wake, ms));

export class RedisServer {
  url;
  isUp = false;
  #child;
  #program;
  #args;

  /** @param persistence arguments of the program */
  async start(dir, program = 'redis-server', persistence = APPEND_ONLY) {
    this.#program = program;
    mkdirSync(dir, { recursive: true });
    const port = await freePort('127.0.0.1');
    this.url = `redis://127.0.0.1:${port}`;
    this.#args = ['--bind', '127.0.0.1', '--port', String(port), '--dir', dir, ...persistence];
    await this.startAgain();
  }

  /** @returns when it answers */
  async startAgain() {
    // A group of its own: a Ctrl-C must not end it before the pods.
    this.#child = spawn(this.#program, this.#args, { stdio: 'ignore', detached: true });
    // A crash of this program must not leave it behind.
    const child = this.#child;
    const killWithUs = () => child.kill('SIGKILL');
    process.once('exit', killWithUs);
    child.once('exit', () => process.removeListener('exit', killWithUs));
    const client = new Redis(this.url, { lazyConnect: true, retryStrategy: () => null, maxRetriesPerRequest: 0 });
    client.on('error', () => undefined);
    const deadline = performance.now() + REDIS_READY_MS;
    for (;;) {
      const said = await client
        .connect()
        .then(() => client.ping())
        .catch(() => undefined);
      client.disconnect();
      if (said === 'PONG') break;
      if (performance.now() > deadline) throw new Error('redis-server does not answer');
      await sleep(50);
    }
    this.isUp = true;
  }

  pause() {
    this.isUp = false;
    this.#child.kill('SIGSTOP');
  }

  resume() {
    this.#child.kill('SIGCONT');
    this.isUp = true;
  }

  /** kill -9: what it had written stays in its file. */
  async crash() {
    this.isUp = false;
    if (!this.#child) return;
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill('SIGKILL');
    await ended;
  }
}

/** One address of the cluster: the pod that lives there now, and what the balancer needs to know. */
export class PodPlace {
  name;
  host;
  port;
  readyUrl;
  /** Told to end: out of the balancer, whatever its readiness says. */
  isEnding = false;
  isUp = false;
  /** Processes that a dead pod left behind. */
  leftovers = [];
  #options;
  #pod;

  /** @param options `{ processes, dir, host, config, nodeArgs, env }`; the last two as startPod has them */
  constructor(name, options) {
    this.name = name;
    this.host = options.host;
    this.#options = options;
  }

  get pid() {
    return this.#pod.pid;
  }

  get adminUrl() {
    return this.#pod.admin;
  }

  workers() {
    return this.isUp ? this.#pod.workers() : [];
  }

  /** @returns when it is ready */
  async start() {
    const { processes, dir, host, config, nodeArgs, env } = this.#options;
    const ports = this.#pod && { port: this.#pod.port, adminPort: this.#pod.adminPort };
    mkdirSync(dir, { recursive: true });
    const logFile = join(dir, 'log.jsonl');
    const core = coreOf(undefined);
    this.#pod = await startPod({ processes, core, dir, host, config, ports, logFile, nodeArgs, env, follows: true });
    this.port = this.#pod.port;
    this.readyUrl = `${this.#pod.admin}/readyz`;
    await this.#pod.ready();
    this.isUp = true;
    this.isEnding = false;
  }

  /** kill -9 of the primary alone, or of every process at once, as when the machine is gone. */
  async kill(how) {
    this.isUp = false;
    const all = processesUnder(this.#options.dir);
    process.kill(this.#pod.pid, 'SIGKILL');
    if (how === 'pod') for (const pid of all) killIfThere(pid);
    await this.#pod.exited;
    await this.#untilGone();
  }

  /** SIGTERM. @returns `{ code, signal }` */
  async drain() {
    this.isUp = false;
    this.isEnding = true;
    this.#pod.child.kill('SIGTERM');
    const status = await this.#pod.exited;
    await this.#untilGone();
    return status;
  }

  async #untilGone() {
    const deadline = performance.now() + GONE_WITHIN_MS;
    let left = processesUnder(this.#options.dir);
    while (left.length > 0 && performance.now() < deadline) {
      await sleep(50);
      left = processesUnder(this.#options.dir);
    }
    this.leftovers.push(...left);
    for (const pid of left) killIfThere(pid);
  }
}

function killIfThere(pid) {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (error.code !== 'ESRCH') throw error;
  }
}

/** SIGSTOP and SIGCONT; @returns false if it has ended */
export function signalWorker(pid, signal) {
  try {
    process.kill(pid, signal);
    return !isGone(pid);
  } catch (error) {
    if (error.code !== 'ESRCH') throw error;
    return false;
  }
}

/** The configuration of a pod: defaults wherever a fault is judged by them (lease 6 s, hold 10 s). */
export function podConfig({ host, redisUrl, prefix, secret, backendPort, stdioCommand }) {
  const stdio = { command: process.execPath, args: stdioCommand };
  return {
    workers: 2,
    redis: { url: redisUrl, prefix },
    internal: { host, secret },
    limits: { requestTimeout: '60s' },
    drain: { delay: '1s', timeout: '15s' },
    mcpServers: {
      http: { type: 'http', url: `http://127.0.0.1:${backendPort}/mcp` },
      again: { ...stdio, onStateLoss: 'reinitialize' },
      mortal: { ...stdio, onStateLoss: 'fail' },
    },
  };
}

export const newSecret = () => randomBytes(32).toString('hex');
