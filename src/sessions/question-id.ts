// The id under which the client is asked: sealed for the session, it holds who asked and what, so that any owner can tell whose answer
// comes, no two backends collide, none can be answered for another, and nobody can make one up.
import { isRequestId, type RequestId } from '../protocol/json-rpc.js';
import { digestOf, type SessionRef } from '../protocol/ids.js';
import { type Keyring, seal, unseal } from '../secrets/keyring.js';

/** Base64url. */
const MARK_LENGTH = 15;

export interface QuestionId {
  readonly backend: string;
  /** The backend's own. */
  readonly id: RequestId;
  /** Of the backend session that asked. */
  readonly generation: number;
  /** The token under which the backend wants to hear of progress, if it does. */
  readonly progressToken: RequestId | undefined;
}

/** @returns an id that opens in this session only */
export function sealQuestionId(keyring: Keyring, session: SessionRef, asked: QuestionId): string {
  const { backend, id, generation, progressToken } = asked;
  const parts = progressToken === undefined ? [backend, id, generation] : [backend, id, generation, progressToken];
  return seal(keyring, JSON.stringify(parts), contextOf(session));
}

/** @returns undefined if this session was never asked that */
export function openQuestionId(keyring: Keyring, session: SessionRef, ours: string): QuestionId | undefined {
  const text = unseal(keyring, ours, contextOf(session));
  if (text === undefined) return undefined;
  const [backend, id, generation, progressToken] = JSON.parse(text) as unknown[];
  if (typeof backend !== 'string' || !isRequestId(id) || typeof generation !== 'number') return undefined;
  return { backend, id, generation, progressToken: isRequestId(progressToken) ? progressToken : undefined };
}

/** What stands for it in the session's record once it is answered. */
export const markOf = (ours: string): string => digestOf(ours).slice(0, MARK_LENGTH);

/** No id of one session opens in another. */
function contextOf(session: SessionRef): string {
  return `ask/${session}`;
}
