// "Did you mean": the nearest of the names that exist.

/** How many single-character edits make one word of the other; `atMost` (and more) where it is that far, found early. */
export function editDistance(a: string, b: string, atMost = Number.POSITIVE_INFINITY): number {
  if (Math.abs(a.length - b.length) >= atMost) return atMost;
  let row = Uint16Array.from({ length: b.length + 1 }, (_, i) => i);
  let next = new Uint16Array(b.length + 1);
  for (let i = 1; i <= a.length; i++) {
    next[0] = i;
    let least = i;
    for (let j = 1; j <= b.length; j++) {
      let distance = (row[j - 1] as number) + (a.charCodeAt(i - 1) === b.charCodeAt(j - 1) ? 0 : 1);
      const longer = (row[j] as number) + 1;
      const shorter = (next[j - 1] as number) + 1;
      if (longer < distance) distance = longer;
      if (shorter < distance) distance = shorter;
      next[j] = distance;
      if (distance < least) least = distance;
    }
    if (least >= atMost) return atMost;
    [row, next] = [next, row];
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
    const distance = editDistance(written, plain(candidate), bestDistance);
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
