// "Within a session a name never changes its meaning" (DESIGN 5). Catalogs change while a client still holds an old list; a call must
// then reach what the client saw under that name, or nothing, never a tool of another backend that has come to be called the same.
import type { ExposedName, ExposedNames } from './exposed-names.js';
import type { Exposure } from './exposure.js';

/** More names of changed meaning than any honest backend brings forth; beyond it the oldest are forgotten. */
const MAX_PINS = 4096;

/**
 * One per session; memory of this worker only. It holds a reference to the (shared) names that the session saw last, and of older
 * ones only the names whose meaning has changed since: nothing per tool in a session whose catalogs stay as they are.
 */
export class NamePins {
  readonly #tools = new KindPins();
  readonly #prompts = new KindPins();

  /** The session is shown this exposure's list: its names mean from now on what they mean there, unless they already meant something. */
  see(exposure: Exposure, kind: 'tools' | 'prompts'): void {
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
}

class KindPins {
  #seen: ExposedNames | undefined;
  /** Names that once meant something else than in `#seen`. */
  #pins: Map<string, { readonly backend: string; readonly name: string }> | undefined;

  see(names: ExposedNames): void {
    const before = this.#seen;
    if (before === names || !names.isDecided) return;
    this.#seen = names;
    if (!before) return;
    for (const [exposedAs, { backend, name }] of before.byName) {
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
}
