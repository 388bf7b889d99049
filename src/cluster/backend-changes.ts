// What a reload means for each backend: its name alone does not say whether sessions may go on with what they have open.
import { isDeepStrictEqual } from 'node:util';
import { placeOf } from '../backends/http/sealed-session.js';
import type { BackendConfig, Config } from '../config/schema.js';

export interface BackendChanges {
  readonly added: readonly string[];
  /** Another server, as far as anybody can know: backend sessions of the old one end, the next call opens anew. */
  readonly changed: readonly string[];
  /** The same server with other settings: backend sessions go on under them. */
  readonly adjusted: readonly string[];
  readonly removed: readonly string[];
}

/** Options of a backend that say neither which server it is nor what runs there. */
const SETTINGS = new Set([
  'headers',
  'bearerFile',
  'oauth',
  'forwardHeaders',
  'timeout',
  'onStateLoss',
  'lostSessionPattern',
  'keepAlive',
  'tools',
]);

export function compareBackends(before: Config, after: Config): BackendChanges {
  const added: string[] = [];
  const changed: string[] = [];
  const adjusted: string[] = [];
  // What every backend is made with.
  const areSharedEqual = isDeepStrictEqual(before.limits, after.limits);
  for (const [name, backend] of Object.entries(after.mcpServers)) {
    const former = before.mcpServers[name];
    if (!former) added.push(name);
    else if (!isDeepStrictEqual(whatRuns(former), whatRuns(backend))) changed.push(name);
    else if (!areSharedEqual || !isDeepStrictEqual(former, backend)) adjusted.push(name);
  }
  const removed = Object.keys(before.mcpServers).filter((name) => !(name in after.mcpServers));
  return { added, changed, adjusted, removed };
}

/** An option that is not known to be a setting counts: rather a new backend session than one that means something else. */
function whatRuns(backend: BackendConfig): Record<string, unknown> {
  const rest = Object.fromEntries(Object.entries(backend).filter(([key]) => !SETTINGS.has(key)));
  // Credentials in the URL are a header.
  return typeof rest.url === 'string' ? { ...rest, url: placeOf(rest.url) } : rest;
}
