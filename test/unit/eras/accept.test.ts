import { readAccept } from '../../../src/eras/legacy/accept.js';

const both = { json: true, events: true };
const jsonOnly = { json: true, events: false };
const eventsOnly = { json: false, events: true };

it.each([
  ['no header at all', undefined, both],
  ['what SDKs send', 'application/json, text/event-stream', both],
  ['the other order, without the blank', 'text/event-stream,application/json', both],
  ['anything', '*/*', both],
  ['anything, with a weight', '*/*;q=0.8', both],
  ['a browser', 'text/html, */*; q=0.1', both],
  ['JSON alone', 'application/json', jsonOnly],
  ['JSON in capitals with a parameter', 'Application/JSON; charset=utf-8', jsonOnly],
  ['any application type', 'application/*', jsonOnly],
  ['a stream alone', 'text/event-stream', eventsOnly],
  ['any text', 'text/*', eventsOnly],
  ['JSON and a stream that is refused', 'application/json, text/event-stream;q=0', jsonOnly],
  ['a stream and JSON that is refused', 'application/json;q=0.0, text/event-stream', eventsOnly],
  ['something refused, then anything else', 'text/html;q=0, */*', both],
])('%s', (_name, header, expected) => {
  expect(readAccept(header)).toEqual(expected);
});

it.each([
  ['something else', 'text/html'],
  ['nothing', ''],
  ['everything refused', '*/*;q=0'],
  ['a type that only begins alike', 'application/json-seq, text/event-streaming'],
])('%s cannot be served', (_name, header) => {
  expect(readAccept(header)).toBeUndefined();
});
