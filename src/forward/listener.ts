// The owner's side of the hop: listens on the worker's Unix socket and, where Redis is shared, on TCP with TLS-PSK.
// Whoever has not the key runs nothing here and is counted; the Unix socket is protected by its directory (0700, the caller's).
import { type AddressInfo, createServer as createPlainServer, type ListenOptions, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { EXIT, StartError } from '../errors/start-error.js';
import type { Clock } from '../lifecycle/clock.js';
import { PauseWatch } from '../lifecycle/pause-watch.js';
import type { Keyring } from '../secrets/keyring.js';
import { HopConnection } from './connection.js';
import type { ExchangeHandler, InternalListener, ReadMessage } from './forward.js';
import { Gathering } from './gathering.js';
import { IncomingRequest } from './incoming-request.js';
import { DEFAULT_HOP_LIMITS, type HopLimits } from './limits.js';
import { pskServerOptions } from './psk.js';

/** Connections per server: a bound against tcpSockets on the TCP port, far above what a cluster needs. */
const MAX_CONNECTIONS = 1024;

export interface InternalListenOptions {
  /** One path per incarnation, in a directory that only we may enter. */
  readonly unixSocket: string;
  /** `ports`: the first free one is taken; 0 is any. */
  readonly tcp?: { readonly host: string; readonly ports: readonly number[] };
  readonly keyring: Keyring;
  readonly handler: ExchangeHandler;
  readonly readMessage: ReadMessage;
  readonly clock: Clock;
  /** Counts what was not let in or not understood; `reason` comes from a closed list. */
  readonly onRefused: (reason: string) => void;
  /** A handler threw instead of answering. */
  readonly onHandlerError?: (error: unknown) => void;
  readonly limits?: Partial<HopLimits>;
}

/** @throws StartError (69) when the socket, or each of the ports, is in use */
export async function listenInternally(options: InternalListenOptions): Promise<InternalListener> {
  const { clock, onRefused, handler, readMessage, keyring, unixSocket } = options;
  const limits: HopLimits = { ...DEFAULT_HOP_LIMITS, ...options.limits };
  const gathering = new Gathering(limits.gatherBytes);
  const connections = new Set<HopConnection>();
  /** TCP sockets, also those whose handshake is not done: `close` must leave none behind. */
  const tcpSockets = new Set<Socket>();
  let draining = false;
  let onEmpty: (() => void) | undefined;
  let pauses: PauseWatch | undefined;

  /**
   * A greeting that was cut off or came too late, unless that was our own doing. Race: who was being greeted when we were stopped, or
   * was accepted by our kernel alone, gave up meanwhile; by our clock it was silent, and a worker would pass for an attacker.
   */
  const onUngreeted = (reason: string) => {
    // A greeting may take `lingerMs`; half as much again for what the kernel had accepted and we read only after the pause.
    if (!pauses?.pausedSince(clock.monotonicMs() - 1.5 * limits.lingerMs)) onRefused(reason);
  };

  const accept = (socket: Socket) => {
    // Once a connection: spread anew for each request, this cost more than to read its head.
    const reading = { ...incoming, openStreams: () => connection.openStreams };
    const connection: HopConnection = new HopConnection(socket, {
      side: 'accepting',
      limits,
      clock,
      events: {
        onOpen: () => {},
        onRequest: (stream) => new IncomingRequest(stream, reading),
        onGoAway: () => {},
        onIdle: () => {},
        onClose: ({ kind, reason }) => {
          connections.delete(connection);
          if (kind === 'fault') onRefused(reason);
          else if (reason === 'hello_timeout') onUngreeted(reason);
          if (connections.size === 0) onEmpty?.();
        },
      },
    });
    connections.add(connection);
    // Race: accepted by the kernel before the drain, by us after it.
    if (draining) connection.goAway();
  };
  const incoming = {
    clock,
    limits,
    gathering,
    handler,
    readMessage,
    onRefused,
    onHandlerError: (e: unknown) => options.onHandlerError?.(e),
  };

  const servers: Server[] = [];
  const plain = createPlainServer({ allowHalfOpen: true }, accept);
  await listen(plain, [{ path: unixSocket }], 'the internal socket');
  servers.push(plain);
  let tcp: InternalListener['tcp'];
  if (options.tcp) {
    const { host, ports } = options.tcp;
    const server = createTlsServer({ ...pskServerOptions(keyring, limits.lingerMs), allowHalfOpen: true }, accept);
    server.on('tlsClientError', (error: NodeJS.ErrnoException, socket) => {
      const reason = handshakeReason(error.code);
      // A wrong key is told by what the stranger sent, whatever the time.
      if (reason === 'handshake_timeout' || reason === 'handshake_reset') onUngreeted(reason);
      else onRefused(reason);
      // Node leaves a socket open whose handshake timed out, for good.
      socket.destroy();
    });
    server.on('connection', (socket: Socket) => {
      tcpSockets.add(socket);
      socket.once('close', () => tcpSockets.delete(socket));
    });
    try {
      await listen(
        server,
        ports.map((port) => ({ host, port })),
        `internal.port (${ports.join(', ')} on ${host})`,
      );
    } catch (error) {
      plain.close();
      throw error;
    }
    servers.push(server);
    tcp = { host, port: (server.address() as AddressInfo).port };
  }
  pauses = new PauseWatch(clock, limits.lingerMs / 2);
  for (const server of servers) {
    server.maxConnections = MAX_CONNECTIONS;
    server.on('drop', () => onRefused('too_many_connections'));
    // After listening an error concerns one accept (no descriptors left): the next may work, and the probe finds out if not.
    server.on('error', () => onRefused('accept_failed'));
  }

  const drain = () => {
    if (draining) return;
    draining = true;
    // Nobody new: a refused connection is as good as GOAWAY, both say "not begun". Closing also removes the socket file.
    for (const server of servers) server.close();
    for (const connection of connections) connection.goAway();
  };

  return {
    unixSocket,
    tcp,
    drain,
    async close(withinMs) {
      drain();
      if (connections.size > 0) {
        await new Promise<void>((resolve) => {
          const timer = clock.after(withinMs, resolve);
          onEmpty = () => {
            timer.cancel();
            resolve();
          };
        });
      }
      for (const connection of [...connections]) connection.close({ kind: 'closed', reason: 'closing' });
      for (const socket of tcpSockets) socket.destroy();
      pauses?.stop();
    },
  };
}

/** `exclusive`: node:cluster would share the port, also port 0 and the path, with every other worker. */
async function listen(server: Server, addresses: readonly ListenOptions[], what: string): Promise<void> {
  let failure: NodeJS.ErrnoException | undefined;
  for (const address of addresses) {
    failure = await new Promise((resolve) => {
      server.once('error', resolve);
      server.listen({ ...address, exclusive: true }, () => {
        server.off('error', resolve);
        resolve(undefined);
      });
    });
    if (!failure) return;
    server.removeAllListeners('listening');
    if (failure.code !== 'EADDRINUSE') break;
  }
  throw new StartError(EXIT.unavailable, `${what} cannot be listened on: ${failure?.code ?? 'no port given'}`, {
    cause: failure,
  });
}

/** Codes are OpenSSL's; anything unknown is one reason, so that the label stays bounded. */
function handshakeReason(code: string | undefined): string {
  if (code === 'ECONNRESET') return 'handshake_reset';
  if (code === 'ERR_TLS_HANDSHAKE_TIMEOUT') return 'handshake_timeout';
  if (code?.includes('PSK') || code?.includes('BAD_RECORD_MAC') || code?.includes('DECRYPTION_FAILED')) return 'handshake_key';
  return 'handshake_failed';
}
