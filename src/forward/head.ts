// What a HEAD says, as compact JSON. Everything internal (principal, owner, epoch, deadline) has a field of its own and is never read
// from the headers, so that no header of a client can reach it; `x-forwarded-internally: true` marks the hop and is demanded.
import { type Epoch, isSessionRef, type OwnerToken, type WorkerId } from '../protocol/ids.js';
import { isObject } from '../protocol/json-rpc.js';
import { FORWARDED_HEADER, INTERNAL_HEADER_PREFIX, LAST_EVENT_ID_HEADER } from '../protocol/mcp.js';
import { END_CAUSES, type EndCause, type Exchange, type Headers, type Hop, type Principal } from '../streams/exchange.js';
import { MAX_HEAD_BYTES } from './limits.js';

export interface RequestHead {
  readonly method: Exchange['method'];
  readonly serverId: string;
  /** Without internal ones. */
  readonly headers: Headers;
  readonly principal: Principal;
  /** Milliseconds until the answer is due; Infinity where nothing is. */
  readonly leftMs: number;
  readonly bodyBytes: number;
  /** See Exchange. */
  readonly isReattached: boolean;
  readonly hop: Hop;
}

export interface AnswerHead {
  readonly status: number;
  readonly headers: Headers;
  /** Length of the body, where the whole answer was known at once. */
  readonly wholeBytes: number | undefined;
}

/** Whether the peer would have to close the connection over it. A UTF-16 unit is at most three bytes: short texts need no counting. */
export function isHeadTooLong(json: string): boolean {
  return json.length > MAX_HEAD_BYTES / 3 && Buffer.byteLength(json) > MAX_HEAD_BYTES;
}

const SERVER_ID = /^(?:[A-Za-z0-9][A-Za-z0-9_-]{0,31})?$/;

function isInternal(name: string): boolean {
  return name === FORWARDED_HEADER || name.startsWith(INTERNAL_HEADER_PREFIX);
}

/** The headers without those that only the gateway itself may say. */
export function withoutInternal(headers: Headers): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const name in headers) {
    if (!isInternal(name)) kept[name] = headers[name] as string;
  }
  return kept;
}

export function encodeRequestHead(exchange: Exchange, hop: Hop, nowMs: number): string {
  const headers = withoutInternal(exchange.headers);
  headers[FORWARDED_HEADER] = 'true';
  if (exchange.resumeAfter !== undefined) headers[LAST_EVENT_ID_HEADER] = exchange.resumeAfter;
  const left = exchange.deadlineMs - nowMs;
  return JSON.stringify({
    m: exchange.method,
    s: exchange.serverId,
    p: exchange.principal.name,
    g: exchange.principal.digest,
    // JSON has no Infinity: null stands for it.
    d: left > 0 ? Math.round(left) : 0,
    b: exchange.body ? exchange.body.bytes.length : 0,
    a: exchange.isReattached || undefined,
    o: hop.kind === 'named' ? hop.token.owner : undefined,
    e: hop.kind === 'named' ? hop.token.epoch : undefined,
    r: hop.kind === 'end' ? hop.ref : undefined,
    c: hop.kind === 'end' ? hop.cause : undefined,
    q: hop.kind === 'status' ? hop.version : undefined,
    h: headers,
  });
}

/** @returns undefined for anything that `encodeRequestHead` cannot have made */
export function parseRequestHead(payload: Buffer): RequestHead | undefined {
  const head = parseObject(payload);
  if (!head || !isObject(head.h)) return undefined;
  const { m: method, s: serverId, p: name, g: digest, b: bodyBytes } = head;
  if (method !== 'POST' && method !== 'GET' && method !== 'DELETE') return undefined;
  if (typeof serverId !== 'string' || !SERVER_ID.test(serverId)) return undefined;
  if (typeof name !== 'string' || typeof digest !== 'string' || name === '' || digest === '') return undefined;
  if (!isCount(bodyBytes) || bodyBytes > 0 !== (method === 'POST')) return undefined;
  const leftMs = head.d === null ? Number.POSITIVE_INFINITY : head.d;
  if (typeof leftMs !== 'number' || leftMs < 0) return undefined;
  const hop = parseHop(head);
  if (!hop || (hop.kind === 'end' && method !== 'DELETE') || (hop.kind === 'status' && method !== 'GET')) return undefined;
  if (head.h[FORWARDED_HEADER] !== 'true') return undefined;
  const headers = readHeaders(head.h);
  const isReattached = head.a === true;
  return headers && { method, serverId, headers, principal: { name, digest }, leftMs, bodyBytes, isReattached, hop };
}

function parseHop({ o: owner, e: epoch, r: ref, c: cause, q: version }: Record<string, unknown>): Hop | undefined {
  if (version !== undefined) {
    if (!isCount(version) || [owner, epoch, ref, cause].some((other) => other !== undefined)) return undefined;
    return { kind: 'status', version };
  }
  if (ref !== undefined || cause !== undefined) {
    if (owner !== undefined || epoch !== undefined || !isSessionRef(ref) || !END_CAUSES.includes(cause as EndCause))
      return undefined;
    return { kind: 'end', ref, cause: cause as EndCause };
  }
  if (owner === undefined && epoch === undefined) return { kind: 'take' };
  if (typeof owner !== 'string' || !isCount(epoch)) return undefined;
  return { kind: 'named', token: { owner: owner as WorkerId, epoch: epoch as Epoch } };
}

export function encodeAnswerHead(status: number, headers: Headers, wholeBytes: number | undefined): string {
  return JSON.stringify({ s: status, w: wholeBytes, h: headers });
}

export function parseAnswerHead(payload: Buffer): AnswerHead | undefined {
  const head = parseObject(payload);
  if (!head || !isObject(head.h)) return undefined;
  const { s: status, w: wholeBytes } = head;
  if (!isCount(status) || status < 200 || status > 599) return undefined;
  if (wholeBytes !== undefined && !isCount(wholeBytes)) return undefined;
  for (const name in head.h) {
    if (typeof head.h[name] !== 'string') return undefined;
  }
  return { status, headers: head.h as Record<string, string>, wholeBytes };
}

/** Value of REFUSED_HEADER. @returns undefined for `-` and for anything unreadable */
export function parseRefusedToken(text: string): OwnerToken | undefined {
  const space = text.lastIndexOf(' ');
  if (space < 1) return undefined;
  const epoch = Number(text.slice(space + 1));
  return isCount(epoch) ? { owner: text.slice(0, space) as WorkerId, epoch: epoch as Epoch } : undefined;
}

function readHeaders(raw: Record<string, unknown>): Record<string, string> | undefined {
  const headers: Record<string, string> = {};
  for (const name in raw) {
    const value = raw[name];
    if (typeof value !== 'string' || name !== name.toLowerCase()) return undefined;
    if (!isInternal(name)) headers[name] = value;
  }
  return headers;
}

function parseObject(payload: Buffer): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(payload.toString());
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
