// A configuration that may be shown: no secret, token, header value, environment value or credential in a URL or argument.
import { listOptions } from './options.js';
import { isRecord } from './problems.js';
import type { BackendConfig, Config } from './schema.js';
import type { OAuthConfig } from './schema-credentials.js';
import { looksRandom } from './secret-text.js';

/** What stands for a value that is not shown. */
export const HIDDEN = '***';

const hide = (text: string): string => (text ? HIDDEN : '');

const hideValues = (record: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(Object.entries(record).map(([key, value]) => [key, hide(value)]));

/**
 * A URL without credentials, without the values of its query and of path parameters, and, of http(s), without the segments of its path
 * that look like keys: all of them hold keys in the field. Also for the forms with a list of
 * addresses, which no URL parser takes: all up to the last `@` is hidden, as a password may hold one that is not encoded.
 * Of http(s) an `@` in its usual places behind the host (see isOrdinary) ends none.
 */
export function redactUrl(url: string): string {
  const [, scheme = '', rest = url] = /^([a-z][a-z0-9+.-]*:(?:\/\/)?)([\s\S]*)$/i.exec(url) ?? [];
  const mark = rest.search(/[?#]/);
  const isWeb = /^https?:/i.test(scheme);
  const at = isWeb && URL.canParse(url) ? endOfCredentials(rest) : rest.lastIndexOf('@');
  // A password with a bare "?" in it: the "@" behind it still ends the credentials.
  const base = mark < 0 || at > mark ? rest : rest.slice(0, mark);
  const tail = rest.slice(base.length);
  const place = at < 0 ? base : `${HIDDEN}@${base.slice(at + 1)}`;
  const shown = isWeb ? redactPath(place) : place;
  return `${scheme}${shown.replace(/([?&][^=&#]*=)[^&#]*/g, `$1${HIDDEN}`)}${tail.replace(/=[^&#]*/g, `=${HIDDEN}`).replace(/#.*$/s, '')}`;
}

/** @returns the place of the last `@` that may end credentials, -1 if there is none */
function endOfCredentials(rest: string): number {
  const host = rest.search(/[/?#]/);
  let at = rest.lastIndexOf('@');
  while (host >= 0 && at > host && isOrdinary(rest, at)) at = rest.lastIndexOf('@', at - 1);
  return at;
}

/** A scope (`/@name/tool`), or in the value of a query, which is hidden by itself: to hide all before it would show another host. */
function isOrdinary(rest: string, at: number): boolean {
  if (rest[at - 1] === '/') return true;
  const query = rest.indexOf('?');
  if (query < 0 || at < query) return false;
  const assigned = rest.indexOf('=', Math.max(query, rest.lastIndexOf('&', at)));
  return assigned >= 0 && assigned < at;
}

/** @param place host and path */
function redactPath(place: string): string {
  const [host = '', ...segments] = place.split('/');
  const shown = segments.map((segment) => {
    const [name = '', ...parameters] = segment.split(';');
    return [looksRandom(name) ? HIDDEN : name, ...parameters.map((text) => text.replace(/=.*$/s, `=${HIDDEN}`))].join(';');
  });
  return [host, ...shown].join('/');
}

const SECRET_WORD =
  /(token|secret|passw|pwd|api[-_]?key|access[-_]?key|private[-_]?key|credential|auth|bearer|(^|[-_])(key|pat|sas)($|[-_]))/i;

/** Arguments of a command: values of options that sound like credentials, headers, assignments and URLs. */
export function redactArguments(args: readonly string[]): string[] {
  let hideNext = false;
  return args.map((arg) => {
    if (hideNext) {
      hideNext = false;
      return HIDDEN;
    }
    // As curl and docker take them, with the value in the same word.
    const attached = /^-(H(?=[\w-]+:)|u(?=[^=]*:)|[eED](?=[\w-]+=))/.exec(arg);
    if (attached) return `${attached[0]}${HIDDEN}`;
    const option = /^(--?[\w-]+)(=([\s\S]*))?$/.exec(arg);
    if (option) {
      const [, name = '', assigned, value = ''] = option;
      const isHeader = /^(-[Hu]|--headers?|--(proxy-)?user|--cookie)$/.test(name);
      if (assigned === undefined) {
        hideNext = isHeader || SECRET_WORD.test(name);
        return arg;
      }
      return `${name}=${isHeader || SECRET_WORD.test(name) ? HIDDEN : redactValue(value)}`;
    }
    return redactValue(arg);
  });
}

function redactValue(text: string): string {
  // `docker run -e NAME=value`, `Authorization: Bearer …`
  const named = /^([A-Za-z_][\w-]*)(=|:\s+)[\s\S]+$/.exec(text);
  if (named) return `${named[1]}${named[2]}${HIDDEN}`;
  if (/^[a-z][a-z0-9+.-]*:\/\/\S*$/i.test(text)) return redactUrl(text);
  // A line for a shell: what in it belongs to what is the shell's to know.
  if (/\s/.test(text)) return SECRET_WORD.test(text) ? HIDDEN : text.split(/(\s+)/).map(redactWord).join('');
  return redactWord(text);
}

/** Names of packages and files have parts that look random at times; keys have no slashes in front. */
function redactWord(word: string): string {
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(word)) return redactUrl(word);
  return !/^[@./]/.test(word) && looksRandom(word) ? HIDDEN : word;
}

function redactOAuth(oauth: OAuthConfig | undefined): { readonly oauth?: OAuthConfig } {
  if (!oauth) return {};
  const hidden = oauth.clientSecret === undefined ? {} : { clientSecret: hide(oauth.clientSecret) };
  return { oauth: { ...oauth, tokenUrl: redactUrl(oauth.tokenUrl), ...hidden } };
}

function redactBackend(backend: BackendConfig): BackendConfig {
  return backend.type === 'stdio'
    ? { ...backend, args: redactArguments(backend.args), env: hideValues(backend.env) }
    : { ...backend, url: redactUrl(backend.url), headers: hideValues(backend.headers), ...redactOAuth(backend.oauth) };
}

/**
 * A copy of the same shape that holds no secret.
 * @param secrets values that are hidden wherever they stand, also as a part of a text
 */
export function redactConfig(config: Config, secrets: readonly string[] = []): Config {
  // First: what else is hidden may cut a secret in two.
  const copy = secrets.length ? hideAll(config, secrets) : structuredClone(config);
  for (const { path, doc } of listOptions()) {
    if (!doc.secret) continue;
    const holder = path.slice(0, -1).reduce<unknown>((value, key) => (isRecord(value) ? value[key] : undefined), copy);
    const key = path.at(-1) as string;
    // The address of Redis is worth showing; what gets in there is not.
    if (isRecord(holder) && typeof holder[key] === 'string')
      holder[key] = key === 'url' ? redactUrl(holder[key]) : hide(holder[key]);
  }
  // Digests are no secrets, but nothing that anybody needs to see.
  if (copy.auth) copy.auth.keys = copy.auth.keys.map(({ id }) => ({ id, sha256: [HIDDEN] }));
  copy.mcpServers = Object.fromEntries(Object.entries(copy.mcpServers).map(([id, backend]) => [id, redactBackend(backend)]));
  return copy;
}

/** In all texts, not in the names of keys. */
function hideAll<T>(value: T, secrets: readonly string[]): T {
  if (typeof value === 'string') return hideSecrets(value, secrets) as T;
  if (Array.isArray(value)) return value.map((item: unknown) => hideAll(item, secrets)) as T;
  if (!isRecord(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, hideAll(inner, secrets)])) as T;
}

/** Shorter ones stand in everything: they are hidden only where they are the whole text. */
const SECRET_PART_MIN = 4;

/** The longest first: one secret may be a part of another. */
export function hideSecrets(text: string, secrets: readonly string[]): string {
  if (secrets.includes(text)) return hide(text);
  const parts = secrets.filter((secret) => secret.length >= SECRET_PART_MIN).sort((a, b) => b.length - a.length);
  return parts.reduce((shown, secret) => shown.replaceAll(secret, HIDDEN), text);
}
