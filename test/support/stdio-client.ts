// The official SDK client behind `berth stdio`, as a desktop client runs it.
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { MAIN } from './bridge-process.js';

export interface StdioClient {
  readonly client: Client;
  /** Methods of the notifications that came. */
  readonly notifications: string[];
  /** What the SDK could not make a message of. */
  readonly errors: Error[];
  stderr(): string;
  /** Of the bridge. */
  pid(): number;
  /** @returns its first text */
  callText(name: string, args?: Record<string, unknown>): Promise<string>;
  close(): Promise<void>;
}

/** On a busy machine a pod takes most of this to start. */
const CALL_TIMEOUT_MS = 120_000;

export async function connectStdioClient(url: string, args: readonly string[] = ['--patience', '2m']): Promise<StdioClient> {
  const client = new Client({ name: 'desktop', version: '1.0.0' }, { capabilities: {} });
  const transport = new StdioClientTransport({ command: process.execPath, args: [MAIN, 'stdio', url, ...args], stderr: 'pipe' });
  const notifications: string[] = [];
  const errors: Error[] = [];
  let stderr = '';
  transport.stderr?.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  client.onerror = (error) => void errors.push(error);
  client.fallbackNotificationHandler = async ({ method }) => void notifications.push(method);
  await client.connect(transport);
  return {
    client,
    notifications,
    errors,
    stderr: () => stderr,
    pid: () => transport.pid as number,
    async callText(name, args = {}) {
      const result = await client.callTool({ name, arguments: args }, undefined, { timeout: CALL_TIMEOUT_MS });
      const [first] = result.content as Array<{ type: string; text?: string }>;
      if (first?.text === undefined) throw new Error(`no text in ${JSON.stringify(result)}`);
      return first.text;
    },
    close: () => client.close(),
  };
}
