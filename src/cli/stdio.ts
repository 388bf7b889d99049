// biome-ignore-all lint/suspicious/noTemplateCurlyInString: references are written like templates
// `berth stdio`: a gateway for clients that only speak stdio. A process of its own, without Redis and without workers.
import type { Command } from 'commander';
import { EXIT, StartError } from '../errors/start-error.js';
import type { CommandContext, Finish } from './context.js';

interface Flags {
  readonly header: readonly string[];
  readonly patience: string;
}

const PATIENCE_MS = { min: 1000, max: 600_000 };

export function addStdio(program: Command, { env, err, startBridge }: CommandContext, finish: Finish): void {
  program
    .command('stdio')
    .description('bridge for MCP clients that only speak stdio: JSON-RPC lines here, the gateway at URL behind them')
    .argument('<url>', 'of the gateway, such as http://127.0.0.1:8080/mcp or http://127.0.0.1:8080/servers/support/mcp')
    .option(
      '-H, --header <name:value>',
      'sent with every request; repeatable; ${VAR} stands for an environment variable',
      (one: string, before: readonly string[]) => [...before, one],
      [],
    )
    .option('--patience <duration>', 'how long a request that has not begun waits for a gateway that is away (1s … 10m)', '60s')
    .addHelpText(
      'after',
      '\nBERTH_TOKEN in the environment is sent as "Authorization: Bearer …" unless --header names Authorization.',
    )
    .action(async (text: string, flags: Flags) => {
      // Loaded on demand: what the gateway needs would cost the bridge half of its start.
      const { readEndpoint } = await import('../bridge/endpoint.js');
      const { readHeaders } = await import('../bridge/own-headers.js');
      const { url, note } = readEndpoint(text);
      const headers = readHeaders(flags.header, env);
      const patienceMs = readPatience(flags.patience);
      if (note) err(`berth stdio: ${note}\n`);
      finish(await startBridge({ url, headers, patienceMs }));
    });
}

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000 };

function readPatience(text: string): number {
  const [, number, unit = ''] = /^(\d{1,6})(ms|s|m)$/.exec(text) ?? [];
  const ms = number === undefined ? Number.NaN : Number(number) * (UNIT_MS[unit] as number);
  if (ms >= PATIENCE_MS.min && ms <= PATIENCE_MS.max) return ms;
  throw new StartError(EXIT.usage, '--patience is not a duration from 1s to 10m.\n  Write it like 30s or 2m.');
}
