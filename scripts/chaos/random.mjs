// Repeatable randomness: the same seed gives the same schedule of faults.

/** @returns a generator of numbers in [0, 1), by mulberry32 */
export function makeRandom(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export const between = (random, low, high) => low + random() * (high - low);
export const pickOf = (random, items) => items[Math.floor(random() * items.length)];

/** @param weights `{ name: weight }` */
export function pickWeighted(random, weights) {
  const entries = Object.entries(weights);
  let left = random() * entries.reduce((sum, [, weight]) => sum + weight, 0);
  for (const [name, weight] of entries) {
    left -= weight;
    if (left < 0) return name;
  }
  return entries[0][0];
}
