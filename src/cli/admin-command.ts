// What every command against the admin API shares: where it is, the token, and the form of the output. What it takes to ask is loaded
// when a command runs: `berth --help` needs none of it.
import type { Command } from 'commander';
import type { AdminFlags } from './admin-access.js';
import type { AdminClient, Json } from './admin-client.js';
import type { CommandContext } from './context.js';

export interface AdminRun {
  readonly client: AdminClient;
  /** With `--json` the answer as it came, else what `text` makes of it. */
  show(answer: Json, text: () => string): void;
}

export function withAdminOptions(command: Command): Command {
  return command
    .option('--admin <url>', 'address of the admin API (default: admin.listen of the configuration)')
    .option('-c, --config <file>', 'configuration file of the gateway (default: berth.yaml, berth.yml or berth.json here)')
    .option('--token-file <file>', 'file that holds the admin token (default: BERTH_ADMIN_TOKEN, then the configuration)')
    .option('--json', 'print the answer as JSON');
}

export async function openAdmin(flags: AdminFlags, { env, cwd, out }: CommandContext): Promise<AdminRun> {
  const [{ findAdmin }, { AdminClient }] = await Promise.all([import('./admin-access.js'), import('./admin-client.js')]);
  return {
    client: new AdminClient(findAdmin(flags, env, cwd)),
    show: (answer, text) => out(flags.json ? `${JSON.stringify(answer, undefined, 2)}\n` : text()),
  };
}
