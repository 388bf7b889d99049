// The bytes of an event stream: what browsers and SDKs read.
import { startEventStream, writeComment, writeEvent } from '../../../src/streams/event-stream.js';
import { RecordingAnswer } from './recording-answer.js';

it('begins with a retry hint that makes two attempts outlast a lease, and headers that no proxy buffers', () => {
  const answer = new RecordingAnswer();
  startEventStream(answer, { 'mcp-protocol-version': '2025-06-18' });
  const [, retry] = /^retry: (\d+)\n\n$/.exec(answer.text) ?? [];
  expect(Number(retry)).toBeGreaterThanOrEqual(4000);
  expect(Number(retry)).toBeLessThan(5000);
  expect(answer.status).toBe(200);
  expect(answer.headers).toEqual({
    'content-type': 'text/event-stream',
    'cache-control': 'no-cache, no-transform',
    'x-accel-buffering': 'no',
    'mcp-protocol-version': '2025-06-18',
  });
});

it('is begun once, also by a second owner', () => {
  const answer = new RecordingAnswer();
  startEventStream(answer, {});
  startEventStream(answer, {});
  expect(answer.log).toEqual(['start', 'write']);
});

it('writes text and bytes alike, and line breaks as lines of one event', () => {
  const pretty = '{\r\n  "a": "ö"\n}';
  for (const json of [pretty, Buffer.from(pretty)]) {
    const answer = new RecordingAnswer();
    expect(writeEvent(answer, json)).toBe(true);
    expect(answer.text).toBe('data: {\ndata:   "a": "ö"\ndata: }\n\n');
    expect(JSON.parse(answer.events[0] as string)).toEqual({ a: 'ö' });
  }
});

it('comments are no events', () => {
  const answer = new RecordingAnswer();
  writeComment(answer);
  expect(answer.text).toMatch(/^:.*\n\n$/);
  expect(answer.events).toEqual([]);
});

it('a slow reader is told to whoever writes', () => {
  const answer = new RecordingAnswer();
  answer.takes = false;
  expect(writeEvent(answer, '{}')).toBe(false);
  expect(writeComment(answer)).toBe(false);
});
