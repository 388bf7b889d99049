// The legacy front half: one answer for every call, as JSON or as a stream, whatever the backend does.
import type { AcceptedTypes } from '../../../src/eras/legacy/accept.js';
import { LegacyCallAnswer } from '../../../src/eras/legacy/call-answer.js';
import { GatewayError } from '../../../src/errors/gateway-error.js';
import { encodeMark } from '../../../src/streams/backend-marks.js';
import { EventBudget } from '../../../src/streams/event-budget.js';
import type { Exchange } from '../../../src/streams/exchange.js';
import { ResumableStream } from '../../../src/streams/resumable-stream.js';
import { RecordingAnswer } from '../streams/recording-answer.js';

const BOTH: AcceptedTypes = { json: true, events: true };
const JSON_ONLY: AcceptedTypes = { json: true, events: false };
const EVENTS_ONLY: AcceptedTypes = { json: false, events: true };
const VERSION = { 'mcp-protocol-version': '2025-06-18' };
const RESULT = '{"jsonrpc":"2.0","id":"call","result":{"ok":true}}';
/** Longer than what is sent in one piece. */
const LONG = JSON.stringify({ jsonrpc: '2.0', id: 7, result: { text: 'x'.repeat(20_000) } });
const PROGRESS = '{"jsonrpc":"2.0","method":"notifications/progress","params":{}}';
const unavailable = () => new GatewayError('BACKEND_UNAVAILABLE', { details: { backend: 'a' } });

function make(accepts: AcceptedTypes, isPrimed = false) {
  const answer = new RecordingAnswer();
  const left: Array<() => void> = [];
  const exchange = { answer, onAbort: (listener: () => void) => void left.push(listener) } as unknown as Exchange;
  const leave = () => {
    for (const listener of left) listener();
  };
  const ends: Array<{ outcome: string; error: string | undefined }> = [];
  const open = (marks: string) => {
    const stream = new ResumableStream({
      session: 'reference',
      name: { kind: 'call', id: 'call' },
      epoch: 1,
      budget: new EventBudget(),
    });
    stream.rewind(marks);
    stream.attach({ exchange, headers: VERSION, isPrimed });
    return stream;
  };
  const opener = { open, isPrimed, marksFor: (eventId: string | undefined) => encodeMark('a', 1, eventId) };
  const call = new LegacyCallAnswer(exchange, accepts, VERSION, 'call', opener, (outcome, error) => {
    ends.push({ outcome, error: error?.code });
  });
  return { answer, call, ends, leave };
}

function expectOneAnswer({ answer, ends }: ReturnType<typeof make>, outcome: string) {
  expect(answer.beginnings).toBe(1);
  expect(answer.ends).toBe(1);
  expect(ends.map((end) => end.outcome)).toEqual([outcome]);
  if (answer.log[0] !== 'destroy') expect(answer.headers).toMatchObject(VERSION);
}

describe('a response alone', () => {
  it.each([
    ['both', BOTH],
    ['JSON only', JSON_ONLY],
  ])('is sent as JSON to a caller that accepts %s', (_name, accepts) => {
    const made = make(accepts);
    made.call.message(RESULT, true);
    expectOneAnswer(made, 'ok');
    expect(made.answer.headers['content-type']).toBe('application/json');
    expect(made.answer.text).toBe(RESULT);
  });

  it('is one event to a caller that accepts only events', () => {
    const made = make(EVENTS_ONLY);
    made.call.message(Buffer.from(RESULT), true);
    expectOneAnswer(made, 'ok');
    expect(made.answer.events).toEqual([RESULT]);
  });

  it('with isError is an outcome of its own; text about it is not', () => {
    const failed = make(BOTH);
    failed.call.message('{"jsonrpc":"2.0","id":"call","result":{"content":[],"isError":true}}', true);
    expect(failed.ends).toEqual([{ outcome: 'tool_error', error: undefined }]);
    const text = make(BOTH);
    text.call.message(`{"jsonrpc":"2.0","id":"call","result":${JSON.stringify({ text: '"isError":true' })}}`, true);
    expect(text.ends).toEqual([{ outcome: 'ok', error: undefined }]);
  });
});

