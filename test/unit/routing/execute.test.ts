// The one execution path: asks where a request belongs, carries it out, and answers exactly once whatever happens on the way.
import { type Directory, DirectoryUnavailable, type Lease } from '../../../src/directory/directory.js';
import { GatewayError } from '../../../src/errors/gateway-error.js';
import type { ForwardOutcome } from '../../../src/forward/forward.js';
import { type Epoch, mintSessionId, type OwnerToken, referenceOf, type WorkerId } from '../../../src/protocol/ids.js';
import { Execution, type ExecutionParts } from '../../../src/routing/execute.js';
import { HoldRoom } from '../../../src/routing/hold-room.js';
import { makeProbe } from '../../../src/routing/probe.js';
import { OwnerCache } from '../../../src/routing/owner-cache.js';
import type { LeaseKeeper } from '../../../src/sessions/lease-keeper.js';
import { Session } from '../../../src/sessions/session.js';
import { SessionTable } from '../../../src/sessions/session-table.js';
import { encodeEventId } from '../../../src/streams/event-id.js';
import type { Exchange, RequestBody } from '../../../src/streams/exchange.js';
import { newNote } from '../../../src/streams/exchange.js';
import { readMessage } from '../../../src/edge/read-message.js';
import { UnansweredIds } from '../../../src/streams/unanswered-ids.js';
import { FakeClock } from '../../support/fake-clock.js';
import { RecordingAnswer } from '../streams/recording-answer.js';

const HOLD_MS = 10_000;
const settle = () => new Promise<void>((resolve) => setImmediate(resolve));
const tokenOf = (owner: string, epoch: number): OwnerToken => ({ owner: owner as WorkerId, epoch: epoch as Epoch });
const leaseOf = (id: string): Lease => ({
  id: id as WorkerId,
  index: 1,
  pid: 1,
  pod: 'pod',
  host: 'host',
  unixSocket: '/tmp/none.sock',
  draining: false,
  startedMs: 0,
});

/** A worker `self` in a cluster where `other` owns the session. */
class Fixture {
  readonly clock = new FakeClock();
  readonly answer = new RecordingAnswer();
  readonly id = mintSessionId();
  readonly hops: string[] = [];
  readonly served: string[] = [];
  readonly held: string[] = [];
  readonly table = new SessionTable();
  readonly lease = { valid: true, draining: false };
  /** What the record says. */
  owner: OwnerToken = tokenOf('other', 1);
  alive = new Set(['other']);
  readonly silent = new Set<string>();
  away = false;
  /** The session has ended. */
  gone = false;
  opens = 0;
  onHop: (hop: number, exchange: Exchange) => ForwardOutcome = (_hop, exchange) => this.#answered(exchange);
  readonly closed: string[] = [];
  readonly audited: string[] = [];
  onClose: () => 'closing' | 'gone' | 'foreign' | 'moved' = () => 'closing';
  onServe: () => 'done' | 'notOwner' | 'moved' = () => this.#served();
  readonly execution = new Execution(this.#parts());

  async run(exchange: Exchange): Promise<void> {
    let done = false;
    const running = this.execution.execute(exchange).then(() => {
      done = true;
    });
    for (let n = 0; !done && n < 2000; n++) {
      await settle();
      if (!done) this.clock.advance(20);
    }
    await settle();
    if (!done) throw new Error('the execution has not ended');
    await running;
  }

  exchange(changes: Partial<Exchange> = {}): Exchange {
    const message = { jsonrpc: '2.0' as const, id: 'call', method: 'tools/call', params: {} };
    return {
      method: 'POST',
      serverId: 'support',
      headers: { 'mcp-session-id': this.id },
      body: { kind: 'request', message, bytes: Buffer.from(JSON.stringify(message)) },
      principal: { name: 'alice', digest: 'alice' },
      deadlineMs: this.clock.monotonicMs() + 300_000,
      startedMs: this.clock.monotonicMs(),
      hop: undefined,
      answer: this.answer,
      note: { ...newNote('POST', undefined), method: 'tools/call' },
      aborted: false,
      onAbort: () => undefined,
      ...changes,
    };
  }

  addSession(token: OwnerToken = tokenOf('self', 1)): Session {
    const facts = { id: this.id, ref: 'ref' as never, server: { id: 'support' } as never, principal: 'alice' };
    const rest = { protocolVersion: '2025-06-18', client: { clientInfo: {}, capabilities: {} }, createdMs: 0 };
    const session = new Session({ ...facts, ...rest }, token, this.#keeper(), 0);
    this.table.add(session);
    return session;
  }

  error(): { id: unknown; error: { code: number } } {
    return JSON.parse(this.answer.text);
  }

  #answered(exchange: Exchange): ForwardOutcome {
    exchange.answer.send(200, {}, 'from the owner');
    return { kind: 'answered', status: 200 };
  }

  #served(): 'done' {
    this.answer.send(200, {}, 'from here');
    return 'done';
  }

