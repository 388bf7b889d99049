// What `berth check` says of a valid configuration.
import { effectiveYaml } from '../config/effective.js';
import type { LoadedConfig } from '../config/load.js';
import { redactArguments, redactUrl } from '../config/redact.js';
import type { BackendConfig, Config } from '../config/schema.js';
import { resolveWorkers } from '../config/workers.js';

/** The effective configuration as YAML; all else as its comments, so that the whole can be written to a file again. */
export function report({ config, warnings, file }: LoadedConfig): string {
  const lines = [
    `${file ?? 'environment'}: valid`,
    '',
    ...list('backends', Object.entries(config.mcpServers).map(describeBackend)),
    ...list(
      'virtual servers',
      Object.entries(config.servers).map(([id, server]) => `${id}: ${server.backends.join(', ')}${describeTools(server.tools)}`),
    ),
    ...list('endpoints', endpoints(config)),
    `auth: ${describeAuth(config)}`,
    `workers: ${resolveWorkers(config)}`,
    `redis: ${config.redis.url ? redactUrl(config.redis.url) : `embedded, in ${config.dataDir}`}`,
    ...list('warnings', warnings),
  ];
  return `${lines.map((line) => `# ${line}`.trimEnd()).join('\n')}\n\n${effectiveYaml(config)}`;
}

const list = (title: string, items: readonly string[]): string[] => [
  `${title}:${items.length ? '' : ' none'}`,
  ...items.map((item) => `  ${item}`),
];

const describeBackend = ([id, backend]: [string, BackendConfig]): string =>
  backend.type === 'stdio'
    ? `${id}: stdio, ${[backend.command, ...redactArguments(backend.args)].join(' ')}`
    : `${id}: ${backend.type}, ${redactUrl(backend.url)}`;

function describeTools({ include, exclude }: Config['servers'][string]['tools']): string {
  const all = include.length === 1 && include[0] === '*';
  return `${all ? '' : `; only tools ${include.join(', ')}`}${exclude.length ? `; without tools ${exclude.join(', ')}` : ''}`;
}

function describeAuth({ auth, listen }: Config): string {
  if (auth?.mode !== 'keys') return `none: whoever reaches ${listen} is served`;
  const places = [...(auth.keys.length ? ['auth.keys'] : []), ...(auth.keysFile === undefined ? [] : [auth.keysFile])];
  return `keys, from ${places.join(' and ')}`;
}

function endpoints(config: Config): string[] {
  const base = (config.publicUrl ?? `http://${config.listen}`).replace(/\/+$/, '');
  const named = [...Object.keys(config.servers), ...(config.expose.backends ? Object.keys(config.mcpServers) : [])];
  return [...(config.expose.all ? [`${base}/mcp`] : []), ...named.map((id) => `${base}/servers/${id}/mcp`)];
}
