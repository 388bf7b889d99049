// Compares a bearer token in constant time: how long a refusal takes must not tell how much of a guess was right.
import type { IncomingMessage } from 'node:http';
import { createHash, timingSafeEqual } from 'node:crypto';

/** The one Authorization header; of two nobody knows which one a proxy in front has checked. */
export function authorizationOf(request: Pick<IncomingMessage, 'headersDistinct'>): string | undefined {
  const sent = request.headersDistinct.authorization;
  return sent?.length === 1 ? sent[0] : undefined;
}

/** Whether an Authorization header carries the token. Digests make both sides equally long, whatever was sent. */
export function carriesToken(authorization: string | undefined, token: string): boolean {
  const sent = /^Bearer +(\S+) *$/i.exec(authorization ?? '')?.[1] ?? '';
  return timingSafeEqual(digest(sent), digest(token));
}

const digest = (text: string) => createHash('sha256').update(text).digest();
