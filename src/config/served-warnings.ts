// What a valid configuration serves although it looks as if it did not, or the other way round: told by `berth check`.
import { addressOf, isLoopback } from './address.js';
import type { Config, ServerConfig } from './schema.js';
import { nearest } from './suggest.js';

type Filter = ServerConfig['tools'];

const SEPARATOR = '__';

/** As far as the file says it: what tools the backends have is not looked at. */
export function servedWarnings(config: Config): string[] {
  return [
    ...Object.entries(config.servers).flatMap(([id, server]) => [
      ...undoneFilters(config, id, server),
      ...idleServer(config, id, server),
      ...idlePatterns(config, id, server),
    ]),
    ...Object.entries(config.mcpServers).flatMap(([id, { tools }]) => (tools ? [...backendFilter(id, tools)] : [])),
    ...openListener(config),
  ];
}

const showsAll = (filter: Filter | undefined): boolean =>
  filter === undefined || (filter.exclude.length === 0 && filter.include.includes('*'));

const showsNothing = (filter: Filter): boolean => filter.include.length === 0 || filter.exclude.includes('*');

/** A filter that other paths to the same backend do not have hides nothing from whoever takes one of them. */
function* undoneFilters({ expose, mcpServers }: Config, id: string, { backends, tools }: ServerConfig): Generator<string> {
  if (showsAll(tools)) return;
  const open = backends.filter((name) => !isWithin(mcpServers[name]?.tools, tools));
  if (!open.length || !(expose.all || expose.backends)) return;
  const paths = [...(expose.all ? ['/mcp'] : []), ...(expose.backends ? open.map((name) => `/servers/${name}/mcp`) : [])];
  const options = [...(expose.all ? ['expose.all'] : []), ...(expose.backends ? ['expose.backends'] : [])];
  const limits = open.map((name) => `mcpServers.${name}.tools`).join(' and ');
  yield `servers.${id}.tools: what it hides is served at ${paths.join(' and ')} all the same. If it is a boundary, set ${options.join(' and ')} to false, or write it as ${limits}`;
}

/** The backend's own filter hides at least what the server's does, as far as their patterns say it alike. */
function isWithin(own: Filter | undefined, filter: Filter): boolean {
  if (!own) return false;
  const isIncluded = filter.include.includes('*') || own.include.every((pattern) => filter.include.includes(pattern));
  return isIncluded && filter.exclude.every((pattern) => own.exclude.includes(pattern));
}

function* idleServer({ expose, mcpServers }: Config, id: string, { backends, tools, prefix }: ServerConfig): Generator<string> {
  if (showsNothing(tools)) {
    yield `servers.${id}.tools: shows no tool at all`;
    return;
  }
  if (!showsAll(tools) || prefix !== 'auto') return;
  const [only] = backends;
  const isEverything = backends.length === Object.keys(mcpServers).length;
  if (backends.length === 1 && expose.backends) yield `servers.${id}: serves the same as /servers/${only}/mcp`;
  else if (isEverything && expose.all) yield `servers.${id}: serves the same as /mcp`;
}

/** A pattern that begins like the name of a backend is meant for that one. */
function* idlePatterns({ mcpServers }: Config, id: string, { backends, tools }: ServerConfig): Generator<string> {
  const names = Object.keys(mcpServers);
  for (const list of ['include', 'exclude'] as const) {
    for (const pattern of tools[list]) {
      const end = pattern.indexOf(SEPARATOR);
      const backend = pattern.slice(0, end);
      if (end <= 0 || /[*?]/.test(backend) || backends.includes(backend)) continue;
      const where = `servers.${id}.tools.${list}: "${pattern}"`;
      if (names.includes(backend))
        yield `${where} is about the backend "${backend}", which this server does not have: it matches nothing`;
      else {
        const near = nearest(backend, backends);
        if (near) yield `${where} names no backend; did you mean "${near}${pattern.slice(end)}"?`;
      }
    }
  }
}

function* backendFilter(id: string, tools: Filter): Generator<string> {
  if (showsNothing(tools)) yield `mcpServers.${id}.tools: shows no tool at all`;
  for (const pattern of [...tools.include, ...tools.exclude]) {
    if (!pattern.startsWith(`${id}${SEPARATOR}`)) continue;
    const bare = pattern.slice(id.length + SEPARATOR.length);
    yield `mcpServers.${id}.tools: "${pattern}" is matched against the backend's own names, which do not begin so; did you mean "${bare}"?`;
  }
}

function* openListener({ auth, listen, publicUrl }: Config): Generator<string> {
  if (auth?.mode !== 'none' || isLoopback(addressOf(listen).host)) return;
  yield `auth.mode: none, and ${publicUrl ?? listen} can be reached from outside: whoever reaches it may call every tool`;
}
