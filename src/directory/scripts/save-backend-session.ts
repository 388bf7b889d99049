import { defineScript } from '../../redis/script.js';
import { REFUSE_MISSING_AND_CLOSING, REFUSE_OTHER_TOKEN } from './guards.js';

/**
 * Saves a backend session by compare-and-set on its generation.
 *
 * KEYS  1 record
 * ARGV  1 owner, 2 epoch, 3 field of the value, 4 field of its generation, 5 generation as known (0: none yet), 6 new generation,
 *       7 value
 * Reply {'saved'}     also when repeated with the same value
 *       {'conflict'}  another generation is saved
 *       {'fenced'} {'closing'} {'missing'}
 * Invariant: of two concurrent (re-)initializes one is saved; the other knows that it must end what it opened.
 */
export const saveBackendSession = defineScript(`${REFUSE_MISSING_AND_CLOSING}${REFUSE_OTHER_TOKEN}
local now = redis.call('HMGET', KEYS[1], ARGV[3], ARGV[4])
if now[1] == ARGV[7] then return {'saved'} end
if (now[2] or '0') ~= ARGV[5] then return {'conflict'} end
redis.call('HSET', KEYS[1], ARGV[3], ARGV[7], ARGV[4], ARGV[6])
return {'saved'}
`);
