// Where a reader of the standalone stream goes on: from what this owner remembers, else, with what its id says of them, from the backends'
// own logs. What neither can give is a gap.
import type { ListenFrom } from '../backends/backend.js';
import type { BackendMark } from '../streams/backend-marks.js';
import { type EventId, marksOf } from '../streams/event-id.js';
import type { Session } from './session.js';

export interface GoOn {
  /** See NewReader. */
  readonly after?: number;
  readonly hasGap?: boolean;
  /** Where the stream of a backend begins; of no other one anything is known. */
  readonly from: (backend: string) => ListenFrom | undefined;
}

const NOWHERE = () => undefined;

/** @param last the id that the reader comes with; undefined: it wants what comes from now on */
export function goOnListening(session: Session, last: EventId | undefined): GoOn {
  if (!last) return { from: NOWHERE };
  const { standalone, epoch } = session.streams;
  const marks = marksOf(last);
  const isOurs = last.epoch === epoch;
  const after = isOurs ? last.seq : standalone.findMarks(last.marks ?? '');
  if (after !== undefined && standalone.holdsAfter(after)) return { after, from: fromMarks(session, marks, false) };
  // What the ring still holds is certain; whether the backends have a log at all is not: some give ids and keep none.
  if (isOurs && standalone.holdsEvents) return { after: last.seq, from: NOWHERE };
  const isInForce = ({ backend, generation }: BackendMark) => session.generationOf(backend) === generation;
  const known = [...marks.values()].filter(isInForce);
  if (known.length === 0) return isOurs ? { after: last.seq, from: NOWHERE } : { hasGap: true, from: NOWHERE };
  // What the ring has from them comes once more, behind the older event. Of whom the id says nothing, something may be missing; and so it is
  // with what the ring holds of others.
  const begin = new Map(known.map((mark) => [mark.backend, mark]));
  let hasGap = standalone.holdsUnmarked;
  // Nobody says so again; and where one offered a stream before, the rest of that cannot be asked for.
  for (const mark of session.streams.silent.filter(isInForce)) {
    if (begin.has(mark.backend) && begin.get(mark.backend)?.eventId !== '') hasGap = true;
    begin.set(mark.backend, mark);
  }
  if (speakers(session).some((name) => !begin.has(name))) hasGap = true;
  session.streams.rewind(begin.values());
  return { hasGap, from: fromMarks(session, begin, true) };
}

/** Backends that may have said something: their sessions are open here, or were when the session was taken over. */
function speakers({ backends }: Session): string[] {
  return [...backends].flatMap(([name, backend]) => (backend.isOpen || backend.record ? [name] : []));
}

function fromMarks(session: Session, marks: ReadonlyMap<string, BackendMark>, again: boolean): GoOn['from'] {
  return (name) => {
    const mark = marks.get(name);
    const generation = session.backends.get(name)?.record?.generation;
    if (!mark || generation === undefined || session.generationOf(name) !== mark.generation) return undefined;
    return { eventId: mark.eventId, generation, again };
  };
}
