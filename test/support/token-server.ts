// A real OAuth token endpoint (client credentials) that counts its grants and can be told to misbehave.
import { randomBytes } from 'node:crypto';
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Endpoint } from './processes.js';

export interface TokenRequest {
  readonly headers: IncomingHttpHeaders;
  readonly form: Readonly<Record<string, string>>;
}

/** How the next requests are answered. `hang`: not at all. */
export type Mode =
  | { readonly kind: 'grant' }
  | { readonly kind: 'status'; readonly status: number; readonly body?: string; readonly headers?: Record<string, string> }
  | { readonly kind: 'hang' };

export interface TokenServer {
  readonly url: string;
  readonly requests: readonly TokenRequest[];
  /** Tokens given out, in order. */
  readonly granted: readonly string[];
  mode: Mode;
  /** Of tokens granted from now on, in seconds; undefined: it does not say. */
  lifeSeconds: number | string | undefined;
  /** Of the next tokens, one each, before `lifeSeconds` counts. */
  readonly nextLives: number[];
  readonly clientSecret: string;
  /** False: `invalid_client`. Default: all are accepted. */
  accepts: (form: Readonly<Record<string, string>>) => boolean;
  /** Whether this Authorization header carries a token that is good now. */
  isGood(authorization: string | undefined): boolean;
  /** As if taken back. */
  revoke(): void;
  /** Of requests that were answered not at all. */
  readonly hanging: ReadonlyArray<{ readonly peer: Endpoint; readonly self: Endpoint }>;
  close(): Promise<void>;
}

export async function startTokenServer(lifeSeconds: number | undefined = 600): Promise<TokenServer> {
  const requests: TokenRequest[] = [];
  const granted: string[] = [];
  const good = new Map<string, number>();
  const hanging: Array<{ peer: Endpoint; self: Endpoint }> = [];
  const sockets = new Set<Socket>();

  const answer = (response: ServerResponse, form: Readonly<Record<string, string>>): void => {
    const { mode } = made;
    if (!made.accepts(form)) {
      response.writeHead(401, { 'content-type': 'application/json' }).end('{"error":"invalid_client"}');
      return;
    }
    if (mode.kind === 'hang') {
      const { remoteAddress, remotePort, localAddress, localPort } = response.req.socket;
      const peer = { address: remoteAddress ?? '', port: remotePort ?? 0 };
      hanging.push({ peer, self: { address: localAddress ?? '', port: localPort ?? 0 } });
      return;
    }
    if (mode.kind === 'status') {
      response.writeHead(mode.status, { 'content-type': 'application/json', ...mode.headers }).end(mode.body ?? '{}');
      return;
    }
    const token = `TOK-${granted.length + 1}-${randomBytes(24).toString('base64url')}`;
    granted.push(token);
    const seconds = made.nextLives.shift() ?? made.lifeSeconds;
    good.set(token, performance.now() + Number(seconds ?? 600) * 1000);
    const body = { access_token: token, token_type: 'Bearer', ...(seconds === undefined ? {} : { expires_in: seconds }) };
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  };

  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const form = Object.fromEntries(new URLSearchParams(Buffer.concat(chunks).toString()));
      requests.push({ headers: request.headers, form });
      answer(response, form);
    });
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));

  const made: TokenServer = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/token`,
    requests,
    granted,
    mode: { kind: 'grant' },
    lifeSeconds,
    nextLives: [],
    accepts: () => true,
    clientSecret: `SECRET-${randomBytes(12).toString('hex')}`,
    isGood: (authorization) => (good.get(authorization?.replace(/^Bearer /, '') ?? '') ?? 0) > performance.now(),
    revoke: () => good.clear(),
    hanging,
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
  return made;
}
