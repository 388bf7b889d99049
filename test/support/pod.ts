// A pod under test: the built product as real processes with a configuration and a temporary directory of its own. Whoever starts
// one disposes of it; anything of it that is still there afterwards fails the test and is killed.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { LogRing, type LogLine } from './log-ring.js';
import { freePort } from './ports.js';
import { childrenOf, commandOf, holderOfTcp, isAlive, killNow, processesOf } from './processes.js';
import { beginRaw, type RawAnswer, type RawRequest, sendRaw } from './raw-request.js';
import { waitFor } from './wait-for.js';

const MAIN = join(__dirname, '../../dist/main.js');
export const ADMIN_TOKEN = 'test-admin-token';

/** Backends, servers, limits …: whatever of berth.yaml a test cares about. The rest is filled in. */
export type PodConfig = Record<string, unknown>;

export interface PodOptions {
  readonly config: PodConfig;
  readonly env?: Record<string, string>;
  /** Address of the pod in the loopback range. Default 127.0.0.1. */
  readonly host?: string;
  /** A file that is served instead, by its path below the pod's directory; what else `config` fills in comes from the environment. */
  readonly pasted?: { readonly path: string; readonly text: string };
  /** Arguments of node itself, for the primary and its workers. */
  readonly nodeArgs?: readonly string[];
  /** Further arguments of `berth serve`. */
  readonly args?: readonly string[];
  /** Goes on in the directory (data, ports, configuration) of a pod that has ended. */
  readonly dir?: string;
}

