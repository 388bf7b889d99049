// S9: a whole pod is gone at once, and nobody is left there to delete its leases: they have to run out.
import { type Cluster, startCluster } from '../support/cluster.js';
import { isAlive, killNow } from '../support/processes.js';
import { type RecordingBackend, startRecordingBackend } from '../support/recording-backend.js';
import { connectSdkClient } from '../support/sdk-client.js';
import { waitFor } from '../support/wait-for.js';

const LEASE_MS = 2000;

let backend: RecordingBackend;
let cluster: Cluster;

beforeAll(async () => {
  backend = await startRecordingBackend();
  cluster = await startCluster({
    config: {
      internal: { lease: `${LEASE_MS}ms` },
      mcpServers: { recorder: { type: 'http', url: backend.url } },
    },
  });
});
afterAll(async () => {
  await cluster?.dispose();
  await backend?.close();
});

test('after kill -9 of every process of a pod its sessions go on in the other within lease + 2 s', async () => {
  const session = await connectSdkClient(cluster.url('/servers/recorder/mcp'));
  expect(await session.callText('counter', { nonce: 'before' })).toBe('1');
  const before = await cluster.ownerOf(session.sessionId);
  const survivor = cluster.pods.find((pod) => pod !== before.pod);
  if (survivor === undefined) throw new Error('one pod only');

  const pids = before.pod.processes();
  const killedAt = performance.now();
  // The primary last: it would start new workers in the place of the killed ones.
  killNow(before.pod.pid);
  for (const pid of pids) killNow(pid);
  cluster.balancer.setPlaces([survivor]);
  // Race: a call that still finds the old connection open has an unknown outcome (-32012), which is another test's business.
  await waitFor('the killed pod to be dead', () => !pids.some(isAlive));

  expect(await session.callText('counter', { nonce: 'after' })).toBe('2');
  expect(performance.now() - killedAt).toBeLessThan(LEASE_MS + 2000);
  expect(backend.issued).toHaveLength(1);
  expect((await cluster.ownerOf(session.sessionId)).pod).toBe(survivor);
  await session.close();
});
