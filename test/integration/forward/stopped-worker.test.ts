// A worker that was stopped (SIGSTOP) answers nothing and closes nothing: PING finds it, and a new dial does not take it for alive.
import { spawn } from 'node:child_process';
import { Peers } from '../../../src/forward/peers.js';
import { systemClock } from '../../../src/lifecycle/clock.js';
import { mintSessionId, referenceOf } from '../../../src/protocol/ids.js';
import { waitFor } from '../../support/wait-for.js';
import { KEYS, makeCall, makeLease, makeSocketPath, TAKE } from './hop-fixture.js';
import { HELLO } from './raw-peer.js';

/** Greets and answers each PING; reads requests without answering them. */
const WORKER = `
  require('node:net').createServer((socket) => {
    socket.on('error', () => {});
    socket.write(Buffer.from('${HELLO.toString('hex')}', 'hex'));
    socket.on('data', (bytes) => {
      console.log('read '.repeat(bytes.toString('latin1').split('tools/call').length - 1));
      socket.write(Buffer.from('000001070000000001', 'hex'));
    });
  }).listen(process.argv[1], () => console.log('listening'));
`;

async function startWorker(pingMs: number) {
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
    limits: { pingMs },
  });
  const lease = makeLease({ unixSocket: path });
  const end = async () => {
    worker.kill('SIGKILL');
    await exited;
    await forwarder.close(0);
    remove();
  };
  return { worker, forwarder, lease, reads: () => output.split('read').length - 1, end };
}

test('its open requests are broken by PING, new ones have not begun', async () => {
  const { worker, forwarder, lease, end } = await startWorker(200);
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
  await end();
});

test('what is open of a session that ended in its place is broken at once, what waits for a connection has not begun', async () => {
  const { worker, forwarder, lease, reads, end } = await startWorker(60_000);
  const [ended, other] = [mintSessionId(), mintSessionId()];
  const callOf = (id: string) => makeCall({ headers: { 'mcp-session-id': id } }).exchange;
  const open = forwarder.forward(callOf(ended), lease, TAKE);
  const openOther = forwarder.forward(callOf(other), lease, TAKE);
  let seen = false;
  openOther.finally(() => {
    seen = true;
  });
  await waitFor('both requests to be read', () => reads() >= 2);
  worker.kill('SIGSTOP');
  const waiting = forwarder.forward(callOf(ended), { ...lease, id: 'another.incarnation' as typeof lease.id }, TAKE);
  forwarder.cut(referenceOf(ended));
  expect(await open).toEqual({ kind: 'broken', reason: 'session_ended' });
  expect(await waiting).toEqual({ kind: 'notBegun', reason: 'session_ended' });
  expect(seen).toBe(false);
  await end();
});
