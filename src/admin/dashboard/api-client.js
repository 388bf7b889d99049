// Asks the admin API. The token goes into a header and nowhere else: no cookie, no address. Knows no DOM.

/** Longer than the gateway itself waits for its workers. */
const ANSWER_WITHIN_MS = 9000;

/** Why there is no answer: the token was not taken, the API refused (or cannot now), nothing came that could be understood. */
export class ApiFailure extends Error {
  /**
   * @param {'token' | 'refused' | 'silent'} kind
   * @param {string} message what may be shown
   * @param {string} [code] of the API
   * @param {number} [status]
   */
  constructor(kind, message, code = '', status = 0) {
    super(message);
    this.name = 'ApiFailure';
    this.kind = kind;
    this.code = code;
    this.status = status;
  }
}

/**
 * @typedef {object} ApiOptions
 * @property {typeof fetch} fetch
 * @property {() => string} token '': none
 * @property {(serverMs: number) => void} [onTime] the clock of the gateway, which need not be that of this machine
 * @property {number} [withinMs]
 */

/** @param {ApiOptions} options */
export function makeApi({ fetch, token, onTime, withinMs = ANSWER_WITHIN_MS }) {
  /**
   * @param {string} path relative to the page: it may be served under a path of a proxy
   * @param {Record<string, string | number | undefined>} [query]
   * @param {string} [method]
   * @throws {ApiFailure}
   */
  async function ask(path, query = {}, method = 'GET') {
    const given = Object.entries(query).filter(([, value]) => value !== undefined);
    const search = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
    const bearer = token();
    let response;
    let body;
    try {
      response = await fetch(search ? `${path}?${search}` : path, {
        method,
        headers: bearer ? { authorization: `Bearer ${bearer}` } : {},
        credentials: 'omit',
        cache: 'no-store',
        redirect: 'error',
        signal: AbortSignal.timeout(withinMs),
      });
      body = await response.json();
    } catch (error) {
      throw new ApiFailure('silent', error instanceof Error ? error.message : String(error));
    }
    const date = Date.parse(response.headers.get('date') ?? '');
    if (!Number.isNaN(date)) onTime?.(date);
    if (response.ok) return body;
    const { code = '', message = `The answer was ${response.status}` } = body?.error ?? {};
    if (response.status === 401) throw new ApiFailure('token', message, code, 401);
    throw new ApiFailure('refused', message, code, response.status);
  }
  return ask;
}

/** Whether text can be sent in a header at all; what cannot is no token of ours. @param {string} text */
export const isSendable = (text) => /^[\x21-\x7e]+$/.test(text);
