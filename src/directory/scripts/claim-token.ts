import { defineScript } from '../../redis/script.js';

/**
 * One step of whoever needs a token: take what is there, or become the one that fetches the next.
 *
 * KEYS  1 token (hash: version, freshUntil, sealed), 2 claim
 * ARGV  1 version that the caller wants no longer, 2 now (wall, ms), 3 nonce, 4 TTL of the claim (ms)
 * Reply {'token', sealed}                     another than the unwanted one, and not yet due
 *       {'claimed', sealed or ''}             also when repeated with the same nonce
 *       {'busy', sealed or ''}
 *       {'failed', sealed or '', what the claim says, ms left}
 * Invariant: of all who want the same token replaced exactly one has the claim, until it publishes, fails or the claim runs out.
 * Token and claim are read in one step: between the two a publication would look like nobody's turn, and be repeated.
 */
export const claimToken = defineScript(`
local token = redis.call('HMGET', KEYS[1], 'version', 'freshUntil', 'sealed')
local other = token[1] and token[1] ~= ARGV[1]
if other and tonumber(token[2]) > tonumber(ARGV[2]) then return {'token', token[3]} end
local left = other and token[3] or ''
local claim = redis.call('GET', KEYS[2])
if not claim then
  redis.call('SET', KEYS[2], ARGV[3], 'PX', ARGV[4])
  return {'claimed', left}
end
if claim == ARGV[3] then return {'claimed', left} end
if string.sub(claim, 1, 7) == 'failed ' then return {'failed', left, claim, redis.call('PTTL', KEYS[2])} end
return {'busy', left}
`);
