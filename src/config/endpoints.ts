// What is served under which URL: for the log, for `berth check`, and for what is pasted into clients.
import { addressOf, formatAddress, isWildcard } from './address.js';
import type { Config } from './schema.js';

export interface Endpoint {
  /** Of a virtual server or a backend; '' for `/mcp`, all backends. */
  readonly id: string;
  readonly url: string;
  readonly backends: readonly string[];
}

/** Where an HTTP listener can be reached from the same machine: a wildcard is no address to connect to. @param port where it says 0 */
export function reachableUrl(listen: string, port = addressOf(listen).port): string {
  const { host } = addressOf(listen);
  return `http://${formatAddress({ host: isWildcard(host) ? '127.0.0.1' : host, port })}`;
}

/** All backends first, then virtual servers, then single backends. @param port the one in use, where the configuration says 0 */
export function listEndpoints(config: Config, port?: number): Endpoint[] {
  const base = (config.publicUrl ?? reachableUrl(config.listen, port)).replace(/\/+$/, '');
  const at = (id: string) => `${base}/servers/${id}/mcp`;
  const all = Object.keys(config.mcpServers);
  const virtual = Object.entries(config.servers).map(([id, { backends }]) => ({ id, url: at(id), backends }));
  const single = all.filter((id) => !Object.hasOwn(config.servers, id)).map((id) => ({ id, url: at(id), backends: [id] }));
  return [
    ...(config.expose.all ? [{ id: '', url: `${base}/mcp`, backends: all }] : []),
    ...virtual,
    ...(config.expose.backends ? single : []),
  ];
}

export const listEndpointUrls = (config: Config, port: number): string[] => listEndpoints(config, port).map(({ url }) => url);
