// What to paste into a client: told once when the gateway is ready.
import { addressOf, formatAddress, isWildcard } from '../config/address.js';
import type { Config } from '../config/schema.js';

/** @param port the one in use, where the configuration says 0 */
export function listEndpointUrls(config: Config, port: number): string[] {
  const { host } = addressOf(config.listen);
  // A wildcard is no address to connect to.
  const reachable = isWildcard(host) ? '127.0.0.1' : host;
  const base = (config.publicUrl ?? `http://${formatAddress({ host: reachable, port })}`).replace(/\/+$/, '');
  const names = new Set([...Object.keys(config.servers), ...(config.expose.backends ? Object.keys(config.mcpServers) : [])]);
  return [...(config.expose.all ? [`${base}/mcp`] : []), ...[...names].map((name) => `${base}/servers/${name}/mcp`)];
}
