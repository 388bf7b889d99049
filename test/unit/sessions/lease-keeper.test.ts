// The clock half of the guard: never valid longer than every other worker must believe the lease (rules 2, 3, 5, 6, 9).
import { LEASE_MS, LeaseFixture, MARGIN_MS, RENEWAL_MS, RETRY_MS, settle } from './lease-fixture.js';

const VALID_MS = LEASE_MS - MARGIN_MS;

describe('validity', () => {
  it('counts from before the first lease was sent, less the margin', async () => {
    const { keeper, directory, clock } = new LeaseFixture();
    directory.waits = true;
    const started = keeper.start();
    await settle();
    clock.advance(1000);
    expect(keeper.isValid()).toBe(false);
    await directory.last().answer('ok');
    await started;
    expect(keeper.remainingMs()).toBe(VALID_MS - 1000);
  });

  it('counts from before a renewal was sent, however late its answer is', async () => {
    const { keeper, directory, clock } = await new LeaseFixture().start();
    directory.waits = true;
    clock.advance(RENEWAL_MS);
    await settle();
    clock.advance(1500);
    await directory.last().answer('ok');
    expect(keeper.remainingMs()).toBe(VALID_MS - 1500);
    expect(keeper.isValid()).toBe(true);
  });

  it('ends to the millisecond when nothing renews it', async () => {
    const { keeper, directory, clock } = await new LeaseFixture().start();
    directory.waits = true;
    clock.advance(VALID_MS - 1);
    expect(keeper.isValid()).toBe(true);
    clock.advance(1);
    expect(keeper.isValid()).toBe(false);
    expect(keeper.remainingMs()).toBe(0);
  });

  it('ends when the wall clock alone says so: a suspended machine stops the monotonic one', async () => {
    const { keeper, clock } = await new LeaseFixture().start();
    clock.stepWall(VALID_MS - 1);
    expect(keeper.isValid()).toBe(true);
    clock.stepWall(1);
    expect(keeper.isValid()).toBe(false);
  });

  it('ends when the monotonic clock alone says so: the wall clock may be stepped back', async () => {
    const { keeper, directory, clock } = await new LeaseFixture().start();
    directory.waits = true;
    clock.stepWall(-3_600_000);
    clock.advance(VALID_MS);
    expect(keeper.isValid()).toBe(false);
  });

  it('goes on for ever while renewals succeed, three in a lease', async () => {
    const fixture = await new LeaseFixture().start();
    await fixture.advance(10 * LEASE_MS);
    expect(fixture.keeper.remainingMs()).toBeGreaterThanOrEqual(VALID_MS - RENEWAL_MS);
    expect(fixture.directory.calls.filter(({ kind }) => kind === 'renew')).toHaveLength(30);
    expect(fixture.events).toEqual([]);
  });

  it('is over at once after stop, and the lease is deleted', async () => {
    const { keeper, directory, clock } = await new LeaseFixture().start();
    await keeper.stop();
    expect(keeper.isValid()).toBe(false);
    expect([...directory.leases]).toEqual([]);
    clock.advance(LEASE_MS);
    await settle();
    expect(directory.last().kind).toBe('remove');
  });
});

describe('renewals', () => {
  it('never overlap, not even when a drain asks for one while one is on its way', async () => {
    const { keeper, directory, clock } = await new LeaseFixture().start();
    directory.waits = true;
    clock.advance(RENEWAL_MS);
    await settle();
    const told = keeper.setDraining();
    clock.advance(VALID_MS);
    await settle();
    expect(directory.openNow).toBe(1);
    await directory.last().answer('ok');
    await directory.last().answer('ok');
    await told;
    expect(directory.mostAtOnce).toBe(1);
  });

  it('tell a drain at once, although one that says otherwise is still on its way', async () => {
    const { keeper, directory, clock } = await new LeaseFixture().start();
    directory.waits = true;
    clock.advance(RENEWAL_MS);
    await settle();
    expect(directory.last().lease.draining).toBe(false);
    const told = keeper.setDraining();
    await directory.last().answer('ok');
    expect(directory.last()).toMatchObject({ kind: 'renew', lease: { draining: true } });
    await directory.last().answer('ok');
    await told;
  });

  it('tells new addresses at once and keeps to them, also when a renewal is on its way and when Redis is away', async () => {
    const { clock, directory, keeper } = await new LeaseFixture().start();
    directory.waits = true;
    clock.advance(RENEWAL_MS);
    await settle();
    const told = keeper.moveTo({ unixSocket: '/tmp/anew.sock' });
    expect(directory.last().lease.unixSocket).toBe('/tmp/none.sock');
    await directory.last().answer('ok');
    expect(directory.last()).toMatchObject({ kind: 'renew', lease: { unixSocket: '/tmp/anew.sock' } });
    await directory.last().answer('unavailable');
    await told;
    clock.advance(RETRY_MS);
    await settle();
    expect(directory.last()).toMatchObject({ kind: 'renew', lease: { unixSocket: '/tmp/anew.sock' } });
    await directory.last().answer('ok');
    expect(directory.mostAtOnce).toBe(1);
  });

  it('are tried again soon while Redis is away, and succeed without a lapse if it is back in time', async () => {
    const fixture = await new LeaseFixture().start();
    fixture.directory.away = true;
    await fixture.advance(RENEWAL_MS + 4 * RETRY_MS);
    expect(fixture.directory.calls.filter(({ kind }) => kind === 'renew')).toHaveLength(5);
    fixture.directory.away = false;
    await fixture.advance(RETRY_MS);
    expect(fixture.events).toEqual([]);
    expect(fixture.keeper.isValid()).toBe(true);
  });
});

