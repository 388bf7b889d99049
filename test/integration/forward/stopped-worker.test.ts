// A worker that was stopped (SIGSTOP) answers nothing and closes nothing: PING finds it, and a new dial does not take it for alive.
import { spawn } from 'node:child_process';
import { Peers } from '../../../src/forward/peers.js';
import { systemClock } from '../../../src/lifecycle/clock.js';
import { waitFor } from '../../support/wait-for.js';
import { KEYS, makeCall, makeLease, makeSocketPath, TAKE } from './hop-fixture.js';
import { HELLO } from './raw-peer.js';

/** Greets and answers each PING; reads requests without answering them. */
const WORKER = `
  require('node:net').createServer((socket) => {
    socket.on('error', () => {});
    socket.write(Buffer.from('${HELLO.toString('hex')}', 'hex'));
    socket.on('data', () => socket.write(Buffer.from('000001070000000001', 'hex')));
  }).listen(process.argv[1], () => console.log('listening'));
`;

test('its open requests are broken by PING, new ones have not begun', async () => {
  const { path, remove } = makeSocketPath();
  const worker = spawn(process.execPath, ['-e', WORKER, path], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = new Promise((resolve) => worker.once('exit', resolve));
  let output = '';
  worker.stdout.on('data', (text) => {
    output += text;
  });
  await waitFor('the worker to listen', () => output.includes('listening'));
  const forwarder = new Peers({
    ownPod: 'pod-a',
    keyring: KEYS,
    clock: systemClock,
    connectTimeoutMs: 300,
    limits: { pingMs: 200 },
  });
  const lease = makeLease({ unixSocket: path });
  let ended = false;
  const open = forwarder.forward(makeCall().exchange, lease, TAKE).finally(() => {
    ended = true;
  });
  const since = performance.now();
  await waitFor('five periods to pass', () => performance.now() - since > 1000);
  expect(ended).toBe(false);
  worker.kill('SIGSTOP');
  expect(await open).toEqual({ kind: 'broken', reason: 'silent' });
  expect(await forwarder.forward(makeCall().exchange, lease, TAKE)).toEqual({ kind: 'notBegun', reason: 'timeout' });
  worker.kill('SIGKILL');
  await exited;
  await forwarder.close(0);
  remove();
});
