// Backends recycle ids. The index of open ids says whose an id is by now, so that the end of one session never ends another (I7), and
// no session that is over is forgotten for it (I5).
import { RedisDirectory } from '../../../src/directory/redis-directory.js';
import { type Epoch, digestOfBackendSession, mintNonce, mintWorkerId, type SessionRef } from '../../../src/protocol/ids.js';
import { openOwnershipConnection, type RedisConnection } from '../../../src/redis/connect.js';
import { closeConnection, whenUp } from '../../../src/redis/ready.js';
import { openIdsOf } from '../../../src/teardown/open-ids.js';
import { waitFor } from '../../support/wait-for.js';
import { Bench, makeJob, PREFIX } from './harness.js';

const DIGEST = digestOfBackendSession('a', 'id-1');
let bench: Bench;
let connection: RedisConnection;
let directory: RedisDirectory;

beforeEach(async () => {
  bench = new Bench();
  await bench.start();
  connection = openOwnershipConnection(bench.redis.url, { leaseMs: 6000 });
  await whenUp(connection, 10_000);
  directory = new RedisDirectory({ connection, prefix: PREFIX, idleTimeoutMs: 60_000 });
});
afterEach(async () => {
  await closeConnection(connection);
  await bench.stop();
});

/** A session with backend session `id-1` of backend a, saved as its owner saves it. */
async function openSession(ref: string, generation = 1, id = 'id-1'): Promise<SessionRef> {
  const session = ref as SessionRef;
  const token = { owner: mintWorkerId('w'), epoch: 1 as Epoch };
  const record = { serverId: '', principal: 'p', protocolVersion: '2025-06-18', client: { clientInfo: {}, capabilities: {} } };
  await directory.createSession(session, { ...record, ...token, createdMs: 0, backends: {} }, mintNonce());
  const { sealed, protocolVersion } = makeJob('a', id, { sessionRef: session });
  const saved = await directory.saveBackendSession(session, token, 'a', 0, {
    ...{ generation, sealed, protocolVersion, capabilities: {}, transport: 'http', digest: digestOfBackendSession('a', id) },
  });
  expect(saved).toEqual({ kind: 'saved' });
  return session;
}

const endOf = (sessionRef: SessionRef, generation = 1) => makeJob('a', 'id-1', { sessionRef, generation });
const openKeys = () => bench.connect().keys(`${PREFIX}open:*`);

test('an id that another session has by now is left alone, until that session ends', async () => {
  const server = await bench.backend('a', () => 200);
  const old = await openSession('old');
  const next = await openSession('next');
  bench.worker(openIdsOf(directory));
  await bench.queue().add([endOf(old)]);
  await waitFor('the job of the old session to be dropped', () => bench.results.length === 1);
  expect([bench.results, server.ids]).toEqual([['reused'], []]);
  await bench.queue().add([endOf(next)]);
  await waitFor('the session that has it to be ended', () => server.ids.length === 1);
  await waitFor('no entry of the index to be left', async () => (await openKeys()).length === 0);
});

test('an id that the backend issued to the same session again is left alone for the job of its first life', async () => {
  const server = await bench.backend('a', () => 200);
  const ref = await openSession('old');
  const read = await directory.readSession(ref);
  if (read.kind !== 'found') throw new Error(read.kind);
  const token = { owner: read.record.owner, epoch: read.record.epoch };
  const { sealed, protocolVersion } = makeJob('a', 'id-1', { sessionRef: ref });
  const again = { generation: 2, sealed, protocolVersion, capabilities: {}, transport: 'http' as const, digest: DIGEST };
  expect(await directory.saveBackendSession(ref, token, 'a', 1, again)).toEqual({ kind: 'saved' });
  bench.worker(openIdsOf(directory));
  await bench.queue().add([endOf(ref, 1)]);
  await waitFor('the job of its first life to be dropped', () => bench.results.length === 1);
  expect([bench.results, server.ids]).toEqual([['reused'], []]);
  await bench.queue().add([endOf(ref, 1), endOf(ref, 2)]);
  await waitFor('the job of its second life to end it', () => server.ids.length === 1);
});

test('a session that nobody has indexed is ended, and so is one given up: neither leaves an entry', async () => {
  const server = await bench.backend('a', (count) => (count === 0 ? 200 : 401));
  bench.worker(openIdsOf(directory));
  await bench.queue().add([endOf('unknown' as SessionRef)]);
  await waitFor('it to be ended', () => server.ids.length === 1);
  const refused = await openSession('refused');
  expect(await openKeys()).toHaveLength(1);
  await bench.queue().add([endOf(refused)]);
  await waitFor('it to be given up', () => bench.givenUp.length === 1);
  expect(await openKeys()).toEqual([]);
});

test('what Redis lost is indexed anew by whoever opens the session anew or claims it, and never taken from a later holder', async () => {
  const ref = await openSession('one');
  const read = await directory.readSession(ref);
  if (read.kind !== 'found') throw new Error(read.kind);
  const { record } = read;
  await bench.connect().flushall();
  expect(await directory.findOpen(DIGEST)).toBeUndefined();
  const owner = mintWorkerId('w');
  expect(await directory.createSession(ref, { ...record, owner }, mintNonce())).toBe('created');
  expect(await directory.findOpen(DIGEST)).toEqual({ ref, generation: 1 });

  await bench.connect().del(`${PREFIX}open:${DIGEST}`);
  const claimant = mintWorkerId('v');
  await directory.claimSession(ref, { owner, epoch: record.epoch }, claimant, mintNonce());
  await waitFor('the claim to index it', async () => (await directory.findOpen(DIGEST))?.ref === ref);

  const later = await openSession('later');
  await directory.extendRecord(ref, { owner: claimant, epoch: 2 as Epoch }, record.backends);
  expect((await directory.findOpen(DIGEST))?.ref).toBe(later);
  expect(await bench.connect().pttl(`${PREFIX}open:${DIGEST}`)).toBeGreaterThan(86_400_000);
});

test('nothing readable: the index holds a digest and a reference', async () => {
  await openSession('one', 1, 'readable-id');
  const { keys, text } = await bench.dump();
  expect(keys.filter((key) => key.includes('open:'))).toHaveLength(1);
  expect(text).not.toContain('readable-id');
});
