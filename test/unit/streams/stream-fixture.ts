// A stream, and readers of it that write down what they get.
import { EventBudget } from '../../../src/streams/event-budget.js';
import { decodeEventId } from '../../../src/streams/event-id.js';
import type { Exchange } from '../../../src/streams/exchange.js';
import { ResumableStream, type ResumableStreamOptions } from '../../../src/streams/resumable-stream.js';
import type { NewReader } from '../../../src/streams/stream-reader.js';
import { eventsOf } from '../../support/raw-request.js';
import { RecordingAnswer } from './recording-answer.js';

export const SESSION = 'abcdefghijklmnopqrstuv';

export function makeStream(options: Partial<ResumableStreamOptions> = {}): ResumableStream {
  return new ResumableStream({
    session: SESSION,
    name: { kind: 'call', id: 7 },
    epoch: 3,
    budget: new EventBudget(),
    ...options,
  });
}

export function read(stream: ResumableStream, how: Partial<NewReader> = {}) {
  const answer = new RecordingAnswer();
  const left: Array<() => void> = [];
  const exchange = { answer, onAbort: (listener: () => void) => void left.push(listener) } as unknown as Exchange;
  const ends: string[] = [];
  stream.attach({ exchange, headers: {}, isPrimed: false, onEnd: (end) => void ends.push(end), ...how });
  return {
    answer,
    exchange,
    ends,
    events: () => eventsOf(answer.text),
    seqs: () => eventsOf(answer.text).map(({ id }) => decodeEventId(id ?? '', SESSION)?.seq),
    leave: () => {
      for (const listener of left) listener();
    },
  };
}

export const isGap = (data: string) => JSON.parse(data).params?.data?.gap === true;
