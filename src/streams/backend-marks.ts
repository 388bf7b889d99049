// How far a stream has got in the backends' own counting: the last event id of each backend, as the ids that clients get carry it, so that
// an owner without any memory of the stream can ask the backends for the rest. Encoded, not secret: whoever makes one up has it passed on,
// after a strict look, to a backend session that is his own anyway.

/** The last event of one backend. */
export interface BackendMark {
  readonly backend: string;
  /** Of the backend session, as the record counts them: event ids belong to the session that issued them. */
  readonly generation: number;
  /** The backend's own. '': it offers no stream outside calls, so there is nothing in it to be missed. */
  readonly eventId: string;
}

/** A longer id of a backend is not carried along: its streams are resumed by nobody but the owner that read them. */
const MAX_EVENT_ID = 256;
/** Of all marks together; a header has to hold them. Backends that do not fit count as unknown. */
export const MAX_MARKS_LENGTH = 1024;
const MAX_BACKENDS = 16;

/** What may stand in a header, whoever made it up. */
const EVENT_ID = /^[\x21-\x7e]*$/;
const MARK = /^([A-Za-z0-9][A-Za-z0-9_-]{0,31})~([0-9a-z]{1,8})~([A-Za-z0-9_-]*)$/;

/** As it stands behind the head of an id; '' where the backend gave no id, or none that can be carried. */
export function encodeMark(backend: string, generation: number, eventId: string | undefined): string {
  if (eventId === undefined || generation < 1 || eventId.length > MAX_EVENT_ID || !EVENT_ID.test(eventId)) return '';
  return `.${backend}~${generation.toString(36)}~${Buffer.from(eventId, 'latin1').toString('base64url')}`;
}

/** @param text without its leading dot. @returns undefined for what `encodeMark` cannot have made */
export function decodeMark(text: string): BackendMark | undefined {
  const [, backend, generation, encoded] = MARK.exec(text) ?? [];
  if (backend === undefined || generation === undefined || encoded === undefined) return undefined;
  const eventId = Buffer.from(encoded, 'base64url').toString('latin1');
  if (eventId.length > MAX_EVENT_ID || !EVENT_ID.test(eventId)) return undefined;
  return { backend, generation: Number.parseInt(generation, 36), eventId };
}

/** The marks of all backends that speak in one stream. Only what changed is encoded anew. */
export class BackendMarks {
  /** As it stands in an id. */
  text = '';
  readonly #marks = new Map<string, string>();

  /** @param eventId undefined: how far this backend is cannot be told any more */
  set(backend: string, generation: number, eventId: string | undefined): void {
    const mark = encodeMark(backend, generation, eventId);
    if ((this.#marks.get(backend) ?? '') === mark) return;
    if (mark === '') this.#marks.delete(backend);
    else this.#marks.set(backend, mark);
    this.#join();
  }

  replace(marks: readonly BackendMark[]): void {
    this.#marks.clear();
    for (const { backend, generation, eventId } of marks) this.#marks.set(backend, encodeMark(backend, generation, eventId));
    this.#join();
  }

  /** Those of backends that offer no stream outside calls. */
  get silent(): BackendMark[] {
    const marks = [...this.#marks.values()].map((mark) => decodeMark(mark.slice(1)));
    return marks.filter((mark): mark is BackendMark => mark?.eventId === '');
  }

  #join(): void {
    let text = '';
    let count = 0;
    for (const mark of this.#marks.values()) {
      if (count >= MAX_BACKENDS) break;
      if (text.length + mark.length > MAX_MARKS_LENGTH) continue;
      text += mark;
      count++;
    }
    this.text = text;
  }
}
