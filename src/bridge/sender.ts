// The way of one message: its turn, its attempts, its one answer.
import type { Clock } from '../lifecycle/clock.js';
import type { Call } from './call.js';
import { outcomeUnknown, unreachable } from './failures.js';
import type { Notes } from './notes.js';
import { Patience, wait } from './patience.js';
import type { Post } from './post.js';
import type { Relay } from './relay.js';
import { type BridgeSession, NO_SESSION, NotReopened } from './session.js';

export interface SenderParts {
  readonly post: Post;
  readonly session: BridgeSession;
  readonly relay: Relay;
  readonly clock: Clock;
  readonly notes: Notes;
  readonly patienceMs: number;
}

export class Sender {
  readonly #parts: SenderParts;

  constructor(parts: SenderParts) {
    this.#parts = parts;
  }

  /**
   * Sends the call when its turn has come. Never rejects.
   * @returns whether it was taken; if not, its requests have got an error (unless they were given up)
   */
  async run(call: Call, turn: Promise<unknown>): Promise<boolean> {
    const { relay } = this.#parts;
    try {
      return await this.#send(call, turn);
    } finally {
      relay.remove(call);
    }
  }

  async #send(call: Call, turn: Promise<unknown>): Promise<boolean> {
    const { post, session, clock, notes, patienceMs } = this.#parts;
    const patience = new Patience(clock, patienceMs);
    let hasLostSession = false;
    if ((await wait(clock, patience.leftMs, call.signal, turn)) !== 'done') return this.#fail(call, 'nothing is answered yet');
    const refusal = call.facts.refusal?.();
    if (refusal !== undefined) return refusal === 'skip' ? false : this.#give(call, refusal);
    for (;;) {
      const { reopening } = session;
      if (reopening && (await wait(clock, patience.leftMs, call.signal, reopening)) !== 'done') {
        return this.#fail(call, 'its session is being made anew');
      }
      const state = call.facts.opensSession ? NO_SESSION : session.current;
      const outcome = await post.attempt(call, state);
      // Cancelled while it was under way: its client wants no answer, so nothing of it may be begun again.
      if (call.signal.aborted || (call.isCancelled && outcome.kind !== 'done')) return false;
      switch (outcome.kind) {
        case 'done':
          notes.back();
          return true;
        case 'failed':
          return this.#give(call, outcome.error);
        case 'lost': {
          // Whatever it had begun there ended with the session that its client gave up.
          if (!call.facts.isSafe && session.wasReplaced(state.generation)) {
            return this.#give(call, outcomeUnknown('its session was replaced by another initialize'));
          }
          if (hasLostSession) return this.#give(call, outcome.error);
          hasLostSession = true;
          const failure = await this.#recover(call, state.generation, patience);
          if (failure)
            return failure === 'late' ? this.#fail(call, 'its session is being made anew') : this.#give(call, failure.error);
          break;
        }
        case 'again': {
          call.sent = false;
          const delayMs = patience.nextDelay(outcome.afterMs);
          if (delayMs === undefined) return this.#give(call, outcome.error);
          notes.away(outcome.error.message);
          await wait(clock, delayMs, call.signal);
          if (call.signal.aborted) return false;
        }
      }
    }
  }

  async #recover(call: Call, generation: number, patience: Patience): Promise<'late' | NotReopened | undefined> {
    const { session, clock } = this.#parts;
    call.sent = false;
    let failure: NotReopened | undefined;
    const recovered = session.recover(generation).catch((error: unknown) => {
      if (!(error instanceof NotReopened)) throw error;
      failure = error;
    });
    return (await wait(clock, patience.leftMs, call.signal, recovered)) === 'done' ? failure : 'late';
  }

  #fail(call: Call, reason: string): Promise<boolean> {
    return this.#give(call, unreachable(reason));
  }

  async #give(call: Call, error: Parameters<Relay['fail']>[1]): Promise<boolean> {
    const { relay, notes } = this.#parts;
    if (call.signal.aborted || call.isCancelled) return false;
    // Whom would a notification's failure be told?
    if (!call.isRequest) notes.tell(`${call.facts.what} was not delivered: ${error.message}`);
    await relay.fail(call, error);
    return false;
  }
}
