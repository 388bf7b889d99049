import { defineScript } from '../../redis/script.js';
import { REFUSE_MISSING_AND_CLOSING, REFUSE_OTHER_TOKEN } from './guards.js';

/**
 * Adds a mark to those that the record holds, once; of too many the oldest go. They end with the record.
 *
 * KEYS  1 record
 * ARGV  1 owner, 2 epoch, 3 field, 4 mark (left out where it alone is longer than 5: it would drive out the others), 5 most characters of
 *       all
 * Reply {'saved'}
 *       {'fenced'} {'closing'} {'missing'}
 * Invariant: only the holder of the token writes; a whole mark stands before every comma.
 */
export const addMark = defineScript(`${REFUSE_MISSING_AND_CLOSING}${REFUSE_OTHER_TOKEN}
local mark = ARGV[4] .. ','
local marks = redis.call('HGET', KEYS[1], ARGV[3]) or ''
if #mark > tonumber(ARGV[5]) or string.find(',' .. marks, ',' .. mark, 1, true) then
  return {'saved'}
end
marks = marks .. mark
while #marks > tonumber(ARGV[5]) do
  marks = string.sub(marks, string.find(marks, ',', 1, true) + 1)
end
redis.call('HSET', KEYS[1], ARGV[3], marks)
return {'saved'}
`);
