import { defineScript } from '../../redis/script.js';
import { REFUSE_MISSING_AND_CLOSING, REFUSE_OTHER_TOKEN } from './guards.js';

/**
 * Gives a session up: the owner becomes '', the epoch stays.
 *
 * KEYS  1 record
 * ARGV  1 owner, 2 epoch
 * Reply {'released'}  also when repeated: without an owner and in this epoch, only the caller can have released it
 *       {'fenced'} {'closing'} {'missing'}
 * Invariant: only the holder of the token releases; whoever claims next gets a higher epoch.
 */
export const releaseSession = defineScript(`${REFUSE_MISSING_AND_CLOSING}
local now = redis.call('HMGET', KEYS[1], 'owner', 'epoch')
if now[1] == '' and now[2] == ARGV[2] then return {'released'} end
${REFUSE_OTHER_TOKEN}
redis.call('HSET', KEYS[1], 'owner', '')
return {'released'}
`);
