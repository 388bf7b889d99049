// `berth sessions`: list, show, kill.
import type { Command } from 'commander';
import type { AdminFlags } from './admin-access.js';
import type { AdminClient, Json } from './admin-client.js';
import { openAdmin, withAdminOptions } from './admin-command.js';
import { askEach } from './ask-each.js';
import type { CommandContext, Finish } from './context.js';
import { ageText, formatFacts, formatTable } from './table.js';

interface ListFlags extends AdminFlags {
  readonly server?: string;
  readonly owner?: string;
  readonly principal?: string;
  readonly limit?: string;
  readonly cursor?: string;
  readonly all?: boolean;
}

/** A client that calls itself by a long name must not push what matters out of the window. */
const MAX_CLIENT = 32;
const TITLES = ['SESSION', 'SERVER', 'STATE', 'OWNER', 'EPOCH', 'AGE', 'CLIENT', 'PROTOCOL', 'BACKENDS'];

export function addSessions(program: Command, context: CommandContext, finish: Finish): void {
  const sessions = program.command('sessions').description('list, show and end the sessions of the cluster');
  withAdminOptions(
    sessions.command('list', { isDefault: true }).description('list sessions, those that expire first at the front'),
  )
    .option('--server <id>', 'only of this virtual server')
    .option('--owner <worker>', 'only those of this worker, or "none"')
    .option('--principal <digest>', 'only those of this caller')
    .option('--limit <n>', 'how many at most, up to 1000', '100')
    .option('--cursor <cursor>', 'go on after an earlier list')
    .option('--all', 'all of them')
    .action(async (flags: ListFlags) => {
      const { client, show } = await openAdmin(flags, context);
      const answer = await readList(client, flags);
      show(answer, () => listText(answer));
    });
  withAdminOptions(
    sessions.command('show').description('show one session').argument('<ref>', 'its reference, as lists and logs show it'),
  ).action(async (ref: string, flags: AdminFlags) => {
    const { client, show } = await openAdmin(flags, context);
    const answer = await client.ask('GET', `/api/sessions/${encodeURIComponent(ref)}`);
    show(answer, () => factsText(answer));
  });
  withAdminOptions(sessions.command('kill').description('end sessions at once').argument('<ref...>', 'their references')).action(
    async (refs: string[], flags: AdminFlags) => {
      const run = await openAdmin(flags, context);
      finish(await askEach(run, refs, 'DELETE', (ref) => `/api/sessions/${encodeURIComponent(ref)}`, 'killed', context));
    },
  );
}

async function readList(client: AdminClient, { server, owner, principal, limit, cursor, all }: ListFlags): Promise<Json> {
  const query = { server, owner, principal, limit: all ? '1000' : limit };
  let page = await client.ask('GET', '/api/sessions', { ...query, cursor });
  if (!all) return page;
  // By reference: one that is used while the list is read may come twice.
  const found = new Map((page.sessions as Json[]).map((session) => [session.ref, session]));
  while (page.cursor !== undefined) {
    page = await client.ask('GET', '/api/sessions', { ...query, cursor: String(page.cursor) });
    for (const session of page.sessions as Json[]) found.set(session.ref, session);
  }
  return { sessions: [...found.values()], total: page.total };
}

function listText({ sessions, total, cursor }: Json): string {
  const table = formatTable(TITLES, (sessions as Json[]).map(rowOf));
  const shown = `${(sessions as Json[]).length} shown, ${String(total)} in the cluster`;
  return `${table}${shown}${cursor === undefined ? '' : `; go on with --cursor ${String(cursor)}, or --all`}\n`;
}

function rowOf(session: Json): unknown[] {
  if (session.client === undefined) return [session.ref, null, session.state];
  return [
    session.ref,
    session.server === '' ? '/mcp' : session.server,
    session.state,
    session.owner,
    session.epoch,
    ageText(session.created, Date.now()),
    cut(clientText(session)),
    session.protocolVersion,
    (session.backends as Json[]).map(({ name }) => name),
  ];
}

const clientText = ({ client }: Json): string =>
  [(client as Json).name, (client as Json).version].filter((part) => part !== null).join(' ');

/** `show` has all of it. */
const cut = (text: string): string => (text.length > MAX_CLIENT ? `${[...text].slice(0, MAX_CLIENT - 1).join('')}…` : text);

function factsText(session: Json): string {
  const backends = (session.backends as Json[]).map(
    ({ name, protocolVersion, generation }) => `${String(name)} (${String(protocolVersion)}, generation ${String(generation)})`,
  );
  const { client: _, backends: __, server, ...facts } = session;
  return formatFacts({ ...facts, server: server === '' ? '/mcp' : server, client: clientText(session), backends });
}
