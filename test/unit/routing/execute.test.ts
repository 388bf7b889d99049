// The one execution path: asks where a request belongs, carries it out, and answers exactly once whatever happens on the way.
import { readMessage } from '../../../src/edge/read-message.js';
import { GatewayError } from '../../../src/errors/gateway-error.js';
import type { ForwardOutcome } from '../../../src/forward/forward.js';
import { UnansweredIds } from '../../../src/streams/unanswered-ids.js';
import { Fixture, HOLD_MS, initialize, notification, tokenOf } from './execution-fixture.js';

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
