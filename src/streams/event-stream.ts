// The one way an SSE answer is written: head, retry hint, events, comments, clean end. Owners write it; edges pass its bytes on.
import type { Answer, Headers } from './exchange.js';
import { formatEvent } from '../protocol/sse.js';

const EVENT_STREAM_HEADERS: Headers = {
  'content-type': 'text/event-stream',
  'cache-control': 'no-cache, no-transform',
  // nginx buffers answers otherwise, and a client would see its events at the end.
  'x-accel-buffering': 'no',
};

/** Client SDKs try a broken stream twice: two waits of this length outlast a lease. */
const RETRY_MS = 4000;
const RETRY_JITTER_MS = 1000;

export const COMMENT_INTERVAL_MS = 15_000;

/** Begins the stream; on one that another owner began already (re-attached), only the rest is written. */
export function startEventStream(answer: Answer, headers: Headers): void {
  if (answer.started) return;
  answer.start(200, { ...EVENT_STREAM_HEADERS, ...headers });
  writeRetry(answer, RETRY_MS + Math.floor(Math.random() * RETRY_JITTER_MS));
}

/** How long the reader waits before it comes again, ms. */
export function writeRetry(answer: Answer, ms: number): void {
  answer.write(`retry: ${ms}\n\n`);
}

/** @returns false when the reader is slow (see Answer.write) */
export function writeEvent(answer: Answer, json: Buffer | string, id?: string): boolean {
  return answer.write(formatEvent(id === undefined ? { data: json } : { id, data: json }));
}

export function writeComment(answer: Answer): boolean {
  return answer.write(': keep-alive\n\n');
}
