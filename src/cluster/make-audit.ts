// The audit lines: who tried to reach what is not his. One line an attempt, on the worker that found out; what the caller is told
// does not differ from what is told of an id that never was.
import type { Logger } from '../observability/log.js';
import type { SessionRef } from '../protocol/ids.js';
import type { Exchange } from '../streams/exchange.js';

export function makeAudit(log: Logger): (ref: SessionRef, exchange: Exchange) => void {
  return (session, { principal, method, serverId }) => {
    const facts = { audit: true, session, principal: principal.name, method, server: serverId };
    log.warn(facts, 'a session of another principal was asked for');
  };
}
