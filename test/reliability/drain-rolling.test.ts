// S21, S22: a rolling deploy and a fleet that grows and shrinks, under load. No call shorter than `drain.timeout` fails, no session of
// an HTTP backend is lost. The figures are printed: docs/reliability.md tells them.
import { join } from 'node:path';
import { type RecordingBackend, startRecordingBackend } from '../support/recording-backend.js';
import { waitFor } from '../support/wait-for.js';
import { Fleet } from '../support/fleet.js';
import { Load } from './load.js';

const RECORDER = '/servers/recorder/mcp';
const STDIO = join(__dirname, '../support/fixtures/stdio-backend.mjs');
const STREAMS = 3;
jest.setTimeout(400_000);

let backend: RecordingBackend;
let fleet: Fleet;
let load: Load;

beforeEach(async () => {
  backend = await startRecordingBackend();
  const stdio = { command: process.execPath, args: [STDIO] };
  const config = {
    mcpServers: {
      recorder: { type: 'http', url: backend.url },
      local: { ...stdio, onStateLoss: 'reinitialize' },
      bound: { ...stdio, onStateLoss: 'fail' },
    },
    sessions: { releaseAfter: '500ms' },
    drain: { delay: '1s', timeout: '10s' },
    log: { level: 'info', format: 'json' },
  };
  fleet = await Fleet.start({ config, workers: 1 }, 3);
  load = new Load();
});
afterEach(async () => {
  await load?.stop();
  await fleet?.dispose();
  await backend?.close();
});

function begin(): void {
  const [fresh, kept] = [fleet.fresh.origin, fleet.kept.origin];
  for (let n = 0; n < 4; n++) load.addRaw(fresh, RECORDER, 'fresh connections');
  for (let n = 0; n < 4; n++) load.addRaw(kept, RECORDER, 'kept connections');
  for (let n = 0; n < 3; n++) load.addSdk(fresh, RECORDER, 'SDK client');
  for (let n = 0; n < STREAMS; n++) load.addStream(fresh, RECORDER, 'stream');
  load.addNewcomers(fresh, RECORDER, 'new sessions');
  for (let n = 0; n < 2; n++) load.addRaw(fresh, '/servers/local/mcp', 'stdio, reinitialize', false);
}

async function enough(phase: string, calls: number): Promise<void> {
  load.phase(phase);
  const from = load.calls;
  await waitFor(`${calls} calls ${phase}`, () => load.calls - from >= calls, 60_000);
}

/** @param drains pods that were drained */
async function finish(name: string, drains: number): Promise<void> {
  await enough('after', 200);
  await waitFor(
    'every stream to be open',
    async () => {
      await backend.sendLog('at the end');
      return load.allHeard('at the end');
    },
    20_000,
  );
  const { streamReconnects, newSessions, failures, lostSessions } = load;
  const perStreamAndDrain = streamReconnects / STREAMS / drains;
  process.stdout.write(
    `${JSON.stringify({ name, calls: load.calls, failures: failures.length, lostSessions, newSessions, streamReconnects, perStreamAndDrain, ...load.figures() })}\n`,
  );
  expect(failures).toEqual([]);
  expect(lostSessions).toBe(0);
  // An end of the pod that holds a stream is the only reason to ask for it again.
  expect(perStreamAndDrain).toBeLessThanOrEqual(1);
}

test('a rolling deploy of three pods fails no call and loses no session', async () => {
  begin();
  await enough('before', 200);
  for (const [n, pod] of fleet.pods.entries()) {
    load.phase('during');
    // As a Deployment with surge does; every other one on the address of the one before.
    if (n % 2 === 0) {
      await fleet.add();
      await fleet.remove(pod);
    } else {
      await fleet.remove(pod);
      await fleet.add(pod.host);
    }
  }
  await finish('rolling deploy', 3);
});

test('from three pods to five to two', async () => {
  begin();
  await enough('before', 200);
  load.phase('grow');
  await Promise.all([fleet.add(), fleet.add()]);
  await enough('five pods', 400);
  load.phase('shrink');
  const [first, second, third] = fleet.pods;
  if (!first || !second || !third) throw new Error('five pods were expected');
  await Promise.all([fleet.remove(first), fleet.remove(second), fleet.remove(third)]);
  await finish('3 to 5 to 2', 3);
});

test('stdio sessions with onStateLoss: fail end when their pod does, and are told so', async () => {
  for (let n = 0; n < 6; n++) load.addRaw(fleet.fresh.origin, '/servers/bound/mcp', 'stdio, fail');
  await enough('before', 60);
  const [pod] = fleet.pods;
  if (!pod) throw new Error('three pods were expected');
  await fleet.remove(pod);
  await enough('after', 60);
  process.stdout.write(`${JSON.stringify({ name: 'stdio, fail', sessions: 6, lost: load.lostSessions, calls: load.calls })}\n`);
  expect(load.lostSessions).toBeGreaterThan(0);
  expect(load.lostSessions).toBeLessThan(6);
  // Nothing but the truth: no call of theirs failed in another way.
  expect(load.failures.filter(({ what }) => !what.includes('-32001'))).toEqual([]);
});
