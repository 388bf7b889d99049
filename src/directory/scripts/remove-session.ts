import { defineScript } from '../../redis/script.js';

/**
 * Deletes the record of a session that has ended.
 *
 * KEYS  1 record
 * Reply {'removed'}  gone now, or gone before
 *       {'active'}   the session was not ended: nothing was done
 * Invariant: only what is `closing` is deleted.
 */
export const removeSession = defineScript(`
local state = redis.call('HGET', KEYS[1], 'state')
if state and state ~= 'closing' then return {'active'} end
redis.call('DEL', KEYS[1])
return {'removed'}
`);
