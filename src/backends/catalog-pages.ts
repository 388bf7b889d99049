// Reads one whole list of a backend, page by page. A backend is not trusted to end its list or to send well-formed entries: one
// that does not must neither keep us busy nor spoil the lists of the others.
import { GatewayError } from '../errors/gateway-error.js';
import { isObject, type JsonRpcResponse } from '../protocol/json-rpc.js';
import { type CatalogKind, KIND_FACTS, type LoadedList, type RawEntry } from './catalog.js';

const METHOD_NOT_FOUND = -32601;
const INVALID_PARAMS = -32602;
/** Of one reading: a list that changes faster than it can be paged is not read at all. */
const MAX_RESTARTS = 2;
/** Characters of a name, twice what the specification recommends: each is matched with every pattern of every filter. */
const MAX_NAME = 256;

/** Sends one request to the backend; resolves with its answer, error answers included; rejects if there is none. */
export type ListRequest = (method: string, params: Record<string, unknown>) => Promise<Pick<JsonRpcResponse, 'result' | 'error'>>;

export interface PageLimits {
  /** Default 100. Beyond it the list is cut, with a warning. */
  readonly maxPages?: number;
  /** Default 10 000. Beyond it the list is cut, with a warning. */
  readonly maxEntries?: number;
}

/**
 * Walks `nextCursor` to the end. A backend without the method (-32601) offers an empty list. Entries without their identifying
 * string or with a name above 256 characters are dropped, of several with the same one the first stays; `warn` hears of each, at
 * most once per list and cause. A backend whose list changed between two pages may refuse its own cursor (-32602): the list is
 * begun anew, twice at most.
 * @throws GatewayError BACKEND_UNAVAILABLE if the backend answers with another error or with something that is no list; whatever
 *   `request` rejects with
 */
export async function loadAllPages(
  request: ListRequest,
  kind: CatalogKind,
  warn: (message: string) => void = () => {},
  limits: PageLimits = {},
): Promise<LoadedList> {
  for (let restarts = 0; ; restarts++) {
    const list = await walkPages(request, kind, warn, limits, restarts < MAX_RESTARTS);
    if (list) return list;
  }
}

/** @returns undefined if the backend does not know its cursor any more, and `mayRestart` */
async function walkPages(
  request: ListRequest,
  kind: CatalogKind,
  warn: (message: string) => void,
  { maxPages = 100, maxEntries = 10_000 }: PageLimits,
  mayRestart: boolean,
): Promise<LoadedList | undefined> {
  const { method } = KIND_FACTS[kind];
  const collector = new EntryCollector(kind, maxEntries);
  const cursors = new Set<string>();
  let ttlMs: number | undefined;
  let cursor: string | undefined;
  let cut: string | undefined;
  for (let page = 1; ; page++) {
    const answer = await request(method, cursor === undefined ? {} : { cursor });
    if (answer.error?.code === METHOD_NOT_FOUND && page === 1) return { entries: [] };
    if (answer.error?.code === INVALID_PARAMS && page > 1 && mayRestart) return undefined;
    const result = readResult(answer, kind);
    collector.addAll(result[kind]);
    if (typeof result.ttlMs === 'number' && result.ttlMs >= 0) ttlMs = Math.min(ttlMs ?? result.ttlMs, result.ttlMs);
    cursor = typeof result.nextCursor === 'string' && result.nextCursor !== '' ? result.nextCursor : undefined;
    if (cursor === undefined) break;
    if (collector.isFull) cut = `more than ${maxEntries} entries`;
    else if (page >= maxPages) cut = `more than ${maxPages} pages`;
    else if (cursors.has(cursor)) cut = 'the backend repeats a cursor';
    if (cut) {
      warn(`${method} was cut: ${cut}`);
      break;
    }
    cursors.add(cursor);
  }
  for (const message of collector.complaints(method)) warn(message);
  const isCut = cut !== undefined || collector.isCut;
  return { entries: collector.entries, ...(ttlMs === undefined ? {} : { ttlMs }), ...(isCut ? { isCut } : {}) };
}

function readResult(
  answer: Pick<JsonRpcResponse, 'result' | 'error'>,
  kind: CatalogKind,
): Record<CatalogKind, unknown[]> & Record<string, unknown> {
  if (answer.error)
    throw new GatewayError('BACKEND_UNAVAILABLE', { details: { reason: `list_error_${Number(answer.error.code)}` } });
  const { result } = answer;
  if (!isObject(result) || !Array.isArray(result[kind]))
    throw new GatewayError('BACKEND_UNAVAILABLE', { details: { reason: 'not_a_list' } });
  return result as Record<CatalogKind, unknown[]>;
}

class EntryCollector {
  readonly entries: RawEntry[] = [];
  readonly #kind: CatalogKind;
  readonly #maxEntries: number;
  readonly #keys = new Set<string>();
  #malformed = 0;
  #tooLong = 0;
  #repeated = 0;
  #surplus = 0;

  constructor(kind: CatalogKind, maxEntries: number) {
    this.#kind = kind;
    this.#maxEntries = maxEntries;
  }

  get isFull(): boolean {
    return this.entries.length >= this.#maxEntries;
  }

  /** There were more. */
  get isCut(): boolean {
    return this.#surplus > 0;
  }

  addAll(values: readonly unknown[]): void {
    for (const value of values) this.#add(value);
  }

  #add(value: unknown): void {
    const { keyField } = KIND_FACTS[this.#kind];
    const key = isObject(value) ? value[keyField] : undefined;
    if (typeof key !== 'string' || key === '') {
      this.#malformed++;
    } else if (keyField === 'name' && key.length > MAX_NAME) {
      this.#tooLong++;
    } else if (this.#keys.has(key)) {
      this.#repeated++;
    } else if (this.isFull) {
      this.#surplus++;
    } else {
      this.#keys.add(key);
      this.entries.push(value as RawEntry);
    }
  }

  complaints(method: string): string[] {
    const { keyField } = KIND_FACTS[this.#kind];
    const said: string[] = [];
    if (this.#malformed > 0) said.push(`${method}: ${this.#malformed} entries without a ${keyField} were dropped`);
    if (this.#tooLong > 0) said.push(`${method}: ${this.#tooLong} entries with a name above ${MAX_NAME} characters were dropped`);
    if (this.#repeated > 0) said.push(`${method}: ${this.#repeated} entries with a repeated ${keyField} were dropped`);
    if (this.#surplus > 0) said.push(`${method} was cut: more than ${this.#maxEntries} entries`);
    return said;
  }
}
