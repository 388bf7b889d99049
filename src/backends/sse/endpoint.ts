// The URL that a server names for POST in its first event. It is the server's word, and what we send there holds credentials.

const MAX_LENGTH = 8192;

/**
 * @param named as the event says: absolute, or relative to the stream's URL
 * @returns path and query; undefined where it leads anywhere but to the origin of the stream, which alone the configuration named
 */
export function readEndpoint(named: string, stream: URL): string | undefined {
  if (named === '' || named.length > MAX_LENGTH) return undefined;
  let url: URL;
  try {
    url = new URL(named, stream);
  } catch {
    return undefined;
  }
  return url.origin === stream.origin ? `${url.pathname}${url.search}` : undefined;
}
