// An event stream as a raw client reads it: everything that came so far, in its order, and whether it has ended.
import type { ClientRequest, IncomingMessage } from 'node:http';
import type { Worker } from './cluster.js';
import { eventsOf, type RawRequest, type ServerSentEvent } from './raw-request.js';

/** JSON-RPC, as loosely as a test looks at it. */
export interface RawMessage {
  readonly id?: unknown;
  readonly method?: string;
  readonly params?: {
    readonly progressToken?: unknown;
    readonly progress?: number;
    readonly message?: string;
    readonly data?: unknown;
  };
  readonly result?: unknown;
  readonly error?: unknown;
}

export interface RawStream {
  readonly text: () => string;
  /** Also those without a message, which only give an id. */
  readonly events: () => ServerSentEvent[];
  readonly messages: () => RawMessage[];
  /** Of the events that carry a message. */
  readonly eventIds: () => Array<string | undefined>;
  /** The id of the last event, which is what a client resumes from. */
  readonly lastId: () => string | undefined;
  /** In order. */
  readonly ended: () => boolean;
  /** In order or by a connection that broke. */
  readonly isOver: () => boolean;
  /** Resolved as soon as it is over. */
  readonly closed: Promise<void>;
  readonly leave: () => void;
}

/** Sends the request to this worker and reads its answer. @throws Error if that is no event stream */
export async function beginStream({ pid, pod }: Worker, raw: RawRequest): Promise<RawStream> {
  const { call, answer } = await pod.beginAt(pid, raw);
  const type = answer.headers['content-type'];
  if (type?.startsWith('text/event-stream')) return readStream(call, answer);
  call.destroy();
  throw new Error(`no event stream from worker ${pid}: ${answer.statusCode} ${type}`);
}

function readStream(call: ClientRequest, answer: IncomingMessage): RawStream {
  let text = '';
  let ended = false;
  answer.setEncoding('utf8').on('data', (part: string) => {
    text += part;
  });
  answer.on('error', () => undefined);
  answer.on('end', () => {
    ended = true;
  });
  let over = false;
  const closed = new Promise<void>((resolve) =>
    answer.once('close', () => {
      over = true;
      resolve();
    }),
  );
  const events = () => eventsOf(text);
  const full = () => events().filter(({ data }) => data !== '');
  return {
    text: () => text,
    events,
    messages: () => full().map(({ data }) => JSON.parse(data) as RawMessage),
    eventIds: () => full().map(({ id }) => id),
    lastId: () => events().at(-1)?.id,
    ended: () => ended,
    isOver: () => over,
    closed,
    leave: () => void call.destroy(),
  };
}

/** What the stream told of the progress of its call. */
export const progressOf = ({ messages }: RawStream): number[] => messages().flatMap(({ params }) => params?.progress ?? []);

/** The texts that came as log messages. */
export const logsOf = ({ messages }: RawStream): string[] =>
  messages().flatMap(({ params }) => (typeof params?.data === 'string' ? [params.data] : []));

/** How often the stream told that something is missing. */
export const gapsOf = ({ messages }: RawStream): number =>
  messages().filter(({ params }) => (params?.data as { gap?: boolean } | undefined)?.gap === true).length;
