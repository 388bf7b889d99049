// Who calls. One step, one result: a principal, never token bytes.
import { digestOf } from '../protocol/ids.js';
import type { Principal } from '../streams/exchange.js';

/** Every caller under `auth.mode: none`. */
export const ANONYMOUS: Principal = { name: 'anonymous', digest: digestOf('anonymous') };
