// One worker asks another what only that one knows, over a real hop: the answer comes back whole, and silence ends in time.
import { systemClock } from '../../../src/lifecycle/clock.js';
import { askStatus, serveStatus } from '../../../src/forward/status-call.js';
import type { Exchange } from '../../../src/streams/exchange.js';
import { waitFor } from '../../support/wait-for.js';
import { type Hopping, makeLease, startHop } from './hop-fixture.js';

const WITHIN_MS = 300;
let hop: Hopping | undefined;
afterEach(() => hop?.close());

const ask = (worker: Hopping, withinMs = 5000, lease = worker.lease) =>
  askStatus({ forwarder: worker.forwarder, clock: systemClock }, lease, withinMs);

const answering = (read: () => unknown, over: 'unix' | 'tls' = 'unix', version?: number) =>
  startHop({
    handler: (exchange) => {
      if (exchange.hop?.kind !== 'status') throw new Error('another request');
      serveStatus(exchange, version ?? exchange.hop.version, read);
    },
    over,
  });

it.each(['unix', 'tls'] as const)('hears what the other says, over %s', async (over) => {
  hop = await answering(() => ({ sessions: 3 }), over);
  expect(await ask(hop)).toEqual({ sessions: 3 });
});

it('hears answers of many backends whole', async () => {
  const status = { backends: Array.from({ length: 3000 }, (_, i) => ({ name: `backend-${i}`, reason: 'x'.repeat(80) })) };
  hop = await answering(() => status);
  expect(await ask(hop)).toEqual(status);
});

it('hears nothing from one that does not know the form that is asked for', async () => {
  hop = await answering(() => ({ sessions: 3 }), 'unix', 2);
  expect(await ask(hop)).toBeUndefined();
});

it('hears nothing from one of an earlier release, which takes it for a request without a session', async () => {
  hop = await startHop({ handler: (exchange) => exchange.answer.send(400, {}, '{"jsonrpc":"2.0"}') });
  expect(await ask(hop)).toBeUndefined();
});

it('waits no longer than it said for one that does not answer, and tells it so', async () => {
  const seen: Exchange[] = [];
  hop = await startHop({ handler: (exchange) => void seen.push(exchange) });
  expect(await ask(hop, WITHIN_MS)).toBeUndefined();
  await waitFor('CANCEL', () => seen[0]?.aborted === true);
  expect(await ask(hop, WITHIN_MS, makeLease({ unixSocket: '/nowhere' }))).toBeUndefined();
});
