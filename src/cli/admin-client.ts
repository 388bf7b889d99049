// Asks the admin API. What goes wrong is told with what to do about it, and becomes the exit code.
import { EXIT, StartError } from '../errors/start-error.js';
import type { AdminPlace } from './admin-access.js';

export type Json = Record<string, unknown>;

/** A worker that hangs and its successors: what the API takes at most, and a little. */
const WITHIN_MS = 15_000;

export class AdminClient {
  readonly #place: AdminPlace;

  constructor(place: AdminPlace) {
    this.#place = place;
  }

  /** @throws StartError 1 not found or failed, 64 not understood, 69 not reachable or not able to answer now */
  async ask(
    method: 'GET' | 'POST' | 'DELETE',
    path: string,
    query: Readonly<Record<string, string | undefined>> = {},
  ): Promise<Json> {
    const { url, token } = this.#place;
    const given = Object.entries(query).filter((entry): entry is [string, string] => entry[1] !== undefined);
    const search = given.length ? `?${new URLSearchParams(given)}` : '';
    let response: Response;
    let text: string;
    try {
      response = await fetch(`${url}${path}${search}`, {
        method,
        headers: token ? { authorization: `Bearer ${token}` } : {},
        // Whoever sends us elsewhere must not get the token.
        redirect: 'manual',
        signal: AbortSignal.timeout(WITHIN_MS),
      });
      text = await response.text();
    } catch (cause) {
      if (cause instanceof Error && cause.name === 'TimeoutError') {
        throw new StartError(
          EXIT.unavailable,
          `the admin API at ${url} does not answer (nothing within ${WITHIN_MS / 1000} s).\n  That pod hangs or is cut off: ask another one, --admin URL. Any of them answers for the whole cluster.`,
          { cause },
        );
      }
      throw new StartError(
        EXIT.unavailable,
        `the admin API at ${url} cannot be reached (${whyOf(cause)}).\n  Start the gateway, or name the address: --admin URL, or --config FILE of the gateway that is meant.`,
        { cause },
      );
    }
    const body = parse(text);
    if (response.ok && body) return body;
    throw refusal(url, response.status, body, token !== '');
  }
}

function refusal(url: string, status: number, body: Json | undefined, hadToken: boolean): StartError {
  const { code, message } = (body?.error ?? {}) as { code?: unknown; message?: unknown };
  // The public listener refuses as JSON-RPC does, by numbers.
  if (typeof code !== 'string' || typeof message !== 'string') {
    return new StartError(
      EXIT.failed,
      `what answers at ${url} (${status}) is not the admin API.\n  Name the address of admin.listen: --admin URL`,
    );
  }
  if (status === 401) {
    const what = hadToken ? 'the token is not the one of this gateway' : 'the gateway wants a token';
    return new StartError(
      EXIT.failed,
      `${what} (401, ${url}).\n  Set BERTH_ADMIN_TOKEN, or --token-file FILE, or --config FILE with its admin.token.`,
    );
  }
  const exitCode = status === 400 ? EXIT.usage : status === 503 ? EXIT.unavailable : EXIT.failed;
  return new StartError(exitCode, `${message} (${status}).`);
}

function parse(text: string): Json | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : undefined;
  } catch {
    return undefined;
  }
}

function whyOf(error: unknown): string {
  const cause = error instanceof Error ? (error.cause as NodeJS.ErrnoException | undefined) : undefined;
  return cause?.code ?? cause?.message ?? String(error);
}
