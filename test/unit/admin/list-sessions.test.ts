// Pages of sessions: filters, bounds, and cursors that are none of ours.
import type { SessionFilter } from '../../../src/admin/admin-request.js';
import { listSessions } from '../../../src/admin/list-sessions.js';
import type { SessionRecord } from '../../../src/directory/directory.js';
import type { ListedSession, ListPosition, Overview } from '../../../src/directory/overview.js';
import type { SessionRef } from '../../../src/protocol/ids.js';

const refOf = (index: number) => String(index).padStart(22, '0') as SessionRef;

class FakeOverview implements Pick<Overview, 'listSessions'> {
  read = 0;

  constructor(readonly sessions: ListedSession[]) {}

  async listSessions(after: ListPosition | undefined, limit: number): Promise<ListedSession[]> {
    const from = after ? this.sessions.findIndex(({ ref }) => ref === after.ref) + 1 : 0;
    const page = this.sessions.slice(from, from + limit);
    this.read += page.length;
    return page;
  }
}

const record = (changes: Partial<SessionRecord> = {}): SessionRecord =>
  ({
    owner: 'pod-1.abc',
    epoch: 1,
    state: 'active',
    serverId: 'support',
    principal: 'alice',
    protocolVersion: '2025-11-25',
    client: { clientInfo: { name: 'n'.repeat(5000), version: 7 }, capabilities: {} },
    createdMs: 0,
    backends: {},
    ...changes,
  }) as SessionRecord;

const made = (count: number, of: (index: number) => ListedSession['record']) =>
  new FakeOverview(Array.from({ length: count }, (_, index) => ({ ref: refOf(index), untilMs: index, record: of(index) })));

async function readAll(overview: FakeOverview, filter: SessionFilter, limit: number) {
  const pages: string[][] = [];
  let cursor: string | undefined;
  do {
    const page = await listSessions(overview as unknown as Overview, {
      kind: 'sessions',
      filter,
      limit,
      ...(cursor !== undefined && { cursor }),
    });
    expect(page.sessions.length).toBeLessThanOrEqual(limit);
    pages.push(page.sessions.map(({ ref }) => ref));
    cursor = page.cursor;
  } while (cursor !== undefined);
  return pages;
}

test('page by page, every session once, without those that are being opened', async () => {
  const overview = made(25, (index) => (index === 3 ? undefined : record()));
  const pages = await readAll(overview, {}, 10);
  expect(pages.flat()).toEqual(Array.from({ length: 25 }, (_, index) => refOf(index)).filter((ref) => ref !== refOf(3)));
});

test('a record that cannot be read hides no other', async () => {
  const overview = made(3, (index) => (index === 1 ? 'unreadable' : record()));
  const { sessions } = await listSessions(overview as unknown as Overview, { kind: 'sessions', filter: {}, limit: 10 });
  expect(sessions.map(({ state }) => state)).toEqual(['active', 'unreadable', 'active']);
});

test.each<[SessionFilter, number]>([
  [{ server: 'support' }, 2],
  [{ server: '' }, 1],
  [{ principal: 'bob' }, 1],
  [{ owner: 'pod-1.abc' }, 1],
  [{ owner: 'pod-1' }, 1],
  [{ owner: 'pod' }, 0],
  [{ owner: 'none' }, 1],
  [{ owner: 'pod-2', principal: 'bob' }, 1],
  [{ owner: 'pod-1', principal: 'bob' }, 0],
])('the filter %j finds %i', async (filter, count) => {
  const records = [record(), record({ owner: 'pod-2.def' as never, principal: 'bob' }), record({ owner: '', serverId: '' })];
  expect(
    (
      await readAll(
        made(3, (index) => records[index]),
        filter,
        10,
      )
    ).flat(),
  ).toHaveLength(count);
});

test('one request reads a bounded number of records, and the list still goes on to its end', async () => {
  const overview = made(5000, (index) => record({ principal: index === 4500 ? 'rare' : 'alice' }));
  const first = await listSessions(overview as unknown as Overview, {
    kind: 'sessions',
    filter: { principal: 'rare' },
    limit: 10,
  });
  expect([first.sessions, overview.read]).toEqual([[], 2000]);
  expect((await readAll(overview, { principal: 'rare' }, 10)).flat()).toEqual([refOf(4500)]);
});

test('what a client calls itself is cut', async () => {
  const { sessions } = await listSessions(made(1, () => record()) as unknown as Overview, {
    kind: 'sessions',
    filter: {},
    limit: 1,
  });
  expect(sessions[0]).toMatchObject({ client: { name: 'n'.repeat(100), version: null } });
});

test.each(['', 'x', 'eyJhIjoxfQ', Buffer.from('[1,"short"]').toString('base64url')])(
  'the cursor "%s" is none of ours',
  async (cursor) => {
    const listing = listSessions(made(1, () => record()) as unknown as Overview, {
      kind: 'sessions',
      filter: {},
      limit: 1,
      cursor,
    });
    await expect(listing).rejects.toMatchObject({ code: 'BAD_CURSOR', status: 400 });
  },
);
