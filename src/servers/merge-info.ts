// What the gateway says of itself at initialize, from what is known of the backends behind a virtual server.
import type { BackendInfo } from '../backends/backend.js';
import { isObject } from '../protocol/json-rpc.js';
import type { Capabilities } from '../protocol/mcp.js';

/**
 * The union of what the backends offer. A backend never seen (undefined) counts as offering everything: sessions open backends
 * lazily, capabilities cannot be added later, and an empty list is a truthful answer. listChanged is always true: lists change
 * when backends come and go, whatever a backend itself can tell. `experimental` and `tasks` are dropped: nothing here relays them.
 */
export function mergeCapabilities(infos: ReadonlyArray<BackendInfo | undefined>): Capabilities {
  const offers = (capability: string) => infos.some((info) => !info || isObject(info.capabilities[capability]));
  const merged: Record<string, unknown> = {};
  if (offers('tools')) merged.tools = { listChanged: true };
  if (offers('resources')) merged.resources = { ...(infos.some(canSubscribe) ? { subscribe: true } : {}), listChanged: true };
  if (offers('prompts')) merged.prompts = { listChanged: true };
  if (offers('completions')) merged.completions = {};
  if (offers('logging')) merged.logging = {};
  return merged;
}

/** One that was never seen may. */
export function canSubscribe(info: BackendInfo | undefined): boolean {
  if (!info) return true;
  const { resources } = info.capabilities;
  return isObject(resources) && resources.subscribe === true;
}

/**
 * Instructions of the backends in their order: those of a server's only backend as they are, else each under a heading with the
 * backend's name (names of tools may carry it). Undefined if none gave any.
 */
export function mergeInstructions(
  backends: ReadonlyArray<{ readonly backend: string; readonly info: BackendInfo | undefined }>,
): string | undefined {
  const told = backends.flatMap(({ backend, info }) => {
    const text = info?.instructions;
    return typeof text === 'string' && text.trim() !== '' ? [{ backend, text }] : [];
  });
  if (told.length === 0) return undefined;
  if (backends.length === 1) return told[0]?.text;
  return told.map(({ backend, text }) => `## ${backend}\n\n${text.trim()}`).join('\n\n');
}
