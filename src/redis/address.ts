// Reads `redis.url`. Nothing in here ever puts the text of a URL into a message: it may hold a password.
import { EXIT, StartError } from '../errors/start-error.js';

export interface HostPort {
  readonly host: string;
  readonly port: number;
}

interface Credentials {
  readonly username?: string;
  readonly password?: string;
}

export type RedisAddress =
  | ({ readonly kind: 'single'; readonly db: number; readonly tls: boolean } & HostPort & Credentials)
  | { readonly kind: 'unix'; readonly path: string }
  | ({
      readonly kind: 'sentinel';
      readonly sentinels: readonly HostPort[];
      /** Name of the master group. */
      readonly name: string;
      readonly db: number;
      readonly tls: boolean;
      readonly sentinelUsername?: string;
      readonly sentinelPassword?: string;
    } & Credentials)
  | ({ readonly kind: 'cluster'; readonly addresses: readonly HostPort[]; readonly tls: boolean } & Credentials);

const FORMS =
  'redis://[user:password@]host[:port][/db], rediss://… (TLS), unix:///path/to.sock, ' +
  'sentinel:[user:password@]host[:port],host[:port]/group[/db][?tls=true], cluster:[user:password@]host[:port],…[?tls=true]';

function bad(why: string): StartError {
  return new StartError(EXIT.config, `redis.url: ${why}.\nWrite one of: ${FORMS}`);
}

/**
 * Parses an address of Redis. Credentials are percent-encoded in every form; default ports are 6379 and, for Sentinels, 26379.
 *
 * - `redis://[user:password@]host[:port][/db]`, `rediss://…` the same over TLS
 * - `unix:///path/to.sock` (the embedded Redis)
 * - `sentinel:[user:password@]host[:port],host[:port],…/group[/db][?tls=true&sentinelUsername=…&sentinelPassword=…]`:
 *   the credentials before `@` are those of Redis itself; `tls=true` means TLS to Sentinels and Redis
 * - `cluster:[user:password@]host[:port],host[:port],…[?tls=true]`: some members, the others are discovered
 *
 * `sentinel://` and `cluster://` are read alike. IPv6 hosts stand in brackets.
 * @throws StartError 78, without the text of the URL
 */
export function parseRedisUrl(url: string): RedisAddress {
  const scheme = /^([a-z]+):/.exec(url)?.[1];
  switch (scheme) {
    case 'redis':
    case 'rediss':
      return parseSingle(url, scheme === 'rediss');
    case 'unix':
      return parseUnix(url);
    case 'sentinel':
      return parseSentinel(url);
    case 'cluster':
      return parseCluster(url);
    default:
      throw bad(scheme ? `unknown scheme "${scheme}:"` : 'no scheme');
  }
}

/** For messages and logs: where, never with what credentials. */
export function describeAddress(address: RedisAddress): string {
  const list = (all: readonly HostPort[]) => all.map(describeHost).join(',');
  switch (address.kind) {
    case 'single':
      return `${address.tls ? 'rediss' : 'redis'}://${describeHost(address)}/${address.db}`;
    case 'unix':
      return `unix://${address.path}`;
    case 'sentinel':
      return `sentinel:${list(address.sentinels)}/${address.name}`;
    case 'cluster':
      return `cluster:${list(address.addresses)}`;
  }
}

function describeHost({ host, port }: HostPort): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

function parseSingle(text: string, tls: boolean): RedisAddress {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw bad('not a valid URL (special characters in a password must be percent-encoded)');
  }
  if (!url.hostname) throw bad('no host');
  return {
    kind: 'single',
    host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: url.port ? Number(url.port) : 6379,
    db: parseDb(url.pathname.replace(/^\//, '')),
    tls,
    ...parseCredentials(url.username || url.password ? `${url.username}:${url.password}` : undefined),
  };
}

function parseUnix(text: string): RedisAddress {
  const path = /^unix:(?:\/\/)?(\/.+)$/.exec(text)?.[1];
  if (!path) throw bad('unix: needs an absolute path');
  return { kind: 'unix', path: decode(path) };
}

function parseSentinel(text: string): RedisAddress {
  const { credentials, hosts, path, query } = splitList(text);
  const [name, db, ...rest] = path;
  if (!name || rest.length > 0) throw bad('sentinel: needs the name of the master group after the addresses');
  const sentinelUsername = query.get('sentinelUsername');
  const sentinelPassword = query.get('sentinelPassword');
  return {
    kind: 'sentinel',
    sentinels: parseHosts(hosts, 26379),
    name: decode(name),
    db: parseDb(db ?? ''),
    tls: query.get('tls') === 'true',
    ...(sentinelUsername ? { sentinelUsername } : {}),
    ...(sentinelPassword ? { sentinelPassword } : {}),
    ...credentials,
  };
}

function parseCluster(text: string): RedisAddress {
  const { credentials, hosts, path, query } = splitList(text);
  if (path.some((part) => part !== '')) throw bad('cluster: takes addresses only (a cluster has no databases)');
  return { kind: 'cluster', addresses: parseHosts(hosts, 6379), tls: query.get('tls') === 'true', ...credentials };
}

function splitList(text: string) {
  const match = /^[a-z]+:(?:\/\/)?(?:([^@/?]*)@)?([^/?@]+)((?:\/[^?]*)?)(?:\?(.*))?$/.exec(text);
  if (!match) throw bad('not readable as a list of addresses (special characters in a password must be percent-encoded)');
  const query = new URLSearchParams(match[4] ?? '');
  for (const key of query.keys()) {
    if (!['tls', 'sentinelUsername', 'sentinelPassword'].includes(key)) throw bad('unknown parameter after "?"');
  }
  return {
    credentials: parseCredentials(match[1]),
    hosts: match[2] as string,
    path: (match[3] ?? '').split('/').slice(1),
    query,
  };
}

function parseHosts(list: string, defaultPort: number): HostPort[] {
  return list.split(',').map((item) => {
    const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:\s[\]]+))(?::(\d{1,5}))?$/.exec(item.trim());
    const host = match?.[1] ?? match?.[2];
    const port = match?.[3] ? Number(match[3]) : defaultPort;
    if (!host || port < 1 || port > 65535) throw bad('an address in the list is not host:port');
    return { host, port };
  });
}

function parseCredentials(text: string | undefined): Credentials {
  if (!text) return {};
  const colon = text.indexOf(':');
  if (colon < 0) throw bad('credentials are written user:password, or :password');
  const username = decode(text.slice(0, colon));
  const password = decode(text.slice(colon + 1));
  return { ...(username ? { username } : {}), ...(password ? { password } : {}) };
}

function parseDb(text: string): number {
  if (text === '') return 0;
  if (!/^\d{1,4}$/.test(text)) throw bad('the database is a number');
  return Number(text);
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw bad('broken percent-encoding');
  }
}
