// Arrays of JSON-RPC messages, which one revision of the protocol knows: told apart by a byte, cut up without being parsed, so that
// each message keeps its own bytes. Servers send them in other revisions too; what they send is taken message by message.
import type { RequestId } from './json-rpc.js';
import { scanMessage, skipBlank, skipValue } from './scan-json.js';

/** The one revision whose clients may send them. */
export const BATCH_VERSION = '2025-03-26';
/** Of a client; what the SDKs take. */
export const MAX_BATCH = 100;

const OPEN_ARRAY = 91;
const CLOSE_ARRAY = 93;
const COMMA = 44;

/** Whether JSON text is an array. */
export function isBatch(json: Buffer): boolean {
  return json[skipBlank(json, 0)] === OPEN_ARRAY;
}

/** The elements of a JSON array, as they stand in it: views. Ends at the first thing that no JSON array has. */
export function* elementsOf(json: Buffer): Generator<Buffer> {
  let pos = skipBlank(json, 0);
  if (json[pos] !== OPEN_ARRAY) return;
  pos = skipBlank(json, pos + 1);
  while (pos < json.length && json[pos] !== CLOSE_ARRAY) {
    const end = skipValue(json, pos);
    if (end === pos) return;
    yield json.subarray(pos, end);
    pos = skipBlank(json, end);
    if (json[pos] === COMMA) pos = skipBlank(json, pos + 1);
  }
}

/**
 * Gives the messages of a server's array one by one, responses last: what was said during a call comes before its end. An array
 * within the array is no message: it is left out, so that nothing is nested.
 * @param take `isLast`: with this one all that the array says has been given
 */
export function takeEach(json: Buffer, take: (message: Buffer, isLast: boolean) => void): void {
  let held: Buffer | undefined;
  for (const takesResponses of [false, true]) {
    for (const element of elementsOf(json)) {
      if (isBatch(element) || (scanMessage(element).kind === 'response') !== takesResponses) continue;
      if (held) take(held, false);
      held = element;
    }
  }
  if (held) take(held, true);
}

/** What an answer says that a server wrote as an array: the response with this id, or its only element; else the text as it is. */
export function unwrap(text: string, id: RequestId | undefined): string {
  const json = Buffer.from(text);
  if (!isBatch(json)) return text;
  let count = 0;
  let only: Buffer = json;
  for (const element of elementsOf(json)) {
    const message = scanMessage(element);
    if (message.kind === 'response' && message.id === id) return element.toString();
    count++;
    only = element;
  }
  return count === 1 ? only.toString() : text;
}
