// A merged list as JSON text, page by page, made once: a list from the cache costs neither a merge nor a stringify (BUDGETS 18), and
// every worker gives the same bytes.
import type { CatalogKind, RawEntry } from '../backends/catalog.js';
import { digestOf } from '../protocol/ids.js';

export type ListAnswer =
  /** `json`: the result object, ready to be spliced into a response. */
  | { readonly kind: 'page'; readonly json: string }
  /** Not a cursor of ours, or of a list that has changed since: BAD_ARGUMENT, and the client lists anew. */
  | { readonly kind: 'badCursor' };

const BAD_CURSOR: ListAnswer = { kind: 'badCursor' };
const CURSOR = /^[A-Za-z0-9_-]{22}\.(\d{1,9})$/;

export class MergedList {
  readonly #resultKey: CatalogKind;
  readonly #entries: readonly RawEntry[];
  #texts: readonly string[] | undefined;
  #version: string | undefined;
  #pageSize = 0;
  #pages: ListAnswer[] = [];

  /** @param entries as clients see them, renamed already */
  constructor(resultKey: CatalogKind, entries: readonly RawEntry[]) {
    this.#resultKey = resultKey;
    this.#entries = entries;
  }

  get length(): number {
    return this.#entries.length;
  }

  /**
   * @param cursor what the client sent: absent or null is the first page
   * @param pageSize entries a page, at least 1; pages are kept for one size at a time
   */
  page(cursor: unknown, pageSize: number): ListAnswer {
    if (pageSize !== this.#pageSize) {
      this.#pageSize = pageSize;
      this.#pages = [];
    }
    if (cursor === undefined || cursor === null) return this.#pageAt(0);
    const index = this.#readCursor(cursor);
    return index === undefined ? BAD_CURSOR : this.#pageAt(index);
  }

  #pageAt(index: number): ListAnswer {
    let page = this.#pages[index];
    if (!page) {
      page = { kind: 'page', json: this.#write(index) };
      this.#pages[index] = page;
    }
    return page;
  }

  #write(index: number): string {
    const from = index * this.#pageSize;
    const to = from + this.#pageSize;
    const entries = this.#stringify().slice(from, to).join(',');
    const next = to < this.length ? `,"nextCursor":"${this.#cursorAt(to)}"` : '';
    return `{"${this.#resultKey}":[${entries}]${next}}`;
  }

  #stringify(): readonly string[] {
    this.#texts ??= this.#entries.map((entry) => JSON.stringify(entry));
    return this.#texts;
  }

  /** Of the content, not of this object: a cursor stays good on another worker, and after a reload that changed nothing. */
  #contentVersion(): string {
    this.#version ??= digestOf(`${this.#resultKey}[${this.#stringify().join(',')}]`);
    return this.#version;
  }

  #cursorAt(offset: number): string {
    return Buffer.from(`${this.#contentVersion()}.${offset}`).toString('base64url');
  }

  #readCursor(cursor: unknown): number | undefined {
    if (typeof cursor !== 'string' || cursor.length > 64) return undefined;
    const [, offsetText] = CURSOR.exec(Buffer.from(cursor, 'base64url').toString('latin1')) ?? [];
    const offset = Number(offsetText);
    if (!(offset > 0) || offset >= this.length || offset % this.#pageSize !== 0) return undefined;
    // As we wrote it: what is decoded forgives a character too much.
    return cursor === this.#cursorAt(offset) ? offset / this.#pageSize : undefined;
  }
}
