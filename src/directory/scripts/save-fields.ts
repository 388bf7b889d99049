import { defineScript } from '../../redis/script.js';
import { REFUSE_MISSING_AND_CLOSING, REFUSE_OTHER_TOKEN } from './guards.js';

/**
 * Saves what changes in a session while it lives (what names mean to its client, what the client has asked for), for its next owner.
 *
 * KEYS  1 record
 * ARGV  1 owner, 2 epoch, 3… fields and values; '' removes the field
 * Reply {'saved'}
 *       {'fenced'} {'closing'} {'missing'}
 * Invariant: only the holder of the token writes; what it saw last is what counts.
 */
export const saveFields = defineScript(`${REFUSE_MISSING_AND_CLOSING}${REFUSE_OTHER_TOKEN}
for i = 3, #ARGV, 2 do
  if ARGV[i + 1] == '' then redis.call('HDEL', KEYS[1], ARGV[i])
  else redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
end
return {'saved'}
`);