export interface ExitStatus {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface Pod {
  readonly host: string;
  readonly port: number;
  readonly origin: string;
  readonly dir: string;
  /** Of the primary. */
  readonly pid: number;
  url(path: string): string;
  adminUrl(path: string): string;
  /** Pids of the live workers. */
  workers(): number[];
  /** Every live process that descends from this pod. */
  processes(): number[];
  logs(): readonly LogLine[];
  stderr(): string;
  readonly exited: Promise<ExitStatus>;
  /** Sends a signal to the primary, nothing else. */
  signal(signal: NodeJS.Signals): void;
  /** Signals the primary and waits for its end. */
  stop(signal?: NodeJS.Signals, withinMs?: number): Promise<ExitStatus>;
  /** A new connection that this worker holds. */
  connectTo(worker: number): Promise<Socket>;
  /** One request through exactly this worker. */
  sendTo(worker: number, request: RawRequest): Promise<RawAnswer>;
  beginAt(worker: number, request: RawRequest): ReturnType<typeof beginRaw>;
  /** Stops it if it runs, checks that nothing is left, removes its directory. @throws Error naming the leftovers */
  dispose(options?: { readonly keepDir?: boolean }): Promise<void>;
}

/** On a busy machine the start of half a dozen processes at once takes most of it. */
const READY_WITHIN_MS = 90_000;
const STOP_WITHIN_MS = 40_000;
const GONE_WITHIN_MS = 3_000;

/** @returns once the admin port says that the pod is ready @throws Error as soon as it has ended instead */
export async function startPod(options: PodOptions): Promise<Pod> {
  const pod = await launchPod(options);
  try {
    const ready = await waitFor(
      () => `pod ${pod.host} to be ready; its log:\n${tail(pod)}`,
      async () => {
        // No error: that would be tried again up to the deadline.
        if (!isAlive(pod.pid)) return 'ended';
        return (await fetch(pod.adminUrl('/readyz'))).status === 200 && pod.workers().length > 0;
      },
      READY_WITHIN_MS,
    );
    if (ready === 'ended') throw new Error(`pod ${pod.host} ended: ${JSON.stringify(await pod.exited)}; its log:\n${tail(pod)}`);
    return pod;
  } catch (error) {
    await pod.dispose().catch(() => undefined);
    throw error;
  }
}

/** As `startPod`, without waiting for readiness. */
export async function launchPod(options: PodOptions): Promise<Pod> {
  if (!existsSync(MAIN)) throw new Error('dist/main.js is missing: run `npm run build` first');
  const host = options.host ?? '127.0.0.1';
  const dir = options.dir ?? mkdtempSync(join(tmpdir(), 'berth-pod-'));
  const temporary = join(dir, 't');
  mkdirSync(temporary, { recursive: true });
  const file = join(dir, 'berth.json');
  const [port, adminPort] = keptPorts(file) ?? [await freePort(host), await freePort(host)];
  writeFileSync(file, JSON.stringify(completeConfig(options.config, host, port, adminPort), undefined, 2));

  const pasted = options.pasted && writePasted(dir, options.pasted, { host, port, adminPort });
  const args = [...(options.nodeArgs ?? []), MAIN, 'serve', '--config', pasted?.file ?? file, ...(options.args ?? [])];
  const child = spawn(process.execPath, args, {
    cwd: dir,
    env: { PATH: process.env.PATH ?? '', HOME: process.env.HOME ?? '', TMPDIR: temporary, ...pasted?.env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ring = new LogRing(child);
  const exited = new Promise<ExitStatus>((resolve) => child.once('exit', (code, signal) => resolve({ code, signal })));
  const origin = `http://${host}:${port}`;
  const pid = child.pid as number;
  const pod: Pod = {
    host,
    port,
    origin,
    dir,
    pid,
    exited,
    url: (path) => origin + path,
    adminUrl: (path) => `http://${host}:${adminPort}${path}`,
    workers: () => childrenOf(pid).filter((one) => commandOf(one).includes('main.js')),
    processes: () => processesOf(dir),
    logs: () => ring.lines,
    stderr: () => ring.stderr,
    signal: (signal) => void child.kill(signal),
    stop: (signal = 'SIGTERM', withinMs = STOP_WITHIN_MS) => {
      child.kill(signal);
      return waitFor(
        () => `pod ${host} to end on ${signal}; its log:\n${tail(pod)}`,
        () => ended(child),
        withinMs,
      );
    },
    connectTo: (worker) => connectTo(pod, worker),
    sendTo: async (worker, request) => sendRaw(origin, request, await connectTo(pod, worker)),
    beginAt: async (worker, request) => beginRaw(origin, request, await connectTo(pod, worker)),
    async dispose({ keepDir = false } = {}) {
      try {
        if (ended(child) === undefined) await pod.stop();
        await waitFor(
          () => `pod ${host} to leave no process: ${pod.processes().map((one) => `${one} ${commandOf(one)}`)}`,
          () => pod.processes().length === 0,
          GONE_WITHIN_MS,
        );
      } finally {
        child.kill('SIGKILL');
        for (const one of pod.processes()) killNow(one);
        if (!keepDir) rmSync(dir, { recursive: true, force: true });
      }
    },
  };
  return pod;
}

interface Place {
  readonly host: string;
  readonly port: number;
  readonly adminPort: number;
}

function writePasted(
  dir: string,
  { path, text }: { readonly path: string; readonly text: string },
  { host, port, adminPort }: Place,
) {
  const file = join(dir, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  const env = {
    BERTH_LISTEN: `${host}:${port}`,
    BERTH_ADMIN__LISTEN: `${host}:${adminPort}`,
    BERTH_ADMIN_TOKEN: ADMIN_TOKEN,
    BERTH_WORKERS: '1',
    BERTH_DATA_DIR: join(dir, 'data'),
    BERTH_DRAIN__TIMEOUT: '5s',
  };
  return { file, env };
}

/** Those of the pod that was here before: its clients come back to them. */
function keptPorts(file: string): [number, number] | undefined {
  if (!existsSync(file)) return undefined;
  const { listen, admin } = JSON.parse(readFileSync(file, 'utf8')) as { listen: string; admin: { listen: string } };
  const portOf = (address: string) => Number(address.slice(address.lastIndexOf(':') + 1));
  return [portOf(listen), portOf(admin.listen)];
}

function completeConfig(config: PodConfig, host: string, port: number, adminPort: number): PodConfig {
  return {
    listen: `${host}:${port}`,
    hosts: ['*'],
    auth: { mode: 'none' },
    workers: 2,
    dataDir: 'data',
    drain: { delay: '0s', timeout: '5s' },
    log: { level: 'debug', format: 'json' },
    ...config,
    admin: { listen: `${host}:${adminPort}`, token: ADMIN_TOKEN, ...(config.admin as object | undefined) },
  };
}

const CONNECT_ATTEMPTS = 64;

/** By pod: the attempt that is under way. */
const connecting = new WeakMap<Pod, Promise<unknown>>();

/**
 * The primary deals connections out in turn: some attempts reach every worker that accepts. One caller at a time: two that want
 * different workers and try in step would each be dealt the other's for ever.
 */
function connectTo(pod: Pod, worker: number): Promise<Socket> {
  const mine = () => attemptToConnect(pod, worker);
  const turn = (connecting.get(pod) ?? Promise.resolve()).then(mine, mine);
  connecting.set(pod, turn);
  return turn;
}

async function attemptToConnect(pod: Pod, worker: number): Promise<Socket> {
  for (let attempt = 0; attempt < CONNECT_ATTEMPTS; attempt += 1) {
    const socket = connect({ host: pod.host, port: pod.port });
    await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    const here = { address: socket.localAddress ?? '', port: socket.localPort ?? 0 };
    const holder = await waitFor(`a worker of ${pod.host} to accept`, () =>
      holderOfTcp({ address: pod.host, port: pod.port }, here, pod.workers()),
    );
    if (holder === worker) return socket;
    socket.destroy();
  }
  throw new Error(`worker ${worker} of ${pod.host} accepted none of ${CONNECT_ATTEMPTS} connections`);
}

function ended(child: ChildProcess): ExitStatus | undefined {
  return child.exitCode === null && child.signalCode === null ? undefined : { code: child.exitCode, signal: child.signalCode };
}

/** The last lines of a pod's log, for the message of a failed wait. */
export function tail(pod: Pod, count = 15): string {
  return [
    ...pod
      .logs()
      .slice(-count)
      .map((line) => JSON.stringify(line)),
    pod.stderr().slice(-2000),
  ].join('\n');
}