describe('a lapse', () => {
  it('is told once, and a late renewal that finds the lease recovers under the same incarnation', async () => {
    const fixture = await new LeaseFixture().start();
    const { keeper, directory } = fixture;
    const before = keeper.id;
    directory.away = true;
    await fixture.advance(2 * LEASE_MS);
    expect(fixture.events).toEqual(['lapsed']);
    directory.away = false;
    await fixture.advance(RETRY_MS);
    expect(fixture.events).toEqual(['lapsed', 'recovered']);
    expect(keeper.id).toBe(before);
    expect(keeper.isValid()).toBe(true);
  });

  it('with the lease gone takes a new incarnation', async () => {
    const fixture = await new LeaseFixture().start();
    const { keeper, directory } = fixture;
    const before = keeper.id;
    directory.away = true;
    await fixture.advance(LEASE_MS + 100);
    directory.leases.clear();
    directory.away = false;
    await fixture.advance(RETRY_MS);
    expect(fixture.events).toEqual(['lapsed', 'replaced ranOut']);
    expect(keeper.id).not.toBe(before);
    expect(keeper.isOwn(before)).toBe(true);
    expect(keeper.isOwn(keeper.id)).toBe(true);
    expect(keeper.isOwn('pod-1.another')).toBe(false);
    expect([...directory.leases]).toEqual([keeper.id]);
  });

  it('that a paused process notices only by its next renewal is a lapse, not a loss of data', async () => {
    const fixture = await new LeaseFixture().start();
    fixture.directory.leases.clear();
    // The whole pause in one step: no timer ran in it.
    fixture.clock.advance(RENEWAL_MS - 1);
    fixture.clock.stepWall(10 * LEASE_MS);
    await fixture.advance(100);
    expect(fixture.events).toEqual(['lapsed', 'replaced ranOut']);
  });

  it('whose renewal was sent in time and answered late counts as run out when the key is gone', async () => {
    const { keeper, directory, clock, events } = await new LeaseFixture().start();
    directory.waits = true;
    clock.advance(RENEWAL_MS);
    await settle();
    clock.advance(VALID_MS);
    await directory.last().answer('no');
    await directory.last().answer('ok');
    expect(events).toEqual(['lapsed', 'replaced ranOut']);
    expect(keeper.isValid()).toBe(true);
  });

  it('forbids take-overs for one lease after the return', async () => {
    const fixture = await new LeaseFixture().start();
    const { keeper, directory } = fixture;
    expect(keeper.mayTakeOver()).toBe(true);
    directory.away = true;
    await fixture.advance(2 * LEASE_MS);
    directory.leases.clear();
    directory.away = false;
    await fixture.advance(RETRY_MS);
    expect(keeper.isValid()).toBe(true);
    expect(keeper.mayTakeOver()).toBe(false);
    await fixture.advance(LEASE_MS - RETRY_MS);
    expect(keeper.mayTakeOver()).toBe(false);
    await fixture.advance(RETRY_MS + 100);
    expect(keeper.mayTakeOver()).toBe(true);
  });
});

