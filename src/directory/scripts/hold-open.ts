import { defineScript } from '../../redis/script.js';

/**
 * Keeps a backend session in the index of open ids: its TTL anew, or the entry itself where it is missing (lost data).
 *
 * KEYS  1 entry
 * ARGV  1 session reference, 2 generation, 3 TTL (ms)
 * Reply {'held'}
 *       {'other'}  another session has it open: the backend has given the id away again
 * Invariant: an entry changes hands only when the backend issues the id anew (a plain SET), never because an earlier holder lives on.
 */
export const holdOpen = defineScript(`
local now = redis.call('GET', KEYS[1])
if now and string.sub(now, 1, #ARGV[1] + 1) ~= ARGV[1] .. ' ' then return {'other'} end
redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. ARGV[2], 'PX', ARGV[3])
return {'held'}
`);
