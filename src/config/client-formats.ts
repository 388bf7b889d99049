// Files of MCP clients pasted as they are: `mcpServers` (Claude, Cursor, Windsurf, Cline, Gemini), `servers` with commands
// (VS Code). What is ours to understand becomes our form; what those clients are known to write besides is told and left out.
import { adaptBackend } from './client-backend.js';
import { type Findings, isRecord, type Path } from './problems.js';
import { nearest, nearestKey } from './suggest.js';

/** Top-level blocks that clients write beside their servers. */
const FOREIGN_BLOCKS = new Set([
  'inputs',
  'globalShortcut',
  'preferences',
  'isUsingBuiltInNodeForMcp',
  'userThemeMode',
  'theme',
  'scale',
  'locale',
  'developer',
  'selectedAuthType',
  'mcpServersDisabled',
  'sandbox',
]);

export interface Adapted {
  readonly value: Record<string, unknown>;
  /** Where something stood in the file before it was renamed or moved. */
  readonly originOf: (path: Path) => Path;
}

interface Named {
  readonly id: string;
  readonly origin: Path;
  readonly entry: Record<string, unknown>;
}

/** Brings a parsed file into our form. Entries that are no objects stay for the schema to refuse. */
export function adaptFile(root: Readonly<Record<string, unknown>>, findings: Findings): Adapted {
  const { problems, warnings, placeOf } = findings;
  const value: Record<string, unknown> = {};
  for (const [key, block] of Object.entries(root)) {
    if (key === '$schema') continue;
    if (FOREIGN_BLOCKS.has(key)) warnings.push(`${placeOf([key])}: belongs to another program; ignored`);
    else value[key] = block;
  }
  // A key whose lines are all commented out.
  for (const key of ['mcpServers', 'servers']) if (value[key] === null) delete value[key];
  if (!isRecordOrAbsent(value.mcpServers) || !isRecordOrAbsent(value.servers)) return { value, originOf: (path) => path };

  const backendEntries: Named[] = [];
  const virtualEntries: Named[] = [];
  const disabled = new Set<string>();
  for (const block of ['mcpServers', 'servers'] as const) {
    for (const [name, entry] of Object.entries(value[block] ?? {})) {
      const origin = [block, name];
      const id = idOf(name, origin, findings);
      if (id === undefined) continue;
      if (!isRecord(entry)) {
        problems.push({ where: placeOf(origin), message: 'expected an object', remedy: ENTRY_REMEDY[block] });
      } else if (block === 'servers' && !isBackend(entry)) {
        virtualEntries.push({ id, origin, entry });
      } else if (block === 'mcpServers' && 'backends' in entry && !isBackend(entry)) {
        problems.push({
          where: placeOf(origin),
          message: 'an entry with "backends" is a virtual server',
          remedy: 'Move it to "servers".',
        });
      } else {
        const adapted = adaptBackend(entry, origin, findings);
        if (adapted === 'disabled') disabled.add(id).add(name);
        else if (adapted) backendEntries.push({ id, origin, entry: adapted });
        // Refused for a reason of its own: who refers to it is not wrong too.
        else backendEntries.push({ id, origin, entry: {} });
      }
    }
  }
  refuseDoubles([...backendEntries, ...virtualEntries], findings);
  const names = new Map(backendEntries.flatMap(({ id, origin }) => [[id, id] as const, [String(origin[1]), id] as const]));
  const virtual = virtualEntries.flatMap((server) => resolveBackends(server, names, disabled, findings) ?? []);
  value.mcpServers = Object.fromEntries(
    backendEntries.filter(({ entry }) => Object.keys(entry).length).map(({ id, entry }) => [id, entry]),
  );
  value.servers = Object.fromEntries(virtual.map(({ id, entry }) => [id, entry]));

  const origins = { mcpServers: backendEntries, servers: virtualEntries };
  return {
    value,
    originOf: (path) => {
      const [block, id, ...rest] = path;
      if (block !== 'mcpServers' && block !== 'servers') return path;
      const named = origins[block].find((entry) => entry.id === id);
      return named ? [...named.origin, ...rest] : path;
    },
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

const isRecordOrAbsent = (value: unknown): value is Record<string, unknown> | undefined => value === undefined || isRecord(value);

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
  if (id !== name) warnings.push(`${placeOf(origin)}: "${name}" is served as "${id}" (letters, digits, "_" and "-", 32 at most)`);
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
