// The client of the official Python SDK, under the contract of the other official clients: a process each (fixtures/python-client.py).
// The SDK is the one of the machine, else it is fetched into a directory of its own.
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import type { ConnectOfficialClient, Heard, OfficialClient } from './official-clients.js';
import type { Exchange } from './watched-fetch.js';

const SCRIPT = join(__dirname, 'fixtures/python-client.py');
/** The one that fixtures/python-client.py is written for. */
const REQUIREMENT = 'mcp>=2.3,<3';
const FITS = /^2\.(?:[3-9]|\d\d)/;
const VERSION = 'from importlib.metadata import version; from mcp import Client; print(version("mcp"))';
const FETCH_WITHIN_MS = 120_000;
/** Without a network it is known soon that there is none. */
const PIP = '-m pip install --quiet --disable-pip-version-check --no-cache-dir --retries 0 --timeout 10'.split(' ');
const CONNECT_WITHIN_MS = 20_000;
const ANSWER_WITHIN_MS = 60_000;

export type PythonSdk =
  | { readonly isThere: true; readonly python: string; readonly version: string; dispose(): void }
  | { readonly isThere: false; readonly why: string };

/** Blocks: whether there are tests is known before the first one runs. What is fetched goes at `dispose`, or else with this process. */
export function findPythonSdk(): PythonSdk {
  const installed = run('python3', ['-c', VERSION]);
  if (installed.status === 0 && FITS.test(installed.out)) {
    return { isThere: true, python: 'python3', version: installed.out, dispose: () => undefined };
  }
  const dir = mkdtempSync(join(tmpdir(), 'berth-python-'));
  const dispose = removeAtTheEnd(dir);
  const python = join(dir, 'bin/python');
  const steps: ReadonlyArray<readonly [file: string, args: string[]]> = [
    ['python3', ['-m', 'venv', dir]],
    [python, [...PIP, REQUIREMENT]],
  ];
  for (const [file, args] of steps) {
    const { status, out } = run(file, args);
    if (status === 0) continue;
    dispose();
    return { isThere: false, why: `${[file === python ? 'python' : file, ...args.slice(0, 3)].join(' ')}: ${out.slice(-300)}` };
  }
  return { isThere: true, python, version: run(python, ['-c', VERSION]).out, dispose };
}

/**
 * Also where no hook runs: tests that are filtered out, Ctrl-C, a kill. Jest hides the end of its process from tests, so another one waits
 * for it, in a group of its own.
 * @returns removes it now
 */
