// "Did you mean": the nearest of the names that exist.

/** How many single-character edits make one word of the other. */
export function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const swap = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(swap, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    row = next;
  }
  return row[b.length] as number;
}

// max_per_principal, max-per-principal and maxPerPrincipal are one word to whoever types it.
const plain = (word: string): string => word.toLowerCase().replace(/[_-]/g, '');

/** The candidate that a typing error may have meant; undefined if none is near. */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
  const written = plain(word);
  // Two swapped letters are two edits.
  const limit = written.length < 4 ? 1 : Math.max(2, Math.floor(written.length / 3));
  let best: string | undefined;
  let bestDistance = limit + 1;
  for (const candidate of candidates) {
    const distance = editDistance(written, plain(candidate));
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

/** A sentence for an object without the key it needs, if one of its own keys looks like that one misspelt. */
export function nearestKey(entry: object, wanted: readonly string[]): string | undefined {
  for (const key of Object.keys(entry)) {
    const suggestion = nearest(key, wanted);
    if (suggestion) return `Did you mean "${suggestion}" instead of "${key}"?`;
  }
  return undefined;
}
