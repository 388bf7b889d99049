import { defineScript } from '../../redis/script.js';

/**
 * Begins an attempt on a backend, or tells when to come again.
 *
 * KEYS  1 running: sorted set of attempts, score = when the attempt is over at the latest; 2 state: hash
 * ARGV  1 attempt, 2 its longest duration (ms), 3 most at a time, 4 failures in a row that make it broken, 5 longest wait for a broken
 *       one (ms), 6 longest wait for a busy one (ms): what it takes on average may be less by then
 * Reply {'begun'}
 *       {'wait', ms}  it is busy or broken: places in line are given out one after the other, by what the backend takes on average
 * Invariant: over the cluster at most so many run at a time, and one of a broken backend; what a dead worker began counts until its
 * time is over. The clock is that of Redis.
 */
export const beginAttempt = defineScript(`
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local max, longest = tonumber(ARGV[3]), tonumber(ARGV[5])
local state = redis.call('HMGET', KEYS[2], 'failures', 'pausedUntil', 'averageMs', 'place')
local failures, paused = tonumber(state[1] or '0'), tonumber(state[2] or '0')
local average, place = tonumber(state[3] or '50'), tonumber(state[4] or '0')
local function wait(from, most)
  place = math.min(math.max(place, from) + average / max, now + most)
  redis.call('HSET', KEYS[2], 'place', place)
  redis.call('PEXPIRE', KEYS[2], 10 * longest)
  return {'wait', tostring(math.ceil(place - now))}
end
if now < paused then return wait(paused, longest) end
local isBroken = failures >= tonumber(ARGV[4])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if redis.call('ZCARD', KEYS[1]) >= (isBroken and 1 or max) then return wait(now, isBroken and longest or tonumber(ARGV[6])) end
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return {'begun'}
`);
