// What a caller can read, from its Accept header. Absent and */* mean both; JSON alone gets JSON, event-stream alone a stream.

export interface AcceptedTypes {
  readonly json: boolean;
  readonly events: boolean;
}

const BOTH: AcceptedTypes = { json: true, events: true };
const JSON_ONLY: AcceptedTypes = { json: true, events: false };
const EVENTS_ONLY: AcceptedTypes = { json: false, events: true };

/** As `readAccept`; who can read neither is sent both: what is refused for that is refused at the edge. */
export function acceptedTypes(accept: string | undefined): AcceptedTypes {
  return readAccept(accept) ?? BOTH;
}

/** @returns undefined if the caller can read neither */
export function readAccept(accept: string | undefined): AcceptedTypes | undefined {
  // What nearly every client sends, letter for letter.
  if (accept === undefined || accept === 'application/json, text/event-stream') return BOTH;
  let json = false;
  let events = false;
  for (const part of accept.toLowerCase().split(',')) {
    const [type = '', ...parameters] = part.split(';').map((text) => text.trim());
    if (parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter))) continue;
    if (type === '*/*') return BOTH;
    if (type === 'application/json' || type === 'application/*') json = true;
    if (type === 'text/event-stream' || type === 'text/*') events = true;
  }
  if (json && events) return BOTH;
  if (json) return JSON_ONLY;
  return events ? EVENTS_ONLY : undefined;
}
