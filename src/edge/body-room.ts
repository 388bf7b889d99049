// Large bodies of requests that are being read or under way: each one may be as large as limits.body, and there may be many. Small ones are
// not counted: the bounds of connections and of requests bound them.
import { GatewayError } from '../errors/gateway-error.js';

const MAX_BYTES = 256 * 1024 * 1024;
export const SMALL_BODY_BYTES = 64 * 1024;
const FULL = new GatewayError('OVERLOADED', { details: { reason: 'bodies' } });

export class BodyRoom {
  readonly #maxBytes: number;
  #bytes = 0;

  /** @param bodyBytes `limits.body`: one of that size always finds room in an empty one */
  constructor(bodyBytes: number, maxBytes = MAX_BYTES) {
    this.#maxBytes = Math.max(maxBytes, bodyBytes);
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** @param declaredBytes undefined: nobody knows yet @returns undefined: it needs none @throws GatewayError OVERLOADED */
  enter(declaredBytes: number | undefined): BodyPlace | undefined {
    if (declaredBytes !== undefined && declaredBytes <= SMALL_BODY_BYTES) return undefined;
    // Judged by what it will be, counted by what has come: who declares much and sends nothing must not keep others out.
    if (this.#bytes + (declaredBytes ?? 0) > this.#maxBytes) throw FULL;
    return new BodyPlace(this);
  }

  take(bytes: number): boolean {
    if (this.#bytes + bytes > this.#maxBytes) return false;
    this.#bytes += bytes;
    return true;
  }

  give(bytes: number): void {
    this.#bytes -= bytes;
  }
}

/** Of one body. */
export class BodyPlace {
  readonly #room: BodyRoom;
  #bytes = 0;

  constructor(room: BodyRoom) {
    this.#room = room;
  }

  /** So much of it is there. @throws GatewayError OVERLOADED */
  cover(totalBytes: number): void {
    const more = totalBytes - this.#bytes;
    if (totalBytes <= SMALL_BODY_BYTES || more <= 0) return;
    if (!this.#room.take(more)) throw FULL;
    this.#bytes = totalBytes;
  }

  leave(): void {
    this.#room.give(this.#bytes);
    this.#bytes = 0;
  }
}
