// Asks a worker's internal listener for what a forwarder needs of it: that it accepts, greets, reads and answers.
import { type DialOptions, dial, type WorkerAddress } from './dial.js';

/** Of the dial, of this probe, or why the connection ended (`CloseReason`); for the log. */
export type ProbeFailure = string;

/**
 * Never rejects. Over the Unix socket within `ownPod`, else over TLS; all within `connectTimeoutMs`.
 * @returns undefined if it serves, else why not
 */
export async function probeListener(to: WorkerAddress, options: DialOptions): Promise<ProbeFailure | undefined> {
  const { clock } = options;
  const dueMs = clock.monotonicMs() + options.connectTimeoutMs;
  let settle: (failure: ProbeFailure | undefined) => void = () => undefined;
  const answered = new Promise<ProbeFailure | undefined>((resolve) => {
    settle = resolve;
  });
  const outcome = await dial(to, options, {
    onOpen: () => undefined,
    onRequest: () => {
      throw new Error('a dialling side accepts no requests');
    },
    onGoAway: () => settle('goaway'),
    onIdle: () => undefined,
    onClose: ({ reason }) => settle(reason),
  });
  if (outcome.kind === 'failed') return outcome.reason;
  const timer = clock.after(Math.max(0, dueMs - clock.monotonicMs()), () => settle('ping_timeout'));
  outcome.connection.ping(() => settle(undefined));
  const failure = await answered;
  timer.cancel();
  outcome.connection.end();
  return failure;
}
