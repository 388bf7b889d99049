// A raw client that is asked: calls in which the recording backend asks for roots, and answers through whichever worker.
import type { Cluster } from './cluster.js';
import type { RecordingBackend } from './recording-backend.js';
import { eventsOf, JSON_HEADERS, type RawAnswer, type RawRequest, toolCall } from './raw-request.js';
import { waitFor } from './wait-for.js';

export const ROOTS = { method: 'roots/list', params: {} };

export interface Asking {
  readonly question: { readonly id: string; readonly method: string };
  /** What came so far. */
  readonly text: () => string;
  /** The stream of the call has ended. */
  readonly done: Promise<void>;
}

type Worker = ReturnType<Cluster['workers']>[number];

/** A call of `ask` through this worker, up to the question. */
export async function askThrough(worker: Worker, path: string, sessionId: string, nonce: string): Promise<Asking> {
  const { answer } = await worker.pod.beginAt(worker.pid, toolCall(path, sessionId, 'ask', { nonce, ...ROOTS }, nonce));
  let text = '';
  answer.setEncoding('utf8').on('data', (part: string) => {
    text += part;
  });
  answer.on('error', () => undefined);
  const done = new Promise<void>((resolve) => answer.once('close', () => resolve()));
  const messages = () => eventsOf(text).flatMap(({ data }) => (data === '' ? [] : [JSON.parse(data)]));
  const question = await waitFor(
    () => `the question; so far: ${text}`,
    () => messages().find(({ method }) => method === 'roots/list'),
  );
  return { question, text: () => text, done };
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
