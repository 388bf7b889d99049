// The MCP Inspector's command lines, run as its users run them: one process a command, and `mcpdo`, whose daemon keeps a connection.
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** It needs a newer Node than the gateway. */
const PACKAGES = ['-y', '-p', 'node@24', '-p', '@modelcontextprotocol/inspector@2.12.0'];
const WITHIN_MS = 120_000;

export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export class Inspector {
  readonly #node: string;
  readonly #cli: string;
  readonly #mcpdo: string;
  readonly #home = mkdtempSync(join(tmpdir(), 'berth-insp-'));

  private constructor([node = '', cli = '', mcpdo = '']: string[]) {
    this.#node = node;
    this.#cli = cli;
    this.#mcpdo = mcpdo;
  }

  /** Fetched by npx if it is not there yet. */
  static async find(): Promise<Inspector> {
    const { code, stdout, stderr } = await run('npx', [...PACKAGES, '-c', 'which node mcp-inspector mcpdo'], process.env);
    const paths = stdout.trim().split('\n');
    if (code !== 0 || paths.length !== 3) throw new Error(`the inspector cannot be had: ${stdout} ${stderr}`);
    return new Inspector(paths);
  }

  /** A session of its own for one command. */
  cli(url: string, method: string, ...options: string[]): Promise<CommandResult> {
    return this.#run(this.#cli, ['--cli', url, '--method', method, '--format', 'json', ...options]);
  }

  /** A command over the connections that the daemon keeps. */
  mcpdo(...args: string[]): Promise<CommandResult> {
    return this.#run(this.#mcpdo, ['--format', 'json', ...args]);
  }

  async dispose(): Promise<void> {
    await this.mcpdo('daemon', 'stop');
    rmSync(this.#home, { recursive: true, force: true });
  }

  #run(script: string, args: string[]): Promise<CommandResult> {
    // A home of its own: nothing of the user's is read or written.
    const env = {
      PATH: process.env.PATH ?? '',
      HOME: this.#home,
      MCP_INSPECTOR_DAEMON_DIR: join(this.#home, 'd'),
      MCP_INSPECTOR_DAEMON_TOKEN: 'test',
    };
    return run(this.#node, [script, ...args], env);
  }
}

function run(file: string, args: string[], env: NodeJS.ProcessEnv): Promise<CommandResult> {
  return new Promise((resolve) => {
    const child = execFile(file, args, { env, timeout: WITHIN_MS }, (_error, stdout, stderr) =>
      resolve({ code: child.exitCode ?? -1, stdout, stderr }),
    );
  });
}
