// Files of MCP clients pasted as they are: `mcpServers` (Claude, Cursor, Windsurf, Cline, Gemini), `servers` with commands
// (VS Code), `mcp_servers` (Codex). What is ours to understand becomes our form; what those clients are known to write besides is told and left out.
import { adaptBackend } from './client-backend.js';
import { type Block, readClientFile } from './client-file.js';
import { type Input, readInputs } from './client-inputs.js';
import type { Environment } from './environment.js';
import { type Findings, isRecord, type Path } from './problems.js';
import { nearest, nearestKey } from './suggest.js';

export interface Adapted {
  readonly value: Record<string, unknown>;
  /** Where something stood in the file before it was renamed or moved. */
  readonly originOf: (path: Path) => Path;
  readonly inputs: ReadonlyMap<string, Input>;
  /** Which client writes a backend like this, by its id; none for our own form and for what many write. */
  readonly clients: ReadonlyMap<string, string>;
}

export interface AdaptContext extends Findings {
  /** Path of the file, for what its name tells. */
  readonly file: string | undefined;
  readonly env: Environment;
}

interface Named {
  readonly id: string;
  readonly origin: Path;
  readonly entry: Record<string, unknown>;
  readonly moved?: ReadonlyMap<string, Path>;
  readonly client?: string | undefined;
}

/** Brings a parsed file into our form. Entries that are no objects stay for the schema to refuse. */
export function adaptFile(root: Readonly<Record<string, unknown>>, context: AdaptContext): Adapted {
  const file = readClientFile(root, context.file, context);
  const inputs = readInputs(file.inputs.value, file.inputs.path, context);
  const { value } = file;
  if (file.isBroken) return { value, originOf: (path) => path, inputs, clients: new Map() };

  const found: Found = { backends: [], virtual: [], disabled: new Set() };
  for (const block of file.blocks) readBlock(block, file.client, found, context);
  const { backends, virtual, disabled } = found;
  refuseDoubles([...backends, ...virtual], context);
  const names = new Map(backends.flatMap(({ id, origin }) => [[id, id] as const, [String(origin.at(-1)), id] as const]));
  const resolved = virtual.flatMap((server) => resolveBackends(server, names, disabled, context) ?? []);
  value.mcpServers = Object.fromEntries(
    backends.filter(({ entry }) => Object.keys(entry).length).map(({ id, entry }) => [id, entry]),
  );
  value.servers = Object.fromEntries(resolved.map(({ id, entry }) => [id, entry]));
  return {
    value,
    originOf: originIn({ mcpServers: backends, servers: virtual }),
    inputs,
    clients: new Map(backends.flatMap(({ id, client }) => (client === undefined ? [] : [[id, client] as const]))),
  };
}

interface Found {
  readonly backends: Named[];
  readonly virtual: Named[];
  /** Names and ids. */
  readonly disabled: Set<string>;
}

function readBlock(
  { kind, path, entries, client }: Block,
  fileClient: string | undefined,
  found: Found,
  context: AdaptContext,
): void {
  const { problems, placeOf } = context;
  for (const [name, entry] of Object.entries(entries)) {
    const origin = [...path, name];
    const id = idOf(name, origin, context);
    if (id === undefined) continue;
    if (!isRecord(entry)) {
      problems.push({ where: placeOf(origin), message: 'expected an object', remedy: ENTRY_REMEDY[kind] });
    } else if (kind === 'servers' && !isBackend(entry)) {
      found.virtual.push({ id, origin, entry });
    } else if (kind === 'mcpServers' && 'backends' in entry && !isBackend(entry)) {
      problems.push({
        where: placeOf(origin),
        message: 'an entry with "backends" is a virtual server',
        remedy: 'Move it to "servers".',
      });
    } else {
      const adapted = adaptBackend(entry, origin, { ...context, fileClient });
      const writer = client ?? ('serverUrl' in entry ? 'Windsurf' : 'httpUrl' in entry ? 'Gemini CLI' : fileClient);
      if (adapted === 'disabled') found.disabled.add(id).add(name);
      else if (adapted) found.backends.push({ id, origin, ...adapted, client: writer });
      // Refused for a reason of its own: who refers to it is not wrong too.
      else found.backends.push({ id, origin, entry: {} });
    }
  }
}

