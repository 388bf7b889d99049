// `berth serve`: the gateway in the foreground, until a signal ends it.
import type { Command } from 'commander';
import { loadConfig } from '../config/load.js';
import { requireConfigFile } from './config-file.js';
import type { CommandContext, Finish } from './context.js';

interface Flags {
  readonly config?: string;
  readonly listen?: string;
  readonly workers?: string;
}

export function addServe(program: Command, { env, cwd, startPrimary }: CommandContext, finish: Finish): void {
  program
    .command('serve')
    .description('run the gateway until SIGTERM or SIGINT; a second signal forces the end')
    .option('-c, --config <file>', 'configuration file (default: berth.yaml, berth.yml or berth.json here)')
    .option('-l, --listen <host:port>', 'where clients connect')
    .option('-w, --workers <n>', 'number of worker processes, or auto')
    .action(async (flags: Flags) => {
      const file = requireConfigFile(flags.config, cwd);
      const load = () => loadConfig({ file, flags: { listen: flags.listen, workers: flags.workers }, env, cwd });
      finish(await startPrimary(load(), load));
    });
}
