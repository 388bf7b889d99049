// When, and how often, the rest of a call's answer is asked for whose stream ended without the response. Made only then.

/** Wait before a broken stream is resumed, if the backend named none. */
const RESUME_DELAY_MS = 1000;
const MIN_RESUME_DELAY_MS = 50;
/** Resumptions without any news before the outcome is called unknown. */
const MAX_RESUMES = 3;
/** A backend that has not noticed the death of who read the stream before answers 409: tried again for about 20 s. */
const MAX_CONFLICTS = 8;
const CONFLICT_DELAY_MS = 250;
const MAX_CONFLICT_DELAY_MS = 4000;

export class CallResumption {
  /** No stream has begun since the last one ended, or since an earlier owner read it. */
  isWaiting: boolean;
  /** It was asked for: what is read is not the answer of the call's own POST any more. */
  isAsked = false;
  #from: string | undefined;
  #resumes = 0;
  #conflicts = 0;

  /** @param from where an earlier owner of the call was; undefined: its own stream, of which `next` is told the end */
  constructor(from?: string) {
    this.#from = from;
    this.isWaiting = from !== undefined;
  }

  /** The id of the event behind which it goes on. */
  get from(): string {
    return this.#from ?? '';
  }

  /**
   * The stream has ended.
   * @param lastEventId of that stream; undefined: it gave none
   * @param retryMs what the backend asked to wait, if it did
   * @returns ms until the rest is to be asked for; undefined: it cannot be, or was too often without any news
   */
  next(lastEventId: string | undefined, retryMs: number | undefined): number | undefined {
    if (lastEventId !== this.#from) this.#resumes = 0;
    if (!lastEventId || this.#resumes >= MAX_RESUMES) return undefined;
    this.#resumes++;
    this.#from = lastEventId;
    this.isWaiting = true;
    return Math.max(MIN_RESUME_DELAY_MS, retryMs ?? RESUME_DELAY_MS);
  }

  /** The backend goes on. */
  opened(): void {
    this.isWaiting = false;
    this.#conflicts = 0;
  }

  /** Whether a 409 is worth another attempt. */
  get mayConflict(): boolean {
    return this.#conflicts < MAX_CONFLICTS;
  }

  /** The backend answered 409. @returns ms until the next attempt, longer each time */
  conflicted(): number {
    return Math.min(CONFLICT_DELAY_MS * 2 ** this.#conflicts++, MAX_CONFLICT_DELAY_MS);
  }
}
