// What a person sees when the gateway is ready: where it can be reached, and what to paste into a client.
import { type Endpoint, listEndpoints, reachableUrl } from '../config/endpoints.js';
import type { Config } from '../config/schema.js';
import { type BridgeCommand, formatSnippets, keyNote, makeSnippets, quote, type SnippetFacts } from './snippets.js';

/** Ports in use, where the configuration says 0. */
export interface Ports {
  readonly port: number;
  readonly adminPort: number;
}

export function welcome(config: Config, { port, adminPort }: Ports, bridge: BridgeCommand): string {
  const endpoints = listEndpoints(config, port);
  const rows = [
    ...endpoints.map(({ id, url }) => [id || 'all backends', url]),
    ['admin', `${reachableUrl(config.admin.listen, adminPort)}  (dashboard; /metrics, /livez, /readyz, /api)`],
  ];
  const width = Math.max(...rows.map(([name = '']) => name.length));
  const list = rows.map(([name = '', url]) => `  ${name.padEnd(width)}  ${url}\n`).join('');
  const endpoint = usualEndpoint(config, endpoints);
  if (!endpoint) return `\nBerth is ready.\n\n${list}\nNo endpoint is served: see "expose" and "servers".\n\n`;
  const facts = snippetFacts(config, endpoint, bridge);
  const more = `In full, and for other endpoints: ${[bridge.command, ...bridge.args].map(quote).join(' ')} snippets URL${facts.needsKey ? ' --key' : ''}\n`;
  return `\nBerth is ready.\n\n${list}\n${formatSnippets(makeSnippets(facts))}\n${keyNote(facts.needsKey)}${more}Ctrl-C ends it.\n\n`;
}

/** The one to paste first: a virtual server was made for clients, else all backends. */
export function usualEndpoint(config: Config, endpoints: readonly Endpoint[]): Endpoint | undefined {
  const [virtual] = Object.keys(config.servers);
  return endpoints.find(({ id }) => id === virtual) ?? endpoints[0];
}

export function snippetFacts(config: Config, { id, url }: Endpoint, bridge: BridgeCommand): SnippetFacts {
  return { name: id || 'berth', url, needsKey: (config.auth?.mode ?? 'none') !== 'none', bridge };
}
