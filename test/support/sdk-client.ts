// The official SDK client, as users run it: what it takes, they take.
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { ClientCapabilities } from '@modelcontextprotocol/sdk/types.js';

export interface SdkClientOptions {
  /** What it calls itself. */
  readonly name?: string;
  readonly capabilities?: ClientCapabilities;
  /** Sets handlers before the client connects. */
  readonly prepare?: (client: Client) => void;
  readonly headers?: Record<string, string>;
  readonly fetch?: (url: string | URL, init?: RequestInit) => Promise<Response>;
}

export interface SdkClient {
  readonly client: Client;
  readonly transport: StreamableHTTPClientTransport;
  /** The gateway's session id. */
  readonly sessionId: string;
  /** Calls a tool; @returns its first text. */
  callText(name: string, args?: Record<string, unknown>): Promise<string>;
  /** DELETE, then closes. */
  end(): Promise<void>;
  /** Closes without DELETE, as most clients do. */
  close(): Promise<void>;
}

export async function connectSdkClient(url: string, options: SdkClientOptions = {}): Promise<SdkClient> {
  const client = new Client(
    { name: options.name ?? 'cluster-test', version: '1.0.0' },
    { capabilities: options.capabilities ?? {} },
  );
  options.prepare?.(client);
  const transport = new StreamableHTTPClientTransport(new URL(url), {
    ...(options.headers && { requestInit: { headers: options.headers } }),
    ...(options.fetch && { fetch: options.fetch }),
  });
  await client.connect(transport);
  return {
    client,
    transport,
    get sessionId() {
      if (transport.sessionId === undefined) throw new Error('the gateway issued no session id');
      return transport.sessionId;
    },
    async callText(name, args = {}) {
      const result = await client.callTool({ name, arguments: args });
      const [first] = result.content as Array<{ type: string; text?: string }>;
      if (first?.type !== 'text' || first.text === undefined) throw new Error(`no text in ${JSON.stringify(result)}`);
      return first.text;
    },
    async end() {
      await transport.terminateSession();
      await client.close();
    },
    close: () => client.close(),
  };
}
