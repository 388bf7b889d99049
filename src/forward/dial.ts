// Opens a connection to a worker: over the Unix socket within the pod, over TLS-PSK to another.
import { connect as connectPlain, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Lease } from '../directory/directory.js';
import type { Clock } from '../lifecycle/clock.js';
import type { DerivedKey, Keyring } from '../secrets/keyring.js';
import { type ConnectionEvents, HopConnection } from './connection.js';
import type { HopLimits } from './limits.js';
import { pskClientOptions } from './psk.js';

export interface DialOptions {
  /** `lease.pod` of this worker. */
  readonly ownPod: string;
  readonly keyring: Keyring;
  readonly clock: Clock;
  readonly limits: HopLimits;
  /** For the socket, the handshake and HELLO together, over all keys, in milliseconds. */
  readonly connectTimeoutMs: number;
}

export type DialFailure = 'no_address' | 'refused' | 'timeout' | 'handshake' | 'hello';

export type DialOutcome =
  | { readonly kind: 'connected'; readonly connection: HopConnection }
  | { readonly kind: 'failed'; readonly reason: DialFailure };

const failed = (reason: DialFailure): DialOutcome => ({ kind: 'failed', reason });

/** The part of a lease that tells the way to its worker. */
export type WorkerAddress = Pick<Lease, 'pod' | 'unixSocket' | 'tcp'>;

/**
 * Never rejects. A stopped worker still accepts (its kernel does), so only its HELLO counts as being there.
 * Over TLS the newest key is tried first; a worker that has not got it yet knows the other one.
 */
export async function dial(to: WorkerAddress, options: DialOptions, events: ConnectionEvents): Promise<DialOutcome> {
  const dueMs = options.clock.monotonicMs() + options.connectTimeoutMs;
  if (to.pod === options.ownPod) return attempt(() => connectPlain({ path: to.unixSocket, allowHalfOpen: true }), 'connect');
  const { tcp } = to;
  if (!tcp) return failed('no_address');
  let outcome = failed('handshake');
  for (const key of options.keyring.psk) {
    outcome = await attempt(() => connectByKey(tcp, key), 'secureConnect');
    if (outcome.kind === 'connected' || outcome.reason !== 'handshake') return outcome;
  }
  return outcome;

  function connectByKey(address: { host: string; port: number }, key: DerivedKey): Socket {
    const { host, port } = address;
    // Not among the published types of tls.connect, which hands it on to its socket.
    const halfOpen = { allowHalfOpen: true };
    return connectTls({ ...pskClientOptions(key), host, port, ...halfOpen });
  }

  function attempt(connect: () => Socket, ready: 'connect' | 'secureConnect'): Promise<DialOutcome> {
    return new Promise((resolve) => {
      let reached = false;
      let done = false;
      const socket = connect();
      const timer = options.clock.after(Math.max(0, dueMs - options.clock.monotonicMs()), () => finish(failed('timeout')));
      const finish = (outcome: DialOutcome) => {
        if (done) return;
        done = true;
        timer.cancel();
        if (outcome.kind === 'failed') socket.destroy();
        resolve(outcome);
      };
      const onFailure = () => finish(failed(reached && ready === 'secureConnect' ? 'handshake' : 'refused'));
      socket.on('error', onFailure);
      socket.on('close', onFailure);
      socket.once('connect', () => {
        reached = true;
      });
      socket.once(ready, () => {
        if (done) return;
        const connection = new HopConnection(socket, {
          side: 'dialling',
          limits: options.limits,
          clock: options.clock,
          events: {
            ...events,
            onOpen: () => {
              finish({ kind: 'connected', connection });
              events.onOpen();
            },
            onClose: (reason) => {
              if (!done) finish(failed('hello'));
              else events.onClose(reason);
            },
          },
        });
        // The connection hears of errors itself from here on; these would call a lost HELLO a failed handshake.
        socket.off('error', onFailure);
        socket.off('close', onFailure);
      });
    });
  }
}
