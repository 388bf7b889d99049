// A server that others wrote, as a process of its own on a port of its own: started, killed and started again by the test.
import { type ChildProcess, spawn } from 'node:child_process';
import { connect } from 'node:net';
import { freePort } from './ports.js';
import { waitFor } from './wait-for.js';

export interface ServerProcess {
  readonly port: number;
  readonly origin: string;
  /** SIGKILL, and a new process on the same port. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

const START_WITHIN_MS = 30_000;

/** @param env of the process, made from its port */
export async function startServerProcess(
  script: string,
  args: readonly string[],
  env: (port: number) => Record<string, string>,
): Promise<ServerProcess> {
  const port = await freePort();
  let child: ChildProcess | undefined;

  const begin = async (): Promise<void> => {
    const started = spawn(process.execPath, [script, ...args], {
      env: { PATH: process.env.PATH ?? '', ...env(port) },
      stdio: 'ignore',
    });
    child = started;
    await waitFor(
      `${script} to listen on ${port}`,
      () => {
        if (started.exitCode !== null) throw new Error(`it ended with ${started.exitCode}`);
        return accepts(port);
      },
      START_WITHIN_MS,
    );
  };
  const stop = async (): Promise<void> => {
    const running = child;
    child = undefined;
    if (!running || running.exitCode !== null || running.signalCode !== null) return;
    const gone = new Promise((resolve) => running.once('exit', resolve));
    running.kill('SIGKILL');
    await gone;
  };
  await begin();
  return {
    port,
    origin: `http://127.0.0.1:${port}`,
    async restart() {
      await stop();
      await begin();
    },
    stop,
  };
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
