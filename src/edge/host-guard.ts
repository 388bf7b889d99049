// DNS rebinding: a browser sends us whatever its attacker's page wants, but it cannot lie about Host and Origin.
import type { Config } from '../config/schema.js';

export interface HostGuard {
  isHostAllowed(host: string | undefined): boolean;
  /** Absent origins (not a browser) are allowed. */
  isOriginAllowed(origin: string | undefined): boolean;
}

const LOOPBACK_NAME = /^(localhost|127(?:\.\d{1,3}){3}|\[::1\])$/i;

function nameOf(host: string): string {
  return host.replace(/:\d*$/, '').toLowerCase();
}

function listensOnLoopback(listen: string): boolean {
  return LOOPBACK_NAME.test(nameOf(listen));
}

function originOf(url: string): string | undefined {
  try {
    const { origin } = new URL(url);
    return origin === 'null' ? undefined : origin.toLowerCase();
  } catch {
    return undefined;
  }
}

/** @param listen the address this guard protects; a loopback listener always allows loopback names */
export function makeHostGuard(config: Pick<Config, 'publicUrl' | 'hosts' | 'origins'>, listen: string): HostGuard {
  const loopback = listensOnLoopback(listen);
  const anyHost = config.hosts.includes('*');
  const hosts = new Set(config.hosts.map((host) => nameOf(host)));
  const origins = new Set(config.origins.map((origin) => originOf(origin) ?? origin.toLowerCase()));
  if (config.publicUrl) {
    const url = new URL(config.publicUrl);
    hosts.add(url.hostname.toLowerCase());
    origins.add(url.origin.toLowerCase());
  }
  return {
    isHostAllowed(host) {
      if (anyHost) return true;
      if (host === undefined) return false;
      const name = nameOf(host);
      return hosts.has(name) || (loopback && LOOPBACK_NAME.test(name));
    },
    isOriginAllowed(origin) {
      if (origin === undefined) return true;
      const known = originOf(origin);
      // Of an extension or an editor's web view: a scheme of its own has no origin by the URL standard, so it is compared as it is.
      if (known === undefined) return origins.has(origin.toLowerCase());
      // A page served from the caller's own machine cannot be a rebinding attacker's.
      return origins.has(known) || LOOPBACK_NAME.test(nameOf(new URL(known).host));
    },
  };
}
