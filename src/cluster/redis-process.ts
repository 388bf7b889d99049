// One redis-server (or valkey-server) process as a child of the primary: found on PATH, its output in our log.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { EXIT, StartError } from '../errors/start-error.js';
import { readStartTime } from '../lifecycle/process-group.js';
import type { Logger } from '../observability/log.js';
import type { StdioGroup } from './messages.js';

const BINARIES = ['redis-server', 'valkey-server'];

const INSTALL = `neither redis-server nor valkey-server is on PATH. Install one:
  Debian, Ubuntu  apt-get install redis-server
  Fedora          dnf install valkey
  Alpine          apk add redis
  macOS           brew install redis
  Docker          docker run --rm -p 6379:6379 redis:7, and set BERTH_REDIS_URL=redis://127.0.0.1:6379
Or set redis.url (BERTH_REDIS_URL) to a Redis that runs elsewhere.`;

/**
 * Bytes: a hash is kept in one piece as long as none of its values is longer. What a record seals is longer than the default of 64, and
 * a table of fields costs nearly twice the memory. By its name of before Redis 7, which all know.
 */
const COMPACT_VALUE = 1024;
const KEPT_LINES = 20;

export interface RedisProcessOptions {
  readonly dataDir: string;
  readonly socket: string;
  readonly env: Readonly<Record<string, string>>;
  readonly log: Logger;
}

export class RedisProcess {
  /** When the process has ended and its output has been read. */
  readonly exited: Promise<string>;
  readonly group: StdioGroup;
  /** Once it serves, what it calls a warning is one; its greetings, its farewell and its advice on the kernel are not. */
  isServing = false;
  readonly #child: ChildProcess;
  readonly #lines: string[] = [];
  readonly #log: Logger;
  #ended = false;

  constructor(child: ChildProcess, log: Logger) {
    this.#child = child;
    this.#log = log;
    const pid = child.pid as number;
    this.group = { pid, startTime: readStartTime(pid) ?? '' };
    for (const stream of [child.stdout, child.stderr]) {
      if (stream) createInterface({ input: stream }).on('line', (line) => this.#take(line));
    }
    child.once('exit', () => {
      this.#ended = true;
    });
    this.exited = new Promise((resolve) => child.once('close', (code, signal) => resolve(signal ?? `exit code ${code}`)));
  }

  get hasEnded(): boolean {
    return this.#ended;
  }

  /** What it printed last. */
  get output(): string {
    return this.#lines.join('\n');
  }

  kill(signal: NodeJS.Signals): void {
    if (!this.#ended) this.#child.kill(signal);
  }

  #take(line: string): void {
    if (line.trim() === '') return;
    this.#lines.push(line);
    if (this.#lines.length > KEPT_LINES) this.#lines.shift();
    // `1234:M 01 Jan 2026 00:00:00.000 # text`: the sign before the text is the level, # is a warning.
    const match = /^\d+:\w .*?\.\d{3} ([.\-*#]) (.*)$/.exec(line);
    const text = match?.[2] ?? line;
    const isWarning = match?.[1] === '#' && this.isServing;
    this.#log[isWarning ? 'warn' : 'debug']({ redis: text }, 'embedded redis says');
  }
}

/**
 * Starts Redis with an append-only file in `dataDir`, on a Unix socket only.
 * @throws StartError 69 if there is none on PATH or it cannot be run
 */
export async function spawnRedis({ dataDir, socket, env, log }: RedisProcessOptions): Promise<RedisProcess> {
  const args = [
    ...['--port', '0', '--unixsocket', socket, '--unixsocketperm', '700'],
    ...['--dir', dataDir, '--appendonly', 'yes', '--appendfsync', 'everysec', '--save', ''],
    ...['--hash-max-ziplist-value', String(COMPACT_VALUE), '--maxmemory-policy', 'noeviction'],
    ...['--daemonize', 'no', '--supervised', 'no', '--logfile', '', '--loglevel', 'notice'],
  ];
  for (const binary of BINARIES) {
    // detached: Ctrl-C in a terminal goes to the whole process group, and Redis has to outlive the workers.
    const child = spawn(binary, args, { cwd: dataDir, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
    try {
      // A process that could not be started has no pid; the reason follows as `error`.
      if (child.pid === undefined) throw (await once(child, 'error'))[0];
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT') continue;
      throw new StartError(EXIT.unavailable, `${binary} cannot be run (${code ?? String(error)})`, { cause: error });
    }
    child.on('error', (error) => log.error({ error: error.message }, 'embedded redis'));
    return new RedisProcess(child, log);
  }
  throw new StartError(EXIT.unavailable, INSTALL);
}
