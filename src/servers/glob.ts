// `*` (any characters, none included) and `?` (exactly one) over whole names, case-sensitive. No regular expression: `*a*a*a*b` from a
// configuration must not take exponential time on a name that a backend chose.

/** Whether the whole of `text` matches; at most pattern × text steps. */
export function matchesGlob(pattern: string, text: string): boolean {
  let p = 0;
  let t = 0;
  // Where the last `*` stands and how much of the text it has taken: on a mismatch only that one has to take more.
  let star = -1;
  let taken = 0;
  while (t < text.length) {
    const wanted = pattern[p];
    if (wanted === '*') {
      star = p++;
      taken = t;
    } else if (p < pattern.length && (wanted === '?' || wanted === text[t])) {
      p++;
      t++;
    } else if (star >= 0) {
      p = star + 1;
      t = ++taken;
    } else {
      return false;
    }
  }
  while (pattern[p] === '*') p++;
  return p === pattern.length;
}
