// Where the tokens of backends are shared by all workers of the cluster.
import type { TokenStore } from '../directory/token-store.js';
import { makeKeys } from '../directory/keys.js';
import { RedisTokens } from '../directory/redis-tokens.js';
import type { Storage } from './make-storage.js';
import type { WorkerBase } from './worker-base.js';

export type Tokens = (backend: string, digest: string) => TokenStore;

/** On the ownership connection: it fails at once while Redis is away, and then each worker fetches for itself. */
export function makeTokens({ config, clock }: WorkerBase, { redis }: Storage): Tokens {
  const keys = makeKeys(config.redis.prefix);
  return (backend, digest) => new RedisTokens({ connection: redis, keys: keys.token(backend, digest), clock });
}
