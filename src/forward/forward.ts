// Contract of the hop: pass an exchange to the worker that owns its session, and tell how that ended. The frames that do it are in
// this folder; who owns what is not known here.
import type { Lease } from '../directory/directory.js';
import type { OwnerToken, SessionRef } from '../protocol/ids.js';
import type { Exchange, Hop, RequestBody } from '../streams/exchange.js';

export type ForwardOutcome =
  /** The owner's answer went to the caller, byte for byte, to its clean end (or the caller left). */
  | { readonly kind: 'answered'; readonly status: number }
  /** Our own 421: it is not the owner. `token`: what it says it holds, if anything. */
  | { readonly kind: 'notOwner'; readonly token: OwnerToken | undefined }
  /** Certainly not begun (connection refused, id beyond GOAWAY): may be tried again. */
  | { readonly kind: 'notBegun'; readonly reason: string }
  /** The hop broke after the request had left: it may have run. `answer.started` tells whether bytes already went to the caller. */
  | { readonly kind: 'broken'; readonly reason: string };

/** Why a hop broke that was cut. */
export const SESSION_ENDED = 'session_ended';

export interface Forwarder {
  /**
   * Passes the exchange on over the one kept connection to that worker. Never rejects. Aborts of the caller propagate
   * (CANCEL); the remaining deadline travels along; the body is exchange.body.bytes.
   */
  forward(exchange: Exchange, to: Lease, hop: Hop): Promise<ForwardOutcome>;
  /**
   * The session was ended in place of its owner, which is silent: hops of its clients that are open end now, as `broken` with the
   * reason SESSION_ENDED (those that still wait for a connection as `notBegun`), instead of when the silence is found out.
   */
  cut(session: SessionRef): void;
  /** Closes every connection after its open requests ended or `withinMs` went by. */
  close(withinMs: number): Promise<void>;
}

/** The owner's side: listens on the Unix socket and, if asked, on TCP with TLS-PSK. */
export interface InternalListener {
  readonly unixSocket: string;
  readonly tcp: { readonly host: string; readonly port: number } | undefined;
  /** GOAWAY on every connection: requests after the named one are refused as not begun, open ones are answered. */
  drain(): void;
  /** Ends after open requests are answered or `withinMs` went by; removes the socket file. */
  close(withinMs: number): Promise<void>;
}

/** The edge's own function: what a hop carries is read as the edge read it. */
export type ReadMessage = (bytes: Buffer, serverId: string) => RequestBody;

export type ExchangeHandler = (exchange: Exchange) => void;
