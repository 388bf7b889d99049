// Finds out before anything is started whether the public address can be listened on: told by a worker, it would come after Redis
// and every backend had been set in motion.
import { type AddressInfo, createServer } from 'node:net';
import { cannotListen } from '../admin/admin-server.js';

/**
 * @returns the port: a free one where `address` says 0
 * @throws StartError 69 naming the option, the port and the remedy
 */
export function probeListen(option: string, address: { host: string; port: number }): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', (error) => reject(cannotListen(option, address, error)));
    probe.listen({ ...address, exclusive: true }, () => {
      const { port } = probe.address() as AddressInfo;
      probe.close(() => resolve(port));
    });
  });
}
