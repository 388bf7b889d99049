import { defineScript } from '../../redis/script.js';

/**
 * Finds out whether the data is still that which the worker remembers.
 *
 * KEYS  1 generation, 2 settling (same slot)
 * ARGV  1 the remembered generation ('': none yet), 2 a fresh one, 3 lease (ms)
 * Reply {generation, '1'}  something settles
 *       {generation, '0'}  nothing does
 * Invariant: whoever finds the generation missing or changed starts a settling time of one lease, in the same step in which it
 * becomes known. A worker that remembers none finds no change: who created it has started the settling time.
 */
export const checkGeneration = defineScript(`
local now = redis.call('GET', KEYS[1])
local changed = not now or (ARGV[1] ~= '' and ARGV[1] ~= now)
if not now then
  now = ARGV[2]
  redis.call('SET', KEYS[1], now)
end
if changed then redis.call('SET', KEYS[2], '1', 'PX', ARGV[3]) end
return {now, tostring(redis.call('EXISTS', KEYS[2]))}
`);
