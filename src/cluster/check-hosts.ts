// Workers of several hosts that share a Redis forward to each other; an address on loopback would send requests to strangers.
import { isLoopback } from '../config/address.js';
import type { Directory } from '../directory/directory.js';
import { EXIT, StartError } from '../errors/start-error.js';

/**
 * @param host ours
 * @throws StartError 78 if a live worker is on another host and `internal.host` is a loopback address
 */
export async function checkHosts(directory: Pick<Directory, 'listWorkers'>, host: string, internalHost: string): Promise<void> {
  if (!isLoopback(internalHost)) return;
  const foreign = (await directory.listWorkers()).find((lease) => lease.host !== host);
  if (!foreign) return;
  const where = foreign.tcp ? ` at ${foreign.tcp.host}:${foreign.tcp.port}` : '';
  throw new StartError(
    EXIT.config,
    `internal.host: ${internalHost} cannot be reached from another host, but a worker of another host${where} uses the same Redis.\n` +
      '  Set internal.host (BERTH_INTERNAL__HOST) to the address of this host or pod on all of them, or give each its own redis.prefix.',
  );
}
