// The official clients reconnect a stream twice and then never again, initialize once, and obey no Retry-After. The death of their
// owner and a rolling restart ask nothing more of them. The long version is in test/reliability.
import { SteadyFleet } from '../support/steady-fleet.js';

// Clients in steady use beside four worker processes that are started, on two cores.
jest.setTimeout(180_000);
let steady: SteadyFleet;

beforeEach(async () => {
  steady = await SteadyFleet.start({ longMs: [1000, 1500], drain: { delay: '2s', timeout: '6s' }, balancers: 'one' });
});
afterEach(async () => {
  await steady?.dispose();
});

test('their owner is killed, then every pod replaced: the same client goes on in the same session', async () => {
  await steady.killOwnerThenRoll();

  expect(await steady.finish()).toEqual([]);
  expect(steady.failedOutside(['owner killed'])).toEqual([]);
});
