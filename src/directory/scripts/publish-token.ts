import { defineScript } from '../../redis/script.js';

/**
 * The outcome of a claim: a token for all, or that there is none for a while.
 *
 * KEYS  1 token (hash), 2 claim
 * ARGV  1 nonce, then either 2 version, 3 fresh until (wall, ms), 4 sealed, 5 life (ms); or 2 what failed, 3 pause (ms; 0: none, the
 *       claim is free at once)
 * Reply {'published'} {'failed'}
 *       {'fenced'}      the claim ran out or is another's
 * Invariant: only the holder of the claim writes. What it writes is gone when the token is.
 */
export const publishToken = defineScript(`
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return {'fenced'} end
if not ARGV[4] then
  if tonumber(ARGV[3]) > 0 then redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3]) else redis.call('DEL', KEYS[2]) end
  return {'failed'}
end
redis.call('HSET', KEYS[1], 'version', ARGV[2], 'freshUntil', ARGV[3], 'sealed', ARGV[4])
redis.call('PEXPIRE', KEYS[1], ARGV[5])
redis.call('DEL', KEYS[2])
return {'published'}
`);
