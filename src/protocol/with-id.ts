// Gives a JSON-RPC message another id without parsing it: big values cost nothing, and numbers that JavaScript cannot hold stay
// what they are.
import { isObject, type RequestId } from './json-rpc.js';

const END_BYTES = 256;
const ID = String.raw`"id"\s*:\s*(-?\d{1,16}|"[^"\\]{0,128}")`;
const VERSION = String.raw`"jsonrpc"\s*:\s*"2\.0"`;
const AT_HEAD = new RegExp(String.raw`^\s*\{\s*(?:${VERSION}\s*,\s*)?${ID}\s*,`, 'd');
/** In valid JSON the last brace closes the outermost object, so what stands right before it is a member of that. */
const AT_TAIL = new RegExp(String.raw`,\s*${ID}\s*(?:,\s*${VERSION}\s*)?\}\s*$`, 'd');

/** Where the value of the id begins and ends; undefined if it is not found, or found twice. */
function findId(json: Buffer): readonly [number, number] | undefined {
  // latin1 keeps one character per byte, so that positions are those of the bytes.
  const head = AT_HEAD.exec(json.toString('latin1', 0, END_BYTES))?.indices?.[1];
  const offset = Math.max(0, json.length - END_BYTES);
  const tail = AT_TAIL.exec(json.toString('latin1', offset))?.indices?.[1];
  if (head && tail) return undefined;
  return head ?? (tail && [tail[0] + offset, tail[1] + offset]);
}

/**
 * @param json one JSON-RPC request or response
 * @returns the same with `id`; parsed and written anew only where the id stands in an unusual place
 * @throws SyntaxError if it had to be parsed and is not JSON
 */
export function withId(json: Buffer, id: RequestId): Buffer | string {
  const place = findId(json);
  if (place) return Buffer.concat([json.subarray(0, place[0]), Buffer.from(JSON.stringify(id)), json.subarray(place[1])]);
  const value: unknown = JSON.parse(json.toString('utf8'));
  return JSON.stringify(isObject(value) ? { ...value, id } : value);
}
