// Everybody who reads an event stream of this worker: how many they are, who has stopped reading and since when, and why each left.
// A reader that takes nothing is given up after a while: its stream ends in order, and it may come again with the last id it saw.
import { AwakeTime } from '../lifecycle/awake-time.js';
import type { Clock, Timer } from '../lifecycle/clock.js';
import type { StreamName } from './event-id.js';

/**
 * Why a reader reads no more. complete: it has everything · left: it closed its connection · replaced: a newer one reads in its place ·
 * slow: it did not read · moved: its session has another owner, and whoever holds the stream goes on there · away: it
 * was asked to come again later · ended: its session did.
 */
export type ReaderEnd = 'complete' | 'left' | 'replaced' | 'slow' | 'moved' | 'away' | 'ended';

export interface ReaderFacts {
  /** Reference of the session. */
  readonly session: string;
  readonly name: StreamName;
  /** By a GET: the standalone stream, or the answer of a call whose caller had been cut off. */
  readonly isGet: boolean;
}

export interface Stallable {
  /** It has not read for too long. */
  giveUp(): void;
}

export interface ReadersOptions {
  readonly clock: Clock;
  /** How long a reader may take nothing while something waits for it, ms; asked at each look. Default 30 s. */
  readonly maxStallMs?: () => number;
  readonly onOpened?: (facts: ReaderFacts) => void;
  /** Something may be missing in what it reads, and it is told so. */
  readonly onGap?: (facts: ReaderFacts) => void;
  readonly onEnded?: (facts: ReaderFacts, how: ReaderEnd, durationMs: number) => void;
}

const MAX_STALL_MS = 30_000;
/** How exactly a stall is measured. */
const LOOK_MS = 500;

export class Readers {
  readonly #options: ReadersOptions;
  #open = 0;
  readonly #awake: AwakeTime;
  /** Since when, in `#awake`. Those that have been blocked longest come first. */
  readonly #blocked = new Map<Stallable, number>();
  #timer: Timer | undefined;

  constructor(options: ReadersOptions) {
    this.#options = options;
    this.#awake = new AwakeTime(options.clock, LOOK_MS);
  }

  /** Who reads now. */
  get open(): number {
    return this.#open;
  }

  /** Of them, those who take nothing. */
  get blocked(): number {
    return this.#blocked.size;
  }

  /** @returns when, for `ended` */
  opened(facts: ReaderFacts): number {
    this.#open++;
    this.#options.onOpened?.(facts);
    return this.#options.clock.monotonicMs();
  }

  /** Something may be missing in what it reads. */
  gap(facts: ReaderFacts): void {
    this.#options.onGap?.(facts);
  }

  ended(facts: ReaderFacts, how: ReaderEnd, openedMs: number): void {
    this.#open--;
    this.#options.onEnded?.(facts, how, this.#options.clock.monotonicMs() - openedMs);
  }

  /** Takes nothing from now on. Repeating it changes nothing. */
  noteBlocked(reader: Stallable): void {
    if (this.#blocked.has(reader)) return;
    const { clock } = this.#options;
    this.#blocked.set(reader, this.#awake.look());
    this.#timer ??= clock.every(LOOK_MS, () => this.#look());
  }

  /** Takes something, or is gone. */
  noteReads(reader: Stallable): void {
    this.#blocked.delete(reader);
  }

  #look(): void {
    const untilMs = this.#awake.look() - (this.#options.maxStallMs?.() ?? MAX_STALL_MS);
    for (const [reader, sinceMs] of this.#blocked) {
      if (sinceMs > untilMs) break;
      this.#blocked.delete(reader);
      reader.giveUp();
    }
    // Under load there is nearly always one: the timer runs through, and ends with the first look that finds nobody.
    if (this.#blocked.size > 0) return;
    this.#timer?.cancel();
    this.#timer = undefined;
  }
}
