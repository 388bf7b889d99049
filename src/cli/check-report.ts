// What `berth check` says of a valid configuration.
import { effectiveYaml } from '../config/effective.js';
import { type Endpoint, listEndpoints } from '../config/endpoints.js';
import type { LoadedConfig } from '../config/load.js';
import { hideSecrets, redactConfig, redactUrl } from '../config/redact.js';
import type { BackendConfig, Config, ServerConfig } from '../config/schema.js';
import { servedWarnings } from '../config/served-warnings.js';
import { resolveWorkers } from '../config/workers.js';

/** The effective configuration as YAML; all else as its comments, so that the whole can be written to a file again. */
export function report({ config, warnings, file, clients, secrets }: LoadedConfig): string {
  const shown = redactConfig(config, secrets).mcpServers;
  const lines = [
    `${file ?? 'environment'}: valid`,
    '',
    ...list(
      'backends',
      Object.entries(shown).map(([id, backend]) => describeBackend(id, backend, clients.get(id))),
    ),
    ...list(
      'endpoints',
      listEndpoints(config).map((endpoint) => describeEndpoint(endpoint, config)),
    ),
    `auth: ${describeAuth(config)}`,
    `workers: ${resolveWorkers(config)}`,
    `redis: ${config.redis.url ? redactUrl(config.redis.url) : `embedded, in ${config.dataDir}`}`,
    ...list('warnings', [...warnings, ...servedWarnings(config)]),
  ].map((line) => visible(hideSecrets(line, secrets)));
  return `${lines.map((line) => `# ${line}`.trimEnd()).join('\n')}\n\n${effectiveYaml(config, secrets)}`;
}

/** An argument may be a script of many lines: the second would be no comment. */
const visible = (line: string): string =>
  line.replace(/\p{Cc}/gu, (char) =>
    char === '\n' ? '\\n' : char === '\t' ? '\\t' : `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );

const list = (title: string, items: readonly string[]): string[] => [
  `${title}:${items.length ? '' : ' none'}`,
  ...items.map((item) => `  ${item}`),
];

/** @param backend redacted */
function describeBackend(id: string, backend: BackendConfig, client: string | undefined): string {
  const place = 'url' in backend ? backend.url : [backend.command, ...backend.args].join(' ');
  return `${id}: ${backend.type}, ${place}${client ? `; as ${client} writes it` : ''}${describeTools(backend.tools)}`;
}

function describeEndpoint({ id, url, backends }: Endpoint, config: Config): string {
  const server = Object.hasOwn(config.servers, id) ? config.servers[id] : undefined;
  const what = id === '' ? `all backends (${backends.join(', ') || 'none'})` : backends.join(', ');
  const prefix = server && server.prefix !== 'auto' ? `; prefix: ${server.prefix}` : '';
  const own = backends.map((name) => [name, describeTools(config.mcpServers[name]?.tools)] as const).filter(([, text]) => text);
  const limits = own.map(([name, text]) => `; of ${name} ${text.replace(/^; /, '').replaceAll('; ', ', ')}`).join('');
  const filter = describeTools(server?.tools);
  return `${url}: ${what}${filter || (limits ? '' : '; all tools')}${limits}${prefix}`;
}

function describeTools(tools: ServerConfig['tools'] | undefined): string {
  if (!tools) return '';
  const { include, exclude } = tools;
  const only = include.includes('*') ? '' : `; only tools ${include.join(', ') || '(none)'}`;
  return `${only}${exclude.length ? `; without tools ${exclude.join(', ')}` : ''}`;
}

function describeAuth({ auth, listen }: Config): string {
  if (auth?.mode !== 'keys') return `none: whoever reaches ${listen} is served`;
  const places = [...(auth.keys.length ? ['auth.keys'] : []), ...(auth.keysFile === undefined ? [] : [auth.keysFile])];
  return `keys, from ${places.join(' and ')}`;
}
