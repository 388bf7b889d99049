// A session's record as the fields of a Redis hash, and back. Each backend has two fields of its own, so that opening one backend
// session rewrites nothing of the others: `b:<backend>` (JSON) and `g:<backend>` (generation, compared by the script). `n:<kind>`: what
// names mean to the client. `standing`: what the client has asked for (sealed). `answered`: marks of delivered answers to questions, `asked`:
// the ids (sealed) under which the client was asked, each followed by a comma.
import type { Epoch, WorkerId } from '../protocol/ids.js';
import type { BackendSessionRecord, NewSessionRecord, SessionRecord } from './directory.js';

export const backendField = (backend: string) => `b:${backend}`;
export const namesField = (kind: 'tools' | 'prompts') => `n:${kind}`;
export const STANDING_FIELD = 'standing';
export const ANSWERED_FIELD = 'answered';
export const ASKED_FIELD = 'asked';
export const generationField = (backend: string) => `g:${backend}`;

/** Fields and values, flat; the nonce is not part of the record that others read. */
export function encodeRecord(record: NewSessionRecord, nonce: string): string[] {
  const fields = [
    ['owner', record.owner],
    ['epoch', String(record.epoch)],
    ['nonce', nonce],
    ['state', record.state ?? 'active'],
    ['server', record.serverId],
    ['principal', record.principal],
    ['version', record.protocolVersion],
    ['client', JSON.stringify(record.client)],
    ['created', String(record.createdMs)],
  ];
  for (const [backend, value] of Object.entries(record.backends)) {
    fields.push([backendField(backend), encodeBackend(value)], [generationField(backend), String(value.generation)]);
  }
  for (const kind of ['tools', 'prompts'] as const) {
    const text = record.names?.[kind];
    if (text !== undefined) fields.push([namesField(kind), text]);
  }
  if (record.standing !== undefined) fields.push([STANDING_FIELD, record.standing]);
  if (record.answered) fields.push([ANSWERED_FIELD, joinMarks(record.answered)]);
  if (record.asked) fields.push([ASKED_FIELD, joinMarks(record.asked)]);
  return fields.flat();
}

export function encodeBackend(value: BackendSessionRecord): string {
  return JSON.stringify(value);
}

/**
 * @param flat fields and values as HGETALL gives them to a script
 * @throws Error if it is not a record of ours
 */
export function decodeRecord(flat: readonly string[]): SessionRecord {
  const fields = new Map<string, string>();
  for (let i = 0; i + 1 < flat.length; i += 2) fields.set(flat[i] as string, flat[i + 1] as string);
  const field = (name: string): string => {
    const value = fields.get(name);
    if (value === undefined) throw new Error(`session record without field "${name}"`);
    return value;
  };
  const backends: [string, BackendSessionRecord][] = [];
  for (const [name, value] of fields) {
    if (name.startsWith('b:')) backends.push([name.slice(2), JSON.parse(value) as BackendSessionRecord]);
  }
  const [tools, prompts] = [fields.get(namesField('tools')), fields.get(namesField('prompts'))];
  const standing = fields.get(STANDING_FIELD);
  const names = { ...(tools === undefined ? {} : { tools }), ...(prompts === undefined ? {} : { prompts }) };
  const [answered, asked] = [fields.get(ANSWERED_FIELD), fields.get(ASKED_FIELD)];
  return {
    owner: field('owner') as WorkerId | '',
    epoch: Number(field('epoch')) as Epoch,
    state: field('state') === 'closing' ? 'closing' : 'active',
    serverId: field('server'),
    principal: field('principal'),
    protocolVersion: field('version'),
    client: JSON.parse(field('client')) as SessionRecord['client'],
    createdMs: Number(field('created')),
    backends: Object.fromEntries(backends),
    ...(tools === undefined && prompts === undefined ? {} : { names }),
    ...(standing === undefined ? {} : { standing }),
    ...(answered === undefined ? {} : { answered: splitMarks(answered) }),
    ...(asked === undefined ? {} : { asked: splitMarks(asked) }),
  };
}

const joinMarks = (marks: readonly string[]) => marks.map((mark) => `${mark},`).join('');
const splitMarks = (text: string) => text.split(',').filter((mark) => mark !== '');

/** Whether the field of a record, if there is one, has all of these. */
export function hasMarks(text: string | null | undefined, marks: readonly string[]): boolean {
  if (marks.length === 0) return true;
  const known = new Set(splitMarks(text ?? ''));
  return marks.every((mark) => known.has(mark));
}
