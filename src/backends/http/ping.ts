// A ping of our own in a backend session: through the path of any call, so that a lost session is found and healed by it.
import type { Headers } from '../../streams/exchange.js';
import type { BackendSession, CallSink } from '../backend.js';

/** Resolves when the ping was answered or failed, either way. @param headers of the client, as for its calls: a recovery uses them too */
export function pingCall(session: BackendSession, deadlineMs: number, headers: Headers): Promise<void> {
  return new Promise((resolve) => {
    const sink: CallSink = {
      message(_json, final) {
        if (final) resolve();
        return true;
      },
      bodyStart: () => undefined,
      bodyChunk: () => true,
      bodyEnd: () => resolve(),
      fail: () => resolve(),
      resume: undefined,
    };
    const message = { jsonrpc: '2.0', id: 'berth-ping', method: 'ping' } as const;
    session.call({ message, bytes: JSON.stringify(message), headers, deadlineMs, sink });
  });
}
