// The probe over real sockets: what it finds, what it does about it, and when it gives up.
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KeptListener, type InternalAddresses } from '../../../src/cluster/kept-listener.js';
import { SelfProbe } from '../../../src/cluster/self-probe.js';
import { readMessage } from '../../../src/edge/read-message.js';
import type { ExchangeHandler, InternalListener } from '../../../src/forward/forward.js';
import { DEFAULT_HOP_LIMITS } from '../../../src/forward/limits.js';
import { listenInternally } from '../../../src/forward/listener.js';
import { Peers } from '../../../src/forward/peers.js';
import { systemClock } from '../../../src/lifecycle/clock.js';
import { waitFor } from '../../support/wait-for.js';
import { KEYS, makeCall, makeLease, TAKE } from '../forward/hop-fixture.js';

const LEASE_MS = 600;

interface Probed {
  readonly kept: KeptListener;
  /** Every listener that was opened. */
  readonly opened: InternalListener[];
  readonly published: InternalAddresses[];
  readonly warnings: string[];
  readonly reasons: unknown[];
  readonly broken: string[];
  readonly refused: string[];
  readonly dir: string;
  /** Makes every further attempt to listen fail. */
  deny(): void;
}

let probed: Probed;
let release: () => Promise<void>;
let handler: ExchangeHandler;

beforeEach(async () => {
  const dir = mkdtempSync(join(tmpdir(), 'berth-probe-'));
  const opened: InternalListener[] = [];
  const published: InternalAddresses[] = [];
  const warnings: string[] = [];
  const reasons: unknown[] = [];
  const broken: string[] = [];
  const refused: string[] = [];
  let isDenied = false;
  handler = (exchange) => exchange.answer.send(200, {}, exchange.body?.bytes);
  const kept = await KeptListener.open({
    async listen(turn) {
      const listener = await listenInternally({
        unixSocket: join(isDenied ? join(dir, 'missing') : dir, `w-${turn}.sock`),
        tcp: { host: '127.0.0.1', ports: [0] },
        keyring: KEYS,
        clock: systemClock,
        handler: (exchange) => handler(exchange),
        readMessage,
        onRefused: (reason) => refused.push(reason),
      });
      opened.push(listener);
      return listener;
    },
    publish: async (addresses) => void published.push(addresses),
  });
  const probe = new SelfProbe({
    leaseMs: LEASE_MS,
    keyring: KEYS,
    clock: systemClock,
    limits: DEFAULT_HOP_LIMITS,
    addresses: () => kept.addresses,
    listenAnew: () => kept.renew(),
    onBroken: (reason) => broken.push(reason),
    warn: (message, { reason }) => {
      warnings.push(message);
      reasons.push(reason);
    },
  });
  probe.start();
  const deny = () => {
    isDenied = true;
  };
  probed = { kept, opened, published, warnings, reasons, broken, refused, dir, deny };
  release = async () => {
    probe.stop();
    await kept.close(0);
    rmSync(dir, { recursive: true, force: true });
  };
});
afterEach(() => release());

const periodsPass = (count: number) => {
  const sinceMs = performance.now();
  return waitFor(`${count} periods to pass`, () => performance.now() - sinceMs > (count * LEASE_MS) / 3);
};

test('a listener that serves is left alone, and its probes are nobody who is refused', async () => {
  await periodsPass(8);
  expect(probed).toMatchObject({ published: [], warnings: [], broken: [], refused: [] });
  expect(probed.opened).toHaveLength(1);
});

test.each<[string, (first: InternalListener) => unknown]>([
  ['whose socket file was removed', (first) => rmSync(first.unixSocket)],
  ['whose descriptors were closed', (first) => first.close(0)],
])('a listener %s is replaced within two probes and the old addresses are let go', async (_name, harm) => {
  const first = probed.opened[0] as InternalListener;
  const harmedMs = performance.now();
  await harm(first);
  const [after] = await waitFor('new addresses', () => probed.published.length > 0 && probed.published);
  expect(performance.now() - harmedMs).toBeLessThan(LEASE_MS * 1.5);
  expect(after?.unixSocket).not.toBe(first.unixSocket);
  expect(after?.tcp?.port).not.toBe(first.tcp?.port);
  await periodsPass(4);
  expect(probed.broken).toEqual([]);
  expect(probed.reasons).toEqual(['refused']);
  expect(probed.published).toHaveLength(1);
  expect(readdirSync(probed.dir)).toEqual(['w-1.sock']);

  const forwarder = new Peers({ ownPod: 'pod-b', keyring: KEYS, clock: systemClock });
  const outcome = await forwarder.forward(makeCall().exchange, makeLease({ ...after }), TAKE);
  expect(outcome).toEqual({ kind: 'answered', status: 200 });
  await forwarder.close(0);
});

test('what the replaced listener had taken is answered, what comes to it afterwards has not begun', async () => {
  const first = probed.opened[0] as InternalListener;
  let answer: (() => void) | undefined;
  handler = (exchange) => {
    answer = () => exchange.answer.send(200, {}, exchange.body?.bytes);
  };
  const forwarder = new Peers({ ownPod: 'pod-a', keyring: KEYS, clock: systemClock });
  const old = makeLease({ unixSocket: first.unixSocket });
  const slow = forwarder.forward(makeCall().exchange, old, TAKE);
  await waitFor('the slow request to be taken', () => answer !== undefined);
  rmSync(first.unixSocket);
  await waitFor('new addresses', () => probed.published.length === 1);
  expect(await forwarder.forward(makeCall().exchange, old, TAKE)).toMatchObject({ kind: 'notBegun' });
  const moved = forwarder.forward(makeCall().exchange, { ...old, ...probed.published[0] }, TAKE);
  const answerSlow = answer as unknown as () => void;
  answerSlow();
  expect(await slow).toEqual({ kind: 'answered', status: 200 });
  await waitFor('the moved request to be taken', () => answer !== answerSlow);
  (answer as unknown as () => void)();
  expect(await moved).toEqual({ kind: 'answered', status: 200 });
  await forwarder.close(0);
});

test('a second failure in a row ends the worker', async () => {
  const first = probed.opened[0] as InternalListener;
  probed.deny();
  rmSync(first.unixSocket);
  await waitFor('the worker to be given up', () => probed.broken.length > 0);
  expect(probed.broken).toEqual(['refused']);
  expect(probed.warnings).toEqual(['the internal listener fails its own probe: listening anew', 'listening anew failed']);
  expect(probed.published).toEqual([]);
  await periodsPass(4);
  expect(probed.broken).toHaveLength(1);
});

test('a blocked event loop is no failure of the listener', async () => {
  const gate = new Int32Array(new SharedArrayBuffer(4));
  for (let round = 0; round < 7; round++) {
    // At another moment of a probe each time, and for longer than it may take.
    const sinceMs = performance.now();
    await waitFor('another moment', () => performance.now() - sinceMs > round * 40);
    Atomics.wait(gate, 0, 0, LEASE_MS);
  }
  await periodsPass(4);
  expect(probed).toMatchObject({ published: [], warnings: [], broken: [] });
});
