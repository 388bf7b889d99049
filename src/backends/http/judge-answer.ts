// What an answer means that is no plain 200: the session is lost, an error for the caller, or nothing that he could use.
import type { GatewayError } from '../../errors/gateway-error.js';
import { errorText, type RequestId } from '../../protocol/json-rpc.js';
import { unwrap } from '../../protocol/batch.js';
import { scanMessage } from '../../protocol/scan-json.js';
import { isLostSession, readError } from './lost-session.js';
import { statusError, unavailable } from './transport-error.js';

export type Verdict =
  | { readonly kind: 'lost' }
  /** JSON-RPC text with the caller's id. */
  | { readonly kind: 'answer'; readonly text: string }
  | { readonly kind: 'failed'; readonly error: GatewayError };

/**
 * @param sentId whether the request carried an id that the backend had issued
 * @param body whole; '' where it was too large to be an error
 */
export function judgeAnswer(
  backend: { readonly name: string; readonly lostPattern: RegExp | undefined },
  sentId: boolean,
  status: number,
  body: string,
  callerId: RequestId,
): Verdict {
  const text = unwrap(body, callerId);
  if (isLostSession(sentId, status, text, backend.lostPattern)) return { kind: 'lost' };
  const error = readError(text);
  // Whatever id it carries: an error that says why a request was refused often has none.
  if (error) return { kind: 'answer', text: errorText(callerId, error) };
  if (status > 299) return { kind: 'failed', error: statusError(backend.name, status) };
  const message = scanMessage(text);
  if (message.kind === 'response' && message.id === callerId) return { kind: 'answer', text };
  const reason = text === '' ? 'no_answer' : 'bad_reply';
  return { kind: 'failed', error: unavailable(backend.name, reason, { status, executed: 'unknown' }) };
}
