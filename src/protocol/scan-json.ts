// Tells what a JSON-RPC message is and which id it has, without parsing the big values in it (a 256 KiB result costs 2 ms to
// parse). Text that is not JSON may be taken for a message where it is large: whoever needs certainty parses.
import { classifyMessage, isObject, isRequestId, type RequestId } from './json-rpc.js';
import { PROGRESS } from './mcp.js';

export type ScannedMessage =
  | { readonly kind: 'request'; readonly id: RequestId; readonly method: string }
  | {
      readonly kind: 'notification';
      readonly method: string;
      /** Under which it tells progress, if it does. */
      readonly progressToken?: RequestId | undefined;
    }
  | { readonly kind: 'response'; readonly id: RequestId }
  | { readonly kind: 'invalid' };

const INVALID: ScannedMessage = { kind: 'invalid' };
/** Below this parsing is as cheap as scanning, and certain. */
const PARSE_BYTES = 4096;
/** Longest id or method that is read out of a large message. */
const MAX_TOKEN_BYTES = 1024;
const TAIL_BYTES = 96;

/** Classifies one JSON-RPC message given as JSON text. Never throws. */
export function scanMessage(json: Buffer | string): ScannedMessage {
  if (json.length <= PARSE_BYTES) return parseMessage(json);
  return scanLarge(typeof json === 'string' ? Buffer.from(json) : json);
}

/** Small messages as text, which is parsed, kept and written without another copy; large ones stay bytes. */
export function textOrBytes(json: Buffer): Buffer | string {
  return json.length <= PARSE_BYTES ? json.toString('utf8') : json;
}

function parseMessage(json: Buffer | string): ScannedMessage {
  let value: unknown;
  try {
    value = JSON.parse(typeof json === 'string' ? json : json.toString('utf8'));
  } catch {
    return INVALID;
  }
  const kind = classifyMessage(value);
  if (kind === 'invalid' || !isObject(value)) return INVALID;
  if (kind === 'response') return { kind, id: value.id as RequestId };
  const method = value.method as string;
  if (kind === 'request') return { kind, id: value.id as RequestId, method };
  return method === PROGRESS ? { kind, method, progressToken: tokenOf(value) } : { kind, method };
}

function tokenOf(message: unknown): RequestId | undefined {
  const token = isObject(message) && isObject(message.params) ? message.params.progressToken : undefined;
  return isRequestId(token) ? token : undefined;
}

/** `,"id":7}` or `,"id":"x"}` as the last member: in valid JSON these bytes can only be a member of the outermost object. */
const TAIL_ID = /,\s*"id"\s*:\s*(-?\d{1,15}|"[^"\\]{0,64}")\s*(?:,\s*"jsonrpc"\s*:\s*"2\.0"\s*)?\}\s*$/;
const RESULT_FIRST = /^\s*\{\s*(?:"jsonrpc"\s*:\s*"2\.0"\s*,\s*)?"(?:result|error)"\s*:/;

function scanLarge(json: Buffer): ScannedMessage {
  // The SDKs write the result first and the id last: the two ends tell, and the result is never walked through.
  if (RESULT_FIRST.test(json.toString('latin1', 0, TAIL_BYTES))) {
    const tail = TAIL_ID.exec(json.toString('utf8', json.length - TAIL_BYTES, json.length));
    const id = tail?.[1] === undefined ? undefined : readToken(tail[1]);
    if (isRequestId(id)) return { kind: 'response', id };
  }
  return walk(json);
}

/** Whether the text is complete JSON; parses it. */
export function isJson(json: Buffer | string): boolean {
  return readToken(json.toString()) !== undefined;
}

function readToken(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const QUOTE = 34;
const BACKSLASH = 92;
const COMMA = 44;
const COLON = 58;
const OPEN_OBJECT = 123;
const CLOSE_OBJECT = 125;
const OPEN_ARRAY = 91;
const CLOSE_ARRAY = 93;

/** Walks the members of the outermost object and stops as soon as it knows enough. */
function walk(json: Buffer): ScannedMessage {
  let pos = skipBlank(json, 0);
  if (json[pos] !== OPEN_OBJECT) return INVALID;
  pos = skipBlank(json, pos + 1);
  let id: unknown;
  let hasId = false;
  let hasAnswer = false;
  let method: unknown;
  while (pos < json.length && json[pos] !== CLOSE_OBJECT) {
    if (json[pos] !== QUOTE) return INVALID;
    const keyEnd = skipString(json, pos);
    const key = json.toString('latin1', pos + 1, Math.min(keyEnd - 1, pos + 16));
    pos = skipBlank(json, keyEnd);
    if (json[pos] !== COLON) return INVALID;
    const start = skipBlank(json, pos + 1);
    if (key === 'result' || key === 'error') {
      hasAnswer = true;
      if (hasId && isRequestId(id)) return { kind: 'response', id };
    }
    const end = skipValue(json, start);
    if (key === 'id' || key === 'method') {
      const token = end - start > MAX_TOKEN_BYTES ? undefined : readToken(json.toString('utf8', start, end).trim());
      if (key === 'method') method = token;
      else {
        id = token;
        hasId = true;
      }
      if (typeof method === 'string' && hasId) return isRequestId(id) ? { kind: 'request', id, method } : INVALID;
      if (hasAnswer && isRequestId(id)) return { kind: 'response', id };
    }
    pos = skipBlank(json, end);
    if (json[pos] === COMMA) pos = skipBlank(json, pos + 1);
  }
  if (pos >= json.length) return INVALID;
  if (typeof method !== 'string' || hasAnswer) return INVALID;
  if (method !== PROGRESS) return { kind: 'notification', method };
  return { kind: 'notification', method, progressToken: tokenOf(readToken(json.toString('utf8'))) };
}

/** @returns the position of the first byte from there on that is no white space, or the length or beyond */
export function skipBlank(json: Buffer, pos: number): number {
  for (;;) {
    const byte = json[pos];
    if (byte !== 32 && byte !== 10 && byte !== 13 && byte !== 9) return pos;
    pos++;
  }
}

/** @returns the position after the closing quote, or the length if there is none */
function skipString(json: Buffer, pos: number): number {
  let end = pos + 1;
  for (;;) {
    end = json.indexOf(QUOTE, end);
    if (end === -1) return json.length;
    let slashes = 0;
    while (json[end - 1 - slashes] === BACKSLASH) slashes++;
    end++;
    if (slashes % 2 === 0) return end;
  }
}

/** @returns the position after the value: a comma, a closing brace or blank space; the same where there is none */
export function skipValue(json: Buffer, pos: number): number {
  let depth = 0;
  while (pos < json.length) {
    const byte = json[pos];
    if (byte === QUOTE) {
      pos = skipString(json, pos);
      if (depth === 0) return pos;
      continue;
    }
    if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) depth++;
    else if (byte === CLOSE_OBJECT || byte === CLOSE_ARRAY) {
      if (depth === 0) return pos;
      depth--;
      if (depth === 0) return pos + 1;
    } else if (byte === COMMA && depth === 0) return pos;
    pos++;
  }
  return pos;
}
