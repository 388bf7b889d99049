// Every bound of the hop in one place. What a peer may send us travels in our HELLO, so the two sides need not be configured alike.

/** Protocol version in HELLO; peers of another version are not talked to (a rolling upgrade keeps the session's old owner until it drains). */
export const HOP_VERSION = 1;
/** Largest payload of one DATA frame: what a stream can put before another's frames at one time. */
export const MAX_DATA_BYTES = 64 * 1024;
/**
 * Largest HEAD: node:http accepts 16 KiB of headers, JSON escapes make at most six of one byte.
 * Anything beyond it was not made by us.
 */
export const MAX_HEAD_BYTES = 128 * 1024;
/** Credit that a stream always has, however much of the pair's bound others use: so slow streams never block the rest. */
export const FLOOR_BYTES = 32 * 1024;
/** Credit is returned in portions of this size; below FLOOR_BYTES, else unreturned portions could use up what the floor promises. */
export const RETURN_BYTES = 16 * 1024;

export interface HopLimits {
  /** Largest request body in bytes: `limits.body`, which the edge has enforced already. Default 4 MiB + 4 KiB. */
  readonly bodyBytes: number;
  /** Bytes of one stream on their way or not yet taken by its reader, each way. Default 256 KiB. */
  readonly streamBytes: number;
  /** The same for all streams of a pair of workers together, beyond FLOOR_BYTES of each. Default 32 MiB. */
  readonly pairBytes: number;
  /** Open requests on one connection. Default 16 384. */
  readonly streams: number;
  /** Request bodies larger than `streamBytes` that one listener gathers at a time, in bytes; further ones wait. Default 64 MiB. */
  readonly gatherBytes: number;
  /** Last request id of a connection; then it is replaced, so that ids never wrap. Default 2^31 - 1. */
  readonly lastId: number;
  /** Period of PING in milliseconds while requests are open; a peer silent for three periods is lost. Default 1 000. */
  readonly pingMs: number;
  /** For how long a new connection may take to say HELLO, and a closing one to end, in milliseconds. Default 5 000. */
  readonly lingerMs: number;
}

export const DEFAULT_HOP_LIMITS: HopLimits = {
  bodyBytes: 4 * 1024 * 1024 + 4096,
  streamBytes: 256 * 1024,
  pairBytes: 32 * 1024 * 1024,
  streams: 16_384,
  gatherBytes: 64 * 1024 * 1024,
  lastId: 2 ** 31 - 1,
  pingMs: 1000,
  lingerMs: 5000,
};

/** What the peer allows us to send, from its HELLO. */
export type PeerLimits = Pick<HopLimits, 'bodyBytes' | 'streamBytes' | 'pairBytes' | 'streams'>;

export function encodeHello(limits: HopLimits): string {
  const { bodyBytes, streamBytes, pairBytes, streams } = limits;
  return JSON.stringify({ version: HOP_VERSION, bodyBytes, streamBytes, pairBytes, streams });
}

/** @returns the peer's limits, or why it is not to be talked to */
export function parseHello(payload: Buffer): PeerLimits | 'hello' | 'version' {
  let hello: Record<string, unknown>;
  try {
    hello = JSON.parse(payload.toString());
  } catch {
    return 'hello';
  }
  if (typeof hello !== 'object' || hello === null) return 'hello';
  if (hello.version !== HOP_VERSION) return 'version';
  const { bodyBytes, streamBytes, pairBytes, streams } = hello;
  // Below FLOOR_BYTES a stream could not make the progress that the floor promises.
  if (!isCount(bodyBytes, 1) || !isCount(streamBytes, FLOOR_BYTES) || !isCount(pairBytes, 0) || !isCount(streams, 1))
    return 'hello';
  return { bodyBytes, streamBytes, pairBytes, streams };
}

function isCount(value: unknown, least: number): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= least && value <= 2 ** 31;
}
