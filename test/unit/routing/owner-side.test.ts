// One execution where the owner sits: whoever forwards to it is served once, or told who owns the session now.
import type { OwnerToken } from '../../../src/protocol/ids.js';
import { Fixture, settle, tokenOf } from './execution-fixture.js';

describe('on the side of the owner', () => {
  const hop = (token: OwnerToken) => ({ hop: { kind: 'named', token } as const });

  it.each([
    ['another epoch', tokenOf('self', 2)],
    ['another incarnation', tokenOf('other', 1)],
  ])('a hop that names %s is refused with what we are, and served by nobody', async (_name, named) => {
    const fixture = new Fixture();
    fixture.addSession();
    await fixture.run(fixture.exchange(hop(named)));
    expect(fixture.answer.status).toBe(421);
    expect(fixture.answer.headers).toEqual({ 'x-berth-refused': 'self 1' });
    expect([fixture.served, fixture.hops]).toEqual([[], []]);
  });

  it('a hop that comes between the end of the guard and the renewal of the lease may ask the same owner again', async () => {
    const fixture = new Fixture();
    fixture.addSession();
    fixture.onServe = () => {
      // Found out only when the session was asked; it is active still.
      fixture.lease.valid = false;
      return 'notOwner';
    };
    await fixture.run(fixture.exchange(hop(tokenOf('self', 1))));
    expect([fixture.answer.status, fixture.answer.headers]).toEqual([421, { 'x-berth-refused': 'later' }]);
  });

  it('a hop for a session that is not here is refused, and never passed on', async () => {
    const fixture = new Fixture();
    await fixture.run(fixture.exchange(hop(tokenOf('self', 1))));
    expect(fixture.answer.headers).toEqual({ 'x-berth-refused': '-' });
    expect(fixture.hops).toEqual([]);
  });

  it('a hop for a session that the record calls ours is claimed before it is refused, so that the record shows a newer pair', async () => {
    const fixture = new Fixture();
    fixture.owner = tokenOf('self', 4);
    await fixture.run(fixture.exchange(hop(tokenOf('self', 4))));
    expect(fixture.answer.headers).toEqual({ 'x-berth-refused': 'self 5' });
    expect([fixture.served, fixture.hops]).toEqual([[], []]);
  });

  it('a hop for a session of a dead owner is refused without a claim: who forwarded decides about that', async () => {
    const fixture = new Fixture();
    fixture.alive.clear();
    await fixture.run(fixture.exchange(hop(tokenOf('self', 4))));
    expect(fixture.answer.headers).toEqual({ 'x-berth-refused': '-' });
    expect(fixture.owner).toEqual(tokenOf('other', 1));
  });

  it('a hop that the guard refused before anything began is 421', async () => {
    const fixture = new Fixture();
    fixture.addSession();
    fixture.onServe = () => 'notOwner';
    await fixture.run(fixture.exchange(hop(tokenOf('self', 1))));
    expect(fixture.answer.status).toBe(421);
    expect(fixture.served).toHaveLength(1);
  });

  it('a hop waits while its session is claimed back, and is refused with the new pair', async () => {
    const fixture = new Fixture();
    const session = fixture.addSession();
    session.state = 'reclaiming';
    fixture.clock.after(1000, () => session.settle('active', tokenOf('self', 2)));
    await fixture.run(fixture.exchange(hop(tokenOf('self', 1))));
    expect(fixture.answer.headers).toEqual({ 'x-berth-refused': 'self 2' });
  });

  it('a hop for a session that stays away is refused when its caller has no time left, and leaves no waiter behind', async () => {
    const fixture = new Fixture();
    const session = fixture.addSession(tokenOf('self', 3));
    session.state = 'reclaiming';
    const beganMs = fixture.clock.monotonicMs();
    await fixture.run(fixture.exchange({ hop: { kind: 'named', token: tokenOf('self', 3) }, deadlineMs: beganMs + 1000 }));
    expect(fixture.clock.monotonicMs() - beganMs).toBeLessThan(1100);
    expect(session.waiting).toBe(0);
  });

  it('a hop whose caller leaves while its session is claimed back gives up its place, and no timer stays', async () => {
    const fixture = new Fixture();
    const session = fixture.addSession();
    session.state = 'reclaiming';
    const leave: Array<() => void> = [];
    const running = fixture.execution.execute(
      fixture.exchange({ ...hop(tokenOf('self', 1)), onAbort: (run) => leave.push(run) }),
    );
    await settle();
    expect(fixture.clock.pendingTimers).toBe(1);
    for (const run of leave) run();
    await running;
    expect(fixture.clock.pendingTimers).toBe(0);
  });

  it('told by another worker to end a session, it asks nobody where that belongs', async () => {
    const fixture = new Fixture();
    await fixture.run(
      fixture.exchange({ method: 'DELETE', headers: {}, hop: { kind: 'end', ref: 'ref' as never, cause: 'idle' } }),
    );
    expect([fixture.answer.status, fixture.answer.text]).toEqual([202, 'idle ref']);
  });

  it('asked by another worker for its status, it answers whatever it owns', async () => {
    const fixture = new Fixture();
    await fixture.run(fixture.exchange({ method: 'GET', headers: {}, hop: { kind: 'status', version: 1 } }));
    expect([fixture.answer.status, fixture.answer.text]).toEqual([200, 'status 1']);
  });

  it('told to take what another owns by now, it refuses instead of hopping on', async () => {
    const fixture = new Fixture();
    await fixture.run(fixture.exchange({ hop: { kind: 'take' } }));
    expect(fixture.answer.headers).toEqual({ 'x-berth-refused': 'other 1' });
    expect(fixture.hops).toEqual([]);
  });

  it('told to take while it drains itself, it refuses', async () => {
    const fixture = new Fixture();
    fixture.lease.draining = true;
    fixture.owner = tokenOf('', 1);
    await fixture.run(fixture.exchange({ hop: { kind: 'take' } }));
    expect(fixture.answer.status).toBe(421);
    expect(fixture.hops).toEqual([]);
  });
});
