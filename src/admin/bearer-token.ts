// Compares a bearer token in constant time: how long a refusal takes must not tell how much of a guess was right.
import { createHash, timingSafeEqual } from 'node:crypto';

/** Whether an Authorization header carries the token. Digests make both sides equally long, whatever was sent. */
export function carriesToken(authorization: string | undefined, token: string): boolean {
  const sent = /^Bearer +(\S+) *$/i.exec(authorization ?? '')?.[1] ?? '';
  return timingSafeEqual(digest(sent), digest(token));
}

const digest = (text: string) => createHash('sha256').update(text).digest();