describe('notifications before the response', () => {
  it.each([
    ['both', BOTH],
    ['events only', EVENTS_ONLY],
  ])('and the response are events to a caller that accepts %s', (_name, accepts) => {
    const made = make(accepts);
    made.call.message(PROGRESS, false);
    made.call.message(RESULT, true);
    expectOneAnswer(made, 'ok');
    expect(made.answer.events).toEqual([PROGRESS, RESULT]);
  });

  it('are dropped for a caller that accepts only JSON, and never make the backend wait', () => {
    const made = make(JSON_ONLY);
    made.answer.takes = false;
    expect(made.call.message(PROGRESS, false)).toBe(true);
    made.call.message(RESULT, true);
    expectOneAnswer(made, 'ok');
    expect(made.answer.text).toBe(RESULT);
  });

  it('end for a slow reader where others wait for what the call holds', () => {
    const { answer, call, ends } = make(BOTH);
    let resumed = 0;
    call.resume = () => void resumed++;
    answer.takes = false;
    call.message(PROGRESS, false);
    call.letGo();
    expect([answer.ends, resumed, ends.length]).toEqual([1, 1, 0]);
    expect(call.message(PROGRESS, false)).toBe(true);
  });

  it('make the backend wait for a slow reader, and go on when it reads', () => {
    const { answer, call } = make(BOTH);
    let resumed = 0;
    call.resume = () => void resumed++;
    answer.takes = false;
    expect(call.message(PROGRESS, false)).toBe(false);
    answer.drain();
    expect(resumed).toBe(1);
  });
});

describe('a JSON body of the backend', () => {
  it('is broken off where others wait for what it holds', () => {
    const made = make(BOTH);
    let resumed = 0;
    made.call.resume = () => void resumed++;
    made.call.bodyStart(LONG.length);
    made.answer.takes = false;
    made.call.bodyChunk(Buffer.from(LONG.slice(0, 10)));
    made.call.letGo();
    expect([made.answer.log.at(-1), resumed]).toEqual(['destroy', 1]);
  });

  it('is read on when its caller leaves, who would never drain', () => {
    const { answer, call, leave } = make(BOTH);
    let resumed = 0;
    call.resume = () => void resumed++;
    call.bodyStart(LONG.length);
    answer.takes = false;
    expect(call.bodyChunk(Buffer.from(LONG.slice(0, 10)))).toBe(false);
    leave();
    expect(resumed).toBe(1);
  });

  it.each([
    ['both', BOTH],
    ['JSON only', JSON_ONLY],
  ])('is relayed byte for byte to a caller that accepts %s', (_name, accepts) => {
    const made = make(accepts);
    made.call.bodyStart(LONG.length);
    made.call.bodyChunk(Buffer.from(LONG.slice(0, 10)));
    made.call.bodyChunk(Buffer.from(LONG.slice(10)));
    made.call.bodyEnd();
    expectOneAnswer(made, 'ok');
    expect(made.answer.text).toBe(LONG);
    expect(made.answer.log[0]).toBe('start');
    expect(made.answer.headers).toMatchObject({ 'content-type': 'application/json', 'content-length': String(LONG.length) });
  });

  it('that is small is sent in one piece', () => {
    const made = make(BOTH);
    made.call.bodyStart(RESULT.length);
    made.call.bodyChunk(Buffer.from(RESULT.slice(0, 10)));
    made.call.bodyChunk(Buffer.from(RESULT.slice(10)));
    made.call.bodyEnd();
    expectOneAnswer(made, 'ok');
    expect(made.answer.text).toBe(RESULT);
    expect(made.answer.log).toEqual(['send']);
  });

  it('that is small and breaks off is told as an error', () => {
    const made = make(BOTH);
    made.call.bodyStart(RESULT.length);
    made.call.bodyChunk(Buffer.from(RESULT.slice(0, 10)));
    made.call.fail(unavailable());
    expect(made.answer.log).toEqual(['send']);
    expect(made.ends).toEqual([{ outcome: 'BACKEND_UNAVAILABLE', error: 'BACKEND_UNAVAILABLE' }]);
  });

  it('of unknown length is sent without one', () => {
    const { answer, call } = make(BOTH);
    call.bodyStart(undefined);
    expect(answer.headers).not.toHaveProperty('content-length');
  });

  it('makes the backend wait for a slow reader', () => {
    const { answer, call } = make(BOTH);
    let resumed = 0;
    call.resume = () => void resumed++;
    call.bodyStart(undefined);
    answer.takes = false;
    expect(call.bodyChunk(Buffer.from('{'))).toBe(false);
    answer.drain();
    expect(resumed).toBe(1);
  });

  it.each([
    ['the caller accepts only events', EVENTS_ONLY, false],
    ['a stream has begun already', BOTH, true],
  ])('becomes one event when %s', (_name, accepts, notified) => {
    const made = make(accepts);
    if (notified) made.call.message(PROGRESS, false);
    made.call.bodyStart(RESULT.length);
    made.call.bodyChunk(Buffer.from(RESULT.slice(0, 10)));
    made.call.bodyChunk(Buffer.from(RESULT.slice(10)));
    made.call.bodyEnd();
    expectOneAnswer(made, 'ok');
    expect(made.answer.events.at(-1)).toBe(RESULT);
  });

  it('that breaks off breaks the answer off visibly', () => {
    const made = make(BOTH);
    made.call.bodyStart(LONG.length);
    made.call.bodyChunk(Buffer.from('{"jsonrpc"'));
    made.call.fail(unavailable());
    expect(made.answer.log).toEqual(['start', 'write', 'destroy']);
    expect(made.ends).toEqual([{ outcome: 'BACKEND_UNAVAILABLE', error: 'BACKEND_UNAVAILABLE' }]);
  });

  it('that breaks off before any of it was passed on is told as an error', () => {
    const made = make(EVENTS_ONLY);
    made.call.bodyStart(RESULT.length);
    made.call.bodyChunk(Buffer.from('{"jsonrpc"'));
    made.call.fail(unavailable());
    expectOneAnswer(made, 'BACKEND_UNAVAILABLE');
    expect(made.answer.events.map((text) => JSON.parse(text).error.code)).toEqual([-32010]);
  });
});

