import { defineScript } from '../../redis/script.js';

/**
 * Claims what a dead owner left in `closing`, so that of all who find it one queues the jobs.
 *
 * KEYS  1 record
 * ARGV  1 owner as read, 2 epoch as read, 3 claimant, 4 epoch as read + 1
 * Reply {'claimed', fields and values}   also when repeated by the same claimant
 *       {'fenced'}                       another token is in force
 *       {'active'}                       the session was not ended
 *       {'missing'}
 * Invariant: the state stays `closing`; the token changes by one compare-and-set, as with a claim. No nonce is needed: whoever
 * repeats it is the same worker, which ends a session once.
 */
export const claimEnding = defineScript(`
local now = redis.call('HMGET', KEYS[1], 'owner', 'epoch', 'state')
if not now[3] then return {'missing'} end
if now[3] ~= 'closing' then return {'active'} end
local repeated = now[1] == ARGV[3] and now[2] == ARGV[4]
if not repeated and (now[1] ~= ARGV[1] or now[2] ~= ARGV[2]) then return {'fenced'} end
redis.call('HSET', KEYS[1], 'owner', ARGV[3], 'epoch', ARGV[4])
return {'claimed', redis.call('HGETALL', KEYS[1])}
`);
