// One child process that leads a process group of its own, from spawn until nothing of the group is left. Knows bytes and lines,
// no JSON-RPC. The SDK's transport is not used: it gives no process group, so grandchildren would survive.
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import type { Writable } from 'node:stream';
import type { Clock, Timer } from '../../lifecycle/clock.js';
import { isGroupAlive, killGroup, type ProcessGroup, readStartTime } from '../../lifecycle/process-group.js';
import { LineSplitter } from '../../streams/line-splitter.js';
import { type ChildFailure, spawnFailure } from './failures.js';

/** A child that writes more without a newline speaks no JSON-RPC, or would fill our memory. */
export const MAX_LINE_BYTES = 64 * 1024 * 1024;
/** After stdin was closed: time to leave by itself, as the protocol asks; then SIGTERM. */
export const STDIN_GRACE_MS = 500;
/** After SIGTERM: time to leave; then SIGKILL. */
export const TERM_GRACE_MS = 2000;
const POLL_MS = 25;
/** How long what an ended child had printed is still read; a grandchild may hold the pipe open for ever. */
const DRAIN_MS = 250;

export interface ChildCommand {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string | undefined;
}

export interface ChildEnd {
  readonly reason: ChildFailure;
  readonly code?: number | null;
  readonly signal?: NodeJS.Signals | null;
  readonly cause?: unknown;
}

export interface ChildListener {
  /** Started: whoever guards process groups hears of it before anything is written; `alive: false` when none of it is left. */
  onGroup(group: ProcessGroup, alive: boolean): void;
  /** One line of stdout. */
  onLine(line: Buffer): void;
  onStderr(chunk: Buffer): void;
  /** stdin takes more after a write that returned false. */
  onDrain(): void;
  /** Once, never from within the constructor: it does not run (any more), and all its lines were given. */
  onEnd(end: ChildEnd): void;
}

export class Child {
  /** Resolves when no process of the group is left. Never rejects. */
  readonly gone: Promise<void>;
  readonly #listener: ChildListener;
  readonly #clock: Clock;
  readonly #process: ChildProcessWithoutNullStreams | undefined;
  #group: ProcessGroup | undefined;
  #resolveGone!: () => void;
  #lines: LineSplitter | undefined;
  #failure: ChildFailure | undefined;
  #ending = false;
  #exited = false;
  #ended = false;
  #timers: Timer[] = [];

