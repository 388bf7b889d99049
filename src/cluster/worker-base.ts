// What every part of a worker is made with.
import type { Config } from '../config/schema.js';
import { VERSION } from '../config/version.js';
import { type Clock, systemClock } from '../lifecycle/clock.js';
import { type Logger, makeLogger } from '../observability/log.js';
import { Metrics } from '../observability/metrics.js';
import { type Keyring, makeKeyring } from '../secrets/keyring.js';
import { LiveConfig } from './live-config.js';
import type { StartMessage, WorkerChannel } from './worker-channel.js';

export interface WorkerBase {
  readonly start: StartMessage;
  readonly channel: WorkerChannel;
  /** As it was at the start: for what needs a restart to change. */
  readonly config: Config;
  /** What a reload may change is read here, when it is needed. */
  readonly live: LiveConfig;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly keyring: Keyring;
  readonly warn: (message: string, details: Record<string, unknown>) => void;
  /** Counts a command sent to Redis. */
  readonly onCommand: () => void;
}

export function makeWorkerBase(start: StartMessage, channel: WorkerChannel): WorkerBase {
  const config = start.config as Config;
  const log = makeLogger({
    level: config.log.level,
    format: config.log.format,
    isTty: process.stdout.isTTY === true,
    worker: start.index,
  });
  const metrics = new Metrics({ worker: start.index, version: VERSION });
  return {
    start,
    channel,
    config,
    live: new LiveConfig(config),
    clock: systemClock,
    log,
    metrics,
    keyring: makeKeyring(start.secrets),
    warn: (message, details) => log.warn(details, message),
    onCommand: () => metrics.redisCommands.inc(),
  };
}
