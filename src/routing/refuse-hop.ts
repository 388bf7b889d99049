// The owner's side of a hop that came to the wrong worker: 421, on which whoever forwarded reads the record again.
import type { OwnerToken } from '../protocol/ids.js';
import { REFUSED_FOR_NOW, REFUSED_HEADER } from '../protocol/mcp.js';
import type { Exchange } from '../streams/exchange.js';

/**
 * Once its stream has begun, the edge goes on with it at the owner of that time instead.
 * @param token what we are instead; `later`: what it names, but our lease is away, perhaps for a moment only; undefined: we do not know it
 */
export function refuseHop({ answer, note }: Exchange, token: OwnerToken | 'later' | undefined): undefined {
  note.outcome = 'NOT_OWNER';
  if (answer.started) {
    answer.moved?.();
    return undefined;
  }
  const text = token === 'later' ? REFUSED_FOR_NOW : token ? `${token.owner} ${token.epoch}` : '-';
  answer.send(421, { [REFUSED_HEADER]: text });
  return undefined;
}
