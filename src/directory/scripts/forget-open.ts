import { defineScript } from '../../redis/script.js';

/**
 * Removes a backend session that was ended (or given up) from the index of open ids.
 *
 * KEYS  1 entry
 * ARGV  1 session reference, 2 generation
 * Reply {'forgotten'}  gone now, or gone before
 *       {'other'}      another session, or a later generation of this one, has it open
 * Invariant: whoever opened the id last keeps its entry.
 */
export const forgetOpen = defineScript(`
local now = redis.call('GET', KEYS[1])
if not now then return {'forgotten'} end
local ref, generation = string.match(now, '^(%S+) (%d+)$')
if ref ~= ARGV[1] or tonumber(generation) > tonumber(ARGV[2]) then return {'other'} end
redis.call('DEL', KEYS[1])
return {'forgotten'}
`);
