// biome-ignore-all lint/suspicious/noTemplateCurlyInString: references of the configuration are written like templates
// One backend as any known client writes it, in our form.
import { type Findings, isRecord, type Path } from './problems.js';
import { nearest, nearestKey } from './suggest.js';

const TYPES: Readonly<Record<string, 'stdio' | 'http' | 'sse'>> = {
  stdio: 'stdio',
  local: 'stdio',
  http: 'http',
  'streamable-http': 'http',
  streamableHttp: 'http',
  streamable_http: 'http',
  sse: 'sse',
};

/** What clients keep beside a server, with what to do instead where it would change what is served. */
const FOREIGN: Readonly<Record<string, string>> = {
  autoApprove: '',
  alwaysAllow: '',
  trust: '',
  description: '',
  icon: '',
  iconUrl: '',
  name: '',
  title: '',
  inputs: '',
  gallery: '',
  version: '',
  metadata: '',
  dev: '',
  watchPaths: '',
  sandboxEnabled: '',
  networkTimeout: '',
  envFile: 'its variables are not read: set them for the gateway and write ${NAME} in "env"',
  env_file: 'its variables are not read: set them for the gateway and write ${NAME} in "env"',
  disabledTools: 'ALL TOOLS ARE SERVED: list these under servers.<name>.tools.exclude',
  excludeTools: 'ALL TOOLS ARE SERVED: list these under servers.<name>.tools.exclude',
  includeTools: 'ALL TOOLS ARE SERVED: list these under servers.<name>.tools.include',
  tools: 'ALL TOOLS ARE SERVED: list these under servers.<name>.tools.include',
  oauth:
    'the gateway does not log in as a user: put a token into "headers", or write oauth with tokenUrl, clientId and clientSecret alone',
  auth: 'the gateway does not log in: put a token into "headers"',
  headersHelper: 'it is not run: put what it prints into "headers"',
};

/** Clients that log users in keep other things under the same name; what is none of theirs is ours, so that a typo is an error. */
const FOREIGN_OAUTH =
  /^(enabled|authorizationUrl|redirectUri|registrationUrl|callbackPort|authServerMetadataUrl|scopes|tokenParamName|clientId)$/;

function isOurOAuth(value: unknown): boolean {
  if (!isRecord(value)) return false;
  const keys = Object.keys(value);
  const own = keys.filter((key) => !FOREIGN_OAUTH.test(key));
  return own.length > 0 && keys.every((key) => key === 'clientId' || own.includes(key));
}

const URL_KEYS = ['serverUrl', 'httpUrl'];

/** Our form of an entry; `disabled` if it says so itself; undefined if it cannot be used (told in `problems`). */
export function adaptBackend(
  entry: Readonly<Record<string, unknown>>,
  origin: Path,
  { problems, warnings, placeOf }: Findings,
): Record<string, unknown> | 'disabled' | undefined {
  if (entry.disabled === true || entry.enabled === false || entry.isActive === false) {
    warnings.push(`${placeOf(origin)}: is disabled; not served`);
    return 'disabled';
  }
  const refuse = (key: string | undefined, message: string, remedy: string) => {
    problems.push({ where: placeOf(key ? [...origin, key] : origin), message, remedy });
    return undefined;
  };
  const adapted: Record<string, unknown> = {};
  let written: unknown;
  for (const [key, value] of Object.entries(entry)) {
    const place = placeOf([...origin, key]);
    if (['disabled', 'enabled', 'isActive'].includes(key)) continue;
    // `cwd:` with nothing behind it.
    if (value === null) continue;
    if (key === 'type' || key === 'transport' || key === 'transportType') written = value;
    else if (URL_KEYS.includes(key)) adapted.url ??= value;
    else if (key === 'timeout' && typeof value === 'number') {
      warnings.push(`${place}: a number means seconds to one client and milliseconds to another; ignored. Write timeout: 60s`);
    } else if (Object.hasOwn(FOREIGN, key) && !(key === 'oauth' && isOurOAuth(value))) {
      warnings.push(`${place}: belongs to another program; ignored${FOREIGN[key] ? `; ${FOREIGN[key]}` : ''}`);
    } else adapted[key] = value;
  }
  if (written !== undefined && !(typeof written === 'string' && Object.hasOwn(TYPES, written))) {
    const suggestion = typeof written === 'string' ? nearest(written, Object.keys(TYPES)) : undefined;
    return refuse(
      'type',
      'expected stdio, http or sse',
      suggestion ? `Did you mean "${suggestion}"?` : 'Leave it out: command or url says it.',
    );
  }
  const hasCommand = 'command' in adapted;
  const hasUrl = 'url' in adapted;
  if (hasCommand && hasUrl) return refuse(undefined, 'both "command" and "url"', 'Keep one: a backend is a command or a URL.');
  if (!hasCommand && !hasUrl) {
    const remedy = nearestKey(adapted, ['command', 'url']) ?? 'Add one of the two.';
    return refuse(undefined, 'neither "command" (stdio) nor "url" (http)', remedy);
  }
  const usual = hasCommand ? 'stdio' : 'http';
  const type = written === undefined ? usual : TYPES[written as string];
  if ((type === 'stdio') !== hasCommand) {
    return refuse(
      'type',
      `"${String(written)}" does not go with "${hasCommand ? 'command' : 'url'}"`,
      `Write type: ${usual}, or leave it out.`,
    );
  }
  return { ...adapted, type };
}
