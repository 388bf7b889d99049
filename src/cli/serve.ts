// `berth serve`: the gateway in the foreground, until a signal ends it.
import type { Command } from 'commander';
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
      // On demand: what reads a configuration takes longer to load than the bridge to start.
      const { loadConfig } = await import('../config/load.js');
      const { requireConfigFile } = await import('./config-file.js');
      const file = requireConfigFile(flags.config, cwd);
      const load = () => loadConfig({ file, flags: { listen: flags.listen, workers: flags.workers }, env, cwd });
      finish(await startPrimary(load(), load));
    });
}
