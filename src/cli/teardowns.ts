// `berth teardowns`: backend sessions that are still to be ended, and those that were given up (the dead letters).
import type { Command } from 'commander';
import { EXIT, StartError } from '../errors/start-error.js';
import type { AdminFlags } from './admin-access.js';
import type { Json } from './admin-client.js';
import { openAdmin, withAdminOptions } from './admin-command.js';
import { askEach } from './ask-each.js';
import type { CommandContext, Finish } from './context.js';
import { formatTable, spanText } from './table.js';

interface ListFlags extends AdminFlags {
  readonly state?: string;
  readonly limit?: string;
  readonly cursor?: string;
}

interface RetryFlags extends AdminFlags {
  readonly all?: boolean;
  readonly backend?: string;
}

const TITLES = ['TEARDOWN', 'STATE', 'BACKEND', 'SESSION', 'REASON', 'ATTEMPTS', 'AGE'];

export function addTeardowns(program: Command, context: CommandContext, finish: Finish): void {
  const teardowns = program.command('teardowns').description('backend sessions still to be ended, and those that were given up');
  withAdminOptions(teardowns.command('list', { isDefault: true }).description('list them, oldest first'))
    .option('--state <state>', 'failed (given up), waiting, delayed or active', 'failed')
    .option('--limit <n>', 'how many at most, up to 1000', '100')
    .option('--cursor <cursor>', 'go on after an earlier list')
    .action(async ({ state, limit, cursor, ...flags }: ListFlags) => {
      const { client, show } = await openAdmin(flags, context);
      const answer = await client.ask('GET', '/api/teardowns', { state, limit, cursor });
      show(answer, () => listText(answer));
    });
  withAdminOptions(teardowns.command('retry').description('try again what was given up, with all attempts'))
    .argument('[id...]', 'their ids')
    .option('--all', 'all of them')
    .option('--backend <name>', 'all of this backend')
    .action(async (ids: string[], { all, backend, ...flags }: RetryFlags) => {
      const every = all === true || backend !== undefined;
      if (every === ids.length > 0) throw new StartError(EXIT.usage, 'name ids, or say --all or --backend NAME.');
      const run = await openAdmin(flags, context);
      if (!every) {
        finish(await askEach(run, ids, 'POST', (id) => `/api/teardowns/${encodeURIComponent(id)}/retry`, 'retried', context));
        return;
      }
      const answer = await run.client.ask('POST', '/api/teardowns/retry', { backend });
      run.show(answer, () => retriedText(answer));
    });
  withAdminOptions(teardowns.command('drop').description('forget them: nobody ends these backend sessions then'))
    .argument('<id...>', 'their ids')
    .action(async (ids: string[], flags: AdminFlags) => {
      const run = await openAdmin(flags, context);
      finish(await askEach(run, ids, 'DELETE', (id) => `/api/teardowns/${encodeURIComponent(id)}`, 'dropped', context));
    });
}

function listText({ teardowns, total, cursor }: Json): string {
  const rows = (teardowns as Json[]).map(({ id, state, backend, session, reason, attempts, ageSeconds }) => {
    return [id, state, backend, session, reason, attempts, spanText(Number(ageSeconds))];
  });
  const more = cursor === undefined ? '' : `; go on with --cursor ${String(cursor)}`;
  return `${formatTable(TITLES, rows)}${rows.length} shown of ${String(total)}${more}\n`;
}

function retriedText({ retried, left }: Json): string {
  return `${String(retried)} retried${Number(left) > 0 ? `, ${String(left)} not looked at yet: run it again` : ''}\n`;
}
