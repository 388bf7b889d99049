// The ids of the events that clients get, as in `<stream>.<epoch>.<seq>`: what a worker that remembers nothing of a stream needs to say
// what is true about it. Encoded, not secret: whoever makes one up reaches only what is his own (the session is checked apart from it).
import { randomInt } from 'node:crypto';
import type { RequestId } from '../protocol/json-rpc.js';
import type { Epoch } from '../protocol/ids.js';
import { type BackendMark, decodeMark, MAX_MARKS_LENGTH } from './backend-marks.js';

/** `standalone`, or the caller's request whose answer the stream carries. */
export type StreamName = { readonly kind: 'standalone' } | { readonly kind: 'call'; readonly id: RequestId };

export interface EventId {
  /** Reference of the session. An id of another session is worth nothing. */
  readonly session: string;
  readonly stream: StreamName;
  /** Of the owner's memory of the stream (see mintMemoryEpoch): another one says that the memory was another. */
  readonly epoch: number;
  /** From 1 on; 0 stands before the first event. */
  readonly seq: number;
  /** The stream ends with this event. */
  readonly isFinal: boolean;
  /** How far the backends were, as far as they tell (see BackendMarks); undefined: nothing is known of it. */
  readonly marks?: string;
}

/** An epoch stays a number that is exact up to 2^33. */
const MEMORIES = 2 ** 20;

/**
 * Names the memory that begins with an ownership. Not the epoch alone: where Redis has come back without its last writes (a failover, an
 * older snapshot) it is given twice, perhaps to the same owner, and what the one memory remembers would be taken for what the other told.
 */
export function mintMemoryEpoch(epoch: Epoch): number {
  return epoch * MEMORIES + randomInt(MEMORIES);
}

/** A session's reference is 22 characters: enough of it to tell its own ids from others. */
const SESSION_CHARS = 8;
/** What a request id of a reasonable client fits in; a longer one makes the id undecodable, and its stream cannot be resumed. */
const MAX_HEAD_LENGTH = 1024;
export const MAX_EVENT_ID_LENGTH = MAX_HEAD_LENGTH + MAX_MARKS_LENGTH;

export function encodeEventId({ session, stream, epoch, seq, isFinal, marks = '' }: EventId): string {
  // An array in JSON, put together by hand: each event of each stream has one.
  const name = stream.kind === 'standalone' ? '' : `,${typeof stream.id === 'number' ? stream.id : JSON.stringify(stream.id)}`;
  const head = `["${session.slice(0, SESSION_CHARS)}",${epoch},${seq},${isFinal ? 1 : 0}${name}]`;
  return Buffer.from(head).toString('base64url') + marks;
}

/** @returns undefined for what is no id of ours, or one of another session */
export function decodeEventId(text: string, session: string): EventId | undefined {
  const dot = text.indexOf('.');
  const head = dot < 0 ? text : text.slice(0, dot);
  if (head.length > MAX_HEAD_LENGTH || text.length - head.length > MAX_MARKS_LENGTH) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(head, 'base64url').toString());
  } catch {
    return undefined;
  }
  if (!Array.isArray(value) || value.length < 4 || value.length > 5) return undefined;
  const [of, epoch, seq, final, id] = value as unknown[];
  if (of !== session.slice(0, SESSION_CHARS) || !isCount(epoch) || !isCount(seq) || (final !== 0 && final !== 1))
    return undefined;
  if (value.length === 5 && typeof id !== 'string' && typeof id !== 'number') return undefined;
  const stream: StreamName = value.length === 4 ? { kind: 'standalone' } : { kind: 'call', id: id as RequestId };
  return { session, stream, epoch, seq, isFinal: final === 1, ...(dot < 0 ? {} : { marks: text.slice(dot) }) };
}

/** One for each backend; what is no mark is none. */
export function marksOf({ marks = '' }: EventId): Map<string, BackendMark> {
  const found = new Map<string, BackendMark>();
  for (const text of marks.split('.')) {
    const mark = decodeMark(text);
    if (mark && !found.has(mark.backend)) found.set(mark.backend, mark);
  }
  return found;
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
