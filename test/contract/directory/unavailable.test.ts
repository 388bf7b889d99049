// What a caller sees while Redis is away: every call ends in time as DirectoryUnavailable, nothing is sent twice, nothing waits.
import { DirectoryUnavailable } from '../../../src/directory/directory.js';
import { RedisDirectory } from '../../../src/directory/redis-directory.js';
import { mintNonce } from '../../../src/protocol/ids.js';
import { openOwnershipConnection, type RedisConnection } from '../../../src/redis/connect.js';
import { closeConnection, whenUp } from '../../../src/redis/ready.js';
import { type RedisServer, startRedis } from '../../support/redis-server.js';
import { waitFor } from '../../support/wait-for.js';
import { backendSession, IDLE_MS, newLease, newRecord, newRef, newWorker, tokenOf } from './harness.js';

const LEASE_MS = 800;

describe('the directory while Redis is away', () => {
  let redis: RedisServer | undefined;
  let connection: RedisConnection | undefined;
  let directory: RedisDirectory;
  const server = () => redis as RedisServer;
  const client = () => connection as RedisConnection;

  beforeEach(async () => {
    redis = await startRedis({ appendonly: true });
    connection = openOwnershipConnection(redis.url, { leaseMs: LEASE_MS });
    await whenUp(connection, 5000);
    directory = new RedisDirectory({ connection, idleTimeoutMs: IDLE_MS });
  }, 30_000);

  afterEach(async () => {
    await closeConnection(client());
    await server().stop();
  }, 30_000);

  const backAgain = () => waitFor('the connection to be up again', () => client().status === 'ready');

  it('rejects every verb at once when nobody listens', async () => {
    await server().kill();
    await waitFor('the connection to notice', () => client().status !== 'ready');
    const [ref, token, lease] = [newRef(), tokenOf(newWorker(), 1), newLease()];
    const calls = [
      () => directory.reserveTotal(ref, 1, 1),
      () => directory.reservePrincipal('p', ref, 1),
      () => directory.createSession(ref, newRecord(), mintNonce()),
      () => directory.readSession(ref),
      () => directory.claimSession(ref, token, newWorker(), mintNonce()),
      () => directory.releaseSession(ref, token),
      () => directory.saveBackendSession(ref, token, 'a', 0, backendSession(1)),
      () => directory.verifySessions([{ ref, token, generations: {}, standing: '' }]),
      () => directory.closeSession(ref, undefined),
      () => directory.addEnding(ref, 1),
      () => directory.removeSession(ref, 'p'),
      () => directory.dropReservations(ref, 'p'),
      () => directory.touchSessions([{ ref, untilMs: 1 }]),
      () => directory.extendRecord(ref, token),
      () => directory.listExpired(1, 1),
      () => directory.listEnding(1),
      () => directory.acquireSweep(newWorker(), 1000),
      () => directory.prunePrincipal('p'),
      () => directory.countSessions(),
      () => directory.openLease(lease, LEASE_MS),
      () => directory.renewLease(lease, LEASE_MS),
      () => directory.readLease(lease.id),
      () => directory.removeLease(lease.id),
      () => directory.listWorkers(),
      () => directory.checkGeneration(LEASE_MS),
    ];
    for (const call of calls) await expect(call()).rejects.toBeInstanceOf(DirectoryUnavailable);
  });

  it('rejects within the renewal interval while Redis is stopped, and goes on when it runs again', async () => {
    const lease = newLease();
    await directory.openLease(lease, 60_000);
    server().pause();
    const before = performance.now();
    await expect(directory.renewLease(lease, 60_000)).rejects.toBeInstanceOf(DirectoryUnavailable);
    expect(performance.now() - before).toBeLessThan(LEASE_MS / 3);
    server().resume();
    await waitFor('a renewal to succeed', () => directory.renewLease(lease, 60_000));
  });

  it('keeps records over a restart with persistence, and brings its scripts along', async () => {
    await directory.checkGeneration(50);
    const [ref, record] = [newRef(), newRecord()];
    await directory.createSession(ref, record, mintNonce());
    await server().restart();
    await backAgain();
    const outcome = await directory.claimSession(ref, tokenOf(record.owner, 1), newWorker(), mintNonce());
    expect(outcome).toMatchObject({ kind: 'claimed', epoch: 2 });
    await waitFor('the settling time to end', async () => (await directory.checkGeneration(50)) === 'same');
  });

  it('brings its scripts along after a script flush', async () => {
    const [ref, record] = [newRef(), newRecord()];
    await directory.createSession(ref, record, mintNonce());
    await client().script('FLUSH');
    const claims = [1, 2, 3].map(() => directory.claimSession(ref, tokenOf(record.owner, 1), newWorker(), mintNonce()));
    const kinds = (await Promise.all(claims)).map(({ kind }) => kind);
    expect(kinds.filter((kind) => kind === 'claimed')).toHaveLength(1);
  });

  it('never sends again what was on its way when the connection broke', async () => {
    await client().set('counter', 0);
    server().pause();
    const onItsWay = expect(client().incr('counter')).rejects.toThrow();
    // The server is killed before it has read the command: only a repeat could increment.
    await server().kill();
    await onItsWay;
    await server().start();
    await backAgain();
    expect(await client().get('counter')).toBe('0');
  });

  it('hides what the command carried from the error', async () => {
    await client().set('expiry', 'no sorted set');
    const other = new RedisDirectory({ connection: client(), prefix: '', idleTimeoutMs: IDLE_MS });
    const error = await other.touchSessions([{ ref: newRef(), untilMs: 1 }]).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(DirectoryUnavailable);
    expect((error as Error).cause).toMatchObject({ message: expect.stringContaining('WRONGTYPE') });
    expect((error as Error).cause).not.toHaveProperty('command');
  });

  it('counts a claim and a lease only when enough replicas have them', async () => {
    const alone = new RedisDirectory({
      connection: client(),
      idleTimeoutMs: IDLE_MS,
      waitReplicas: { count: 1, timeoutMs: 20 },
    });
    await expect(alone.openLease(newLease(), LEASE_MS)).rejects.toBeInstanceOf(DirectoryUnavailable);
    const [ref, record, claimant, nonce] = [newRef(), newRecord(), newWorker(), mintNonce()];
    await directory.createSession(ref, record, mintNonce());
    const claim = (by: RedisDirectory) => by.claimSession(ref, tokenOf(record.owner, 1), claimant, nonce);
    await expect(claim(alone)).rejects.toBeInstanceOf(DirectoryUnavailable);
    // The outcome was unknown; the repeat with the same nonce tells it.
    expect(await claim(directory)).toMatchObject({ kind: 'claimed', epoch: 2 });
  });
});
