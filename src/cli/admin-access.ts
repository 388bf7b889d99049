// Which admin API a command speaks to, and with which token.
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { addressOf, formatAddress, isWildcard } from '../config/address.js';
import type { Environment } from '../config/environment.js';
import { findConfigFile } from '../config/load.js';
import { loadAdminAccess } from '../config/load-admin.js';
import { EXIT, StartError } from '../errors/start-error.js';

export interface AdminFlags {
  readonly admin?: string;
  readonly config?: string;
  readonly tokenFile?: string;
  readonly json?: boolean;
}

export interface AdminPlace {
  /** Without a slash at the end. */
  readonly url: string;
  /** '': none is sent. */
  readonly token: string;
}

/**
 * `--admin` before the configuration file before the default. The token of a default file is never sent to an address that was named
 * by hand: it may be somebody else's.
 * @throws StartError 64 or 78
 */
export function findAdmin(flags: AdminFlags, env: Environment, cwd: string): AdminPlace {
  const file = flags.config ?? (flags.admin === undefined ? findConfigFile(cwd) : undefined);
  const access = loadAdminAccess(file, env, cwd);
  return {
    url: flags.admin === undefined ? urlOf(access.listen) : checkUrl(flags.admin),
    token: flags.tokenFile === undefined ? access.token : readToken(resolve(cwd, flags.tokenFile)),
  };
}

/** Where a listener on every address can be reached from the same machine. */
function urlOf(listen: string): string {
  const { host, port } = addressOf(listen);
  if (port === 0) {
    throw new StartError(
      EXIT.usage,
      `admin.listen is ${listen}: the port is known to the running gateway only.\n  Take the URL from its "ready" line: --admin http://HOST:PORT`,
    );
  }
  const reachable = isWildcard(host) ? (host === '::' ? '::1' : '127.0.0.1') : host;
  return `http://${formatAddress({ host: reachable, port })}`;
}

function checkUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url && /^https?:$/.test(url.protocol) && !url.username && !url.password && !url.search) {
    return url.href.replace(/\/+$/, '');
  }
  throw new StartError(
    EXIT.usage,
    '--admin: expected a URL such as http://127.0.0.1:8081, without credentials.\n  The token comes from --token-file or BERTH_ADMIN_TOKEN.',
  );
}

function readToken(file: string): string {
  try {
    const token = readFileSync(file, 'utf8').replace(/[\r\n]+$/, '');
    if (token) return token;
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? String(cause);
    throw new StartError(EXIT.usage, `--token-file: ${file} cannot be read (${code}).\n  Check the path and its permissions.`, {
      cause,
    });
  }
  throw new StartError(EXIT.usage, `--token-file: ${file} is empty.\n  Write the token into it.`);
}
