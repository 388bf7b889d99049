// A stream whose owner releases its session or dies goes on at the next one, or ends cleanly; the call itself never leaves again.
import { type ForwardOutcome, SESSION_ENDED } from '../../../src/forward/forward.js';
import { referenceOf } from '../../../src/protocol/ids.js';
import { encodeEventId } from '../../../src/streams/event-id.js';
import type { Exchange } from '../../../src/streams/exchange.js';
import { Fixture, HOLD_MS, tokenOf } from './execution-fixture.js';

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

  it.each([
    ['its owner', true],
    ['who went on', false],
  ])('with the response of %s gets no second one when the session is ended elsewhere', async (_name, isFirst) => {
    const { fixture, andThen } = lost(isFirst);
    const { onHop } = fixture;
    fixture.onHop = (hop, seen) => {
      const outcome = onHop(hop, seen);
      return isFirst ? { kind: 'broken', reason: SESSION_ENDED } : outcome;
    };
    await andThen((rest) => {
      rest.resumeAfter = idOf(fixture, true);
      fixture.gone = true;
      return { kind: 'broken', reason: SESSION_ENDED };
    });
    expect(fixture.answer.log).toEqual(['start', 'end']);
  });
});
