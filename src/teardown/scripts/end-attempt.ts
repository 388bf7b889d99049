import { defineScript } from '../../redis/script.js';

/**
 * An attempt is over: its place is free, and the backend's state knows how it went.
 *
 * KEYS  1 running, 2 state (see begin-attempt.ts)
 * ARGV  1 attempt, 2 its duration (ms), 3 '1' = the backend answered, 4 failures in a row that make it broken, 5 first pause of a broken
 *       one (ms), doubled by each further failure, 6 longest pause and wait (ms)
 * Reply {'ended'}
 * Invariant: a backend that answers is no longer broken, and what is put back from now on need not stand behind what waited for it.
 */
export const endAttempt = defineScript(`
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local broken, longest = tonumber(ARGV[4]), tonumber(ARGV[6])
redis.call('ZREM', KEYS[1], ARGV[1])
local state = redis.call('HMGET', KEYS[2], 'failures', 'averageMs')
local failures, average = tonumber(state[1] or '0'), tonumber(state[2] or '50')
redis.call('HSET', KEYS[2], 'averageMs', average + 0.2 * (ARGV[2] - average))
if ARGV[3] == '1' then
  redis.call('HDEL', KEYS[2], 'failures', 'pausedUntil')
  if failures >= broken then redis.call('HDEL', KEYS[2], 'place') end
else
  failures = failures + 1
  redis.call('HSET', KEYS[2], 'failures', failures)
  if failures >= broken then
    local till = now + math.min(ARGV[5] * 2 ^ math.min(failures - broken, 16), longest)
    redis.call('HSET', KEYS[2], 'pausedUntil', till, 'place', till)
  end
end
redis.call('PEXPIRE', KEYS[2], 10 * longest)
return {'ended'}
`);
