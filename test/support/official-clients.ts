// The official TypeScript clients as their users run them, nothing configured: one contract over both, so that tests are written once.
import { Client as Client2, StreamableHTTPClientTransport as Transport2 } from '@modelcontextprotocol/client';
import { Client as Client1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as Transport1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { type Exchange, watchFetch } from './watched-fetch.js';

export interface Heard {
  readonly method: string;
  readonly params?: Record<string, unknown> | undefined;
}

export interface OfficialClient {
  /** What it sent over HTTP and what came of it. */
  readonly exchanges: readonly Exchange[];
  /** What it told its user through `onerror`. */
  readonly errors: readonly string[];
  readonly sessionId: string | undefined;
  /** @returns the first text of a tool's answer; @throws what the client throws */
  callText(name: string, args: Record<string, unknown>, onProgress?: () => void): Promise<string>;
  /** @returns the names of the tools */
  listTools(): Promise<string[]>;
  setLogLevel(): Promise<unknown>;
  subscribe(uri: string): Promise<unknown>;
  /** Without DELETE, as most hosts do. */
  close(): Promise<void>;
}

export type ConnectOfficialClient = (url: string, onHeard: (heard: Heard) => void) => Promise<OfficialClient>;

const INFO = { name: 'official-client', version: '1.0.0' };

export const OFFICIAL_CLIENTS: Record<string, ConnectOfficialClient> = {
  'SDK 1.x': async (url, onHeard) => {
    const { fetch, exchanges } = watchFetch();
    const client = new Client1(INFO);
    const transport = new Transport1(new URL(url), { fetch });
    const errors = listen(client, onHeard);
    await client.connect(transport);
    const call: Call = (params, options) => client.callTool(params, undefined, options);
    return official(client, call, transport, exchanges, errors);
  },
  'SDK 2.x': async (url, onHeard) => {
    const { fetch, exchanges } = watchFetch();
    const client = new Client2(INFO, { versionNegotiation: { mode: 'legacy' } });
    const transport = new Transport2(new URL(url), { fetch });
    const errors = listen(client, onHeard);
    await client.connect(transport);
    return official(client, (params, options) => client.callTool(params, options), transport, exchanges, errors);
  },
};

/** What both have in the same form. */
interface Common {
  onerror?: ((error: Error) => void) | undefined;
  fallbackNotificationHandler?: ((heard: never) => Promise<void>) | undefined;
  listTools(): Promise<{ tools: ReadonlyArray<{ name: string }> }>;
  setLoggingLevel(level: 'info'): Promise<unknown>;
  subscribeResource(params: { uri: string }): Promise<unknown>;
  close(): Promise<void>;
}

type Call = (
  params: { name: string; arguments: Record<string, unknown> },
  options: { onprogress: () => void } | undefined,
) => Promise<Record<string, unknown>>;

function listen(client: Common, onHeard: (heard: Heard) => void): string[] {
  const errors: string[] = [];
  client.onerror = (error) => void errors.push(String(error));
  client.fallbackNotificationHandler = async (heard: Heard) => onHeard(heard);
  return errors;
}

function official(
  client: Common,
  call: Call,
  transport: { readonly sessionId?: string | undefined },
  exchanges: readonly Exchange[],
  errors: readonly string[],
): OfficialClient {
  return {
    exchanges,
    errors,
    get sessionId() {
      return transport.sessionId;
    },
    async callText(name, args, onProgress) {
      const result = await call({ name, arguments: args }, onProgress && { onprogress: onProgress });
      const [first] = result.content as Array<{ text?: string }>;
      if (first?.text === undefined) throw new Error(`no text in ${JSON.stringify(result)}`);
      return first.text;
    },
    listTools: async () => (await client.listTools()).tools.map(({ name }) => name),
    setLogLevel: () => client.setLoggingLevel('info'),
    subscribe: (uri) => client.subscribeResource({ uri }),
    close: () => client.close(),
  };
}
