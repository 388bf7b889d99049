// Backends and virtual servers as the configuration has them, without what is secret in it: no environment, no headers, no arguments, no
// credentials of URLs.
import { basename } from 'node:path';
import { isRecord } from '../config/problems.js';
import { hideSecrets, redactUrl } from '../config/redact.js';
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

/** @param body of a list of backends; any other stays as it is */
export function hideInUrls(body: unknown, secrets: readonly string[]): unknown {
  if (!isRecord(body) || !Array.isArray(body.backends)) return body;
  const hide = (backend: unknown) =>
    isRecord(backend) && typeof backend.url === 'string' ? { ...backend, url: hideSecrets(backend.url, secrets) } : backend;
  return { ...body, backends: body.backends.map(hide) };
}
