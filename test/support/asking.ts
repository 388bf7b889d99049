// A raw client that is asked: calls in which the recording backend asks for roots, questions of the strict backend outside any call, and answers
// through whichever worker.
import type { IncomingMessage } from 'node:http';
import type { Cluster, Worker } from './cluster.js';
import type { RecordingBackend } from './recording-backend.js';
import { eventsOf, JSON_HEADERS, openSession, type RawAnswer, type RawRequest, sendRaw, toolCall } from './raw-request.js';
import { beginStream } from './raw-stream.js';
import type { StrictBackend } from './strict-backend.js';
import { waitFor } from './wait-for.js';

/** Where the strict backend is served. */
export const STRICT = '/servers/strict/mcp';
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

/** Of a session at the strict backend: its id, that of its backend session, a worker that does not own it, and how to listen there. */
export async function openStrict(cluster: Cluster, strict: StrictBackend, capabilities: object) {
  const sessionId = await openSession(cluster.balancer.origin, STRICT, '2025-11-25', capabilities);
  await sendRaw(cluster.balancer.origin, toolCall(STRICT, sessionId, 'echo'));
  const issued = strict.issued.at(-1) as string;
  await waitFor('the gateway to listen at the backend', () => strict.streams.has(issued));
  const owner = await cluster.ownerOf(sessionId);
  const edge = cluster.workers().find(({ pid }) => pid !== owner.pid);
  if (!edge) throw new Error('too few workers');
  const listen = async (at = edge, lastEventId?: string) => {
    const resumed: Record<string, string> = lastEventId === undefined ? {} : { 'last-event-id': lastEventId };
    const headers = { accept: 'text/event-stream', 'mcp-session-id': sessionId, ...resumed };
    const { call, answer } = await at.pod.beginAt(at.pid, { method: 'GET', path: STRICT, headers });
    return { ...hear(answer), leave: () => void call.destroy() };
  };
  return { sessionId, issued, edge, listen };
}

/** Messages of a stream, as they come. */
export function hear(answer: IncomingMessage) {
  const heard: Array<{ id?: string; method: string; params?: unknown }> = [];
  let text = '';
  answer.setEncoding('utf8').on('data', (part: string) => {
    text += part;
    heard.splice(0, heard.length, ...eventsOf(text).flatMap(({ data }) => (data === '' ? [] : [JSON.parse(data)])));
  });
  answer.on('error', () => undefined);
  return { heard, lastId: () => eventsOf(text).at(-1)?.id };
}
