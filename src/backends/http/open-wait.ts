// Waiting for a session to open without a call of its own: a promise with a deadline around the waiter.
import type { Headers } from '../../streams/exchange.js';
import type { BackendInfo } from '../backend.js';
import type { Expiring } from './deadlines.js';
import type { OpenWaiter } from './open-state.js';
import { timedOut } from './transport-error.js';
import type { HttpTransport } from './transport.js';

interface Opening {
  readonly transport: HttpTransport;
  awaitOpen(waiter: OpenWaiter, headers: Headers): void;
  leave(waiter: OpenWaiter): void;
}

/** @throws GatewayError what the handshake failed with, or BACKEND_TIMEOUT */
export function waitForOpen(session: Opening, deadlineMs: number, headers: Headers): Promise<BackendInfo> {
  const { deadlines, name } = session.transport;
  return new Promise((resolve, reject) => {
    const waiter: OpenWaiter & Expiring = {
      deadlineMs,
      expire() {
        session.leave(waiter);
        reject(timedOut(name));
      },
      opened(state) {
        deadlines.delete(waiter);
        resolve(state.info);
      },
      openFailed(error) {
        deadlines.delete(waiter);
        reject(error);
      },
    };
    deadlines.add(waiter);
    session.awaitOpen(waiter, headers);
  });
}
