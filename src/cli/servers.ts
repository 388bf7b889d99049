// `berth servers`: what is served at which path.
import type { Command } from 'commander';
import type { AdminFlags } from './admin-access.js';
import type { Json } from './admin-client.js';
import { openAdmin, withAdminOptions } from './admin-command.js';
import type { CommandContext } from './context.js';
import { cellText, formatTable } from './table.js';

const TITLES = ['PATH', 'BACKENDS', 'INCLUDE', 'EXCLUDE', 'PREFIX', 'TOOLS'];

export function addServers(program: Command, context: CommandContext): void {
  withAdminOptions(program.command('servers').description('list the virtual servers')).action(async (flags: AdminFlags) => {
    const { client, show } = await openAdmin(flags, context);
    const answer = await client.ask('GET', '/api/servers');
    const servers = answer.servers as Json[];
    show(answer, () => formatTable(TITLES, servers.map(rowOf)) + servers.flatMap(warningsOf).join(''));
  });
}

function rowOf(server: Json): unknown[] {
  const { include, exclude } = server.filter as { include: unknown; exclude: unknown };
  return [server.path, server.backends, include, exclude, server.prefix, server.tools];
}

/** A line for each below the table; a gateway of an older version tells none. */
function warningsOf({ path, warnings = [] }: Json): string[] {
  return (warnings as unknown[]).map((warning) => `warning: ${cellText(path)}: ${cellText(warning)}\n`);
}
