// One worker tells another to end a session, over a real hop: what the owner says comes back, and silence ends in time.
import { DirectoryUnavailable } from '../../../src/directory/directory.js';
import type { ExchangeHandler } from '../../../src/forward/forward.js';
import { systemClock } from '../../../src/lifecycle/clock.js';
import type { SessionRef } from '../../../src/protocol/ids.js';
import type { EndHere, EndOutcome } from '../../../src/sessions/end-here.js';
import { askToEnd, serveEnd } from '../../../src/sessions/end-over-hop.js';
import type { Exchange } from '../../../src/streams/exchange.js';
import { waitFor } from '../../support/wait-for.js';
import { type Hopping, makeLease, startHop } from './hop-fixture.js';

const REF = 'r'.repeat(22) as SessionRef;
const WITHIN_MS = 300;
let hop: Hopping | undefined;
afterEach(() => hop?.close());

const ask = (owner: Hopping, lease = owner.lease) =>
  askToEnd({ forwarder: owner.forwarder, clock: systemClock }, lease, REF, 'idle', WITHIN_MS);

/** A worker that is told and says this. */
function owner(says: () => Promise<EndOutcome>, over: 'unix' | 'tls' = 'unix'): Promise<Hopping> {
  const endHere = { end: (ref: string, cause: string) => (ref === REF && cause === 'idle' ? says() : 'gone') };
  const handler: ExchangeHandler = (exchange) => {
    if (exchange.hop?.kind !== 'end') throw new Error('another request');
    void serveEnd(endHere as unknown as EndHere, exchange, exchange.hop.ref, exchange.hop.cause);
  };
  return startHop({ handler, over });
}

it.each(['ended', 'alive', 'gone', 'moved', 'later'] as const)('hears "%s"', async (outcome) => {
  hop = await owner(async () => outcome, outcome === 'ended' ? 'tls' : 'unix');
  expect(await ask(hop)).toBe(outcome);
});

it('hears "later" from an owner whose directory is silent', async () => {
  hop = await owner(() => Promise.reject(new DirectoryUnavailable(new Error('away'))));
  expect(await ask(hop)).toBe('later');
});

it('waits no longer than it said for one that does not answer, and tells it so', async () => {
  const seen: Exchange[] = [];
  hop = await startHop({ handler: (exchange) => void seen.push(exchange) });
  const since = performance.now();
  expect(await ask(hop)).toBe('silent');
  expect(performance.now() - since).toBeLessThan(WITHIN_MS + 1000);
  await waitFor('CANCEL', () => seen[0]?.aborted === true);
});

it('takes a worker that cannot be reached for a silent one', async () => {
  hop = await startHop();
  expect(await ask(hop, makeLease({ unixSocket: '/nowhere' }))).toBe('silent');
});
