// The beginnings that scripts share. In both, KEYS[1] is the session's record.

/** Replies {'missing'} without a record and {'closing'} for one that ends: every script but create, and but those that end one. */
export const REFUSE_MISSING_AND_CLOSING = `
local state = redis.call('HGET', KEYS[1], 'state')
if not state then return {'missing'} end
if state == 'closing' then return {'closing'} end
`;

/** Replies {'fenced'} unless ARGV[1] (owner) and ARGV[2] (epoch) are the token in force. */
export const REFUSE_OTHER_TOKEN = `
local token = redis.call('HMGET', KEYS[1], 'owner', 'epoch')
if token[1] ~= ARGV[1] or token[2] ~= ARGV[2] then return {'fenced'} end
`;
