// What names mean, as text for a session's record. Readable, since names of tools are no secret.

export interface Meaning {
  readonly backend: string;
  /** The backend's own name. */
  readonly name: string;
}

/** By the name that clients use. */
export type Meanings = ReadonlyMap<string, Meaning>;

/** By backend: its own name where that is what clients call it (nearly always), else [exposed, own]. */
export function encodeMeanings(meanings: Meanings): string {
  const byBackend: Record<string, Array<string | [string, string]>> = {};
  for (const [exposedAs, { backend, name }] of meanings) {
    byBackend[backend] ??= [];
    byBackend[backend].push(exposedAs === name ? name : [exposedAs, name]);
  }
  return JSON.stringify(byBackend);
}

/** @returns undefined for what is no such text */
export function decodeMeanings(text: string): Meanings | undefined {
  try {
    const meanings = new Map<string, Meaning>();
    for (const [backend, names] of Object.entries(JSON.parse(text) as Record<string, Array<string | [string, string]>>)) {
      for (const entry of names) {
        const [exposedAs, name] = typeof entry === 'string' ? [entry, entry] : entry;
        meanings.set(exposedAs, { backend, name });
      }
    }
    return meanings;
  } catch {
    return undefined;
  }
}
