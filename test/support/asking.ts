// A raw client that is asked: calls in which the recording backend asks for roots, and answers through whichever worker.
import type { Worker } from './cluster.js';
import type { RecordingBackend } from './recording-backend.js';
import { JSON_HEADERS, type RawAnswer, type RawRequest, toolCall } from './raw-request.js';
import { beginStream } from './raw-stream.js';
import { waitFor } from './wait-for.js';

export const ROOTS = { method: 'roots/list', params: {} };

export interface Asking {
  readonly question: { readonly id: string; readonly method: string };
  /** What came so far. */
  readonly text: () => string;
  /** The stream of the call has ended. */
  readonly done: Promise<void>;
}

/** A call of `ask` through this worker, up to the question. @param tool as the session knows it */
export async function askThrough(
  worker: Worker,
  path: string,
  sessionId: string,
  nonce: string,
  what: { readonly method: string; readonly params: object } = ROOTS,
  tool = 'ask',
): Promise<Asking> {
  const stream = await beginStream(worker, toolCall(path, sessionId, tool, { nonce, ...what }, nonce));
  const question = await waitFor(
    () => `the question; so far: ${stream.text()}`,
    () => stream.messages().find(({ method }) => method === what.method),
  );
  return { question: question as Asking['question'], text: stream.text, done: stream.closed };
}

/** The client's answer. */
export function answerTo(path: string, sessionId: string, id: unknown, more: object = {}): RawRequest {
  const body = JSON.stringify({ jsonrpc: '2.0', id, result: { roots: [{ uri: 'file:///here' }] }, ...more });
  return { path, headers: { ...JSON_HEADERS, 'mcp-session-id': sessionId }, body };
}

export function respondThrough(worker: Worker, path: string, sessionId: string, id: unknown): Promise<RawAnswer> {
  return worker.pod.sendTo(worker.pid, answerTo(path, sessionId, id));
}

/** Answers that have reached the backend in one of its sessions. */
export function answersAt(backend: RecordingBackend, backendSession: string): number {
  return backend.requests.filter(
    (one) => one.method === 'POST' && one.rpcMethod === undefined && one.sessionId === backendSession,
  ).length;
}
