// The admin API of a pod, and the CLI as the process that operators run.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { ADMIN_TOKEN, type Pod } from './pod.js';

const MAIN = join(__dirname, '../../dist/main.js');

export interface AdminReply {
  readonly status: number;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: whatever the API said; tests look at it.
  readonly body: any;
}

export async function askAdmin(pod: Pod, path: string, method = 'GET'): Promise<AdminReply> {
  const response = await fetch(pod.adminUrl(path), { method, headers: { authorization: `Bearer ${ADMIN_TOKEN}` } });
  const text = await response.text();
  return { status: response.status, text, body: text === '' ? undefined : JSON.parse(text) };
}

export interface CliRun {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** `berth` with these arguments against the admin API of a pod; without a configuration of its own. */
export function runBerth(pod: Pod, args: readonly string[], env: Record<string, string> = {}): Promise<CliRun> {
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [MAIN, ...args, '--admin', pod.adminUrl('')],
      { cwd: join(pod.dir, 't'), env: { PATH: process.env.PATH ?? '', BERTH_ADMIN_TOKEN: ADMIN_TOKEN, ...env } },
      (error, out, err) => resolve({ code: typeof error?.code === 'number' ? error.code : error ? -1 : 0, out, err }),
    );
  });
}
