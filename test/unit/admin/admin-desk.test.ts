// What a worker answers the admin API: outcomes as statuses, silence as silence, and Redis that is away as that.
import { AdminDesk, type AdminDeskParts } from '../../../src/admin/admin-desk.js';
import type { WorkerStatus } from '../../../src/admin/worker-status.js';
import { DirectoryUnavailable, type Lease, UnreadableRecord } from '../../../src/directory/directory.js';
import type { SessionRef, WorkerId } from '../../../src/protocol/ids.js';
import { ALL_TOOLS } from '../../../src/servers/tool-filter.js';
import { TeardownQueueUnavailable } from '../../../src/teardown/bull-teardown-queue.js';
import { FakeClock } from '../../support/fake-clock.js';

const REF = 'r'.repeat(22) as SessionRef;
const away = () => Promise.reject(new DirectoryUnavailable(new Error('redis://user:secret@host')));
const lease = (id: string, changes: Partial<Lease> = {}): Lease => ({
  id: id as WorkerId,
  index: 1,
  pid: 1,
  pod: 'pod',
  host: 'host',
  unixSocket: '/secret/path',
  tcp: { host: '10.0.0.1', port: 1 },
  draining: false,
  startedMs: 0,
  ...changes,
});
const status = (sessions: number, changes: Partial<WorkerStatus> = {}): WorkerStatus => ({
  sessions,
  streams: 0,
  backendSessions: 0,
  backends: [],
  tools: {},
  ...changes,
});

function setUp(parts: Partial<AdminDeskParts> = {}) {
  const clock = new FakeClock();
  const errors: unknown[] = [];
  const desk = new AdminDesk({
    clock,
    overview: { listSessions: async () => [], readExpiry: async () => 1000, listLeases: async () => [] },
    directory: { readSession: async () => ({ kind: 'gone' }), countSessions: async () => 0 },
    desk: {
      list: async () => ({ jobs: [], total: 0 }),
      retry: async () => 'done',
      retryAll: async () => ({ retried: 0, left: 0 }),
      drop: async () => 'done',
    },
    config: () => ({ mcpServers: {} }),
    servers: () => [],
    ownId: () => 'own' as WorkerId,
    ownStatus: () => status(1),
    ask: async () => undefined,
    kill: async () => 'killed',
    onError: (error) => errors.push(error),
    ...parts,
  });
  const codeOf = async (request: Parameters<AdminDesk['serve']>[0]) => {
    const answer = await desk.serve(request);
    return [answer.status, (answer.body as { error?: { code: string } }).error?.code];
  };
  return { clock, desk, errors, codeOf };
}

test('a server that is called what every object has is counted like any other', async () => {
  const served = { backends: [], tools: ALL_TOOLS, prefix: 'auto' } as const;
  const servers = () => ['constructor', 'toString'].map((id) => ({ id, ...served }));
  const ownStatus = () => status(0, { tools: { toString: 3 } as unknown as WorkerStatus['tools'] });
  const overview = {
    listSessions: async () => [],
    readExpiry: async () => 1000,
    listLeases: async () => [{ lease: lease('own'), leftMs: 1000 }],
  };
  const { body } = await setUp({ servers, ownStatus, overview }).desk.serve({ kind: 'servers' });
  expect(body).toMatchObject({
    servers: [
      { id: 'constructor', tools: null },
      { id: 'toString', tools: 3 },
    ],
  });
});

test.each([
  ['killed', 202, undefined],
  ['gone', 404, 'SESSION_UNKNOWN'],
  ['later', 503, 'OWNER_UNKNOWN'],
] as const)('a kill that ends as "%s" is %i', async (outcome, code, error) => {
  expect(await setUp({ kill: async () => outcome }).codeOf({ kind: 'kill', ref: REF })).toEqual([code, error]);
});

test.each([
  ['done', 200, undefined],
  ['unknown', 404, 'TEARDOWN_UNKNOWN'],
  ['busy', 409, 'TEARDOWN_BUSY'],
  ['notFailed', 409, 'TEARDOWN_NOT_FAILED'],
] as const)('a teardown that is "%s" is %i', async (outcome, code, error) => {
  const parts = { retry: async () => outcome, drop: async () => outcome } as unknown as AdminDeskParts['desk'];
  const { codeOf } = setUp({ desk: parts });
  expect(await codeOf({ kind: 'retry', id: 'x' })).toEqual([code, error]);
  expect(await codeOf({ kind: 'drop', id: 'x' })).toEqual([code, error]);
});

