// Real Redis servers for tests: each in a temporary directory of its own, without persistence unless asked for, ended by pid.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { waitFor } from './wait-for.js';

const START_MS = 10_000;

export interface RedisServerOptions {
  /** Listens on a free TCP port of this address (127.0.0.1, 127.0.0.2, …); default: a Unix socket only. */
  readonly host?: string;
  /** Keeps data over a restart (append-only file, written at once). Default false. */
  readonly appendonly?: boolean;
  /** Further arguments, such as `--requirepass secret`. */
  readonly args?: readonly string[];
}

export interface RedisServer {
  /** For redis.url. */
  readonly url: string;
  readonly socket: string;
  /** 0 on a Unix socket only. */
  readonly port: number;
  readonly pid: number;
  /** Kills it and removes its directory. */
  stop(): Promise<void>;
  /** Kills it and leaves its address free: connections are refused until `start()`. */
  kill(): Promise<void>;
  /** Starts it again at the same address after `kill()`. */
  start(): Promise<void>;
  /** `kill()` and `start()`. */
  restart(): Promise<void>;
  /** Stops the process (SIGSTOP): connections stay open, nothing is answered. */
  pause(): void;
  resume(): void;
}

/** @returns once the server accepts connections */
export async function startRedis(options: RedisServerOptions = {}): Promise<RedisServer> {
  const dir = mkdtempSync(join(tmpdir(), 'berth-redis-'));
  const socket = join(dir, 'redis.sock');
  const port = options.host ? await freePort(options.host) : 0;
  const args = [
    ...['--dir', dir, '--unixsocket', socket, '--port', String(port), '--save', '', '--loglevel', 'notice'],
    ...(options.host ? ['--bind', options.host] : []),
    ...['--appendonly', options.appendonly ? 'yes' : 'no', '--appendfsync', 'always'],
    ...(options.args ?? []),
  ];
  let child = await launch(args);
  const kill = () => killAndWait(child);
  const start = async () => {
    child = await launch(args);
  };
  return {
    url: options.host ? `redis://${options.host}:${port}` : `unix://${socket}`,
    socket,
    port,
    get pid() {
      return child.pid as number;
    },
    async stop() {
      await kill();
      rmSync(dir, { recursive: true, force: true });
    },
    kill,
    start,
    async restart() {
      await kill();
      await start();
    },
    pause: () => void child.kill('SIGSTOP'),
    resume: () => void child.kill('SIGCONT'),
  };
}

export interface RedisCluster {
  /** For redis.url. */
  readonly url: string;
  readonly servers: readonly RedisServer[];
  stop(): Promise<void>;
}

/** Three masters on loopback, all slots served. */
export async function startRedisCluster(options: Pick<RedisServerOptions, 'appendonly'> = {}): Promise<RedisCluster> {
  const host = '127.0.0.1';
  const members = await Promise.all(
    [0, 1, 2].map(async () => {
      // The bus port would be port + 10000, which may be beyond 65535 for a port the system chose.
      const busPort = await freePort(host);
      const clusterArgs = ['--cluster-enabled', 'yes', '--cluster-node-timeout', '2000', '--cluster-port', String(busPort)];
      return { busPort, server: await startRedis({ ...options, host, args: clusterArgs }) };
    }),
  );
  const servers = members.map(({ server }) => server);
  const clients = servers.map(({ port }) => new Redis(port, host));
  try {
    for (const [i, client] of clients.entries()) {
      const from = Math.floor((16384 * i) / 3);
      const to = Math.floor((16384 * (i + 1)) / 3) - 1;
      await client.call('CLUSTER', 'ADDSLOTSRANGE', from, to);
      await client.call('CLUSTER', 'SET-CONFIG-EPOCH', i + 1);
    }
    for (const { server, busPort } of members.slice(1)) {
      await clients[0]?.call('CLUSTER', 'MEET', host, server.port, busPort);
    }
    await waitFor(
      'every member of the Redis Cluster to serve all slots',
      async () => {
        const infos = (await Promise.all(clients.map((client) => client.call('CLUSTER', 'INFO')))) as string[];
        return infos.every((info) => info.includes('cluster_state:ok') && info.includes('cluster_known_nodes:3'));
      },
      15_000,
    );
  } finally {
    for (const client of clients) client.disconnect();
  }
  return {
    url: `cluster:${servers.map(({ port }) => `${host}:${port}`).join(',')}`,
    servers,
    stop: async () => void (await Promise.all(servers.map((server) => server.stop()))),
  };
}

let binary: string | undefined;

/** @throws Error if there is neither redis-server nor valkey-server on PATH */
function findBinary(): string {
  for (const name of binary ? [] : ['redis-server', 'valkey-server']) {
    try {
      execFileSync(name, ['--version'], { stdio: 'ignore' });
      binary ??= name;
    } catch {
      // Not this one.
    }
  }
  if (!binary) throw new Error('tests need redis-server or valkey-server on PATH');
  return binary;
}

/** @returns once what it prints matches `ready` */
export async function launch(args: readonly string[], ready = /ready to accept connections/i): Promise<ChildProcess> {
  const child = spawn(findBinary(), args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const killWithUs = () => child.kill('SIGKILL');
  process.once('exit', killWithUs);
  await new Promise<void>((resolve, reject) => {
    let log = '';
    const late = setTimeout(() => {
      child.kill('SIGKILL');
      reject(new Error(`redis-server was not ready within ${START_MS} ms: ${log.slice(-1000)}`));
    }, START_MS);
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      // Kept only until it is ready; read on afterwards, so that the pipe never fills.
      if (log.length < 10_000) log += text;
      if (ready.test(log)) {
        clearTimeout(late);
        resolve();
      }
    });
    child.once('exit', (code, signal) => {
      clearTimeout(late);
      process.removeListener('exit', killWithUs);
      reject(new Error(`redis-server ended (${code ?? signal}): ${log.slice(-1000)}`));
    });
    child.once('error', reject);
  });
  return child;
}

export async function killAndWait(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  child.kill('SIGKILL');
  await ended;
}

/** A port that is free at this moment. */
export async function freePort(host = '127.0.0.1'): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve, reject) => probe.once('error', reject).listen(0, host, resolve));
  const address = probe.address();
  await new Promise<void>((resolve) => probe.close(() => resolve()));
  if (!address || typeof address === 'string') throw new Error('no port');
  return address.port;
}
