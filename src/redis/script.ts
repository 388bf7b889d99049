// Runs Lua by EVALSHA; a server that does not know the script (restart, flush, fail-over, another Cluster member) gets it by EVAL.
import { createHash } from 'node:crypto';
import type { RedisConnection } from './connect.js';

export interface Script {
  readonly lua: string;
  readonly sha: string;
}

export function defineScript(lua: string): Script {
  return { lua, sha: createHash('sha1').update(lua).digest('hex') };
}

/**
 * @param keys all of one hash slot
 * @throws whatever Redis answered. NOSCRIPT is the only reply after which it is sent a second time: the script did not run.
 */
export async function runScript(
  connection: RedisConnection,
  script: Script,
  keys: readonly string[],
  args: readonly (string | number)[],
): Promise<unknown> {
  try {
    return await connection.evalsha(script.sha, keys.length, ...keys, ...args);
  } catch (error) {
    if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error;
    return await connection.eval(script.lua, keys.length, ...keys, ...args);
  }
}
