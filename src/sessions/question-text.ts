// What stands in a question to the client and in its answer: what may be asked, and how both are written anew on their way.
import {
  isObject,
  isRequestId,
  progressTokenOf,
  type JsonRpcErrorObject,
  type JsonRpcResponse,
  type RequestId,
} from '../protocol/json-rpc.js';
import { withId } from '../protocol/with-id.js';
import { askableCapabilities } from './askable.js';

/** Capability of the client without which it is not asked. */
const CAPABILITY: ReadonlyMap<string, string> = new Map([
  ['sampling/createMessage', 'sampling'],
  ['elicitation/create', 'elicitation'],
  ['roots/list', 'roots'],
]);

/** @returns why this client is not asked that, for the backend; undefined: it declared that it can be */
export function refuseUndeclared(client: unknown, method: string, json: Buffer): JsonRpcErrorObject | undefined {
  const name = CAPABILITY.get(method);
  if (name === undefined) return { code: -32601, message: 'Method not found' };
  const declared = askableCapabilities(client)[name];
  if (!isObject(declared)) return { code: -32601, message: `Method not found: the client did not declare ${name}` };
  if (name !== 'elicitation') return undefined;
  // 2025-11-25, "Elicitation", capabilities: none named means form; a mode that was not declared is -32602.
  const isUrl = paramsOf(json)?.mode === 'url';
  const mayAsk = isUrl ? isObject(declared.url) : isObject(declared.form) || declared.url === undefined;
  return mayAsk ? undefined : { code: -32602, message: `the client did not declare elicitation.${isUrl ? 'url' : 'form'}` };
}

/** The backend's progress token, if it asks for progress. */
export function progressTokenOfQuestion(json: Buffer): RequestId | undefined {
  if (!json.includes('progressToken')) return undefined;
  const token = progressTokenOf(paramsOf(json));
  return isRequestId(token) ? token : undefined;
}

/**
 * The question under our id, which stands for its progress token too. Without `params.task`: backends are told that nobody here takes
 * requests as tasks, and who did not declare that ignores it (2025-11-25, "Tasks"); a client of ours that can would answer with a task
 * which the backend could never ask for.
 * @returns undefined for what is not JSON after all (a large message was only looked through), or nested too deeply to be written
 */
export function questionText(json: Buffer, ours: string, hasToken: boolean): Buffer | string | undefined {
  try {
    const params = hasToken || json.includes('"task"') ? paramsOf(json) : undefined;
    const isTask = params !== undefined && 'task' in params;
    if (!params || !(hasToken || isTask)) return withId(json, ours);
    const { task: _ignored, ...rest } = params;
    const changed = hasToken ? { ...rest, _meta: { ...(rest._meta as object), progressToken: ours } } : rest;
    return JSON.stringify({ ...(JSON.parse(json.toString()) as object), id: ours, params: changed });
  } catch {
    return undefined;
  }
}

const RESPONSE_KEYS: ReadonlySet<string> = new Set(['jsonrpc', 'id', 'result', 'error']);

/**
 * The client's own bytes, so that a number that JavaScript cannot hold stays what it is; but only where they are nothing but a response:
 * another key could make it another message to a backend that reads more laxly than we do.
 * @param id the backend's own
 * @throws RangeError for what is nested too deeply to be written
 */
export function answerText(response: JsonRpcResponse, bytes: Buffer, id: RequestId): Buffer | string {
  if (Object.keys(response).every((key) => RESPONSE_KEYS.has(key))) return withId(bytes, id);
  const { result, error } = response;
  return JSON.stringify(error === undefined ? { jsonrpc: '2.0', id, result } : { jsonrpc: '2.0', id, error });
}

function paramsOf(json: Buffer): Record<string, unknown> | undefined {
  try {
    const { params } = JSON.parse(json.toString()) as { params?: unknown };
    return isObject(params) ? params : undefined;
  } catch {
    return undefined;
  }
}
