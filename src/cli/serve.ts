// `berth serve`: the gateway in the foreground, until a signal ends it.
import { type Command, Option } from 'commander';
import type { LoadedConfig } from '../config/load.js';
import type { CommandContext, Finish } from './context.js';
import type { Ports } from './welcome.js';

interface Flags {
  readonly config?: string;
  readonly listen?: string;
  readonly workers?: string;
  readonly snippets: 'auto' | 'always' | 'never';
}

export function addServe(program: Command, context: CommandContext, finish: Finish): void {
  const { env, cwd, startPrimary } = context;
  program
    .command('serve')
    .description('run the gateway until SIGTERM or SIGINT; a second signal forces the end')
    .option('-c, --config <file>', 'configuration file (default: berth.yaml, berth.yml or berth.json here)')
    .option('-l, --listen <host:port>', 'where clients connect')
    .option('-w, --workers <n>', 'number of worker processes, or auto')
    .addOption(
      new Option('--snippets <when>', 'print what to paste into clients when ready; auto: where the log is not JSON')
        .choices(['auto', 'always', 'never'])
        .default('auto'),
    )
    .action(async (flags: Flags) => {
      // On demand: what reads a configuration takes longer to load than the bridge to start.
      const { loadConfig } = await import('../config/load.js');
      const { requireConfigFile } = await import('./config-file.js');
      const file = requireConfigFile(flags.config, cwd);
      const reload = () => loadConfig({ file, flags: { listen: flags.listen, workers: flags.workers }, env, cwd });
      const loaded = reload();
      const isWanted = flags.snippets === 'always' || (flags.snippets === 'auto' && (await isReadable(loaded, context.isTty)));
      finish(await startPrimary(loaded, { reload, ...(isWanted ? { onReady: await greeter(loaded, context) } : {}) }));
    });
}

async function isReadable({ config }: LoadedConfig, isTty: boolean): Promise<boolean> {
  const { isReadableFormat } = await import('../observability/log.js');
  return isReadableFormat(config.log.format, isTty);
}

async function greeter({ config }: LoadedConfig, { out, self }: CommandContext): Promise<(ports: Ports) => void> {
  const { welcome } = await import('./welcome.js');
  const { bridgeCommand } = await import('./snippets.js');
  return (ports) => out(welcome(config, ports, bridgeCommand(self.script, self.execPath)));
}
