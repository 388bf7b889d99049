// `berth stdio` as the process that a client starts: what goes in is lines, and every byte that comes out of stdout is kept.
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { waitFor } from './wait-for.js';

export const MAIN = join(__dirname, '../../dist/main.js');

export interface Line {
  readonly jsonrpc?: string;
  readonly id?: string | number | null;
  readonly method?: string;
  readonly params?: Record<string, unknown>;
  readonly result?: Record<string, unknown> & { content?: Array<{ text: string }> };
  readonly error?: { code: number; message: string; data?: Record<string, unknown> };
}

export interface BridgeOptions {
  readonly args?: readonly string[];
  readonly env?: Record<string, string>;
}

export const CLIENT_PARAMS = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'bridged', version: '1' } };

export class BridgeProcess {
  readonly child: ChildProcessWithoutNullStreams;
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  stderr = '';
  #stdout = '';

  constructor(url: string, { args = [], env = {} }: BridgeOptions = {}) {
    if (!existsSync(MAIN)) throw new Error('dist/main.js is missing: run `npm run build` first');
    this.child = spawn(process.execPath, [MAIN, 'stdio', url, ...args], {
      env: { PATH: process.env.PATH ?? '', ...env },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    this.child.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout += text;
    });
    this.child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
    this.child.stdin.on('error', () => undefined);
    this.exited = new Promise((resolve) => this.child.once('close', (code, signal) => resolve({ code, signal })));
  }

  /** Everything written to stdout, which has to be lines of JSON-RPC. @throws Error at the first that is not */
  get lines(): Line[] {
    const whole = this.#stdout.slice(0, this.#stdout.lastIndexOf('\n') + 1);
    return whole
      .split('\n')
      .slice(0, -1)
      .map((line) => {
        const message = JSON.parse(line);
        if (!Array.isArray(message) && message.jsonrpc !== '2.0') throw new Error(`not JSON-RPC on stdout: ${line}`);
        return message;
      });
  }

  get stdout(): string {
    return this.#stdout;
  }

  send(message: object | string): void {
    this.child.stdin.write(`${typeof message === 'string' ? message : JSON.stringify(message)}\n`);
  }

  request(id: string | number, method: string, params?: object): void {
    this.send({ jsonrpc: '2.0', id, method, ...(params && { params }) });
  }

  notify(method: string, params?: object): void {
    this.send({ jsonrpc: '2.0', method, ...(params && { params }) });
  }

  call(id: string | number, name: string, args: object = {}): void {
    this.request(id, 'tools/call', { name, arguments: args });
  }

  /** The line that answers this request. */
  answer(id: string | number | null, withinMs = 20_000): Promise<Line> {
    return waitFor(
      () => `an answer to ${id}; stdout: ${this.#stdout.slice(-1000)}; stderr: ${this.stderr.slice(-1000)}`,
      () => this.lines.find((line) => line.id === id && line.method === undefined),
      withinMs,
    );
  }

  async ask(id: string | number, method: string, params?: object): Promise<Line> {
    this.request(id, method, params);
    return this.answer(id);
  }

  /** initialize and notifications/initialized. */
  async open(protocolVersion = CLIENT_PARAMS.protocolVersion): Promise<Line> {
    const answer = await this.ask('init', 'initialize', { ...CLIENT_PARAMS, protocolVersion });
    this.notify('notifications/initialized');
    return answer;
  }

  /** Closes stdin and waits for the end. */
  async close(): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
    this.child.stdin.end();
    return this.exited;
  }

  /** For afterEach: whatever state it is in. */
  async dispose(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.exited;
  }
}
