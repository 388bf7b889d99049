// What a client can be asked, as it declared it at initialize.
import { isObject } from '../protocol/json-rpc.js';
import type { Capabilities } from '../protocol/mcp.js';

/** Of the capabilities of a client, those that concern a backend, with what a backend may look at in each. */
const ASKABLE: ReadonlyMap<string, readonly string[]> = new Map([
  ['sampling', ['tools', 'context']],
  ['elicitation', ['form', 'url']],
  ['roots', ['listChanged']],
]);

/** Backends are told of these and of nothing else. @param declared unchecked, as the client sent it */
export function askableCapabilities(declared: unknown): Capabilities {
  if (!isObject(declared)) return {};
  const named = [...ASKABLE.keys()].filter((name) => isObject(declared[name]));
  return Object.fromEntries(named.map((name) => [name, declared[name]]));
}

/**
 * Under which a backend's lists are read and shared: many servers offer a tool that asks the client only to clients that can be asked. Of
 * few possible values, whatever clients declare; '' for a client that cannot be asked at all.
 */
export function listScopeOf(declared: unknown): string {
  const askable = askableCapabilities(declared);
  const words = [...ASKABLE].flatMap(([name, details]) => {
    const capability = askable[name];
    if (!isObject(capability)) return [];
    return [name, ...details.filter((detail) => capability[detail]).map((detail) => `${name}.${detail}`)];
  });
  return words.length === 0 ? '' : `:${words.join('+')}`;
}
