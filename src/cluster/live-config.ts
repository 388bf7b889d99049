// The configuration in force in this worker and what is made from it: one property, so that a reload changes everything at once and
// readers pay for a property read. Options that need a restart keep their values in it (config/reload.ts).
import { isDeepStrictEqual } from 'node:util';
import type { Config } from '../config/schema.js';
import { type HostGuard, makeHostGuard } from '../edge/host-guard.js';
import { makeServers, type ServerTable } from '../servers/virtual-server.js';

export interface Settings {
  readonly config: Config;
  readonly servers: ServerTable;
  readonly hostGuard: HostGuard;
  /** Lower-case names of all headers that any backend wants. */
  readonly forwardHeaders: ReadonlySet<string>;
}

export class LiveConfig {
  current: Settings;
  /** Asks the guard in force. */
  readonly hostGuard: HostGuard = {
    isHostAllowed: (host) => this.current.hostGuard.isHostAllowed(host),
    isOriginAllowed: (origin) => this.current.hostGuard.isOriginAllowed(origin),
  };

  constructor(config: Config) {
    this.current = makeSettings(config);
  }

  get config(): Config {
    return this.current.config;
  }

  get servers(): ServerTable {
    return this.current.servers;
  }
}

/** @param before a virtual server that stays as it was stays the same object: what is memoised for it is good */
export function makeSettings(config: Config, before?: Settings): Settings {
  const made = makeServers(config);
  const keep = (id: string) => {
    const server = made.find(id);
    const known = before?.servers.find(id);
    return known && isDeepStrictEqual(known, server) ? known : server;
  };
  const table = new Map(made.servers.map(({ id }) => [id, keep(id)]));
  return {
    config,
    servers: { find: (id) => table.get(id), servers: [...table.values()].flatMap((server) => server ?? []) },
    hostGuard: makeHostGuard(config, config.listen),
    forwardHeaders: new Set(
      Object.values(config.mcpServers).flatMap((backend) => ('forwardHeaders' in backend ? backend.forwardHeaders : [])),
    ),
  };
}
