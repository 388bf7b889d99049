// `berth check`: what the gateway makes of a configuration, without starting anything.
import type { Command } from 'commander';
import type { CommandContext, Finish } from './context.js';

export function addCheck(program: Command, { env, cwd, out }: CommandContext, finish: Finish): void {
  program
    .command('check')
    .description('validate a configuration and print what is in effect, secrets replaced; exit code 0 or 78')
    .argument('[file]', 'configuration file (default: berth.yaml, berth.yml or berth.json here)')
    .action(async (file: string | undefined) => {
      // On demand: what reads a configuration takes longer to load than the bridge to start.
      const { loadConfig } = await import('../config/load.js');
      const { requireConfigFile } = await import('./config-file.js');
      const { report } = await import('./check-report.js');
      const loaded = loadConfig({ file: requireConfigFile(file, cwd), env, cwd });
      out(report(loaded));
      finish(0);
    });
}
