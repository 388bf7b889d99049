// biome-ignore-all lint/suspicious/noTemplateCurlyInString: references of the configuration are written like templates
// One backend as any known client writes it, in our form.
import { readCodex } from './client-codex.js';
import { readTools } from './client-tools.js';
import type { Environment } from './environment.js';
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
  alwaysLoad: '',
  required: '',
  supports_parallel_tool_calls: '',
  default_tools_approval_mode: '',
  experimental_environment: '',
  environment_id: '',
  scopes: '',
  oauth_resource: '',
  sandbox: '',
  sandboxEnabled: 'IT RUNS WITHOUT A SANDBOX here, with the rights of the gateway',
  networkTimeout: '',
  envFile: 'its variables are not read: set them for the gateway and write ${NAME} in "env"',
  env_file: 'its variables are not read: set them for the gateway and write ${NAME} in "env"',
  oauth:
    'the gateway does not log in as a user: put a token into "headers", or write oauth with tokenUrl, clientId and clientSecret alone',
  auth: 'the gateway does not log in: put a token into "headers"',
  headersHelper: 'it is not run: put what it prints into "headers"',
};

/** Clients that log users in keep other things under the same name; what is none of theirs is ours, so that a typo is an error. */
const FOREIGN_OAUTH =
  /^(enabled|authorizationUrl|redirectUri|registrationUrl|callbackPort|callback_port|client_id|authServerMetadataUrl|scopes|tokenParamName|clientId)$/;

function isOurOAuth(value: unknown): boolean {
  if (!isRecord(value)) return false;
  const keys = Object.keys(value);
  const own = keys.filter((key) => !FOREIGN_OAUTH.test(key));
  return own.length > 0 && keys.every((key) => key === 'clientId' || own.includes(key));
}

const URL_KEYS = ['serverUrl', 'httpUrl'];

export interface AdaptedBackend {
  readonly entry: Record<string, unknown>;
  /** Where parts stood that have another name or place here, below the backend, by the JSON text of their path. */
  readonly moved: ReadonlyMap<string, Path>;
}

export interface BackendContext extends Findings {
  readonly env: Environment;
  /** Whose file it is, where that is known. */
  readonly fileClient?: string | undefined;
}

/** Our form of an entry; `disabled` if it says so itself; undefined if it cannot be used (told in `problems`). */
export function adaptBackend(
  written: Readonly<Record<string, unknown>>,
  origin: Path,
  context: BackendContext,
): AdaptedBackend | 'disabled' | undefined {
  const { problems, warnings, placeOf, env } = context;
  if (written.disabled === true || written.enabled === false || written.isActive === false) {
    warnings.push(`${placeOf(origin)}: is disabled; not served`);
    return 'disabled';
  }
  const refuse = (key: string | undefined, message: string, remedy: string) => {
    problems.push({ where: placeOf(key ? [...origin, key] : origin), message, remedy });
    return undefined;
  };
  // A key with nothing behind it, such as `cwd:`.
  const entry = Object.fromEntries(Object.entries(written).filter(([, value]) => value !== null));
  const codex = readCodex(entry, origin, env, context);
  const lists = readTools(entry);
  if (lists.double) return refuse(lists.double[1], `"${lists.double[0]}" says the same`, 'Keep one of the two.');
  const { adapted, type: said } = pickOwn(entry, new Set([...codex.taken, ...lists.taken]), origin, context);
  if (lists.tools !== undefined) adapted.tools = lists.tools;
  if (lists.hasApprovals) warnings.push(`${placeOf([...origin, 'tools'])}: belongs to another program; ignored`);
  for (const [key, value] of Object.entries(codex.own)) {
    adapted[key] = isRecord(value) && isRecord(adapted[key]) ? { ...value, ...adapted[key] } : (adapted[key] ?? value);
  }
  // Cline takes a URL without a type for the older transport.
  const assumed = context.fileClient === 'Cline' ? 'sse' : 'http';
  const type = typeOf(adapted, said, assumed, refuse);
  if (type === undefined) return undefined;
  if (said === undefined && type === 'sse') {
    warnings.push(`${placeOf(origin)}: is taken for HTTP+SSE, as Cline does; write type: streamableHttp if it speaks that`);
  } else if (said === undefined && type === 'http' && /\/sse\/?$/.test(String(adapted.url))) {
    warnings.push(`${placeOf(origin)}: is taken for Streamable HTTP; write type: sse if it speaks the older HTTP+SSE`);
  }
  return { entry: { ...adapted, type }, moved: movedParts(entry, codex.moved, lists.from) };
}

