// Which headers go to a backend: ours, the configured ones, and those of the client's that the configuration names.
import { whyNotForwarded, whyNotSet } from '../../protocol/backend-headers.js';
import { isHeaderValue } from '../../protocol/header-value.js';
import { SESSION_HEADER, VERSION_HEADER } from '../../protocol/mcp.js';
import type { Headers } from '../../streams/exchange.js';

const NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const ACCEPT_POST = 'application/json, text/event-stream';
const ACCEPT_STREAM = 'text/event-stream';

/** What the configuration says of headers. */
export interface HeaderChoices {
  readonly headers: Headers;
  readonly forwardHeaders: readonly string[];
  /** Either makes the Authorization header ours. */
  readonly bearerFile?: string | undefined;
  readonly oauth?: object | undefined;
}

/** The headers of one configured backend. */
export class HeaderPlan {
  /** Configured ones, lower-case. */
  readonly fixed: Headers;
  /** Names that are picked from a client's headers. */
  readonly forwarded: readonly string[];

  /** @throws Error naming backend and header (never a value) if one cannot be sent */
  constructor(backend: string, config: HeaderChoices, url: URL) {
    const fixed: Record<string, string> = {};
    if (url.username !== '' || url.password !== '') {
      const user = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
      fixed.authorization = `Basic ${Buffer.from(user).toString('base64')}`;
    }
    for (const [name, value] of Object.entries(config.headers)) {
      if (!NAME.test(name) || !isHeaderValue(value))
        throw new Error(`backend ${backend}: header ${JSON.stringify(name)} cannot be sent`);
      const lower = name.toLowerCase();
      if (whyNotSet(lower) === undefined) fixed[lower] = value;
    }
    this.fixed = fixed;
    const hasCredential = config.bearerFile !== undefined || config.oauth !== undefined;
    // A configured value is the operator's: a client cannot replace it.
    this.forwarded = config.forwardHeaders
      .map((name) => name.toLowerCase())
      .filter((name) => NAME.test(name) && whyNotForwarded(name) === undefined && !(name in fixed))
      .filter((name) => !(hasCredential && name === 'authorization'));
  }

  /** Configured and forwarded headers together: what initializes a session, and later ends it. */
  withForwarded(client: Headers): Headers {
    if (this.forwarded.length === 0) return this.fixed;
    const headers: Record<string, string> = { ...this.fixed };
    for (const name of this.forwarded) {
      const value = client[name];
      // A value that undici refuses would cost the pool a connection for good: its slot is never freed.
      if (value !== undefined && isHeaderValue(value)) headers[name] = value;
    }
    return headers;
  }

  /**
   * Adds what each request has of its own to a prepared list: forwarded headers, the credential of the moment. The list itself if there
   * is nothing to add.
   */
  addForwarded(list: string[], client: Headers, credential?: string): string[] {
    if (this.forwarded.length === 0 && credential === undefined) return list;
    const whole = [...list];
    if (credential !== undefined) whole.push('authorization', credential);
    for (const name of this.forwarded) {
      const value = client[name];
      if (value !== undefined && isHeaderValue(value)) whole.push(name, value);
    }
    return whole;
  }
}

/** What a request within a backend session names; nothing at initialize. */
export interface SessionHeaders {
  readonly id?: string | undefined;
  readonly protocolVersion?: string | undefined;
  /** Of the moment; wins over what was sealed when another kind of credential was configured. */
  readonly credential?: string | undefined;
}

/** Headers of a POST as the flat list that undici takes. */
export function postHeaders(session: SessionHeaders, extra: Headers): string[] {
  return flatten(['accept', ACCEPT_POST, 'content-type', 'application/json'], session, extra);
}

/** Headers of a GET stream. */
export function streamHeaders(session: SessionHeaders, extra: Headers, lastEventId: string | undefined): string[] {
  const own = ['accept', ACCEPT_STREAM];
  if (lastEventId !== undefined && lastEventId !== '' && isHeaderValue(lastEventId)) own.push('last-event-id', lastEventId);
  return flatten(own, session, extra);
}

/** Headers of the DELETE that ends a session. */
export function endHeaders(session: SessionHeaders, extra: Headers): string[] {
  return flatten([], session, extra);
}

function flatten(list: string[], session: SessionHeaders, extra: Headers): string[] {
  if (session.id !== undefined) list.push(SESSION_HEADER, session.id);
  if (session.protocolVersion !== undefined) list.push(VERSION_HEADER, session.protocolVersion);
  if (session.credential !== undefined) list.push('authorization', session.credential);
  for (const [name, value] of Object.entries(extra)) {
    if (session.credential === undefined || name !== 'authorization') list.push(name, value);
  }
  return list;
}

/** Visible ASCII, as the protocol asks, and short enough to be a header. */
export function isIssuedId(value: unknown): value is string {
  return typeof value === 'string' && value.length <= 4096 && /^[\x21-\x7e]+$/.test(value);
}
