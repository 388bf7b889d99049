// The events that a stream remembers, in order and numbered without a gap: the first ones go as new ones come. Beside each it stands how
// far the backends were with it, so that what has gone can be asked of them once more.
// The base of ResumableStream, not a part of it: a stream is made for each answer that is one, and another object would be paid for there.
import type { EventBudget } from './event-budget.js';

export class EventRing {
  /** How far the backends are with the event that comes next, and with those after it until it changes (see BackendMarks). */
  marks = '';
  readonly #budget: Pick<EventBudget, 'add'>;
  readonly #events: Array<Buffer | string> = [];
  /** Text is measured once, when it comes: its length is characters, of which some are up to three bytes. */
  readonly #bytesOf: number[] = [];
  /** Those of each event in the ring. */
  readonly #marksOf: string[] = [];
  /** Those of the event before the ring. */
  #marksBefore = '';
  /** Sequence number of the first event in the ring. */
  #firstSeq = 1;
  #bytes = 0;

  /** @param budget hears of every byte that comes or goes */
  constructor(budget: Pick<EventBudget, 'add'>) {
    this.#budget = budget;
  }

  /** Of the event that came last, or that would have been before the first; they begin with 1. */
  get lastSeq(): number {
    return this.#firstSeq + this.#events.length - 1;
  }

  /** Of the first event that is still there, or of the next one to come. */
  protected get firstSeq(): number {
    return this.#firstSeq;
  }

  get holdsEvents(): boolean {
    return this.#events.length > 0;
  }

  /** Whether nothing is missing for who has got everything up to that one. */
  holdsAfter(seq: number): boolean {
    return seq + 1 >= this.#firstSeq;
  }

  /** Which event of this memory says that the backends are exactly that far; the first, if several do. Undefined: none. */
  findMarks(marks: string): number | undefined {
    if (marks === '') return undefined;
    if (marks === this.#marksBefore) return this.#firstSeq - 1;
    const index = this.#marksOf.indexOf(marks);
    return index < 0 ? undefined : this.#firstSeq + index;
  }

  /** Whether the ring holds something that no backend can be asked for once more. */
  get holdsUnmarked(): boolean {
    return this.#marksOf.some((marks, index) => marks === (index === 0 ? this.#marksBefore : this.#marksOf[index - 1]));
  }

  /** Begins anew where the backends are that far: what the ring holds comes again from them. */
  rewind(marks: string): void {
    this.clear();
    this.#marksBefore = marks;
    this.marks = marks;
  }

  /** Empties the memory: whoever resumes from before is told. */
  clear(): void {
    this.#firstSeq = this.lastSeq + 1;
    this.#marksBefore = this.#marksOf.at(-1) ?? this.#marksBefore;
    this.#events.length = 0;
    this.#bytesOf.length = 0;
    this.#marksOf.length = 0;
    this.#count(-this.#bytes);
  }

  /** Something came that nobody will get: whoever resumes from before it is told. */
  skip(): void {
    this.clear();
    this.pass();
  }

  /** Counts an event that is not kept. Only while the ring is empty. */
  protected pass(): void {
    this.#firstSeq++;
    this.#marksBefore = this.marks;
  }

  /** Keeps an event. @returns its length in bytes */
  protected append(json: Buffer | string): number {
    // A view of a larger chunk would keep all of it alive.
    const kept = typeof json === 'string' || json.length * 2 > json.buffer.byteLength ? json : Buffer.from(json);
    const bytes = Buffer.byteLength(kept);
    this.#events.push(kept);
    this.#bytesOf.push(bytes);
    this.#marksOf.push(this.marks);
    this.#count(bytes + this.marks.length);
    return bytes;
  }

  /** Lets the first event go, never the last one. @returns false: there is only one, or none */
  protected dropFirst(): boolean {
    if (this.#events.length <= 1) return false;
    this.#events.shift();
    this.#firstSeq++;
    this.#marksBefore = this.#marksOf.shift() as string;
    this.#count(-(this.#bytesOf.shift() as number) - this.#marksBefore.length);
    return true;
  }

  protected exceeds(maxBytes: number, maxEvents: number): boolean {
    return this.#bytes > maxBytes || this.#events.length > maxEvents;
  }

  /** Only of one that the ring holds. */
  protected eventAt(seq: number): Buffer | string {
    return this.#events[seq - this.#firstSeq] as Buffer | string;
  }

  /** Of an event that the ring holds. */
  protected bytesAt(seq: number): number {
    return this.#bytesOf[seq - this.#firstSeq] as number;
  }

  /** How far the backends were with an event in the ring, or with the one right before it; '' of any other. */
  protected marksAt(seq: number): string {
    const before = this.#firstSeq - 1;
    return seq === before ? this.#marksBefore : (this.#marksOf[seq - before - 1] ?? '');
  }

  /** How much who has got everything up to that one has not got. */
  protected bytesAfter(seq: number): number {
    let bytes = 0;
    for (let next = Math.max(seq + 1, this.#firstSeq); next <= this.lastSeq; next++) bytes += this.bytesAt(next);
    return bytes;
  }

  #count(bytes: number): void {
    this.#bytes += bytes;
    this.#budget.add(bytes);
  }
}
