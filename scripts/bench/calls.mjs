// What the load asks for and how it judges what comes back: every byte of an answer is foreseeable, so every altered one is seen.
import { isDeepStrictEqual } from 'node:util';

export const VERSION = '2025-11-25';
export const RESULT_BYTES = 1024;
export const BIG_BYTES = 256 * 1024;
export const EVENTS = 50;

export const message = (id, method, params) => JSON.stringify({ jsonrpc: '2.0', id, method, params });
const call = (name) => (id, nonce) => message(id, 'tools/call', { name, arguments: { nonce } });
const callWithProgress = (id, nonce) =>
  message(id, 'tools/call', { name: 'events', arguments: { nonce }, _meta: { progressToken: nonce } });
/** The text of a result: tag of the session, nonce of the call, and filling. */
export const textFor = (tag, nonce, bytes) => `${tag} ${nonce} `.padEnd(bytes - 80, 'x');
const resultFor = (bytes) => (tag, nonce) => ({ content: [{ type: 'text', text: textFor(tag, nonce, bytes) }] });
/** Progress that comes before the result of `events`. */
export const progressFor = (tag, nonce, index, progressToken = nonce) => ({
  jsonrpc: '2.0',
  method: 'notifications/progress',
  params: { progressToken, progress: index, total: EVENTS, message: `${tag} ${nonce} ${index}` },
});

/** By name: the body of a request, the result that has to come, and how many events before it. */
export const CALLS = {
  call: { body: call('bench'), result: resultFor(RESULT_BYTES), events: 0 },
  big: { body: call('big'), result: resultFor(BIG_BYTES), events: 0 },
  events: { body: callWithProgress, result: resultFor(RESULT_BYTES), events: EVENTS },
  list: { body: (id) => message(id, 'tools/list'), events: 0 },
};

/**
 * @param answer `{ status, body }`
 * @param asked `{ kind, id, nonce, tag }`
 * @returns 'good', or `{ kind, text }`: `crossed` is another call's or another session's answer, `errors` is everything else
 */
export function verify({ status, body }, { kind, id, nonce, tag }) {
  const { result, events } = CALLS[kind];
  if (status !== 200) return fault('errors', `${status} ${body}`);
  if (result === undefined) return verifyList(body, id);
  const wanted = result(tag, nonce);
  // Nearly every answer is relayed as it was made; only what is not has to be parsed.
  if (body === JSON.stringify({ jsonrpc: '2.0', id, result: wanted })) return 'good';
  const messages = messagesOf(body);
  if (!messages) return fault('errors', `unreadable: ${body}`);
  // An error of ours to our own question is nobody else's answer.
  if (messages.at(-1)?.error && messages.at(-1).id === id) return fault('errors', `error ${body}`);
  const progress = Array.from({ length: events }, (_, index) => progressFor(tag, nonce, index));
  if (isDeepStrictEqual(messages, [...progress, { jsonrpc: '2.0', id, result: wanted }])) return 'good';
  const words = String(messages.at(-1)?.result?.content?.[0]?.text).split(' ', 2);
  const isOthers = words[0] !== tag || words[1] !== nonce || messages.at(-1)?.id !== id;
  return fault(isOthers ? 'crossed' : 'errors', `expected ${id} ${tag} ${nonce}, got ${body}`);
}

/** @returns the tag of the session in the answer to its first call */
export const tagIn = ({ body }) => messagesOf(body)?.at(-1)?.result?.content?.[0]?.text?.split(' ')[0];

function verifyList(body, id) {
  const [list] = messagesOf(body) ?? [];
  const isWhole =
    list?.id === id && list.result?.tools?.length > 0 && list.result.tools.every(({ name }) => /bench|big|events/.test(name));
  return isWhole ? 'good' : fault('errors', `no list: ${body}`);
}

/** JSON, or the events of a stream (priming ones and comments have no data); undefined if it is neither. */
function messagesOf(body) {
  try {
    if (body.startsWith('{')) return [JSON.parse(body)];
    const lines = body.split(/\r?\n/).filter((line) => line.startsWith('data:') && line.length > 6);
    return lines.map((line) => JSON.parse(line.slice(5)));
  } catch {
    return undefined;
  }
}

const fault = (kind, text) => ({ kind, text: text.slice(0, 300) });
