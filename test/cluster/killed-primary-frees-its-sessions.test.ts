// kill -9 of a primary alone: its workers end with it, but free their sessions first, so that nobody waits for a lease to run out.
import { type Cluster, startCluster } from '../support/cluster.js';
import { isAlive, killNow } from '../support/processes.js';
import { type RecordingBackend, startRecordingBackend } from '../support/recording-backend.js';
import { connectSdkClient } from '../support/sdk-client.js';
import { waitFor } from '../support/wait-for.js';

let backend: RecordingBackend;
let cluster: Cluster;

beforeAll(async () => {
  backend = await startRecordingBackend();
  cluster = await startCluster({
    // Longer than the test waits: a lease that had to run out would be noticed.
    config: {
      internal: { lease: '60s' },
      limits: { hold: '70s' },
      mcpServers: { recorder: { type: 'http', url: backend.url } },
    },
  });
});
afterAll(async () => {
  await cluster?.dispose();
  await backend?.close();
});

test('its sessions go on in another pod at once, from the same backend session', async () => {
  const session = await connectSdkClient(cluster.url('/servers/recorder/mcp'));
  expect(await session.callText('counter', { nonce: 'before' })).toBe('1');
  const before = await cluster.ownerOf(session.sessionId);
  const survivor = cluster.pods.find((pod) => pod !== before.pod);
  if (survivor === undefined) throw new Error('one pod only');

  const pids = before.pod.processes();
  killNow(before.pod.pid);
  cluster.balancer.setPlaces([survivor]);
  await waitFor(
    () => `no process of the pod to be left: ${pids.filter(isAlive)}`,
    () => !pids.some(isAlive),
  );

  expect(await session.callText('counter', { nonce: 'after' })).toBe('2');
  expect(backend.issued).toHaveLength(1);
  const after = await cluster.ownerOf(session.sessionId);
  expect(after).toMatchObject({ pod: survivor, epoch: before.epoch + 1 });
  await session.close();
}, 30_000);
