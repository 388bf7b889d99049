// `berth backends`: how the backends fare, for the whole cluster.
import type { Command } from 'commander';
import type { AdminFlags } from './admin-access.js';
import type { Json } from './admin-client.js';
import { openAdmin, withAdminOptions } from './admin-command.js';
import type { CommandContext } from './context.js';
import { formatTable } from './table.js';

const TITLES = ['BACKEND', 'TYPE', 'STATE', 'REASON', 'SESSIONS', 'SERVERS', 'WHERE'];

export function addBackends(program: Command, context: CommandContext): void {
  withAdminOptions(program.command('backends').description('list the backends and how they fare')).action(
    async (flags: AdminFlags) => {
      const { client, show } = await openAdmin(flags, context);
      const answer = await client.ask('GET', '/api/backends');
      show(answer, () => formatTable(TITLES, (answer.backends as Json[]).map(rowOf)));
    },
  );
}

function rowOf(backend: Json): unknown[] {
  const sessions = (backend.workers as Json[]).reduce((sum, { sessions: count }) => sum + (Number(count) || 0), 0);
  const servers = (backend.servers as string[]).map((id) => (id === '' ? '/mcp' : id));
  return [backend.name, backend.type, backend.state, backend.reason, sessions, servers, backend.url ?? backend.command];
}
