import { defineScript } from '../../redis/script.js';
import { REFUSE_MISSING_AND_CLOSING, REFUSE_OTHER_TOKEN } from './guards.js';

/**
 * Forgets a backend session whose teardown is queued: its backend was removed from the configuration, or is another one now.
 *
 * KEYS  1 record
 * ARGV  1 owner, 2 epoch, 3 field of the value, 4 field of its generation, 5 generation to forget
 * Reply {'dropped'}   also when repeated, and when none is saved
 *       {'conflict'}  another generation is saved: it stays
 *       {'fenced'} {'closing'} {'missing'}
 * Invariant: only the owner forgets, and only what it named: what was opened meanwhile under the same name is still ended by
 * somebody.
 */
export const dropBackendSession = defineScript(`${REFUSE_MISSING_AND_CLOSING}${REFUSE_OTHER_TOKEN}
local saved = redis.call('HGET', KEYS[1], ARGV[4])
if not saved then return {'dropped'} end
if saved ~= ARGV[5] then return {'conflict'} end
redis.call('HDEL', KEYS[1], ARGV[3], ARGV[4])
return {'dropped'}
`);