describe('a lease whose key is gone while it is valid', () => {
  it('is a loss of data, and forbids nothing', async () => {
    const fixture = await new LeaseFixture().start();
    const before = fixture.keeper.id;
    fixture.directory.leases.clear();
    await fixture.advance(RENEWAL_MS);
    expect(fixture.events).toEqual(['replaced dataLost']);
    expect(fixture.keeper.id).not.toBe(before);
    expect(fixture.keeper.mayTakeOver()).toBe(true);
  });

  it('makes nothing valid before the new incarnation has its lease', async () => {
    const fixture = await new LeaseFixture().start();
    const { keeper, directory, events } = fixture;
    const before = keeper.id;
    fixture.acknowledges = false;
    directory.leases.clear();
    await fixture.advance(RENEWAL_MS);
    expect(keeper.id).not.toBe(before);
    expect(keeper.isValid()).toBe(false);
    expect(keeper.mayTakeOver()).toBe(false);
    await fixture.acknowledgeNow();
    expect(keeper.isValid()).toBe(true);
    expect(events).toEqual(['replaced dataLost']);
  });

  it('stays a loss of data when its new lease needs a second try before the old guard has ended', async () => {
    const fixture = await new LeaseFixture().start();
    const { directory, clock, keeper } = fixture;
    directory.waits = true;
    clock.advance(RENEWAL_MS);
    await settle();
    await directory.last().answer('no');
    await directory.last().answer('unavailable');
    expect(keeper.isValid()).toBe(false);
    directory.waits = false;
    await fixture.advance(RENEWAL_MS);
    expect(fixture.events).toEqual(['replaced dataLost']);
  });

  it('is a lapse in the end when the new lease comes only after the old guard has ended', async () => {
    const fixture = await new LeaseFixture().start();
    const { directory, clock } = fixture;
    directory.waits = true;
    clock.advance(RENEWAL_MS);
    await settle();
    await directory.last().answer('no');
    await directory.last().answer('unavailable');
    directory.waits = false;
    directory.away = true;
    await fixture.advance(LEASE_MS);
    expect(fixture.events).toEqual(['lapsed']);
    directory.away = false;
    await fixture.advance(RENEWAL_MS);
    expect(fixture.events).toEqual(['lapsed', 'replaced ranOut']);
  });
});

describe('an incarnation', () => {
  it('is known to the primary before its lease is written', async () => {
    const fixture = new LeaseFixture();
    const { keeper, directory } = fixture;
    fixture.acknowledges = false;
    const started = keeper.start();
    await settle();
    expect(directory.calls).toEqual([]);
    await fixture.acknowledgeNow();
    await started;
    expect(fixture.acknowledged).toEqual([keeper.id]);
    expect(directory.last().kind).toBe('open');
  });

  it('is known to the primary before its lease is written also after a lapse', async () => {
    const fixture = await new LeaseFixture().start();
    const { directory } = fixture;
    fixture.acknowledges = false;
    directory.leases.clear();
    await fixture.advance(RENEWAL_MS);
    expect([...directory.leases]).toEqual([]);
    await fixture.acknowledgeNow();
    expect([...directory.leases]).toEqual([fixture.keeper.id]);
    expect(fixture.acknowledged.at(-1)).toBe(fixture.keeper.id);
  });

  it('whose lease may have been written by an attempt without an answer is not used', async () => {
    const { keeper, directory, clock } = new LeaseFixture();
    directory.waits = true;
    const started = keeper.start();
    await settle();
    const first = keeper.id;
    await directory.last().answer('no');
    expect(keeper.id).not.toBe(first);
    expect(keeper.isOwn(first)).toBe(true);
    clock.advance(RETRY_MS);
    await settle();
    await directory.last().answer('ok');
    await started;
    expect(directory.last().lease.id).toBe(keeper.id);
  });

  it('whose lease was written unheard is not renewed: what it replaced would never be claimed back', async () => {
    const { keeper, directory, clock, events } = await new LeaseFixture().start();
    directory.leases.clear();
    clock.advance(LEASE_MS);
    await settle();
    directory.leases.clear();
    events.length = 0;
    directory.waits = true;
    clock.advance(RENEWAL_MS);
    await settle();
    await directory.last().answer('no');
    expect(directory.last().kind).toBe('open');
    const unheard = keeper.id;
    await directory.last().answer('unavailable');
    clock.advance(RENEWAL_MS);
    await settle();
    expect(directory.last().lease.id).not.toBe(unheard);
    await directory.last().answer('no');
    await directory.last().answer('ok');
    expect(events.at(-1)).toMatch(/^replaced/);
  });
});

it('a start that finds Redis away waits for it, and forbids take-overs for one lease', async () => {
  const fixture = new LeaseFixture();
  fixture.directory.away = true;
  const started = fixture.keeper.start();
  await fixture.advance(1000);
  fixture.directory.away = false;
  await fixture.advance(RETRY_MS);
  await started;
  expect(fixture.keeper.isValid()).toBe(true);
  expect(fixture.keeper.mayTakeOver()).toBe(false);
  await fixture.advance(LEASE_MS + 100);
  expect(fixture.keeper.mayTakeOver()).toBe(true);
});

it('a worker that drains takes over from nobody', async () => {
  const fixture = await new LeaseFixture().start();
  await fixture.keeper.setDraining();
  expect(fixture.keeper.isDraining).toBe(true);
  expect(fixture.keeper.mayTakeOver()).toBe(false);
  expect(fixture.keeper.isValid()).toBe(true);
});
