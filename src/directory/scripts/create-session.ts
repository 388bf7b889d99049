import { defineScript } from '../../redis/script.js';

/**
 * Writes a new record, or one in place of a lower epoch.
 *
 * KEYS  1 record
 * ARGV  1 owner, 2 epoch, 3 nonce, 4 TTL (ms), 5 '1' = replace a lower epoch, 6 state, 7… fields and values
 * Reply {'created'}  written; or repeated with the same nonce; or the same owner holds it in this epoch already
 *       {'exists'}   another owner, another epoch
 *       {'closing'}  the session ends
 * Invariant: a record that is `closing` is never replaced, so what was ended is never revived. The same (owner, epoch) can only be
 * the caller (incarnations are never reused), so it gets `created`, and a tombstone of its own still turns the record to `closing`.
 */
export const createSession = defineScript(`
local now = redis.call('HMGET', KEYS[1], 'owner', 'epoch', 'state')
if now[1] then
  if now[3] == 'closing' then return {'closing'} end
  if now[1] == ARGV[1] and now[2] == ARGV[2] then
    if ARGV[6] == 'closing' then redis.call('HSET', KEYS[1], 'state', 'closing') end
    return {'created'}
  end
  if ARGV[5] ~= '1' or tonumber(now[2]) >= tonumber(ARGV[2]) then return {'exists'} end
  redis.call('DEL', KEYS[1])
end
for i = 7, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return {'created'}
`);
