// The processes that the bench (or another program of scripts/) started, each bound to a core where that is possible, and all of them ended by their pids.
import { execFileSync, fork, spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { resolve as resolvePath } from 'node:path';

const here = import.meta.dirname;
const STOP_WITHIN_MS = 30_000;

export class Processes {
  #running = [];

  /** A script (of this folder unless the path is absolute) that sends `{ port }` when it listens. @param extra see fork */
  async start(script, args, core, extra) {
    const child = this.fork(script, args, core, extra);
    const { port } = await new Promise((resolve, reject) => {
      child.once('message', resolve);
      child.once('exit', (code) => reject(new Error(`${script} ended with ${code}`)));
    });
    return { pid: child.pid, port, child };
  }

  /** @param extra `{ args, env }`: arguments of node itself, and its environment */
  fork(script, args, core, extra) {
    const child = fork(resolvePath(here, script), args, {
      execPath: core.command,
      execArgv: [...core.args, ...(extra?.args ?? [])],
      env: extra?.env ?? process.env,
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    this.#keep(child);
    return child;
  }

  spawn(command, args, options, core) {
    const prefix = core.pin === undefined ? [] : ['taskset', '-c', core.pin];
    const [first, ...rest] = [...prefix, command, ...args];
    const child = spawn(first, rest, options);
    this.#keep(child);
    return child;
  }

  #keep(child) {
    this.#running.push(child);
    child.once('exit', () => this.#running.splice(this.#running.indexOf(child), 1));
  }

  /** SIGTERM, newest first, and SIGKILL for what does not end in time. */
  async stop() {
    for (const child of [...this.#running].reverse()) {
      // Race: a Ctrl-C reaches it as well, and it may have ended while another one was waited for.
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const ended = new Promise((resolve) => child.once('exit', resolve));
      const force = setTimeout(() => child.kill('SIGKILL'), STOP_WITHIN_MS);
      child.kill('SIGTERM');
      await ended;
      clearTimeout(force);
    }
  }
}

/** Whether there are two cores, and a way to bind processes to them. */
export function canPin() {
  if (availableParallelism() < 2) return false;
  try {
    execFileSync('taskset', ['-c', '0,1', 'true'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** The gateway on one core and the rest on another, where that is possible. */
export function pinApart() {
  const pinned = canPin();
  return {
    gatewayCore: coreOf(pinned ? '0' : undefined),
    otherCore: coreOf(pinned ? '1' : undefined),
    told: pinned ? 'gateway on core 0, the rest on core 1' : 'not pinned',
  };
}

/** One question at a time. @returns its answer */
export function askProcess(child, what) {
  return new Promise((resolve) => {
    child.once('message', resolve);
    child.send({ ask: what });
  });
}

/** How a process is bound to a core, where taskset exists. */
export function coreOf(pin) {
  return pin === undefined
    ? { pin, command: process.execPath, args: [] }
    : { pin, command: 'taskset', args: ['-c', pin, process.execPath] };
}
