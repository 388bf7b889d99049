// The client of the official Python SDK, left running while its owner is killed and then every pod is replaced, in both of its ways to
// find out the revision. See docs/clients.md for what it does by itself.
import { findPythonSdk, pythonClient } from '../support/python-client.js';
import { SteadyFleet } from '../support/steady-fleet.js';

jest.setTimeout(400_000);

const sdk = findPythonSdk();
let steady: SteadyFleet | undefined;

afterEach(() => steady?.dispose());
afterAll(() => {
  if (sdk.isThere) sdk.dispose();
});

if (sdk.isThere) {
  test('its owner is killed, then every pod replaced: the same client goes on in the same session', async () => {
    steady = await SteadyFleet.start({
      clients: { 'Python, auto': pythonClient(sdk.python, 'auto'), 'Python, legacy': pythonClient(sdk.python, 'legacy') },
      longMs: [1000, 1500, 5000],
      drain: { delay: '2s', timeout: '15s' },
      balancers: 'per request',
    });
    const [first] = steady.clients;
    if (!first) throw new Error('there are clients');
    steady.phase('owner killed');
    await steady.kill((await steady.ownerOf(first)).pid);
    await steady.isWell('after the kill');
    steady.phase('rolling restart');
    await steady.roll(false);
    await steady.isWell('after the restart');

    const wrong = await steady.finish();
    process.stdout.write(`Python SDK ${sdk.version}\n${steady.figures()}\n`);
    expect(wrong).toEqual([]);
    expect(steady.failedOutside(['owner killed'])).toEqual([]);
  });
} else {
  process.stdout.write(`SKIPPED: the Python SDK cannot be had here: ${sdk.why}\n`);
  test.skip('the Python SDK cannot be had here', () => undefined);
}
