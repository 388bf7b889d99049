import { defineScript } from '../../redis/script.js';
import { REFUSE_MISSING_AND_CLOSING, REFUSE_OTHER_TOKEN } from './guards.js';

/**
 * Sets the record's TTL anew.
 *
 * KEYS  1 record
 * ARGV  1 owner, 2 epoch, 3 TTL (ms)
 * Reply {'extended', principal}
 *       {'fenced'} {'closing'} {'missing'}
 * Invariant: only the owner keeps a record alive.
 */
export const extendRecord = defineScript(`${REFUSE_MISSING_AND_CLOSING}${REFUSE_OTHER_TOKEN}
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return {'extended', redis.call('HGET', KEYS[1], 'principal')}
`);
