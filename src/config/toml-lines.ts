// Where things stand in a TOML text that was parsed already, and is therefore valid: the parser tells values, not places.
import type { Path } from './problems.js';

type Step = string | number;

const BARE = /[^\s.=\]]+/y;

/** Lines (from 1) by the JSON text of a path. The first mention of a table counts. */
export function readTomlLines(text: string): ReadonlyMap<string, number> {
  const reader = new LineReader(text);
  reader.readDocument();
  return reader.lines;
}

class LineReader {
  readonly lines = new Map<string, number>();
  readonly #text: string;
  /** How many elements an array of tables has so far, by the JSON text of its path. */
  readonly #counts = new Map<string, number>();
  #at = 0;
  #line = 1;

  constructor(text: string) {
    this.#text = text;
  }

  readDocument(): void {
    let table: Path = [];
    for (this.#skipBlank(); this.#at < this.#text.length; this.#skipBlank()) {
      if (this.#text[this.#at] === '[') table = this.#readHeader();
      else this.#readPair(table);
    }
  }

  #readHeader(): Path {
    const isElement = this.#text[this.#at + 1] === '[';
    this.#move(isElement ? 2 : 1);
    const path = this.#withElements(this.#readKey(']'));
    this.#move(isElement ? 2 : 1);
    if (!isElement) return path;
    const key = JSON.stringify(path);
    const index = this.#counts.get(key) ?? 0;
    this.#counts.set(key, index + 1);
    this.#note([...path, index]);
    return [...path, index];
  }

  /** `[a.b]` below `[[a]]` belongs to the element of `a` that came last. */
  #withElements(key: readonly Step[]): Path {
    const path: Step[] = [];
    key.forEach((part, i) => {
      path.push(part);
      this.#note(path);
      const count = i < key.length - 1 ? this.#counts.get(JSON.stringify(path)) : undefined;
      if (count) path.push(count - 1);
    });
    return path;
  }

  #readPair(table: Path): void {
    const path: Step[] = [...table];
    for (const part of this.#readKey('=')) {
      path.push(part);
      this.#note(path);
    }
    this.#move(1);
    this.#readValue(path);
  }

  #readValue(path: Path): void {
    this.#skipBlank();
    const first = this.#text[this.#at];
    if (first === '"' || first === "'") this.#readString();
    else if (first === '[') this.#readArray(path);
    else if (first === '{') this.#readInlineTable(path);
    else while (this.#at < this.#text.length && !/[,\]}#\n]/.test(this.#text[this.#at] as string)) this.#move(1);
  }

  #readArray(path: Path): void {
    this.#move(1);
    let index = 0;
    for (this.#skipSeparators(); this.#at < this.#text.length && this.#text[this.#at] !== ']'; this.#skipSeparators()) {
      const element = [...path, index++];
      this.#note(element);
      this.#readValue(element);
    }
    this.#move(1);
  }

  #readInlineTable(path: Path): void {
    this.#move(1);
    for (this.#skipSeparators(); this.#at < this.#text.length && this.#text[this.#at] !== '}'; this.#skipSeparators()) {
      this.#readPair(path);
    }
    this.#move(1);
  }

  /** Parts of a dotted key; ends before `end`. */
  #readKey(end: '=' | ']'): string[] {
    const parts: string[] = [];
    while (this.#at < this.#text.length && this.#text[this.#at] !== end) {
      const char = this.#text[this.#at] as string;
      if (char === '"' || char === "'") parts.push(this.#readString());
      else if (/[\s.]/.test(char)) this.#move(1);
      else {
        BARE.lastIndex = this.#at;
        const [bare = char] = BARE.exec(this.#text) ?? [];
        parts.push(bare);
        this.#move(bare.length);
      }
    }
    return parts;
  }

  /** @returns what is in it; of a basic one with escapes as far as JSON knows them */
  #readString(): string {
    const quote = this.#text[this.#at] as string;
    const fence = this.#text.startsWith(quote.repeat(3), this.#at) ? quote.repeat(3) : quote;
    const begin = this.#at + fence.length;
    let end = begin;
    while (end < this.#text.length && !this.#text.startsWith(fence, end))
      end += quote === '"' && this.#text[end] === '\\' ? 2 : 1;
    // `""""` at the end: one of them belongs to the text.
    while (fence.length === 3 && this.#text[end + 3] === quote) end++;
    const inside = this.#text.slice(begin, end);
    this.#move(end + fence.length - this.#at);
    if (quote === "'" || !inside.includes('\\')) return inside;
    try {
      return JSON.parse(`"${inside}"`) as string;
    } catch {
      return inside;
    }
  }

  #note(path: Path): void {
    const key = JSON.stringify(path);
    if (!this.lines.has(key)) this.lines.set(key, this.#line);
  }

  #skipSeparators(): void {
    for (this.#skipBlank(); this.#text[this.#at] === ','; this.#skipBlank()) this.#move(1);
  }

  #skipBlank(): void {
    for (;;) {
      const char = this.#text[this.#at];
      if (char === '#') while (this.#at < this.#text.length && this.#text[this.#at] !== '\n') this.#at++;
      else if (char !== undefined && /\s/.test(char)) this.#move(1);
      else return;
    }
  }

  #move(count: number): void {
    for (const end = this.#at + count; this.#at < end; this.#at++) if (this.#text[this.#at] === '\n') this.#line++;
  }
}