function removeAtTheEnd(dir: string): () => void {
  const remover = spawn('sh', ['-c', 'cat >/dev/null; rm -rf "$0"', dir], {
    cwd: tmpdir(),
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  remover.unref();
  (remover.stdin as Socket).unref();
  return () => {
    rmSync(dir, { recursive: true, force: true });
    remover.stdin.end();
  };
}

function run(file: string, args: string[]): { status: number | null; out: string } {
  const { status, stdout, stderr, error } = spawnSync(file, args, { encoding: 'utf8', timeout: FETCH_WITHIN_MS });
  return { status, out: (status === 0 ? stdout : stderr || stdout || String(error)).trim() };
}

/** @param mode how it finds out the revision; `auto` is its default */
export function pythonClient(python: string, mode: 'auto' | 'legacy'): ConnectOfficialClient {
  return async (url, onHeard) => {
    const client = new PythonClient(spawn(python, [SCRIPT, url, mode]), onHeard);
    try {
      await client.connected;
      return client;
    } catch (error) {
      await client.close();
      throw error;
    }
  };
}

/** What its program says, one of them a line. */
interface Said {
  readonly connected?: string;
  readonly sent?: number;
  readonly method?: string;
  readonly rpcMethod?: string | null;
  readonly lastEventId?: string | null;
  readonly answered?: number;
  readonly status?: number;
  readonly sessionId?: string | null;
  readonly failed?: number;
  readonly reason?: string;
  readonly heard?: Heard;
  readonly error?: string;
  readonly progress?: number;
  readonly done?: number;
  readonly result?: unknown;
  readonly code?: number;
  readonly message?: string;
  /** An answer on its behalf broke off. */
  readonly isBroken?: boolean;
}

interface Waiting {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly onProgress: (() => void) | undefined;
}

class PythonClient implements OfficialClient {
  readonly exchanges: Exchange[] = [];
  readonly errors: string[] = [];
  sessionId: string | undefined;
  readonly connected: Promise<void>;
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #onHeard: (heard: Heard) => void;
  readonly #exchanges = new Map<number, Exchange>();
  readonly #waiting = new Map<number, Waiting>();
  #lastId = 0;
  #stderr = '';

  constructor(child: ChildProcessWithoutNullStreams, onHeard: (heard: Heard) => void) {
    this.#child = child;
    this.#onHeard = onHeard;
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-4000);
    });
    child.stdin.on('error', () => undefined);
    // Number 0 is the connection itself.
    const late = setTimeout(() => this.#end(`the Python client did not connect: ${this.#stderr}`), CONNECT_WITHIN_MS);
    this.connected = this.#wait(0)
      .then(() => undefined)
      .finally(() => clearTimeout(late));
    createInterface(child.stdout).on('line', (line) => this.#hear(line));
    child.on('close', () => this.#end(`the Python client has ended: ${this.#stderr}`));
    child.on('error', (error) => this.#end(String(error)));
  }

  async callText(name: string, args: Record<string, unknown>, onProgress?: () => void): Promise<string> {
    return String(await this.#ask({ op: 'call', name, args, progress: onProgress !== undefined }, onProgress));
  }

  async listTools(): Promise<string[]> {
    return (await this.#ask({ op: 'list' })) as string[];
  }

  setLogLevel(): Promise<unknown> {
    return this.#ask({ op: 'level' });
  }

  subscribe(uri: string): Promise<unknown> {
    return this.#ask({ op: 'subscribe', uri });
  }

  async close(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const closed = once(this.#child, 'close');
    this.#child.kill('SIGKILL');
    await closed;
  }

  #ask(command: object, onProgress?: () => void): Promise<unknown> {
    const id = ++this.#lastId;
    const answer = this.#wait(id, onProgress);
    if (this.#child.exitCode === null) this.#child.stdin.write(`${JSON.stringify({ id, ...command })}\n`);
    // Later: whoever calls without a pause would let nothing else run.
    else setImmediate(() => this.#end(`the Python client has ended: ${this.#stderr}`));
    // It has no time-out of its own, and waits for ever where its transport has failed.
    const late = setTimeout(
      () => this.#done(id, { code: 0, message: `no answer within ${ANSWER_WITHIN_MS} ms` }),
      ANSWER_WITHIN_MS,
    );
    return answer.finally(() => clearTimeout(late));
  }

  #wait(id: number, onProgress?: () => void): Promise<unknown> {
    return new Promise((resolve, reject) => void this.#waiting.set(id, { resolve, reject, onProgress }));
  }

  #end(why: string): void {
    for (const { reject } of this.#waiting.values()) reject(new Error(why));
    this.#waiting.clear();
  }

  #hear(line: string): void {
    let said: Said;
    try {
      said = JSON.parse(line);
    } catch {
      // Of a library that prints.
      this.errors.push(`no JSON: ${line}`);
      return;
    }
    this.#take(said);
  }

  #take(said: Said): void {
    if (said.heard) this.#onHeard(said.heard);
    else if (said.error !== undefined) this.errors.push(said.error);
    else if (said.sent !== undefined) this.#sent(said.sent, said);
    else if (said.answered !== undefined) this.#answered(said.answered, said);
    else if (said.failed !== undefined) this.#failed(said.failed, said.reason ?? '');
    else if (said.progress !== undefined) this.#waiting.get(said.progress)?.onProgress?.();
    else if (said.connected !== undefined) this.#done(0, said);
    else if (said.done !== undefined) this.#done(said.done, said);
  }

  #sent(number: number, { method = '', rpcMethod, lastEventId }: Said): void {
    const exchange: Exchange = {
      method,
      rpcMethod: rpcMethod ?? undefined,
      lastEventId: lastEventId ?? undefined,
      atMs: performance.now(),
      status: undefined,
      error: undefined,
    };
    this.#exchanges.set(number, exchange);
    // To ask which era a server is of is no failure where it is of the other one.
    if (rpcMethod !== 'server/discover') this.exchanges.push(exchange);
  }

  #answered(number: number, { status, sessionId }: Said): void {
    const exchange = this.#exchanges.get(number);
    if (exchange) exchange.status = status;
    if (exchange?.rpcMethod === 'initialize') this.sessionId = sessionId ?? undefined;
    this.#exchanges.delete(number);
  }

  #failed(number: number, reason: string): void {
    const exchange = this.#exchanges.get(number);
    if (exchange) exchange.error = reason;
    this.#exchanges.delete(number);
  }

  #done(id: number, { result, code, message = '', isBroken = false }: Said): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (code === undefined) waiting?.resolve(result);
    else waiting?.reject(Object.assign(new Error(message), { code: codeOf(code, message, isBroken) }));
  }
}

/**
 * Any status without a JSON-RPC error looks the same to its users; that it was a 502 is checked in `exchanges`. So do a stream that broke
 * off before its first event and one that ended in order without an answer: of these two only the first is that of a killed worker.
 */
function codeOf(code: number, message: string, isBroken: boolean): number {
  const isCut =
    message === 'Server returned an error response' || (message === 'SSE stream ended without a response' && isBroken);
  return isCut ? 502 : code;
}
