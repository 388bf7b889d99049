// A backend that opens and fails at its list alone: nothing else is wrong with it, so no probe looks after it. Clients that listen are told
// when its tools are there, on every worker, although nobody lists or calls.
import { ToolListChangedNotificationSchema } from '@modelcontextprotocol/sdk/types.js';
import { type Pod, startPod } from '../support/pod.js';
import { untilAllWork } from '../support/reload.js';
import { connectSdkClient, type SdkClient } from '../support/sdk-client.js';
import { StrictBackend } from '../support/strict-backend.js';
import { waitFor } from '../support/wait-for.js';

jest.setTimeout(180_000);

const CLIENTS = 4;
const heard = Array.from({ length: CLIENTS }, () => 0);
const sessions: SdkClient[] = [];
let good: StrictBackend;
let listless: StrictBackend;
let pod: Pod;

beforeAll(async () => {
  good = await StrictBackend.start({ tools: [{ name: 'echo', inputSchema: { type: 'object' } }] });
  listless = await StrictBackend.start({ tools: [{ name: 'count', inputSchema: { type: 'object' } }] });
  pod = await startPod({
    config: { mcpServers: { good: { type: 'http', url: good.url }, listless: { type: 'http', url: listless.url } } },
  });
  await untilAllWork(pod);
});
afterAll(async () => {
  for (const session of sessions) await session.close();
  await pod?.dispose();
  await good?.close();
  await listless?.close();
});

const listTools = async ({ client }: SdkClient) => (await client.listTools()).tools.map(({ name }) => name);

test('its tools come to whoever listens, and a page that lacked them is not the last word', async () => {
  listless.always('tools/list', (_request, response) => void response.writeHead(500).end());
  for (let i = 0; i < CLIENTS; i++) {
    const session = await connectSdkClient(pod.url('/mcp'), {
      prepare(client) {
        client.setNotificationHandler(ToolListChangedNotificationSchema, () => {
          heard[i] = (heard[i] as number) + 1;
        });
      },
    });
    sessions.push(session);
    expect(await listTools(session)).toEqual(['echo']);
  }
  const before = [...heard];
  listless.always('tools/list', undefined);
  for (const [i, session] of sessions.entries()) {
    await waitFor(`client ${i} to be told`, () => (heard[i] as number) > (before[i] as number), 60_000);
    expect(await listTools(session)).toEqual(['echo', 'count']);
  }
});
