// Which answers to a POST say that the server no longer knows the stream it belongs to, and thereby that the message did not run.
// A closed list, as for Streamable HTTP (http/lost-session.ts); servers of this revision mostly answer with bare text.
import { readError } from '../http/lost-session.js';

/** SDKs: TypeScript "No transport found for sessionId", Python "Could not find session", Go "Invalid session ID", Java, C#, Rust. */
const LOST_MESSAGE =
  /no transport found|(?:could not find|no such|unknown|invalid) session|session (?:id )?(?:was |is |has )?(?:not found|expired|closed)/i;
/** A page of a proxy that happens to hold the words is longer. */
const MAX_TEXT = 500;

export function isLostStream(status: number, text: string): boolean {
  if (status === 404 || status === 410) return true;
  if (status !== 400) return false;
  const said = readError(text)?.message ?? text;
  return said.length <= MAX_TEXT && LOST_MESSAGE.test(said);
}
