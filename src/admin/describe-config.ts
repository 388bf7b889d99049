// Backends and virtual servers as the configuration has them, without what is secret in it: no environment, no headers, no arguments, no
// credentials of URLs.
import { basename } from 'node:path';
import { redactUrl } from '../config/redact.js';
import type { BackendConfig } from '../config/schema.js';

/** What is served at a path. */
export interface ServedServer {
  /** '' is `/mcp`. */
  readonly id: string;
  readonly backends: readonly string[];
  readonly tools: { readonly include: readonly string[]; readonly exclude: readonly string[] };
  readonly prefix: string;
}

export function describeBackend(name: string, backend: BackendConfig, served: readonly ServedServer[]) {
  return {
    name,
    type: backend.type,
    ...('url' in backend ? { url: redactUrl(backend.url) } : { command: nameOf(backend.command) }),
    servers: served.filter(({ backends }) => backends.includes(name)).map(({ id }) => id),
  };
}

/** Also of what somebody took for a command line: what follows the first word is arguments. A path may hold blanks. */
function nameOf(command: string): string {
  return basename(command.startsWith('/') ? command : (command.trim().split(/\s/)[0] ?? '')).split(/\s/)[0] ?? '';
}

/** @param tools how many are exposed, undefined if that is not known */
export function describeServer(
  { id, backends, tools: filter, prefix }: ServedServer,
  tools: number | undefined,
  warnings: readonly string[],
) {
  return {
    id,
    path: id === '' ? '/mcp' : `/servers/${id}/mcp`,
    backends,
    filter: { include: filter.include, exclude: filter.exclude },
    prefix,
    tools: tools ?? null,
    warnings,
  };
}
