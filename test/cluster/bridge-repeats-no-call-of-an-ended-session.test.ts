// I2 behind the bridge: a session that ends while a call runs, whatever ends it. The gateway says that the call may have run, the
// bridge does not begin it again in the next session.
import { askAdmin } from '../support/admin.js';
import { BridgeProcess, CLIENT_PARAMS } from '../support/bridge-process.js';
import { type Pod, startPod } from '../support/pod.js';
import { type RecordingBackend, startRecordingBackend } from '../support/recording-backend.js';
import { reload } from '../support/reload.js';
import { waitFor } from '../support/wait-for.js';

let bank: RecordingBackend;
let other: RecordingBackend;
let pod: Pod;
let bridge: BridgeProcess;

beforeEach(async () => {
  [bank, other] = await Promise.all([startRecordingBackend(), startRecordingBackend()]);
  pod = await startPod({
    config: {
      mcpServers: {
        bank: { type: 'http', url: bank.url },
        other: { type: 'http', url: other.url, onStateLoss: 'fail' },
      },
      servers: { both: { backends: ['bank', 'other'] } },
    },
  });
  bridge = new BridgeProcess(pod.url('/servers/both/mcp'), { args: ['--patience', '2m'] });
  await bridge.open();
  // Names are told apart by their backend where both have them.
  await bridge.ask('list', 'tools/list');
});
afterEach(async () => {
  await bridge?.dispose();
  await pod?.dispose();
  await Promise.all([bank?.close(), other?.close()]);
});

const kill = async () => {
  const { body } = await askAdmin(pod, '/api/sessions');
  expect((await askAdmin(pod, `/api/sessions/${body.sessions[0].ref}`, 'DELETE')).status).toBe(202);
};

test.each([
  ['an operator ends it', kill],
  [
    'another backend loses its state',
    async () => {
      other.forgetSessions();
      // Refused by the backend, so it did not run: that one is begun anew.
      const answer = await bridge.ask('other', 'tools/call', { name: 'other__counter', arguments: { nonce: 'other' } });
      expect(answer.result?.content?.[0]?.text).toBe('1');
      expect(other.calls.map(({ nonce }) => nonce)).toEqual(['other']);
    },
  ],
  ['the client initializes anew', () => bridge.ask('init-2', 'initialize', CLIENT_PARAMS)],
  ['its server is removed', () => reload(pod, (config) => void Object.assign(config, { servers: {} }))],
])('%s: the call has an unknown outcome and ran once', async (_, end) => {
  bridge.call('pay', 'bank__slow', { nonce: 'pay', ms: 60_000 });
  await waitFor('the call to run', () => bank.calls.length === 1);
  await end();
  expect((await bridge.answer('pay')).error?.code).toBe(-32012);
  expect(bank.calls.map(({ nonce }) => nonce)).toEqual(['pay']);
});
