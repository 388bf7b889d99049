// Answers that are decoded on the way: what goes wrong while they are handled happens in an event of the decoder's, where nobody
// catches.
import { gzipSync } from 'node:zlib';
import { waitFor } from '../../support/wait-for.js';
import type { Handler, StrictBackend } from '../../support/strict-backend.js';
import { useBackends } from './fixture.js';
import { callTool } from './harness.js';

const { open } = useBackends();
const changed = { jsonrpc: '2.0', method: 'notifications/tools/list_changed' };

const gzipped =
  (status: number, type: string, body: string | Buffer): Handler =>
  (_request, response) =>
    void response.writeHead(status, { 'content-type': type, 'content-encoding': 'gzip' }).end(gzipSync(body));

/** Whether what the backend says on the stream that was opened next arrives. */
async function hearsAgain({ strict, host }: { strict: StrictBackend; host: { notifications: string[] } }): Promise<void> {
  await waitFor('the next stream', () => strict.streams.size === 1, 15_000);
  strict.streams.push(changed);
  await waitFor('the notification', () => host.notifications.length === 1);
}

test('a stream with an event beyond the limit ends, with a line in the log, and is opened anew', async () => {
  const logged: object[] = [];
  const { strict, session, host } = await open({}, {}, { logged });
  strict.once('GET', gzipped(200, 'text/event-stream', Buffer.concat([Buffer.from('data: '), Buffer.alloc(17 * 2 ** 20, 97)])));
  await callTool(session, 'echo');
  session.setListening(true);
  await hearsAgain({ strict, host });
  expect(logged).toContainEqual(expect.objectContaining({ backend: 'b', reason: 'event_too_large' }));
});

test('whatever else is thrown over an event ends that stream alone', async () => {
  const { strict, session, host } = await open();
  const hear = host.onNotification.bind(host);
  host.onNotification = () => {
    host.onNotification = hear;
    throw new RangeError('of the reader');
  };
  strict.once('GET', gzipped(200, 'text/event-stream', `data: ${JSON.stringify(changed)}\n\n`));
  await callTool(session, 'echo');
  session.setListening(true);
  await hearsAgain({ strict, host });
});

test('an error with data nested too deeply to be written reaches the caller without the data', async () => {
  const { strict, session } = await open();
  await callTool(session, 'echo');
  const deep = `${'['.repeat(200_000)}${']'.repeat(200_000)}`;
  strict.once(
    'tools/call',
    gzipped(500, 'application/json', `{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"no","data":${deep}}}`),
  );
  expect((await callTool(session, 'echo', {}, { id: 9 })).response).toEqual({
    jsonrpc: '2.0',
    id: 9,
    error: { code: 1, message: 'no' },
  });
  expect((await callTool(session, 'echo', { text: 'x' })).text).toContain('x');
});
