// Asks a backend whether it opens sessions again, by opening one of its own: a request with an old id would be answered for ever
// that the session is gone. What it opens it ends, and until that is done it opens no other: a backend that half works
// must not fill up with sessions of probes.
import { randomBytes } from 'node:crypto';
import type { BackendSessionRecord } from '../../directory/directory.js';
import { GatewayError, toGatewayError } from '../../errors/gateway-error.js';
import type { Clock } from '../../lifecycle/clock.js';
import type { Keyring } from '../../secrets/keyring.js';
import type { Backend, BackendSession, BackendSessionHost } from '../backend.js';
import { unsealBackendSession } from '../http/sealed-session.js';

export interface ProbeParts {
  /** Without breaker and observer. */
  readonly backend: Backend;
  readonly keyring: Keyring;
  readonly clock: Clock;
  /** For the whole opening. */
  readonly timeoutMs: number;
  /** The worker's own guard: without a valid lease it begins nothing. */
  readonly mayAct: () => boolean;
  /** A session of a probe that the backend does not let us end: the teardown goes on with it. */
  readonly handOver: (sessionRef: string, record: BackendSessionRecord) => void;
}

export type ProbeResult = { readonly kind: 'opened' } | { readonly kind: 'failed'; readonly error: GatewayError };

/** A session that a probe opened and that may still be open at the backend. */
interface Leftover {
  readonly sessionRef: string;
  readonly record: BackendSessionRecord;
  tries: number;
}

const END_TIMEOUT_MS = 5000;
/** Probes that begin with the DELETE that failed before; then the teardown has it, and its patience. */
const MAX_END_TRIES = 3;

export class Probe {
  readonly #parts: ProbeParts;
  #leftover: Leftover | undefined;
  #session: BackendSession | undefined;
  #isClosed = false;

  constructor(parts: ProbeParts) {
    this.#parts = parts;
  }

  /** Not to be begun again before it has ended. Never rejects. */
  async run(): Promise<ProbeResult> {
    const { backend, clock, timeoutMs } = this.#parts;
    if (this.#isClosed || !this.#parts.mayAct()) return { kind: 'failed', error: new GatewayError('NOT_OWNER') };
    const stuck = await this.#endLeftover();
    if (stuck) return { kind: 'failed', error: stuck };
    if (this.#isClosed) return { kind: 'failed', error: new GatewayError('NOT_OWNER') };
    const life = { isOver: false };
    const session = backend.createSession(this.#makeHost(life), undefined);
    this.#session = session;
    try {
      await session.open(clock.monotonicMs() + timeoutMs);
      return { kind: 'opened' };
    } catch (error) {
      return { kind: 'failed', error: toGatewayError(error) };
    } finally {
      this.#session = undefined;
      life.isOver = true;
      session.close(new GatewayError('SESSION_NOT_FOUND'));
    }
  }

  /** Ends what the last run opened. @param isUp no probe will follow that could try again: else the teardown gets what fails */
  async settle(isUp: boolean): Promise<void> {
    await this.#endLeftover();
    if (isUp || this.#isClosed) this.#handOver();
  }

  /** No probe may follow. What is still open goes to the teardown. */
  close(): void {
    this.#isClosed = true;
    this.#session?.close(new GatewayError('SESSION_NOT_FOUND'));
    this.#handOver();
  }

  #makeHost(life: { readonly isOver: boolean }): BackendSessionHost {
    const sessionRef = `probe-${randomBytes(8).toString('hex')}`;
    const leftover = (record: BackendSessionRecord) => {
      // Issued to a probe that had been given up: nobody here waits to end it.
      if (life.isOver || this.#isClosed) this.#parts.handOver(sessionRef, record);
      else this.#leftover = { sessionRef, record, tries: 0 };
    };
    return {
      sessionRef,
      mayAct: () => this.#parts.mayAct(),
      async save(_previousGeneration, record) {
        leftover(record);
        return 'saved';
      },
      discard: leftover,
      onNotification: () => undefined,
      onStateLost: () => undefined,
    };
  }

  /** @returns why it is still open and no further session should be opened now */
  async #endLeftover(): Promise<GatewayError | undefined> {
    const leftover = this.#leftover;
    if (!leftover) return undefined;
    const failure = await this.#end(leftover);
    if (this.#leftover !== leftover) return undefined;
    leftover.tries++;
    if (!failure) this.#leftover = undefined;
    else if (leftover.tries < MAX_END_TRIES) return failure;
    else this.#handOver();
    return undefined;
  }

  async #end({ sessionRef, record }: Leftover): Promise<GatewayError | undefined> {
    const { backend, keyring } = this.#parts;
    const sealed = unsealBackendSession(keyring, sessionRef, backend.name, record.sealed);
    if (!backend.end || sealed?.id === undefined) return undefined;
    const { protocolVersion } = record;
    const answer = await backend.end({ id: sealed.id, protocolVersion, headers: sealed.headers }, END_TIMEOUT_MS);
    const details = { backend: backend.name };
    if (answer.kind === 'unreachable') {
      return new GatewayError('BACKEND_UNAVAILABLE', { details: { ...details, reason: answer.reason } });
    }
    const { status } = answer;
    if (status < 500 && status !== 429) return undefined;
    return new GatewayError('BACKEND_UNAVAILABLE', { details: { ...details, reason: `http_${status}`, status } });
  }

  #handOver(): void {
    const leftover = this.#leftover;
    this.#leftover = undefined;
    // Nothing is left of what dies with its process.
    if (leftover && this.#parts.backend.end) this.#parts.handOver(leftover.sessionRef, leftover.record);
  }
}
