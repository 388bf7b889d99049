// The long version of test/cluster/official-clients-live-through-restarts: the official clients with calls of 5 to 15 s, each behind
// either kind of balancer, while owners and edges are killed, stopped and replaced. The figures are printed: docs/clients.md tells them.
import { SteadyFleet } from '../support/steady-fleet.js';
import { lasted } from '../support/wait-for.js';

jest.setTimeout(1_200_000);

/** Within a lease (6 s), and beyond it. */
const STOPS_MS = [3000, 9000];
let steady: SteadyFleet;

beforeEach(async () => {
  // A client that calls without a pause is let go only when its calls end together: see docs/clients.md.
  const limits = { hold: '20s' };
  steady = await SteadyFleet.start({
    longMs: [5000, 15_000, 8000],
    drain: { delay: '3s', timeout: '40s' },
    limits,
    balancers: 'each',
  });
});
afterEach(async () => {
  await steady?.dispose();
});

async function verdict(faults: readonly string[]): Promise<void> {
  await steady.isWell('after');
  const wrong = await steady.finish();
  process.stdout.write(`${steady.figures()}\n`);
  expect(wrong).toEqual([]);
  expect(steady.failedOutside(faults)).toEqual([]);
}

test('owners and edges are killed and stopped: every client goes on in its session', async () => {
  for (const client of steady.clients) {
    steady.phase('owners killed');
    await steady.kill((await steady.ownerOf(client)).pid);
    await steady.isWell('owners killed');
  }
  // Whoever holds a client's stream is among them.
  for (const { pid } of steady.workers()) {
    steady.phase('workers killed');
    await steady.kill(pid);
    await steady.isWell('workers killed');
  }
  // The second within the time in which a client that lost its stream waits to come again.
  const [first] = steady.clients;
  if (!first) throw new Error('there are clients');
  steady.phase('killed twice');
  for (let n = 0; n < 2; n += 1) {
    await steady.kill((await steady.ownerOf(first)).pid);
    await steady.whenAllServe();
  }
  await steady.isWell('killed twice');
  for (const ms of STOPS_MS) {
    steady.phase('owner stopped');
    const { pid } = await steady.ownerOf(first);
    process.kill(pid, 'SIGSTOP');
    await lasted(ms);
    process.kill(pid, 'SIGCONT');
    await steady.isWell('owner stopped');
  }
  await verdict(['owners killed', 'workers killed', 'killed twice', 'owner stopped']);
});

test.each([
  ['in place', false],
  ['with surge', true],
])('every pod is replaced, %s: no call fails', async (_name, surge) => {
  steady.phase('rolled');
  await steady.roll(surge);
  await verdict([]);
});
