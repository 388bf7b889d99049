// Progress that a backend tells outside its call's own stream.
import type { CallerAnswer, Session } from '../../../src/sessions/session.js';
import { noteNotification } from '../../../src/sessions/note-notification.js';
import type { SessionCatalogs } from '../../../src/sessions/session-catalogs.js';
import { Bag } from '../../../src/lifecycle/bag.js';

const progress = (progressToken: unknown) =>
  JSON.stringify({ jsonrpc: '2.0', method: 'notifications/progress', params: { progressToken, progress: 1 } });

function make() {
  const told: string[] = [];
  const heard: string[] = [];
  const calls = new Bag<object>('test');
  const answer = (carriesRequests: boolean): CallerAnswer => ({
    carriesRequests,
    message: (json) => heard.push(json.toString()) > 0,
    fail: () => undefined,
    cancel: () => true,
  });
  const call = (backend: string, progressToken: unknown, carries = true) =>
    calls.add({ id: 1, backend, progressToken, running: undefined, answer: answer(carries) });
  const session = { calls, streams: { tell: (json: string) => told.push(json) } } as unknown as Session;
  const catalogs = { noteChanged: () => false } as unknown as SessionCatalogs;
  return { call, told, heard, note: (json: string) => noteNotification(session, 'b', json, catalogs, 0) };
}

test('it goes to the running call of that backend that gave the token, of the same type', () => {
  const { call, told, heard, note } = make();
  call('other', 1);
  call('b', '1');
  note(progress(1));
  expect(heard).toEqual([]);
  call('b', 1);
  note(progress(1));
  expect(heard).toEqual([progress(1)]);
  expect(told).toEqual([]);
});

test('of nobody, of a call that has its answer, or whose caller takes no stream, it goes nowhere', () => {
  const { call, told, heard, note } = make();
  call('b', undefined);
  call('b', 'json', false);
  for (const token of [undefined, null, 'gone', 'json']) note(progress(token));
  expect([told, heard]).toEqual([[], []]);
});

test('text that talks of progress is told as it is', () => {
  const { told, note } = make();
  const log = '{"jsonrpc":"2.0","method":"notifications/message","params":{"data":"notifications/progress"}}';
  note(log);
  expect(told).toEqual([log]);
});