  #keeper(): LeaseKeeper {
    const { lease } = this;
    const own = {
      id: 'self',
      get isDraining() {
        return lease.draining;
      },
      isValid: () => lease.valid,
      mayClaim: () => lease.valid,
      isDataSettled: () => true,
      isOwn: (id: string) => id === 'self',
      mayTakeOver: () => lease.valid && !lease.draining,
    };
    return own as unknown as LeaseKeeper;
  }

  #parts(): ExecutionParts {
    const ask = async <T>(answer: () => T): Promise<T> => {
      if (this.away) throw new DirectoryUnavailable(new Error('away'));
      return answer();
    };
    const record = () => ({ ...this.owner, state: 'active', serverId: 'support', principal: 'alice', backends: {} });
    const directory = {
      readSession: () => ask(() => (this.gone ? { kind: 'gone' } : { kind: 'found', record: record() })),
      readLease: (id: string) => ask(() => (this.alive.has(id) ? leaseOf(id) : undefined)),
      listWorkers: () => ask(() => [...this.alive].map(leaseOf)),
      checkGeneration: () => ask(() => 'same'),
    } as unknown as Directory;
    return {
      table: this.table,
      owners: new OwnerCache(),
      directory,
      keeper: this.#keeper(),
      clock: this.clock,
      hold: new HoldRoom(this.clock, makeProbe({ directory, keeper: this.#keeper(), leaseMs: 6000 })),
      holdMs: HOLD_MS,
      forwarder: {
        forward: async (exchange, to, hop) => {
          this.hops.push(hop.kind === 'named' ? `${to.id} ${hop.token.epoch}` : `${to.id} take`);
          if (this.silent.has(to.id)) await new Promise<void>((resolve) => exchange.onAbort(resolve));
          return this.onHop(this.hops.length, exchange);
        },
        cut: () => undefined,
        close: async () => undefined,
      },
      serve: async (_session, exchange) => {
        this.served.push(exchange.note.method);
        return this.onServe();
      },
      open: async () => {
        if (this.away) return 'unavailable';
        this.opens++;
        this.#served();
        return 'done';
      },
      end: async (exchange, ref, cause) => exchange.answer.send(202, {}, `${cause} ${ref}`),
      status: (exchange, version) => exchange.answer.send(200, {}, `status ${version}`),
      teller: {
        closeInPlaceOf: async (told) => {
          this.closed.push(`${told.owner} ${told.epoch}`);
          return this.onClose();
        },
      },
      takeOver: async (_id, from) => {
        this.owner = tokenOf('self', from.epoch + 1);
        return this.addSession(this.owner);
      },
      metrics: { held: (outcome) => this.held.push(outcome), forwarded: () => undefined },
      log: () => undefined,
      audit: (ref) => this.audited.push(ref),
      warn: () => undefined,
    };
  }
}

const notification: RequestBody = {
  kind: 'notification',
  message: { jsonrpc: '2.0', method: 'notifications/x' },
  bytes: Buffer.from('{}'),
};
const initialize: RequestBody = {
  kind: 'request',
  message: { jsonrpc: '2.0', id: 'call', method: 'initialize', params: {} },
  bytes: Buffer.from('{}'),
};

describe('without a session', () => {
  it('a missing id is 400, an id that we cannot have minted is 404, both with the id of the call', async () => {
    for (const [headers, status, code] of [
      [{}, 400, -32000],
      [{ 'mcp-session-id': 'x' }, 404, -32001],
    ] as const) {
      const fixture = new Fixture();
      await fixture.run(fixture.exchange({ headers }));
      expect(fixture.answer.status).toBe(status);
      expect(fixture.error()).toMatchObject({ id: 'call', error: { code } });
    }
  });

  it('initialize is held while Redis is away, and opens one session when it is back', async () => {
    const fixture = new Fixture();
    fixture.away = true;
    fixture.clock.after(1000, () => {
      fixture.away = false;
    });
    await fixture.run(fixture.exchange({ body: initialize }));
    expect(fixture.opens).toBe(1);
    expect(fixture.held).toEqual(['served']);
  });

  it('initialize of a caller that left while it was held opens nothing', async () => {
    const fixture = new Fixture();
    fixture.away = true;
    const state = { aborted: false };
    const exchange = fixture.exchange({ body: initialize });
    Object.defineProperty(exchange, 'aborted', { get: () => state.aborted });
    fixture.clock.after(1000, () => {
      state.aborted = true;
      fixture.away = false;
    });
    await fixture.run(exchange);
    expect(fixture.opens).toBe(0);
  });

  it('initialize goes to a worker that stays while this one drains, and is opened here if nobody does', async () => {
    const fixture = new Fixture();
    fixture.lease.draining = true;
    await fixture.run(fixture.exchange({ body: initialize }));
    expect(fixture.hops).toEqual(['other take']);
    const last = new Fixture();
    last.lease.draining = true;
    last.alive.clear();
    await last.run(last.exchange({ body: initialize }));
    expect(last.opens).toBe(1);
  });
});

describe('a batch', () => {
  const batch = (text: string) => readMessage(Buffer.from(text), 'support');
  const TWO = batch('[{"jsonrpc":"2.0","id":1,"method":"a"},{"jsonrpc":"2.0","id":"2","method":"a"},7]');
  const NOTES = batch('[{"jsonrpc":"2.0","method":"a"}]');
  const broken: ForwardOutcome = { kind: 'broken', reason: 'lost' };
  const lost = (id: unknown) => ({ id, error: { code: -32012, data: { reason: 'owner_lost' } } });

  it('whose session is unknown, or that was held too long, gets one answer', async () => {
    const unknown = new Fixture();
    unknown.gone = true;
    await unknown.run(unknown.exchange({ body: TWO }));
    expect(unknown.answer.status).toBe(404);
    expect(unknown.error()).toMatchObject({ id: null, error: { code: -32001 } });
    const held = new Fixture();
    held.away = true;
    await held.run(held.exchange({ body: TWO }));
    expect(held.answer.status).toBe(503);
    expect(held.error()).toMatchObject({ id: null, error: { code: -32000 } });
  });

  it('whose owner was lost is not repeated: each request is told so', async () => {
    const fixture = new Fixture();
    fixture.onHop = () => broken;
    await fixture.run(fixture.exchange({ body: TWO }));
    expect(fixture.hops).toHaveLength(1);
    expect(fixture.answer.status).toBe(200);
    expect(JSON.parse(fixture.answer.text)).toMatchObject([lost(1), lost('2')]);
  });

  it('on whose stream some have their answer tells the others only', async () => {
    const fixture = new Fixture();
    const answered = '{"jsonrpc":"2.0","id":"2","result":{}}';
    fixture.onHop = (_hop, exchange) => {
      exchange.answer.start(200, { 'content-type': 'text/event-stream' });
      const part = Buffer.from(`data: ${answered}\n\n`);
      exchange.answer.write(part);
      exchange.unanswered = new UnansweredIds([1, '2']);
      exchange.unanswered.push(part);
      return broken;
    };
    await fixture.run(fixture.exchange({ body: TWO }));
    expect(fixture.answer.events.map((text) => JSON.parse(text))).toMatchObject([JSON.parse(answered), lost(1)]);
    expect(fixture.answer.ends).toBe(1);
  });

  it('of which it cannot be told what is answered breaks off visibly', async () => {
    const fixture = new Fixture();
    fixture.onHop = (_hop, exchange) => {
      exchange.answer.start(200, { 'content-type': 'application/json' });
      exchange.answer.write('[{');
      return broken;
    };
    await fixture.run(fixture.exchange({ body: TWO }));
    expect(fixture.answer.log.at(-1)).toBe('destroy');
  });

  it('without requests has no answer to lose: it goes on to whoever owns the session, also for a caller that left', async () => {
    const fixture = new Fixture();
    fixture.onHop = (hop, exchange) => {
      if (hop === 1) return broken;
      exchange.answer.send(202, {});
      return { kind: 'answered', status: 202 };
    };
    await fixture.run(fixture.exchange({ body: NOTES, aborted: true }));
    expect(fixture.hops).toHaveLength(2);
    const left = new Fixture();
    await left.run(left.exchange({ body: TWO, aborted: true }));
    expect(left.hops).toEqual([]);
  });
});

describe('held', () => {
  it('is 503 with Retry-After after the limit, never executed', async () => {
    const fixture = new Fixture();
    fixture.away = true;
    const beganMs = fixture.clock.monotonicMs();
    await fixture.run(fixture.exchange());
    const tookMs = fixture.clock.monotonicMs() - beganMs;
    expect(fixture.answer.status).toBe(503);
    expect(fixture.answer.headers['retry-after']).toBe('1');
    expect(fixture.error().id).toBe('call');
    expect(tookMs).toBeGreaterThanOrEqual(HOLD_MS);
    expect(tookMs).toBeLessThan(HOLD_MS + 100);
    expect([fixture.hops, fixture.served, fixture.held]).toEqual([[], [], ['timeout']]);
  });

  it('is 503 at the deadline of the caller if that comes first', async () => {
    const fixture = new Fixture();
    fixture.away = true;
    const beganMs = fixture.clock.monotonicMs();
    await fixture.run(fixture.exchange({ deadlineMs: beganMs + 2000 }));
    expect(fixture.answer.status).toBe(503);
    expect(fixture.clock.monotonicMs() - beganMs).toBeLessThan(2100);
  });

  it('is not executed for a caller that has left, but what has no answer to lose still is', async () => {
    const left = new Fixture();
    await left.run(left.exchange({ aborted: true }));
    expect(left.hops).toEqual([]);
    const told = new Fixture();
    await told.run(told.exchange({ aborted: true, body: notification }));
    expect(told.hops).toEqual(['other 1']);
  });

  it('goes on when the guard refused: served once the session is ours again', async () => {
    const fixture = new Fixture();
    fixture.addSession();
    const serve = fixture.onServe;
    fixture.onServe = () => (fixture.served.length < 3 ? 'notOwner' : serve());
    await fixture.run(fixture.exchange());
    expect(fixture.served).toHaveLength(3);
    expect(fixture.answer.log).toEqual(['send']);
    expect(fixture.held).toEqual(['served']);
  });
});

describe('a hop', () => {
  it('that was not begun is tried again', async () => {
    const fixture = new Fixture();
    const answered = fixture.onHop;
    fixture.onHop = (hop, exchange) => (hop < 3 ? { kind: 'notBegun', reason: 'refused' } : answered(hop, exchange));
    await fixture.run(fixture.exchange());
    expect(fixture.hops).toEqual(['other 1', 'other 1', 'other 1']);
    expect(fixture.answer.log).toEqual(['send']);
  });

  it('that was refused goes on to a newer pair only', async () => {
    const fixture = new Fixture();
    const answered = fixture.onHop;
    fixture.onHop = (hop, exchange) => (hop === 1 ? { kind: 'notOwner', token: undefined } : answered(hop, exchange));
    fixture.clock.after(1000, () => {
      fixture.owner = tokenOf('third', 2);
      fixture.alive.add('third');
    });
    await fixture.run(fixture.exchange());
    expect(fixture.hops).toEqual(['other 1', 'third 2']);
  });

  it('that was refused by an owner that then dies ends in a take-over here', async () => {
    const fixture = new Fixture();
    fixture.onHop = () => ({ kind: 'notOwner', token: undefined });
    fixture.clock.after(500, () => fixture.alive.clear());
    const exchange = fixture.exchange();
    await fixture.run(exchange);
    expect(fixture.hops).toEqual(['other 1']);
    expect(fixture.served).toHaveLength(1);
    expect(exchange.note.route).toBe('takeover');
  });

  it('that broke is not repeated: the caller hears that the outcome is unknown, with its id', async () => {
    const fixture = new Fixture();
    fixture.onHop = () => ({ kind: 'broken', reason: 'lost' });
    await fixture.run(fixture.exchange());
    expect(fixture.hops).toHaveLength(1);
    expect(fixture.answer.log).toEqual(['send']);
    expect(fixture.error()).toMatchObject({ id: 'call', error: { code: -32012 } });
  });

  it('that broke inside a stream ends it with the error as its last event', async () => {
    const fixture = new Fixture();
    fixture.onHop = () => {
      fixture.answer.start(200, { 'content-type': 'text/event-stream' });
      return { kind: 'broken', reason: 'lost' };
    };
    await fixture.run(fixture.exchange());
    expect(fixture.answer.log).toEqual(['start', 'write', 'end']);
    expect(JSON.parse(fixture.answer.events[0] as string)).toMatchObject({ id: 'call', error: { code: -32012 } });
  });

  it('that broke inside a JSON body breaks it off visibly', async () => {
    const fixture = new Fixture();
    fixture.onHop = () => {
      fixture.answer.start(200, { 'content-type': 'application/json' });
      return { kind: 'broken', reason: 'lost' };
    };
    await fixture.run(fixture.exchange());
    expect(fixture.answer.log).toEqual(['start', 'destroy']);
  });

  it('with a notification that broke is sent again', async () => {
    const fixture = new Fixture();
    const answered = fixture.onHop;
    fixture.onHop = (hop, exchange) => (hop === 1 ? { kind: 'broken', reason: 'lost' } : answered(hop, exchange));
    await fixture.run(fixture.exchange({ body: notification }));
    expect(fixture.hops).toHaveLength(2);
  });
});

describe('DELETE', () => {
  const deletion = { method: 'DELETE', body: undefined } as const;

  it('is answered by an owner that answers', async () => {
    const fixture = new Fixture();
    await fixture.run(fixture.exchange(deletion));
    expect([fixture.hops, fixture.closed]).toEqual([['other 1'], []]);
    expect(fixture.answer.text).toBe('from the owner');
  });

  it('is accepted in place of an owner that is silent for a second, and the next request asks the directory', async () => {
    const fixture = new Fixture();
    fixture.silent.add('other');
    const beganMs = fixture.clock.monotonicMs();
    await fixture.run(fixture.exchange(deletion));
    expect([fixture.answer.status, fixture.closed]).toEqual([202, ['other 1']]);
    expect(fixture.clock.monotonicMs() - beganMs).toBeLessThan(1200);
  });

  it('is accepted in place of an owner that cannot be reached for a second', async () => {
    const fixture = new Fixture();
    fixture.onHop = () => ({ kind: 'notBegun', reason: 'refused' });
    const beganMs = fixture.clock.monotonicMs();
    await fixture.run(fixture.exchange(deletion));
    expect([fixture.answer.status, fixture.closed]).toEqual([202, ['other 1']]);
    expect(fixture.clock.monotonicMs() - beganMs).toBeLessThan(1500);
  });

  it('is 404 for a stranger to the session of a silent owner', async () => {
    const fixture = new Fixture();
    fixture.silent.add('other');
    fixture.onClose = () => 'gone';
    await fixture.run(fixture.exchange(deletion));
    expect([fixture.answer.status, fixture.audited.length]).toEqual([404, 0]);
  });

  it('is 404 for another principal, which is noted', async () => {
    const fixture = new Fixture();
    fixture.silent.add('other');
    fixture.onClose = () => 'foreign';
    await fixture.run(fixture.exchange(deletion));
    expect([fixture.answer.status, fixture.audited.length]).toEqual([404, 1]);
  });

  it('asks the next owner when the session has moved away from a silent one', async () => {
    const fixture = new Fixture();
    fixture.silent.add('other');
    fixture.onClose = () => {
      fixture.owner = tokenOf('third', 2);
      fixture.alive.add('third');
      return 'moved';
    };
    await fixture.run(fixture.exchange(deletion));
    // The third one answered: nothing was done in its place.
    expect([fixture.answer.status, fixture.closed]).toEqual([200, ['other 1']]);
  });

  it('is accepted when the session is gone after an attempt that may have ended it', async () => {
    const fixture = new Fixture();
    fixture.onHop = () => {
      fixture.gone = true;
      return { kind: 'broken', reason: 'lost' };
    };
    await fixture.run(fixture.exchange(deletion));
    expect(fixture.answer.status).toBe(202);
  });

  it('is 404 when the session is gone and no attempt got so far', async () => {
    const fixture = new Fixture();
    fixture.onHop = () => {
      fixture.gone = true;
      return { kind: 'notBegun', reason: 'refused' };
    };
    await fixture.run(fixture.exchange(deletion));
    expect(fixture.answer.status).toBe(404);
  });

  it('is held while Redis is away, like any request', async () => {
    const fixture = new Fixture();
    fixture.silent.add('other');
    fixture.onClose = () => {
      if (fixture.closed.length === 1) throw new DirectoryUnavailable(new Error('away'));
      return 'closing';
    };
    await fixture.run(fixture.exchange(deletion));
    expect([fixture.answer.status, fixture.held]).toEqual([202, ['served']]);
  });
});

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

it('whatever is thrown becomes one answer that shows nothing of it', async () => {
  const fixture = new Fixture();
  fixture.addSession();
  fixture.onServe = () => {
    throw new Error('secret');
  };
  await fixture.run(fixture.exchange());
  expect(fixture.answer.status).toBe(500);
  expect(fixture.error()).toMatchObject({ id: 'call', error: { code: -32603 } });
  expect(fixture.answer.text).not.toContain('secret');
});

it('an error after the answer is complete changes nothing', async () => {
  const fixture = new Fixture();
  fixture.addSession();
  fixture.onServe = () => {
    fixture.answer.send(200, {}, 'done');
    throw new GatewayError('INTERNAL');
  };
  await fixture.run(fixture.exchange());
  expect(fixture.answer.log).toEqual(['send']);
});

describe('a stream whose session is released', () => {
  const stream = (fixture: Fixture) => fixture.exchange({ method: 'GET', body: undefined });

  it('at this edge goes on at the next owner, however long it had lasted', async () => {
    const fixture = new Fixture();
    const session = fixture.addSession();
    fixture.onServe = () => {
      fixture.answer.start(200, { 'content-type': 'text/event-stream' });
      fixture.clock.advance(10 * HOLD_MS);
      fixture.table.remove(session);
      fixture.owner = tokenOf('other', 2);
      return 'moved';
    };
    fixture.onHop = () => {
      fixture.answer.end();
      return { kind: 'answered', status: 200 };
    };
    await fixture.run(stream(fixture));
    expect(fixture.hops).toHaveLength(1);
    expect(fixture.answer.log).toEqual(['start', 'end']);
  });

  it('of another edge is given back to it with the mark', async () => {
    const fixture = new Fixture();
    const token = tokenOf('self', 1);
    fixture.addSession(token);
    let moved = 0;
    Object.assign(fixture.answer, { moved: () => moved++ });
    fixture.onServe = () => {
      fixture.answer.start(200, { 'content-type': 'text/event-stream' });
      return 'moved';
    };
    await fixture.run({ ...stream(fixture), hop: { kind: 'named', token } });
    expect(moved).toBe(1);
    expect(fixture.answer.log).toEqual(['start']);
  });

  it('that finds no owner in time ends cleanly: its client comes again', async () => {
    const fixture = new Fixture();
    fixture.onHop = () => {
      fixture.answer.start(200, { 'content-type': 'text/event-stream' });
      fixture.away = true;
      return { kind: 'broken', reason: 'moved' };
    };
    await fixture.run(stream(fixture));
    expect(fixture.answer.log).toEqual(['start', 'end']);
  });
});

describe('a hop that broke inside a stream of which the caller has an id', () => {
  const idOf = (fixture: Fixture, isFinal: boolean) =>
    encodeEventId({ session: referenceOf(fixture.id), stream: { kind: 'call', id: 'call' }, epoch: 1, seq: 3, isFinal });

  /** The owner dies after an event; the session has another one then. */
  function lost(isFinal = false) {
    const fixture = new Fixture();
    const requests: Exchange[] = [];
    const exchange = fixture.exchange();
    let next: (rest: Exchange) => ForwardOutcome = () => ({ kind: 'broken', reason: 'unexpected' });
    fixture.onHop = (_hop, seen) => {
      requests.push(seen);
      if (requests.length > 1) return next(seen);
      fixture.answer.start(200, { 'content-type': 'text/event-stream' });
      exchange.resumeAfter = idOf(fixture, isFinal);
      fixture.owner = tokenOf('third', 2);
      fixture.alive = new Set(['third']);
      return { kind: 'broken', reason: 'reset' };
    };
    return {
      fixture,
      exchange,
      requests,
      andThen: (follow: typeof next) => {
        next = follow;
        return fixture.run(exchange);
      },
      errors: () => fixture.answer.events.map((data) => JSON.parse(data)),
    };
  }

  it('asks the next owner for the rest by a GET: the call itself does not leave again', async () => {
    const { fixture, requests, andThen } = lost();
    await andThen(({ answer }) => {
      answer.write('data: {"rest":1}\n\n');
      answer.end();
      return { kind: 'answered', status: 200 };
    });
    expect(fixture.hops).toEqual(['other 1', 'third 2']);
    expect(requests[1]).toMatchObject({ method: 'GET', body: undefined, isReattached: true, awaits: 'call' });
    expect(requests[1]?.resumeAfter).toBe(idOf(fixture, false));
    expect(requests[1]?.deadlineMs).toBe(requests[0]?.deadlineMs);
    expect(fixture.answer.events).toEqual(['{"rest":1}']);
    expect(fixture.answer.ends).toBe(1);
  });

  it.each([
    ['refuses', { kind: 'answered', status: 503 }],
    ['knows of no such session', { kind: 'answered', status: 404 }],
  ] as const)('ends with the error where the next owner %s', async (_name, outcome) => {
    const { fixture, andThen, errors } = lost();
    await andThen(() => outcome);
    expect(errors()).toMatchObject([{ id: 'call', error: { code: -32012 } }]);
    expect(fixture.answer.ends).toBe(1);
  });

  it('ends with the error where no owner is found in time, and says that it may have run', async () => {
    const { fixture, andThen, errors } = lost();
    fixture.clock.after(20, () => fixture.alive.clear());
    await andThen(() => {
      fixture.away = true;
      return { kind: 'notBegun', reason: 'refused' };
    });
    expect(errors()).toMatchObject([{ id: 'call', error: { code: -32012 } }]);
  });

  it('hears that the session has ended, and that the call may have run', async () => {
    const { fixture, andThen, errors } = lost();
    await andThen(() => {
      fixture.gone = true;
      return { kind: 'notBegun', reason: 'refused' };
    });
    expect(errors()).toMatchObject([{ id: 'call', error: { code: -32001, data: { executed: 'unknown' } } }]);
  });

  it('follows the session over several owners', async () => {
    const { fixture, requests, andThen } = lost();
    await andThen(({ answer }) => {
      if (requests.length === 2) {
        fixture.owner = tokenOf('fourth', 3);
        fixture.alive = new Set(['fourth']);
        return { kind: 'broken', reason: 'reset' };
      }
      answer.write('data: {"rest":1}\n\n');
      answer.end();
      return { kind: 'answered', status: 200 };
    });
    expect(fixture.hops).toEqual(['other 1', 'third 2', 'fourth 3']);
    expect(requests.filter(({ body }) => body !== undefined)).toHaveLength(1);
    expect(fixture.answer.events).toEqual(['{"rest":1}']);
  });

  it.each([
    ['of another call', { kind: 'call', id: 'other' }],
    ['of another stream', { kind: 'standalone' }],
    ['that no owner can read', { kind: 'call', id: 'x'.repeat(2000) }],
  ] as const)('asks nobody with an id %s', async (_name, stream) => {
    const { fixture, exchange, errors } = lost();
    const { onHop } = fixture;
    fixture.onHop = (hop, seen) => {
      const outcome = onHop(hop, seen);
      exchange.resumeAfter = encodeEventId({ session: referenceOf(fixture.id), stream, epoch: 1, seq: 3, isFinal: false });
      return outcome;
    };
    await fixture.run(exchange);
    expect(fixture.hops).toHaveLength(1);
    expect(errors()).toMatchObject([{ id: 'call', error: { code: -32012 } }]);
  });

  it('behind the last event needs nothing but its end', async () => {
    const { fixture, andThen } = lost(true);
    await andThen(() => ({ kind: 'broken', reason: 'unexpected' }));
    expect(fixture.hops).toHaveLength(1);
    expect(fixture.answer.log).toEqual(['start', 'end']);
  });
});