/** What is left when the words of clients are taken out; each is told. */
function pickOwn(
  entry: Readonly<Record<string, unknown>>,
  taken: ReadonlySet<string>,
  origin: Path,
  { warnings, placeOf }: Findings,
): { readonly adapted: Record<string, unknown>; readonly type: unknown } {
  const adapted: Record<string, unknown> = {};
  let type: unknown;
  for (const [key, value] of Object.entries(entry)) {
    const place = placeOf([...origin, key]);
    if (taken.has(key) || ['disabled', 'enabled', 'isActive'].includes(key)) continue;
    if (key === 'type' || key === 'transport' || key === 'transportType') type = value;
    else if (URL_KEYS.includes(key)) adapted.url ??= value;
    else if (key === 'timeout' && typeof value === 'number') {
      warnings.push(`${place}: a number means seconds to one client and milliseconds to another; ignored. Write timeout: 60s`);
    } else if (Object.hasOwn(FOREIGN, key) && !(key === 'oauth' && isOurOAuth(value))) {
      if (key === 'sandboxEnabled' && value === false) continue;
      warnings.push(`${place}: belongs to another program; ignored${FOREIGN[key] ? `; ${FOREIGN[key]}` : ''}`);
    } else if (key === 'env' && isRecord(value)) {
      // VS Code takes a variable away by null; nothing is inherited here that could be.
      adapted.env = Object.fromEntries(Object.entries(value).filter(([, inner]) => inner !== null));
    } else adapted[key] = value;
  }
  return { adapted, type };
}

type Refuse = (key: string | undefined, message: string, remedy: string) => undefined;

function typeOf(adapted: object, said: unknown, assumed: 'http' | 'sse', refuse: Refuse): 'stdio' | 'http' | 'sse' | undefined {
  if (said !== undefined && !(typeof said === 'string' && Object.hasOwn(TYPES, said))) {
    const suggestion = typeof said === 'string' ? nearest(said, Object.keys(TYPES)) : undefined;
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
  const usual = hasCommand ? 'stdio' : assumed;
  const type = said === undefined ? usual : TYPES[said as string];
  if ((type === 'stdio') !== hasCommand) {
    return refuse(
      'type',
      `"${String(said)}" does not go with "${hasCommand ? 'command' : 'url'}"`,
      `Write type: ${usual}, or leave it out.`,
    );
  }
  return type;
}

function movedParts(
  entry: Readonly<Record<string, unknown>>,
  codex: ReadonlyMap<string, Path>,
  lists: { readonly include?: string; readonly exclude?: string },
): ReadonlyMap<string, Path> {
  const moved = new Map(codex);
  if (entry.timeout !== undefined) moved.delete(JSON.stringify(['timeout']));
  const urlKey = URL_KEYS.find((key) => key in entry);
  if (urlKey && !('url' in entry)) moved.set(JSON.stringify(['url']), [urlKey]);
  for (const [list, key] of Object.entries(lists)) {
    if (key !== 'tools') moved.set(JSON.stringify(['tools', list]), [key]);
    else if (Array.isArray(entry.tools)) moved.set(JSON.stringify(['tools', list]), ['tools']);
  }
  return moved;
}
