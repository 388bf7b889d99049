import { defineScript } from '../../redis/script.js';

/**
 * Ends a session: the state becomes `closing`, and nothing turns it back.
 *
 * KEYS  1 record
 * ARGV  1 owner, 2 epoch (both '': anybody), 3 TTL (ms)
 * Reply {'closed', fields and values}
 *       {'alreadyClosing', fields and values}   so that a repeat goes on with the next steps
 *       {'fenced'}                              a token was given and is not in force
 *       {'missing'}
 * Invariant: owner and epoch stay, so the jobs remain the owner's to queue. The TTL starts anew: the sweep has all of it to finish.
 */
export const closeSession = defineScript(`
local now = redis.call('HMGET', KEYS[1], 'owner', 'epoch', 'state')
if not now[3] then return {'missing'} end
if ARGV[2] ~= '' and (now[1] ~= ARGV[1] or now[2] ~= ARGV[2]) then return {'fenced'} end
local kind = 'alreadyClosing'
if now[3] ~= 'closing' then
  kind = 'closed'
  redis.call('HSET', KEYS[1], 'state', 'closing')
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
return {kind, redis.call('HGETALL', KEYS[1])}
`);
