// One cluster for all that only uses it: two pods of two workers cost more to start than most of what is done with them. Whoever shares
// it brings backends of its own, under names of its own, kills nothing of it and changes nothing that others could see.
import { type Cluster, startCluster } from './cluster.js';

/** What one of those who share adds to the configuration. */
export interface SharedConfig {
  readonly mcpServers: Readonly<Record<string, object>>;
  readonly servers?: Readonly<Record<string, object>>;
}

export interface Share {
  /** Starts the backends. */
  begin(): Promise<SharedConfig>;
  /** Once it has gone. */
  end(): Promise<unknown>;
}

/** Of a body, for everybody. */
export const BODY_LIMIT_BYTES = 1024 * 1024;

/** The one that is shared; there is none before its first test. */
export let cluster: Cluster;

const shares: Share[] = [];

/** Called when a module is loaded that shares the cluster. */
export function shareCluster(share: Share): void {
  shares.push(share);
}

/** Called once by the test file, which loads all that share. */
export function startSharedCluster(): void {
  const begun: Share[] = [];
  beforeAll(async () => {
    const configs: SharedConfig[] = [];
    for (const share of shares) {
      begun.push(share);
      configs.push(await share.begin());
    }
    const config = {
      limits: { body: `${BODY_LIMIT_BYTES / 1024}KiB` },
      mcpServers: merged(configs.map(({ mcpServers }) => mcpServers)),
      servers: merged(configs.map(({ servers }) => servers ?? {})),
    };
    cluster = await startCluster({ config });
  });
  afterAll(async () => {
    await cluster?.dispose();
    for (const share of begun) await share.end();
  });
}

/** @throws Error for a name that two have taken: each would meet the other's backend */
function merged(parts: ReadonlyArray<Readonly<Record<string, object>>>): Record<string, object> {
  const entries = parts.flatMap((part) => Object.entries(part));
  const twice = entries.find(([name], i) => entries.findIndex(([other]) => other === name) !== i);
  if (twice) throw new Error(`two that share a cluster call something ${twice[0]}`);
  return Object.fromEntries(entries);
}
