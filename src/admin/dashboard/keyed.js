// How a list on the page becomes another one with as few moves as possible. An element that is moved loses focus and selection: what
// can stay where it is, stays. Knows no DOM.

/**
 * @template K
 * @typedef {object} KeyedPlan
 * @property {K[]} removed
 * @property {Array<{ key: K, before: K | undefined, isNew: boolean }>} placed to be done in this order; `before` undefined: at the end
 */

/**
 * @template K
 * @param {readonly K[]} now as they stand, each once
 * @param {readonly K[]} wanted each once
 * @returns {KeyedPlan<K>}
 */
export function planKeyed(now, wanted) {
  const wantedSet = new Set(wanted);
  const removed = now.filter((key) => !wantedSet.has(key));
  const placeNow = new Map(now.filter((key) => wantedSet.has(key)).map((key, place) => [key, place]));
  const staying = longestInOrder(
    wanted.filter((key) => placeNow.has(key)),
    (key) => /** @type {number} */ (placeNow.get(key)),
  );
  const placed = [];
  // From the end: what each is put before stands in its place already.
  for (let i = wanted.length - 1; i >= 0; i -= 1) {
    const key = /** @type {K} */ (wanted[i]);
    if (!staying.has(key)) placed.push({ key, before: wanted[i + 1], isNew: !placeNow.has(key) });
  }
  return { removed, placed };
}

/**
 * The longest part of `keys` that is in order of place already.
 * @template K
 * @param {readonly K[]} keys
 * @param {(key: K) => number} placeOf
 * @returns {Set<K>}
 */
function longestInOrder(keys, placeOf) {
  /** Index into keys of the smallest end of a run of each length. @type {number[]} */
  const ends = [];
  /** @type {Array<number | undefined>} */
  const previous = [];
  for (const [i, key] of keys.entries()) {
    let low = 0;
    let high = ends.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (placeOf(/** @type {K} */ (keys[/** @type {number} */ (ends[middle])])) < placeOf(key)) low = middle + 1;
      else high = middle;
    }
    previous[i] = low > 0 ? ends[low - 1] : undefined;
    ends[low] = i;
  }
  const staying = new Set();
  for (let i = ends.at(-1); i !== undefined; i = previous[i]) staying.add(keys[i]);
  return staying;
}