describe('a failure', () => {
  it.each([
    ['both', BOTH],
    ['JSON only', JSON_ONLY],
  ])('before anything was sent is JSON with the status of its code to a caller that accepts %s', (_name, accepts) => {
    const made = make(accepts);
    made.call.fail(new GatewayError('SESSION_NOT_FOUND'));
    expectOneAnswer(made, 'SESSION_NOT_FOUND');
    expect(made.answer.status).toBe(404);
    expect(JSON.parse(made.answer.text)).toMatchObject({ id: 'call', error: { code: -32001 } });
  });

  it('is an event to a caller that accepts only events', () => {
    const made = make(EVENTS_ONLY);
    made.call.fail(unavailable());
    expectOneAnswer(made, 'BACKEND_UNAVAILABLE');
    expect(JSON.parse(made.answer.events[0] as string)).toMatchObject({ id: 'call', error: { code: -32010 } });
  });

  it('after a stream has begun is its last event', () => {
    const made = make(BOTH);
    made.call.message(PROGRESS, false);
    made.call.fail(unavailable());
    expectOneAnswer(made, 'BACKEND_UNAVAILABLE');
    expect(made.answer.events).toHaveLength(2);
  });

  it('by the guard before anything was sent writes nothing: routing goes on', () => {
    const made = make(BOTH);
    made.call.fail(new GatewayError('NOT_OWNER'));
    expect(made.answer.log).toEqual([]);
    expect(made.ends).toEqual([{ outcome: 'NOT_OWNER', error: 'NOT_OWNER' }]);
  });

  it('by the guard after a stream has begun is told as an unknown outcome', () => {
    const made = make(BOTH);
    made.call.message(PROGRESS, false);
    made.call.fail(new GatewayError('NOT_OWNER'));
    expectOneAnswer(made, 'OUTCOME_UNKNOWN');
    expect(JSON.parse(made.answer.events[1] as string)).toMatchObject({ id: 'call', error: { code: -32012 } });
  });

  it('shows nothing of an error that is not ours', () => {
    const made = make(BOTH);
    made.call.fail(new Error('secret at /etc') as GatewayError);
    expectOneAnswer(made, 'INTERNAL');
    expect(made.answer.status).toBe(500);
    expect(made.answer.text).not.toContain('secret');
  });
});

