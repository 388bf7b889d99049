// The client of the official Python SDK, left running while its owner is killed and then every pod is replaced, in both of its ways to
// find out the revision. See docs/clients.md for what it does by itself.
import { startCluster } from '../support/cluster.js';
import { startConnectionBalancer } from '../support/connection-balancer.js';
import { killNow } from '../support/processes.js';
import { findPythonSdk, pythonClient } from '../support/python-client.js';
import { startRecordingBackend } from '../support/recording-backend.js';
import { SteadyFleet } from '../support/steady-fleet.js';
import { StrictBackend } from '../support/strict-backend.js';
import { waitFor } from '../support/wait-for.js';

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
    await steady.killOwnerThenRoll();

    const wrong = await steady.finish();
    process.stdout.write(`Python SDK ${sdk.version}\n${steady.figures()}\n`);
    expect(wrong).toEqual([]);
    expect(steady.failedOutside(['owner killed'])).toEqual([]);
  });

  test('behind a balancer of connections a killed worker takes the whole client with it', async () => {
    const release: Array<() => Promise<unknown>> = [];
    try {
      const backend = await startRecordingBackend();
      release.unshift(() => backend.close());
      const cluster = await startCluster({
        pods: 1,
        workers: 1,
        config: { mcpServers: { web: { type: 'http', url: backend.url } } },
      });
      release.unshift(() => cluster.dispose());
      const balancer = await startConnectionBalancer(cluster.pods);
      release.unshift(() => balancer.close());
      const client = await pythonClient(sdk.python, 'auto')(`${balancer.origin}/servers/web/mcp`, () => undefined);
      release.unshift(() => client.close());
      const hung = backend.hang(({ rpcMethod }) => rpcMethod === 'tools/call');
      release.unshift(async () => hung.release());
      const ended = expect(client.callText('echo', { nonce: 'cut', text: 'x' })).rejects.toThrow(
        /^the Python client has ended: .*(ReadError|RemoteProtocolError)/s,
      );
      await waitFor('the call to be at the backend', () => backend.requestsOf('POST', 'tools/call').length === 1);
      const [worker] = cluster.workers();
      killNow(worker?.pid as number);
      await ended;
      await expect(client.listTools()).rejects.toThrow('the Python client has ended');
    } finally {
      for (const one of release) await one();
    }
  });

  test('a stream that broke off is told apart from one that ended without an answer', async () => {
    const backend = await StrictBackend.start();
    try {
      const client = await pythonClient(sdk.python, 'legacy')(backend.url, () => undefined);
      try {
        for (const [how, code] of [
          ['ended', -32000],
          ['broken', 502],
        ] as const) {
          backend.once('tools/call', (_request, response) => {
            response.writeHead(200, { 'content-type': 'text/event-stream' });
            if (how === 'ended') response.end(': nothing\n\n');
            else response.write(': nothing\n\n', () => response.destroy());
          });
          await expect(client.callText('echo', { text: how })).rejects.toMatchObject({ code });
        }
      } finally {
        await client.close();
      }
    } finally {
      await backend.close();
    }
  });
} else {
  process.stdout.write(`SKIPPED: the Python SDK cannot be had here: ${sdk.why}\n`);
  test.skip('the Python SDK cannot be had here', () => undefined);
}
