// After a pause of our own (SIGSTOP, a suspended machine, a blocked loop) greetings have run out of time that nobody but us used up.
// They must not be told and counted as somebody who was refused.
import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { Worker } from 'node:worker_threads';
import { pskClientOptions } from '../../../src/forward/psk.js';
import { waitFor } from '../../support/wait-for.js';
import { type Hopping, KEYS, startHop } from './hop-fixture.js';

const LINGER_MS = 800;
const KEY = KEYS.psk[0] as (typeof KEYS.psk)[number];

/** Connects three times, gives each up, and stays for `args.forMs`; then wakes the thread that waits at `args.gate`. */
const PEERS_THAT_GIVE_UP = `
  const { workerData: args } = require('node:worker_threads');
  const gate = new Int32Array(args.gate);
  let left = 3;
  for (let i = 0; i < 3; i++) {
    const socket = require('node:net').connect(args.port, '127.0.0.1', () => socket.destroy());
    socket.on('close', () => {
      if (--left > 0) return;
      Atomics.wait(gate, 1, 0, args.forMs);
      Atomics.store(gate, 0, 1);
      Atomics.notify(gate, 0);
    });
  }
`;

let hop: Hopping;
beforeEach(async () => {
  hop = await startHop({ over: 'tls', limits: { lingerMs: LINGER_MS } });
});
afterEach(() => hop.close());

/** This thread stands still, as all of a stopped process does, while others come and give up. */
async function standStill(port: number): Promise<void> {
  const gate = new SharedArrayBuffer(8);
  const peers = new Worker(PEERS_THAT_GIVE_UP, { eval: true, workerData: { port, gate, forMs: 1.5 * LINGER_MS } });
  const ended = new Promise((resolve) => peers.once('exit', resolve));
  Atomics.wait(new Int32Array(gate), 0, 0, 20_000);
  await ended;
}

test('greetings that a pause of ours cut off are not counted; a stranger is, also after it', async () => {
  const port = hop.listener.tcp?.port as number;
  const open = () => {
    const sockets = [
      connect(port, '127.0.0.1'),
      connectTls({ ...pskClientOptions(KEY), host: '127.0.0.1', port }),
      connect(hop.listener.unixSocket),
    ];
    for (const socket of sockets) socket.on('error', () => {}).resume();
    return sockets;
  };
  const workers = open();
  await waitFor('the handshake', () => workers[1]?.readyState === 'open' && workers[2]?.readyState === 'open');

  await standStill(port);
  await waitFor('the greetings of before to run out', () => workers.every((socket) => socket.destroyed));
  const sinceMs = performance.now();
  await waitFor('the pause to be history', () => performance.now() - sinceMs > 2 * LINGER_MS, 10_000);
  expect(hop.refused).toEqual([]);

  const strangers = open();
  await waitFor('strangers to be thrown out', () => strangers.every((socket) => socket.destroyed));
  await waitFor('strangers to be counted', () => hop.refused.length === 3);
  expect(hop.refused.sort()).toEqual(['handshake_timeout', 'hello_timeout', 'hello_timeout']);
});

test('whoever has a wrong key is counted, whatever the time', async () => {
  const port = hop.listener.tcp?.port as number;
  await standStill(port);
  const wrong = connectTls({ ...pskClientOptions({ ...KEY, key: Buffer.alloc(32, 7) }), host: '127.0.0.1', port });
  wrong.on('error', () => {});
  await waitFor('the attempt to be counted', () => hop.refused.length > 0);
  expect(hop.refused).toEqual(['handshake_key']);
});
