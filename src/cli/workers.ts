// `berth workers`: who lives in the cluster, and what they do.
import type { Command } from 'commander';
import type { AdminFlags } from './admin-access.js';
import type { Json } from './admin-client.js';
import { openAdmin, withAdminOptions } from './admin-command.js';
import type { CommandContext } from './context.js';
import { ageText, formatTable } from './table.js';

const TITLES = ['WORKER', 'HOST', 'PID', 'AGE', 'STATE', 'SESSIONS', 'STREAMS', 'BACKEND SESSIONS'];

export function addWorkers(program: Command, context: CommandContext): void {
  withAdminOptions(program.command('workers').description('list the live workers of all pods')).action(
    async (flags: AdminFlags) => {
      const { client, show } = await openAdmin(flags, context);
      const answer = await client.ask('GET', '/api/workers');
      show(answer, () => formatTable(TITLES, (answer.workers as Json[]).map(rowOf)));
    },
  );
}

const rowOf = (worker: Json): unknown[] => [
  worker.id,
  worker.host,
  worker.pid,
  ageText(worker.started, Date.now()),
  worker.answered ? (worker.draining ? 'draining' : 'ready') : 'no answer',
  worker.sessions,
  worker.streams,
  worker.backendSessions,
];
