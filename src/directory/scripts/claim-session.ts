import { defineScript } from '../../redis/script.js';
import { REFUSE_MISSING_AND_CLOSING } from './guards.js';

/**
 * Claim, take-over, claim back: one compare-and-set of the fencing token.
 *
 * KEYS  1 record
 * ARGV  1 owner as read, 2 epoch as read, 3 claimant, 4 epoch as read + 1, 5 nonce, 6 TTL (ms)
 * Reply {'claimed', fields and values}     also when repeated with the same nonce
 *       {'ownedByOther', owner, epoch}     the token in force
 *       {'closing'} {'missing'}
 * Invariant: of all who claim from one token exactly one succeeds. The repeat writes too: with redis.waitReplicas, WAIT speaks only
 * of what its own connection has written.
 */
export const claimSession = defineScript(`${REFUSE_MISSING_AND_CLOSING}
local now = redis.call('HMGET', KEYS[1], 'owner', 'epoch', 'nonce')
local repeated = now[1] == ARGV[3] and now[2] == ARGV[4] and now[3] == ARGV[5]
if not repeated and (now[1] ~= ARGV[1] or now[2] ~= ARGV[2]) then return {'ownedByOther', now[1], now[2]} end
redis.call('HSET', KEYS[1], 'owner', ARGV[3], 'epoch', ARGV[4], 'nonce', ARGV[5])
redis.call('PEXPIRE', KEYS[1], ARGV[6])
return {'claimed', redis.call('HGETALL', KEYS[1])}
`);
