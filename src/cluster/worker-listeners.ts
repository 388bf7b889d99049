// The two listeners of a worker: the internal one, which other workers reach, and its share of the public one.
import { mkdirSync } from 'node:fs';
import type { Server } from 'node:http';
import { join } from 'node:path';
import { addressOf } from '../config/address.js';
import type { Config } from '../config/schema.js';
import { readMessage } from '../edge/read-message.js';
import { EXIT, StartError } from '../errors/start-error.js';
import type { ExchangeHandler, InternalListener } from '../forward/forward.js';
import { listenInternally } from '../forward/listener.js';
import { systemClock } from '../lifecycle/clock.js';
import type { Logger } from '../observability/log.js';
import type { Metrics } from '../observability/metrics.js';
import type { Keyring } from '../secrets/keyring.js';
import { describeFailure, type StartMessage } from './worker-channel.js';

/** Both sides of the hop have to agree on them. */
export function hopLimits(config: Config): { bodyBytes: number } {
  return { bodyBytes: config.limits.body };
}

export interface InternalParts {
  readonly start: StartMessage;
  readonly config: Config;
  readonly keyring: Keyring;
  readonly handler: ExchangeHandler;
  readonly metrics: Metrics;
  readonly log: Logger;
}

/**
 * A Unix socket for siblings; where Redis is shared, a TCP port for other pods.
 * @param turn how often this process has listened before: each time has a path of its own
 * @throws StartError 69
 */
export function listenForWorkers(parts: InternalParts, turn = 0): Promise<InternalListener> {
  const { start, config, keyring, handler, metrics, log } = parts;
  const { host, port } = config.internal;
  // A cleaner of temporary files may have taken the directory with all that was in it.
  mkdirSync(start.socketDir, { recursive: true, mode: 0o700 });
  // Each of two lives of each worker has a port of its own: the successor of a crashed one must not wait for its socket.
  const ports = port === 0 ? [0] : Array.from({ length: 2 * start.workers }, (_, index) => port + index);
  return listenInternally({
    unixSocket: join(start.socketDir, `${start.index}-${process.pid}${turn === 0 ? '' : `-${turn}`}.sock`),
    ...(config.redis.url === '' ? {} : { tcp: { host, ports } }),
    keyring,
    handler,
    readMessage,
    clock: systemClock,
    limits: hopLimits(config),
    onRefused: (reason) => {
      metrics.internalRefused.inc();
      log.warn({ reason }, 'the internal listener refused somebody');
    },
    onHandlerError: (error) => log.error({ error: describeFailure(error) }, 'a forwarded request failed'),
  });
}

/**
 * At the listener that all workers share, or at one of its own beside theirs (`scheduling: reuse-port`).
 * @throws StartError 69 when the address is in use
 */
export function listenPublicly(server: Server, { config, publicPort }: { config: Config; publicPort: number }): Promise<void> {
  const { listen, scheduling } = config;
  const { host } = addressOf(listen);
  const own = scheduling === 'reuse-port' ? { exclusive: true, reusePort: true } : {};
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const message = `listen: ${listen} cannot be used (${error.code}): end what uses it, or choose another`;
      reject(new StartError(EXIT.unavailable, message));
    });
    server.listen({ host, port: publicPort, ...own }, () => resolve());
  });
}
