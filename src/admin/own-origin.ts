// Whether a request comes from a page that this very listener serves: same name and port. Not the scheme: TLS may end before us.

export function isOwnOrigin(origin: string | undefined, host: string | undefined): boolean {
  if (origin === undefined || host === undefined) return false;
  try {
    const { protocol, host: from } = new URL(origin);
    // A default port stands in neither or in both.
    return (protocol === 'http:' || protocol === 'https:') && from === new URL(`${protocol}//${host}`).host;
  } catch {
    return false;
  }
}
