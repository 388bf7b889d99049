// Which configuration file a command works on.
import { DEFAULT_FILES, findConfigFile } from '../config/load.js';
import { EXIT, StartError } from '../errors/start-error.js';

const FIRST_FILE = `Write a first one, for example berth.yaml:

    mcpServers:
      everything: { command: npx, args: [-y, "@modelcontextprotocol/server-everything"] }

  or name the configuration of an MCP client: berth serve --config FILE.
  In a clone of the repository, \`npm start\` runs a demo without any file.`;

/**
 * The file that was named, else the default one of the directory.
 * @throws StartError 78 that says how to write a first one
 */
export function requireConfigFile(named: string | undefined, cwd: string): string {
  const file = named ?? findConfigFile(cwd);
  if (file === undefined) throw new StartError(EXIT.config, `no ${DEFAULT_FILES.join(', ')} in ${cwd}.\n  ${FIRST_FILE}`);
  return file;
}
