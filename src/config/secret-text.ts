// Whether a text looks like a credential: a guess, on the safe side. What is hidden in vain costs a look into the file; what is shown in
// error may stand in a log for years.

/** Of tokens that services mark: nobody else's words begin so. */
const KNOWN_PREFIX = /(^|[^a-z])(sk|ghp|gho|github_pat|glpat|xox[abp])[-_][A-Za-z0-9_-]{8,}/;
const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/i;
/** A whole word may be as long as that. */
const MIN_RANDOM = 16;
/** Of what stands between separators: `2025-11-25-preview` has no such part. */
const MIN_PART = 8;
/** Capitals among small letters: `streamableHttpEndpoint` has two. */
const MIN_CAPITALS = 4;

/** Whether it is so long and mixed that no person has thought of it: a token, a key, a UUID. Shorter ones cannot be told from names. */
export function looksRandom(text: string): boolean {
  if (KNOWN_PREFIX.test(text) || UUID.test(text)) return true;
  if (text.length < MIN_RANDOM) return false;
  return text.split(/[^A-Za-z0-9]/).some((part) => {
    if (part.length < MIN_PART) return false;
    const capitals = part.replace(/[^A-Z]/g, '').length;
    return (/\d/.test(part) && /[A-Za-z]/.test(part)) || (capitals >= MIN_CAPITALS && capitals < part.length);
  });
}