function originIn(entries: { readonly mcpServers: readonly Named[]; readonly servers: readonly Named[] }): (path: Path) => Path {
  return (path) => {
    const [block, id, ...rest] = path;
    if (block !== 'mcpServers' && block !== 'servers') return path;
    const named = entries[block].find((entry) => entry.id === id);
    if (!named) return path;
    for (let length = rest.length; named.moved && length > 0; length--) {
      const place = named.moved.get(JSON.stringify(rest.slice(0, length)));
      if (place) return [...named.origin, ...place, ...rest.slice(length)];
    }
    return [...named.origin, ...rest];
  };
}

function refuseDoubles(all: readonly Named[], { problems, placeOf }: Findings): void {
  const first = new Map<string, Path>();
  for (const { id, origin } of all) {
    const other = first.get(id);
    if (!other) first.set(id, origin);
    else {
      problems.push({
        where: placeOf(origin),
        message: `"${id}" is also the name of ${placeOf(other)}`,
        remedy: 'Backends and virtual servers share their names, as both are served at /servers/<name>/mcp: rename one.',
      });
    }
  }
}

const ENTRY_REMEDY = {
  mcpServers: 'Write { command: …, args: [...] } or { url: … }.',
  servers: 'Write { backends: [...] }.',
} as const;

const isBackend = (entry: Readonly<Record<string, unknown>>) =>
  ['command', 'url', 'serverUrl', 'httpUrl'].some((key) => key in entry);

/** The name as it can stand in a URL and before `__`. */
function idOf(name: string, origin: Path, { problems, warnings, placeOf }: Findings): string | undefined {
  const id = name
    .replace(/[^A-Za-z0-9_-]/g, '-')
    .replace(/^[^A-Za-z0-9]+/, '')
    .slice(0, 32);
  if (!id) {
    const remedy = 'Names are letters, digits, "_" and "-", begin with a letter or digit, and have 32 characters at most.';
    problems.push({ where: placeOf(origin), message: `no name can be made of "${name}"`, remedy });
    return undefined;
  }
  if (id !== name)
    warnings.push(`${placeOf(origin)}: ${JSON.stringify(name)} is served as "${id}" (letters, digits, "_" and "-", 32 at most)`);
  return id;
}

/** Names of backends as they are after renaming; those of disabled ones are left out. Undefined: nothing is left to serve. */
function resolveBackends(
  server: Named,
  names: ReadonlyMap<string, string>,
  disabled: ReadonlySet<string>,
  { problems, warnings, placeOf }: Findings,
): Named | undefined {
  const { backends } = server.entry;
  if (!('backends' in server.entry)) {
    problems.push({
      where: placeOf(server.origin),
      message: 'neither "backends" (a virtual server) nor "command" or "url" (a backend)',
      remedy: nearestKey(server.entry, ['backends', 'command', 'url']) ?? ENTRY_REMEDY.servers,
    });
    return undefined;
  }
  if (!Array.isArray(backends)) return server;
  const kept: unknown[] = [];
  backends.forEach((name: unknown, i) => {
    const place = placeOf([...server.origin, 'backends', i]);
    if (typeof name !== 'string') kept.push(name);
    else if (names.has(name)) kept.push(names.get(name));
    else if (disabled.has(name)) warnings.push(`${place}: the backend "${name}" is disabled; left out`);
    else {
      const suggestion = nearest(name, names.keys());
      const known = [...new Set(names.values())].join(', ');
      problems.push({
        where: place,
        message: `there is no backend "${name}"`,
        remedy: suggestion
          ? `Did you mean "${suggestion}"?`
          : known
            ? `The backends are: ${known}.`
            : 'Define it under mcpServers.',
      });
      kept.push(name);
    }
  });
  if (!kept.length && backends.length) {
    warnings.push(`${placeOf(server.origin)}: all of its backends are disabled; it is not served`);
    return undefined;
  }
  return { ...server, entry: { ...server.entry, backends: [...new Set(kept)] } };
}
