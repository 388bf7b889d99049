// The worker's share in the teardown queue: adds jobs, runs those of anybody, tells how many there are.
import type { Backend } from '../backends/backend.js';
import type { Config } from '../config/schema.js';
import type { BackendSessionRecord, Directory } from '../directory/directory.js';
import { type Clock, pause, type Timer } from '../lifecycle/clock.js';
import type { Logger } from '../observability/log.js';
import type { Metrics } from '../observability/metrics.js';
import type { SessionRef } from '../protocol/ids.js';
import { openQueueConnection } from '../redis/connect.js';
import type { Keyring } from '../secrets/keyring.js';
import { BullTeardownQueue } from '../teardown/bull-teardown-queue.js';
import type { TeardownJob } from '../teardown/job.js';
import { openIdsOf } from '../teardown/open-ids.js';
import { TeardownWorker } from '../teardown/teardown-worker.js';

export interface TeardownParts {
  readonly redisUrl: string;
  readonly config: Config;
  readonly keyring: Keyring;
  readonly clock: Clock;
  /** Who ends what was opened there. */
  readonly backendFor: (name: string, url: string | undefined) => Backend | undefined;
  readonly directory: Pick<Directory, 'findOpen' | 'forgetOpen'>;
  readonly metrics: Metrics;
  readonly log: Logger;
  readonly onCommand: () => void;
}

export interface Teardown {
  readonly queue: BullTeardownQueue;
  /** Begins to run jobs. */
  start(): void;
  /** A backend session that was opened but may not be used. Never rejects. */
  discard(ref: SessionRef, backend: string, value: BackendSessionRecord): void;
  /** Lets running jobs end, for `withinMs`; the rest is found stalled by the others. */
  close(withinMs: number): Promise<void>;
}

const COUNT_EVERY_MS = 15_000;
const DISCARD_TRIES = 20;
const DISCARD_PAUSE_MS = 500;

export function makeTeardown(parts: TeardownParts): Teardown {
  const { redisUrl, config, keyring, clock, backendFor, directory, metrics, log, onCommand } = parts;
  const onError = (error: Error) => log.debug({ error: error.message }, 'teardown queue');
  const producer = openQueueConnection(redisUrl, { name: 'berth-teardown', onCommand, onError });
  const consumer = openQueueConnection(redisUrl, { name: 'berth-teardown-worker', onCommand, onError });
  const common = { redisPrefix: config.redis.prefix, keyring, clock, onError };
  const queue = new BullTeardownQueue({ ...common, connection: producer });
  let worker: TeardownWorker | undefined;
  let counting: Timer | undefined;

  const count = () =>
    queue.counts().then(
      (counts) => {
        for (const [state, jobs] of Object.entries(counts)) metrics.teardownJobs.set(jobs, state);
      },
      () => undefined,
    );
  const addPatiently = async (job: TeardownJob) => {
    for (let tries = 1; ; tries++) {
      try {
        return await queue.add([job]);
      } catch (error) {
        if (tries >= DISCARD_TRIES) throw error;
        await pause(clock, DISCARD_PAUSE_MS);
      }
    }
  };

  return {
    queue,
    start() {
      worker = new TeardownWorker({
        ...common,
        connection: consumer,
        backend: backendFor,
        ...openIdsOf(directory),
        onResult: (result) => metrics.teardowns.inc(result),
        onGivenUp: ({ backend, sessionRef }, reason) =>
          log.warn({ backend, session: sessionRef, reason }, 'a teardown was given up'),
      });
      counting = clock.every(COUNT_EVERY_MS, () => void count());
    },
    discard(sessionRef, backend, value) {
      const { generation, protocolVersion, sealed } = value;
      addPatiently({ backend, sessionRef, generation, protocolVersion, sealed }).catch((error: unknown) =>
        log.warn({ backend, session: sessionRef, error: String(error) }, 'a backend session may be left open'),
      );
    },
    async close(withinMs) {
      counting?.cancel();
      await worker?.close(withinMs);
      await Promise.race([queue.close().catch(() => undefined), pause(clock, withinMs)]);
      producer.disconnect();
      consumer.disconnect();
    },
  };
}
