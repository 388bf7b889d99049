// Within a session a name never changes its meaning. Catalogs change while a client still holds an old list; a call must
// then reach what the client saw under that name, or nothing, never a tool of another backend that has come to be called the same.
import type { ExposedName, ExposedNames } from './exposed-names.js';
import type { Exposure } from './exposure.js';
import { decodeMeanings, encodeMeanings, type Meaning, type Meanings } from './meanings.js';

export type PinnedKind = 'tools' | 'prompts';

/** What names mean in a session, as its record keeps it for the next owner: JSON text by kind. */
export type SavedNames = Readonly<Partial<Record<PinnedKind, string>>>;

/** More names of changed meaning than any honest backend brings forth; beyond it the oldest are forgotten. */
const MAX_PINS = 4096;
/** Of the text of one kind; some 3 000 names. Beyond it nothing is saved: a new owner takes names as they are then. */
const MAX_SAVED_LENGTH = 64 * 1024;

/**
 * One per session. It holds a reference to the (shared) names that the session saw last, and of older ones only the names whose
 * meaning has changed since: nothing per tool in a session whose catalogs stay as they are.
 */
export class NamePins {
  readonly #tools: KindPins;
  readonly #prompts: KindPins;

  /** @param saved by an earlier owner; what cannot be read is as if nothing had been saved */
  constructor(saved: SavedNames = {}) {
    this.#tools = new KindPins(saved.tools);
    this.#prompts = new KindPins(saved.prompts);
  }

  /** The session is shown this exposure's list: its names mean from now on what they mean there, unless they already meant something. */
  see(exposure: Exposure, kind: PinnedKind): void {
    (kind === 'tools' ? this.#tools : this.#prompts).see(exposure[kind]);
  }

  /**
   * What a tool name means in this session. Undefined: not exposed, or what it meant is no longer exposed, or not all backends were
   * read yet (read them and ask again).
   */
  findTool(exposure: Exposure, name: string): ExposedName | undefined {
    return this.#tools.resolve(exposure.tools, name);
  }

  /** As `findTool`, for prompts. */
  findPrompt(exposure: Exposure, name: string): ExposedName | undefined {
    return this.#prompts.resolve(exposure.prompts, name);
  }

  /** Grows whenever there is something else to save. */
  get version(): number {
    return this.#tools.version + this.#prompts.version;
  }

  /** For the record. Kinds that the session has not seen, or of which it has seen too much, are missing. */
  toSaved(): SavedNames {
    const [tools, prompts] = [this.#tools.toSaved(), this.#prompts.toSaved()];
    return { ...(tools === undefined ? {} : { tools }), ...(prompts === undefined ? {} : { prompts }) };
  }
}

class KindPins {
  version = 0;
  #seen: ExposedNames | undefined;
  /** What the session saw at an earlier owner, until the first names are seen here. */
  #inherited: Meanings | undefined;
  /** Names that once meant something else than in `#seen`. */
  #pins: Map<string, Meaning> | undefined;

  constructor(saved: string | undefined) {
    this.#inherited = saved === undefined ? undefined : decodeMeanings(saved);
  }

  see(names: ExposedNames): void {
    if (this.#seen === names || !names.isDecided) return;
    const before: Meanings | undefined = this.#seen?.byName ?? this.#inherited;
    this.#seen = names;
    this.#inherited = undefined;
    this.version++;
    if (!before) return;
    for (const [exposedAs, { backend, name }] of before) {
      const now = names.byName.get(exposedAs);
      if (now?.backend === backend && now.name === name) continue;
      this.#pins ??= new Map();
      if (this.#pins.has(exposedAs)) continue;
      this.#pins.set(exposedAs, { backend, name });
      if (this.#pins.size > MAX_PINS) this.#pins.delete(this.#pins.keys().next().value as string);
    }
  }

  resolve(names: ExposedNames, exposedAs: string): ExposedName | undefined {
    if (!names.isDecided) return undefined;
    this.see(names);
    const pin = this.#pins?.get(exposedAs);
    return pin ? names.findOwn(pin.backend, pin.name) : names.byName.get(exposedAs);
  }

  toSaved(): string | undefined {
    const seen: Meanings | undefined = this.#seen?.byName ?? this.#inherited;
    if (!seen) return undefined;
    // Thousands of sessions see the same names: their text is made once.
    const text = this.#pins || !this.#seen ? encodeMeanings(new Map([...seen, ...(this.#pins ?? [])])) : this.#seen.toText();
    return text.length <= MAX_SAVED_LENGTH ? text : undefined;
  }
}
