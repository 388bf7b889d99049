// A batch of 2025-03-26: each element goes the way that it would go alone, all of them at once, and they are answered together.
import { acceptedTypes } from '../eras/legacy/accept.js';
import { BatchAnswer } from '../eras/legacy/batch-answer.js';
import { GatewayError, toGatewayError } from '../errors/gateway-error.js';
import { BATCH_VERSION } from '../protocol/batch.js';
import { errorText } from '../protocol/json-rpc.js';
import { type BatchBody, type Exchange, type ExchangeNote, type MessageBody, newNote } from '../streams/exchange.js';
import type { KeepAlive } from '../streams/keep-alive.js';
import { PartOfExchange } from '../streams/part-of-exchange.js';
import { type RequestServer, STREAM_AFTER_MS } from './serve-request.js';
import type { ServeOutcome } from './serve-session.js';
import type { Session } from './session.js';
import { versionHeader } from './version-header.js';

type RequestOf = Extract<MessageBody, { kind: 'request' }>;

export interface BatchParts {
  readonly requests: RequestServer;
  readonly keepAlive: KeepAlive;
  /** What is not answered: a notification or a response. @throws GatewayError for a response to nothing */
  readonly take: (session: Session, exchange: Exchange, body: Exclude<MessageBody, RequestOf>) => void;
}

/** @throws GatewayError BATCH_UNSUPPORTED if the session speaks another revision; nothing has begun then */
export async function serveBatch(
  parts: BatchParts,
  session: Session,
  exchange: Exchange,
  body: BatchBody,
): Promise<ServeOutcome> {
  const { protocolVersion } = session.facts;
  if (protocolVersion !== BATCH_VERSION) {
    throw new GatewayError('BATCH_UNSUPPORTED', {
      message: `this session negotiated ${protocolVersion}; send each message in a request of its own`,
    });
  }
  const accepts = acceptedTypes(exchange.headers.accept);
  const answer = new BatchAnswer(exchange, accepts, versionHeader(session));
  const errors: string[] = [];
  const running: Array<Promise<ServeOutcome>> = [];
  const notes: ExchangeNote[] = [];
  const requests: RequestOf[] = [];
  // As a whole: between its last response and their leaving together it is not quiet yet.
  session.inFlight++;
  parts.keepAlive.add(answer, STREAM_AFTER_MS);
  for (const part of body.parts) {
    if (part.kind === 'refused') errors.push(errorText(part.id, part.error));
    else if (part.kind === 'request') {
      const element = new BatchedExchange(exchange, part);
      notes.push(element.note);
      requests.push(part);
      running.push(serveRequest(parts, session, element, part, answer, accepts.events));
    } else {
      try {
        parts.take(session, exchange, part);
      } catch (error) {
        errors.push(errorText(undefined, toGatewayError(error).toJsonRpc()));
      }
    }
  }
  const outcomes = await Promise.all(running);
  parts.keepAlive.remove(answer);
  session.leave();
  const notBegun = requests.filter((_, index) => outcomes[index] === 'notOwner');
  if (notBegun.length > 0 && notBegun.length === requests.length && !exchange.answer.started) return 'notOwner';
  // The others have begun here, and a batch is answered by one worker.
  const refusal = new GatewayError('HELD_TOO_LONG', { message: 'not begun; send it again' }).toJsonRpc();
  for (const { message } of notBegun) errors.push(errorText(message.id, refusal));
  answer.finish(
    errors,
    body.parts.every((part) => part.kind === 'refused'),
  );
  exchange.note.outcome = notes.find(({ outcome }) => outcome !== 'ok')?.outcome ?? 'ok';
  return 'done';
}

function serveRequest(
  { requests }: BatchParts,
  session: Session,
  exchange: Exchange,
  body: RequestOf,
  answer: BatchAnswer,
  events: boolean,
): Promise<ServeOutcome> {
  const stream = answer.streamOf(body.message.id);
  return requests.serve(session, exchange, body, {
    // Its response is always given to the stream, which decides what it becomes.
    accepts: { json: false, events },
    openStream: (isFinal) => {
      if (!isFinal) answer.begin();
      return stream;
    },
    get isLost() {
      return stream.isLost;
    },
    collect: (bytes) => stream.collect(bytes),
  });
}

/** The exchange of a batch as one request of it sees it. */
class BatchedExchange extends PartOfExchange {
  readonly method: Exchange['method'];
  readonly body: MessageBody;
  readonly hop: Exchange['hop'];
  readonly note: ExchangeNote;

  constructor(whole: Exchange, body: MessageBody) {
    super(whole);
    this.method = whole.method;
    this.body = body;
    this.hop = whole.hop;
    this.note = newNote(whole.method, body);
  }
}
