// The public listener of a worker on a real port, with an execution that answers at once and remembers what it was given.
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Authenticate } from '../../../src/auth/principals.js';
import { BodyRoom } from '../../../src/edge/body-room.js';
import { Connections } from '../../../src/edge/connections.js';
import { makeHostGuard } from '../../../src/edge/host-guard.js';
import { McpEndpoint } from '../../../src/edge/mcp-endpoint.js';
import { makePublicServer } from '../../../src/edge/public-server.js';
import { UnreadBytes, type UnreadBytesOptions } from '../../../src/edge/unread-bytes.js';
import { GatewayError } from '../../../src/errors/gateway-error.js';
import { systemClock } from '../../../src/lifecycle/clock.js';
import { digestOf } from '../../../src/protocol/ids.js';
import type { Exchange } from '../../../src/streams/exchange.js';

export const BODY_LIMIT = 64 * 1024;

export interface EdgeOptions {
  /** Default: everybody is anonymous unless the edge is `locked`. */
  readonly authenticate?: Authenticate;
  /** What backends want besides the usual. */
  readonly forwardHeaders?: readonly string[];
  readonly unread?: Partial<UnreadBytesOptions>;
  /** Default BODY_LIMIT. */
  readonly bodyBytes?: number;
  /** What all large bodies together may hold. */
  readonly roomBytes?: number;
  readonly maxConnections?: number;
}

export class Edge {
  readonly seen: Exchange[] = [];
  readonly refused: string[] = [];
  /** Why connections were closed whose clients did not read. */
  readonly cut: string[] = [];
  readonly guard = makeHostGuard({ hosts: ['gateway.test'], origins: ['https://app.test'] }, '127.0.0.1:0');
  draining = false;
  locked = false;
  execute: (exchange: Exchange) => Promise<void> = async ({ answer }) =>
    answer.send(200, { 'content-type': 'application/json' }, '{"ok":true}');
  readonly endpoint: McpEndpoint;
  readonly #server: Server;

  readonly bodyRoom: BodyRoom;

  constructor(options: EdgeOptions = {}) {
    const { authenticate, forwardHeaders = [], unread, bodyBytes = BODY_LIMIT, maxConnections = 1000 } = options;
    const connections = new Connections(
      () => maxConnections,
      () => this.cut.push('excess'),
    );
    this.bodyRoom = new BodyRoom(bodyBytes, options.roomBytes);
    this.endpoint = new McpEndpoint({
      hostGuard: this.guard,
      hasServer: (id) => id === '' || id === 'support',
      authenticate:
        authenticate ??
        (() => {
          if (this.locked) throw new GatewayError('UNAUTHENTICATED');
          return { principal: { name: 'anonymous', digest: digestOf('anonymous') }, consumed: [] };
        }),
      forwardHeaders: new Set(['x-tenant', 'x-berth-owner', 'x-forwarded-internally', ...forwardHeaders]),
      limits: { bodyBytes, requestTimeoutMs: 300_000 },
      bodyRoom: this.bodyRoom,
      connections,
      clock: systemClock,
      execute: (exchange) => {
        this.seen.push(exchange);
        return this.execute(exchange);
      },
      isDraining: () => this.draining,
      onRefused: (error) => this.refused.push(error.code),
    });
    this.#server = makePublicServer({
      endpoint: this.endpoint,
      hostGuard: this.guard,
      endpointPaths: () => ['/mcp', '/servers/support/mcp'],
      isReady: () => ({ ready: !this.draining, reasons: this.draining ? ['draining'] : [] }),
      keepAliveTimeoutMs: 5000,
      connections,
      unreadBytes: new UnreadBytes({
        clock: systemClock,
        maxStallMs: () => 60_000,
        onCut: (reason) => this.cut.push(reason),
        ...unread,
      }),
    });
  }

  async start(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return this;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get origin(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  openConnections(): Promise<number> {
    return new Promise((resolve, reject) =>
      this.#server.getConnections((error, count) => (error ? reject(error) : resolve(count))),
    );
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}
