// Which answers say that the backend no longer knows the session, and thereby that the request did not run. A closed list: a
// wider net would repeat calls that ran.
import { isObject } from '../../protocol/json-rpc.js';

const LOST_MESSAGE =
  /no valid session|session not found|session (?:id )?(?:has |was |is )?(?:expired|terminated)|server not initialized/i;
const LOST_CODES = new Set<unknown>([-32000, -32001]);
/** The Python SDK (before it answered 404): plain text, and nothing but this. */
const LOST_TEXT = /^(?:bad request: )?no valid session id provided\.?$/i;

/**
 * @param sentId whether the request carried an id that the backend had issued; without one nothing can be lost
 * @param pattern `lostSessionPattern` of the backend, tried on the text of any 4xx answer
 */
export function isLostSession(sentId: boolean, status: number, text: string, pattern: RegExp | undefined): boolean {
  if (!sentId || status < 400 || status > 499) return false;
  if (status === 404) return true;
  if (pattern?.test(text)) return true;
  if (status !== 400) return false;
  const error = readError(text);
  if (!error) return LOST_TEXT.test(text.trim());
  return LOST_CODES.has(error.code) && LOST_MESSAGE.test(error.message);
}

/** The error object of a JSON-RPC error answer, or undefined if the text is none. */
export function readError(text: string): { code: number; message: string; data?: unknown } | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isObject(value) || value.jsonrpc !== '2.0' || !isObject(value.error)) return undefined;
  const { code, message } = value.error;
  if (typeof code !== 'number' || typeof message !== 'string') return undefined;
  return value.error as { code: number; message: string; data?: unknown };
}
