// The command line: which command, its exit code, and how errors are told. Ends no process: main.ts does.
import { Command, CommanderError } from 'commander';
import { VERSION } from '../config/version.js';
import { EXIT, StartError } from '../errors/start-error.js';
import type { CommandContext } from './context.js';
import { liftReferences } from './lift-references.js';
import { addStdio } from './stdio.js';

/**
 * Runs one command to its end.
 * @param args without node and script
 * @returns the exit code: 0, 1 forced or failed, 64 bad usage, 69 Redis or the admin API unreachable or port in use, 78 bad configuration
 */
export async function runCli(args: readonly string[], context: CommandContext): Promise<number> {
  const { out, err } = context;
  let exitCode: number = EXIT.ok;
  const finish = (code: number) => {
    exitCode = code;
  };
  const program = new Command('berth')
    .description('A clustered MCP gateway: any number of workers look like one server that never forgets.')
    .version(VERSION, '-V, --version')
    .helpCommand(true)
    .showSuggestionAfterError()
    .showHelpAfterError('Try: berth --help')
    .configureOutput({ writeOut: out, writeErr: err })
    .exitOverride();
  // A client waits for its bridge to start: nothing else is loaded for it.
  if (args[0] === 'stdio') addStdio(program, context, finish);
  else (await import('./commands.js')).addCommands(program, context, finish);
  try {
    if (!args.length) {
      // Nothing was asked for: what there is goes where errors go.
      err(program.helpInformation());
      return EXIT.usage;
    }
    await program.parseAsync(liftReferences(args), { from: 'user' });
    return exitCode;
  } catch (error) {
    // Commander has written its message (or the help that was asked for) already.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    if (error instanceof StartError) {
      err(`berth: ${error.message}\n`);
      return error.exitCode;
    }
    throw error;
  }
}
