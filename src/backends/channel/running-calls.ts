// The calls that run on one channel, by the ids and progress tokens that stand on it. Ids are ours: those of the client and of the
// gateway's own requests may collide, and a late answer to an earlier call must not be taken for one to a later.
import type { Timer } from '../../lifecycle/clock.js';
import { GatewayError } from '../../errors/gateway-error.js';
import { isRequestId, progressTokenOf, type RequestId } from '../../protocol/json-rpc.js';
import type { BackendCall } from '../backend.js';
import type { AskingCall } from '../questions.js';
import { withId } from '../../protocol/with-id.js';

export interface TrackedCall {
  /** On the channel. */
  readonly id: number;
  readonly call: BackendCall;
  /** On the channel: the caller's own, unless another running call uses the same. */
  readonly progressToken: RequestId | undefined;
  readonly callerToken: RequestId | undefined;
  /** Its bytes have left: only then may it have run. */
  written: boolean;
  /** See Channel.call. */
  readonly onNotRun: (() => void) | undefined;
  /** How long the backend may take, ms. */
  readonly timeoutMs: number;
  timer: Timer | undefined;
  /** While the channel is not read for its sake. */
  stall: Timer | undefined;
  /** The channel has waited for its caller in vain, and does so no more until he has taken everything. */
  isTooSlow: boolean;
  /** Once the client was asked something that may belong to it. */
  asking: AskingCall | undefined;
}

/** 1 and "1" are two tokens. */
const keyOf = (token: RequestId) => `${typeof token}:${token}`;

const OWN_TOKEN = 'berth-progress-';

export class RunningCalls {
  #lastId = 0;
  readonly #byId = new Map<RequestId, TrackedCall>();
  readonly #byToken = new Map<string, TrackedCall>();

  /** Not among them until it is added: its line may yet prove impossible to write. */
  make(call: BackendCall, timeoutMs: number, onNotRun?: () => void): TrackedCall {
    const id = ++this.#lastId;
    const asked = progressTokenOf(call.message.params);
    const token = isRequestId(asked) ? asked : undefined;
    const isTaken = token !== undefined && this.#byToken.has(keyOf(token));
    return {
      id,
      call,
      progressToken: isTaken ? `${OWN_TOKEN}${id}` : token,
      callerToken: token,
      written: false,
      onNotRun,
      timeoutMs,
      timer: undefined,
      stall: undefined,
      isTooSlow: false,
      asking: undefined,
    };
  }

  /** In the same turn as `make`, which chose a token that nobody else uses. */
  add(entry: TrackedCall): void {
    this.#byId.set(entry.id, entry);
    if (entry.progressToken !== undefined) this.#byToken.set(keyOf(entry.progressToken), entry);
  }

  /** Takes it out and ends its timer. @returns false if it is over already */
  remove(entry: TrackedCall): boolean {
    if (!this.#byId.delete(entry.id)) return false;
    if (entry.progressToken !== undefined) this.#byToken.delete(keyOf(entry.progressToken));
    entry.timer?.cancel();
    entry.stall?.cancel();
    return true;
  }

  get size(): number {
    return this.#byId.size;
  }

  has(entry: TrackedCall): boolean {
    return this.#byId.has(entry.id);
  }

  byId(id: RequestId): TrackedCall | undefined {
    return this.#byId.get(id);
  }

  byToken(token: unknown): TrackedCall | undefined {
    return isRequestId(token) ? this.#byToken.get(keyOf(token)) : undefined;
  }

  /** By the id that the caller gave it. */
  byCallerId(id: unknown): TrackedCall | undefined {
    for (const entry of this.#byId.values()) if (entry.call.message.id === id) return entry;
    return undefined;
  }

  /** Oldest first. */
  all(): TrackedCall[] {
    return [...this.#byId.values()];
  }
}

/** What stands on one line must not have any. */
export const hasLineBreak = (text: Buffer | string) => text.includes('\n') || text.includes('\r');

/**
 * The call as one line with the channel's id and token: the caller's own bytes wherever they can be kept.
 * @throws GatewayError BAD_ARGUMENT for what can be read but not written anew
 */
export function requestLine(entry: TrackedCall): Buffer | string {
  try {
    return writeLine(entry);
  } catch (cause) {
    throw new GatewayError('BAD_ARGUMENT', { message: 'params are nested too deeply', cause });
  }
}

function writeLine({ id, call, progressToken, callerToken }: TrackedCall): Buffer | string {
  const { message, bytes } = call;
  if (progressToken === callerToken && !hasLineBreak(bytes))
    return withId(Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes), id);
  if (progressToken === callerToken) return JSON.stringify({ ...message, id });
  const meta = { ...(message.params?._meta as Record<string, unknown>), progressToken };
  return JSON.stringify({ ...message, id, params: { ...message.params, _meta: meta } });
}