it('whatever comes after the end is dropped', () => {
  const made = make(BOTH);
  made.call.message(RESULT, true);
  made.call.message(RESULT, true);
  made.call.message(PROGRESS, false);
  made.call.bodyStart(2);
  made.call.bodyChunk(Buffer.from('{}'));
  made.call.bodyEnd();
  made.call.fail(unavailable());
  made.call.keepAlive();
  expectOneAnswer(made, 'ok');
  expect(made.answer.log).toEqual(['send']);
});

describe('a call that takes long', () => {
  it('becomes a stream with comments, and its response an event', () => {
    const made = make(BOTH);
    made.call.keepAlive();
    made.call.keepAlive();
    made.call.message(RESULT, true);
    expectOneAnswer(made, 'ok');
    expect(made.answer.events).toEqual([RESULT]);
    expect(made.answer.text.match(/^:/gm)).toHaveLength(2);
  });

  it('becomes a stream as soon as the backend says that it will be long', () => {
    const made = make(BOTH);
    expect(made.call.carriesRequests).toBe(true);
    made.call.delayed(undefined);
    expect(made.answer.log[0]).toBe('start');
    made.call.message(RESULT, true);
    expectOneAnswer(made, 'ok');
    expect(made.answer.events).toEqual([RESULT]);
    expect(made.call.carriesRequests).toBe(false);
  });

  it('is polled where the backend wants that and the revision knows it', () => {
    const made = make(BOTH, true);
    made.call.delayed(undefined);
    expect(made.answer.finished).toBe(false);
    made.call.delayed(700);
    expect(made.answer.text.match(/^retry: .*/gm)?.at(-1)).toBe('retry: 700');
    expect(made.answer.finished).toBe(true);
    made.call.message(RESULT, true);
    expect(made.answer.text).not.toContain(RESULT);
    expectOneAnswer(made, 'ok');

    const older = make(BOTH, false);
    older.call.delayed(700);
    expect(older.answer.finished).toBe(false);
    older.call.message(RESULT, true);
    expect(older.answer.events).toEqual([RESULT]);
  });

  it('stays JSON for a caller that accepts nothing else', () => {
    const made = make(JSON_ONLY);
    expect(made.call.carriesRequests).toBe(false);
    made.call.delayed(undefined);
    made.call.keepAlive();
    expect(made.answer.log).toEqual([]);
  });

  it('gets no comment inside a body that is being relayed', () => {
    const made = make(BOTH);
    made.call.bodyStart(undefined);
    made.call.keepAlive();
    expect(made.answer.log).toEqual(['start']);
  });
});

it('tells its end to whoever listens, also to one who comes late', () => {
  const { call } = make(BOTH);
  const heard: string[] = [];
  call.onEnded(() => heard.push('in time'));
  call.message(RESULT, true);
  call.onEnded(() => heard.push('late'));
  expect(heard).toEqual(['in time', 'late']);
});

describe('the ids that a backend gives', () => {
  const marksIn = ({ answer }: ReturnType<typeof make>) =>
    [...answer.text.matchAll(/^id: ([^.\n]*)(\.?.*)$/gm)].map(([, , marks]) => marks);

  it('stand in those of the caller, each with its own message', () => {
    const made = make(BOTH, true);
    made.call.mark('e1');
    made.call.message(PROGRESS, false);
    made.call.mark('e2');
    made.call.message(PROGRESS, false);
    made.call.message(RESULT, true);
    // The first one is of the beginning: nothing has been passed on there.
    expect(marksIn(made)).toEqual(['', encodeMark('a', 1, 'e1'), encodeMark('a', 1, 'e2'), '']);
  });

  it('given before any message make a stream at once, where its first id can be told', () => {
    const made = make(BOTH, true);
    made.call.mark('e0', true);
    expect(marksIn(made)).toEqual([encodeMark('a', 1, 'e0')]);
    made.call.message(RESULT, true);
    expectOneAnswer(made, 'ok');
  });

  it.each([
    ['to a client of an older revision', BOTH, false, 'e0'],
    ['to a caller that takes JSON alone', JSON_ONLY, true, 'e0'],
    ['where the id cannot be carried', BOTH, true, 'e 0'],
  ] as const)('change nothing %s', (_name, accepts, isPrimed, eventId) => {
    const made = make(accepts, isPrimed);
    made.call.mark(eventId, true);
    expect(made.answer.log).toEqual([]);
    made.call.message(RESULT, true);
    expect(made.answer.text).toBe(RESULT);
  });
});
