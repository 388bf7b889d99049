import { defineScript } from '../../redis/script.js';

/**
 * A place in a sorted set that holds at most so many members.
 *
 * KEYS  1 sorted set
 * ARGV  1 member, 2 score, 3 cap, 4 TTL of the set (ms; 0: none)
 * Reply {'reserved'}  also when the member is in it already (its score stays)
 *       {'full'}
 * Invariant: the cap is exact over the cluster, however many reserve at once; two constant-time look-ups and one insertion.
 */
export const reservePlace = defineScript(`
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then
  if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[3]) then return {'full'} end
  redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
end
if ARGV[4] ~= '0' then redis.call('PEXPIRE', KEYS[1], ARGV[4]) end
return {'reserved'}
`);