test('Redis that is away is 503 everywhere, and its address is told to nobody', async () => {
  const { desk, errors, codeOf } = setUp({
    overview: { listSessions: away, readExpiry: away, listLeases: away },
    directory: { readSession: away, countSessions: away },
    kill: away,
    desk: { list: () => Promise.reject(new TeardownQueueUnavailable()) } as unknown as AdminDeskParts['desk'],
  });
  for (const request of [
    { kind: 'workers' },
    { kind: 'backends' },
    { kind: 'servers' },
    { kind: 'sessions', filter: {}, limit: 1 },
    { kind: 'session', ref: REF },
    { kind: 'kill', ref: REF },
    { kind: 'teardowns', state: 'failed', limit: 1 },
  ] as const) {
    expect(await codeOf(request)).toEqual([503, 'REDIS_AWAY']);
    expect(JSON.stringify(await desk.serve(request))).not.toContain('secret');
  }
  expect(errors).toEqual([]);
});

test('a session that is not found while data is restored is not told for gone; a record that cannot be read is neither', async () => {
  const reading = (readSession: AdminDeskParts['directory']['readSession']) =>
    setUp({ directory: { readSession, countSessions: async () => 0 } }).codeOf({ kind: 'session', ref: REF });
  expect(await reading(async () => ({ kind: 'gone' }))).toEqual([404, 'SESSION_UNKNOWN']);
  expect(await reading(async () => ({ kind: 'settling' }))).toEqual([503, 'REDIS_AWAY']);
  expect(await reading(() => Promise.reject(new UnreadableRecord(new Error('x'))))).toEqual([500, 'RECORD_UNREADABLE']);
});

test('what breaks is told to the log, not to the caller', async () => {
  const broken = new Error('secret');
  const { desk, errors } = setUp({ kill: () => Promise.reject(broken) });
  const answer = await desk.serve({ kind: 'kill', ref: REF });
  expect([answer.status, JSON.stringify(answer.body).includes('secret'), errors]).toEqual([500, false, [broken]]);
});

test('workers that are silent, or answer in another form, are told as such; addresses are not told', async () => {
  const leases = ['own', 'fine', 'silent', 'odd'].map((id, index) => ({ lease: lease(id, { index }), leftMs: 500 }));
  const answers: Record<string, unknown> = { fine: status(5), odd: { sessions: 'many' } };
  const { desk } = setUp({
    overview: { listLeases: async () => leases, listSessions: async () => [], readExpiry: async () => undefined },
    ask: async (to) => answers[to.id],
  });
  const { body } = await desk.serve({ kind: 'workers' });
  const { workers } = body as { workers: Array<Record<string, unknown>> };
  expect(workers.map(({ id, answered, sessions }) => [id, answered, sessions])).toEqual([
    ['own', true, 1],
    ['fine', true, 5],
    ['silent', false, null],
    ['odd', false, null],
  ]);
  expect(JSON.stringify(body)).not.toMatch(/secret|10\.0\.0\.1/);
});

test('many workers that hang cost two seconds in all', async () => {
  const leases = Array.from({ length: 300 }, (_, index) => ({ lease: lease(`w${index}`), leftMs: 500 }));
  const { desk, clock } = setUp({
    overview: { listLeases: async () => leases, listSessions: async () => [], readExpiry: async () => undefined },
    ask: (_to, withinMs): Promise<undefined> => new Promise((resolve) => clock.after(withinMs, () => resolve(undefined))),
  });
  let done = false;
  const asking = desk.serve({ kind: 'workers' }).then(({ body }) => {
    done = true;
    return body as { workers: unknown[] };
  });
  for (let step = 0; step < 20 && !done; step++) {
    // What an answer sets off comes before time goes on.
    await new Promise((resolve) => setImmediate(resolve));
    clock.advance(100);
  }
  expect((await asking).workers).toHaveLength(300);
  expect(clock.pendingTimers).toBe(0);
});
