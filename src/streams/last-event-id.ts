// Reads the id of the last whole event out of the bytes of a stream as an owner writes it (`id: …` first, then one `data: …` line), without
// parsing the events: an edge that passes them on has to know only where it is.

import { MAX_EVENT_ID_LENGTH } from './event-id.js';

const LF = 0x0a;
const FIELD = Buffer.from('id: ');
const AFTER_LINE = Buffer.from('\nid: ');
const EVENT_END = Buffer.from('\n\n');
/** Longer than any id of ours with its field name; of an event that came in parts only its beginning can hold the id. */
const MAX_KEPT = MAX_EVENT_ID_LENGTH + 16;

export class LastEventId {
  /** Of the last event that has been passed on whole; undefined: none had one. */
  value: string | undefined;
  /** The beginning of an event whose end has not come. */
  #begun: Buffer | undefined;
  /** The last byte of what came before. */
  #endedInLf = false;

  push(part: Buffer): void {
    if (part.length === 0) return;
    // Race: the blank line may come alone in a part of its own.
    const closes = this.#begun !== undefined && this.#endedInLf && part[0] === LF;
    if (closes) {
      this.#read(this.#begun as Buffer);
      this.#begun = undefined;
    }
    const rest = closes ? part.subarray(1) : part;
    // The middle of a large event: nothing of it is kept.
    if (this.#begun && this.#begun.length >= MAX_KEPT && rest.indexOf(EVENT_END) < 0) {
      this.#endedInLf = part[part.length - 1] === LF;
      return;
    }
    const text = this.#begun ? Buffer.concat([this.#begun, rest]) : rest;
    this.#endedInLf = part[part.length - 1] === LF;
    const end = text.lastIndexOf(EVENT_END);
    if (end >= 0) this.#read(text.subarray(0, end + 1));
    const left = end >= 0 ? text.subarray(end + EVENT_END.length) : text;
    this.#begun = left.length === 0 ? undefined : Buffer.from(left.subarray(0, MAX_KEPT));
  }

  /** @param events whole ones, but for the last blank line */
  #read(events: Buffer): void {
    const at = events.lastIndexOf(AFTER_LINE);
    const start = at >= 0 ? at + AFTER_LINE.length : events.subarray(0, FIELD.length).equals(FIELD) ? FIELD.length : -1;
    if (start < 0) return;
    const end = events.indexOf(LF, start);
    if (end > start) this.value = events.toString('latin1', start, end);
  }
}
