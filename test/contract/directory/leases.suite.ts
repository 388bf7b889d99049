// Contract of the leases: proof of life that never comes back once it is gone.
import { waitFor } from '../../support/wait-for.js';
import { type Harness, LEASE_MS, newLease, newWorker } from './harness.js';

export function describeLeases(use: () => Harness): void {
  const directory = () => use().directory;

  beforeEach(() => use().flushAll());

  it('opens a lease once', async () => {
    const lease = newLease({ tcp: { host: '10.0.0.1', port: 7000 } });
    expect(await directory().openLease(lease, LEASE_MS)).toBe(true);
    expect(await directory().openLease(lease, LEASE_MS)).toBe(false);
    expect(await directory().readLease(lease.id)).toEqual(lease);
    const ttlMs = await use().connection.pttl(`${use().prefix}worker:${lease.id}`);
    expect(ttlMs).toBeGreaterThan(LEASE_MS - 2000);
    expect(ttlMs).toBeLessThanOrEqual(LEASE_MS);
  });

  it('renews with what has changed', async () => {
    const lease = newLease();
    await directory().openLease(lease, 1000);
    expect(await directory().renewLease({ ...lease, draining: true }, LEASE_MS)).toBe(true);
    expect(await directory().readLease(lease.id)).toEqual({ ...lease, draining: true });
    expect(await use().connection.pttl(`${use().prefix}worker:${lease.id}`)).toBeGreaterThan(1000);
  });

  it('does not renew a lease that is gone', async () => {
    const lease = newLease();
    expect(await directory().renewLease(lease, LEASE_MS)).toBe(false);
    await directory().openLease(lease, 20);
    await waitFor('the lease to run out', async () => (await directory().readLease(lease.id)) === undefined);
    expect(await directory().renewLease(lease, LEASE_MS)).toBe(false);
    expect(await directory().readLease(lease.id)).toBeUndefined();
  });

  it('removes exactly one incarnation and leaves no key', async () => {
    const [one, other] = [newLease(), newLease()];
    await directory().openLease(one, LEASE_MS);
    await directory().openLease(other, LEASE_MS);
    await directory().removeLease(one.id);
    await directory().removeLease(one.id);
    expect(await directory().readLease(one.id)).toBeUndefined();
    expect(await directory().readLease(other.id)).toEqual(other);
    await directory().removeLease(other.id);
    expect(await use().keys()).toEqual([]);
  });

  it('lists live workers only, and forgets the dead after a minute', async () => {
    const [alive, dead] = [newLease(), newLease({ id: newWorker() })];
    await directory().openLease(alive, LEASE_MS);
    await directory().openLease(dead, LEASE_MS);
    await use().connection.del(`${use().prefix}worker:${dead.id}`);
    expect(await directory().listWorkers()).toEqual([alive]);
    expect(await use().connection.zcard(`${use().prefix}workers`)).toBe(2);
    use().clock.shiftMs += 61_000 + LEASE_MS;
    // A worker whose wall clock is far behind stays listed: only the lease counts.
    expect(await directory().listWorkers()).toEqual([alive]);
    await waitFor('the dead worker to be forgotten', async () => {
      return (await use().connection.zcard(`${use().prefix}workers`)) === 1;
    });
    expect(await directory().listWorkers()).toEqual([alive]);
  });
}
