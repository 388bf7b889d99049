// A filter that a reload changes hides tools and shows them again in sessions that live on; a file that is not whole changes nothing.
import { readFileSync } from 'node:fs';
import { ToolListChangedNotificationSchema } from '@modelcontextprotocol/sdk/types.js';
import { type Pod, startPod, tail } from '../support/pod.js';
import { type RecordingBackend, startRecordingBackend } from '../support/recording-backend.js';
import { fileOf, reload, untilAllWork, untilReload, writeText } from '../support/reload.js';
import { connectSdkClient, type SdkClient } from '../support/sdk-client.js';
import { waitFor } from '../support/wait-for.js';

jest.setTimeout(180_000);

let backend: RecordingBackend;
let pod: Pod;
let session: SdkClient;
let told = 0;

beforeAll(async () => {
  backend = await startRecordingBackend();
  pod = await startPod({
    config: {
      mcpServers: { one: { type: 'http', url: backend.url } },
      servers: { support: { backends: ['one'], prefix: 'always' } },
    },
  });
  await untilAllWork(pod);
  session = await connectSdkClient(pod.url('/servers/support/mcp'), {
    prepare(client) {
      client.setNotificationHandler(ToolListChangedNotificationSchema, () => {
        told += 1;
      });
    },
  });
  await waitFor('the stream of the client to open', async () => {
    const metrics = await (await fetch(pod.adminUrl('/metrics'))).text();
    return /^berth_streams\{.*\} 1$/m.test(metrics);
  });
});
afterAll(async () => {
  await session?.close();
  await pod?.dispose();
  await backend?.close();
});

const listTools = async () => (await session.client.listTools()).tools.map(({ name }) => name);

/** Applies the filter and waits until the client has heard of it. @returns what it is shown then */
async function filter(exclude: string[]): Promise<string[]> {
  const before = told;
  await reload(pod, (config) => {
    config.servers = { support: { backends: ['one'], prefix: 'always', tools: { exclude } } };
  });
  await waitFor(
    () => `the client to hear of changed tools:\n${tail(pod, 30)}`,
    () => told > before,
  );
  return listTools();
}

test('a filter that changes hides tools and shows them again; a file cut in the middle, or emptied, changes nothing', async () => {
  expect(await listTools()).toContain('one__echo');
  // Another server's exclusion than its backend's name for the tool: it hides nothing, and that is told.
  expect(await filter(['two__echo'])).toContain('one__echo');
  await waitFor('the pattern that matches nothing to be told', () =>
    pod.logs().some(({ msg }) => msg === 'tools.exclude: "two__echo" matches no tool; did you mean "one__echo"?'),
  );
  expect(await filter(['one__echo'])).not.toContain('one__echo');
  await expect(session.callText('one__echo', { nonce: 'hidden' })).rejects.toMatchObject({ code: -32602 });
  expect(backend.calls.map(({ nonce }) => nonce)).not.toContain('hidden');

  const good = readFileSync(fileOf(pod), 'utf8');
  for (const [text, says] of [
    [good.slice(0, good.length / 2), /line \d+, column \d+/],
    ['', /./],
    ['{}', /empty/],
  ] as const) {
    const line = await untilReload(pod, 'refused', () => {
      writeText(pod, text);
      pod.signal('SIGHUP');
    });
    expect([line.level, line.reason]).toEqual(['error', expect.stringMatching(says)]);
    expect(await listTools()).not.toContain('one__echo');
  }
  writeText(pod, good);
  expect(await filter([])).toContain('one__echo');
  expect(await session.callText('one__echo', { nonce: 'shown', text: 'x' })).toBe('shown:x');
});