  /** Spawns at once; that it failed is told by `onEnd`. */
  constructor(command: ChildCommand, clock: Clock, listener: ChildListener) {
    this.#listener = listener;
    this.#clock = clock;
    this.gone = new Promise((resolve) => {
      this.#resolveGone = resolve;
    });
    try {
      const { env, cwd } = command;
      this.#process = spawn(command.command, [...command.args], { env, cwd, detached: true, stdio: 'pipe' });
    } catch (cause) {
      // Thrown and not emitted where an argument is impossible (a NUL byte) or the system refuses another process.
      queueMicrotask(() => this.#failToStart(cause));
      return;
    }
    const { pid } = this.#process;
    if (pid === undefined) {
      this.#process.once('error', (cause) => this.#failToStart(cause));
      return;
    }
    this.#listen(this.#process);
    this.#group = { pid, startTime: readStartTime(pid) ?? '' };
    listener.onGroup(this.#group, true);
  }

  get pid(): number | undefined {
    return this.#group?.pid;
  }

  /** Why it takes nothing any more, before its end is told; undefined while it runs (or has not told that it never did). */
  get failure(): ChildFailure | undefined {
    return this.#ending || (this.#exited && this.#group) ? (this.#failure ?? 'exited') : undefined;
  }

  /** Undefined once nothing may be written any more. */
  get stdin(): Writable | undefined {
    const stdin = this.#process?.stdin;
    return stdin?.writable && !this.#ending && !this.#exited ? stdin : undefined;
  }

  /** Stops reading stdout behind this line: the pipe fills and the child waits. */
  pause(): void {
    // What a dead child left in the pipe is little, and holding it back would lose answers that were given.
    if (this.#exited) return;
    this.#lines?.pause();
    this.#process?.stdout.pause();
  }

  resume(): void {
    if (this.#lines?.resume()) this.#process?.stdout.resume();
  }

  /** Ends the whole group: stdin closed, SIGTERM, SIGKILL. `failure`: why, if it did not end by itself. Repeating it does nothing. */
  end(failure?: ChildFailure): void {
    if (this.#ending || !this.#process) return;
    this.#ending = true;
    // No pid: it never ran, which is told on its own.
    if (!this.#group) return;
    this.#failure ??= failure;
    // Destroyed, not ended: what still waits here was given up with the session and must not reach the child any more.
    this.#process.stdin.destroy();
    this.resume();
    if (this.#exited) return;
    this.#later(STDIN_GRACE_MS, () => this.#signal('SIGTERM'));
    this.#later(STDIN_GRACE_MS + TERM_GRACE_MS, () => this.#signal('SIGKILL'));
  }

  #listen(child: ChildProcessWithoutNullStreams): void {
    const lines = new LineSplitter({ maxBytes: MAX_LINE_BYTES, onTooLong: () => this.#kill('line_too_long') }, (line) =>
      this.#listener.onLine(line),
    );
    this.#lines = lines;
    child.stdout.on('data', (chunk: Buffer) => lines.push(chunk));
    child.stdout.on('end', () => lines.finish());
    child.stderr.on('data', (chunk: Buffer) => this.#listener.onStderr(chunk));
    child.stdin.on('drain', () => this.#listener.onDrain());
    // EPIPE: a child that reads no more can run nothing more, whatever else it does.
    child.stdin.on('error', () => this.end('stdin_closed'));
    for (const stream of [child.stdout, child.stderr]) stream.on('error', () => undefined);
    // A signal that could not be sent: what follows from it is seen at the exit.
    child.on('error', () => undefined);
    child.once('exit', (code, signal) => this.#onExit(code, signal));
  }

  #failToStart(cause: unknown): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#exited = true;
    this.#listener.onEnd({ reason: spawnFailure(cause), cause });
    this.#resolveGone();
  }

  #onExit(code: number | null, signal: NodeJS.Signals | null): void {
    this.#exited = true;
    this.#cancelTimers();
    this.#endRest();
    const child = this.#process as ChildProcessWithoutNullStreams;
    const finish = () => {
      if (this.#ended) return;
      this.#ended = true;
      for (const stream of [child.stdin, child.stdout, child.stderr]) stream.destroy();
      this.#listener.onEnd({ reason: this.#failure ?? 'exited', code, signal });
    };
    child.once('close', finish);
    this.#later(DRAIN_MS, finish);
    this.resume();
  }

  /** The leader is dead; grandchildren may live on in its group. */
  #endRest(): void {
    const group = this.#group as ProcessGroup;
    if (!isGroupAlive(group)) {
      this.#tellGone(group);
      return;
    }
    this.#signal('SIGTERM');
    const killAtMs = this.#clock.monotonicMs() + TERM_GRACE_MS;
    const poll = this.#clock.every(POLL_MS, () => {
      const late = this.#clock.monotonicMs() >= killAtMs;
      if (late) this.#signal('SIGKILL');
      // After SIGKILL only zombies can be left, and those are their new parent's to reap.
      if (!late && isGroupAlive(group)) return;
      poll.cancel();
      this.#tellGone(group);
    });
  }

  #tellGone(group: ProcessGroup): void {
    this.#listener.onGroup(group, false);
    this.#resolveGone();
  }

  #kill(failure: ChildFailure): void {
    this.#failure ??= failure;
    this.end(failure);
    this.#signal('SIGKILL');
  }

  #signal(signal: NodeJS.Signals): void {
    if (this.#group) killGroup(this.#group, signal);
  }

  #later(delayMs: number, run: () => void): void {
    this.#timers.push(this.#clock.after(delayMs, run));
  }

  #cancelTimers(): void {
    for (const timer of this.#timers) timer.cancel();
    this.#timers = [];
  }
}
