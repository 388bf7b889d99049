// One request to a token endpoint: client credentials (RFC 6749 4.4), optionally for one resource (RFC 8707). No redirects, bounded,
// guarded like any address of a backend. What the server says goes into errors only where it is one of its standard words.
import type { LookupFunction } from 'node:net';
import { Client } from 'undici';
import type { OAuthConfig } from '../../config/schema-credentials.js';
import type { Clock } from '../../lifecycle/clock.js';
import { isObject } from '../../protocol/json-rpc.js';
import { makeConnector } from '../http/address-guard.js';
import { reasonOf } from '../http/transport-error.js';
import { type CredentialReason, isToken } from './credentials.js';
import { readSmallFile } from './read-small-file.js';

/** All of it: below the time that a claim holds, so that whoever fails still says so. */
const REQUEST_MS = 8000;
const MAX_ANSWER_BYTES = 64 * 1024;
/** Where the server does not say how long a token is good. */
const DEFAULT_LIFE_S = 300;
const MAX_LIFE_S = 7 * 86_400;

export interface GrantedToken {
  readonly value: string;
  readonly lifeMs: number;
}

/** Holds nothing that must not be shown. */
export class TokenRequestFailed extends Error {
  constructor(
    readonly reason: CredentialReason,
    readonly details: Readonly<Record<string, unknown>> = {},
  ) {
    super(reason);
    this.name = 'TokenRequestFailed';
  }
}

export interface TokenRequestOptions {
  readonly connectTimeoutMs: number;
  readonly clock: Clock;
  /** Ends it early, when the worker stops. */
  readonly signal: AbortSignal;
  readonly lookup?: LookupFunction | undefined;
}

/** @throws TokenRequestFailed */
export async function requestToken(config: OAuthConfig, options: TokenRequestOptions): Promise<GrantedToken> {
  const url = new URL(config.tokenUrl);
  const { headers, body } = makeRequest(config, await readSecret(config));
  const client = new Client(url.origin, { connect: makeConnector(url, options.connectTimeoutMs, options.lookup) });
  const giveUp = new AbortController();
  const stop = () => giveUp.abort();
  options.signal.addEventListener('abort', stop);
  // The secret's file was read meanwhile: an abort before this line is not told any more.
  if (options.signal.aborted) stop();
  let isLate = false;
  const timer = options.clock.after(REQUEST_MS, () => {
    isLate = true;
    stop();
  });
  try {
    const { status, text } = await exchange(client, `${url.pathname}${url.search}`, headers, body, giveUp.signal);
    return readAnswer(status, text);
  } catch (error) {
    if (error instanceof TokenRequestFailed) throw error;
    throw new TokenRequestFailed('oauth_unreachable', { cause: isLate ? 'timeout' : reasonOf(error) });
  } finally {
    timer.cancel();
    options.signal.removeEventListener('abort', stop);
    // Not awaited: a server that does not let go of the connection would keep the token from whoever waits for it.
    client.destroy().catch(() => undefined);
  }
}

async function readSecret({ clientSecret, clientSecretFile }: OAuthConfig): Promise<string> {
  if (clientSecretFile === undefined) return clientSecret ?? '';
  const found = await readSmallFile(clientSecretFile);
  if (found.kind === 'read') return found.text;
  throw new TokenRequestFailed('credential_unavailable', { cause: found.kind === 'unusable' ? found.why : 'failed' });
}

function makeRequest(config: OAuthConfig, secret: string): { headers: Record<string, string>; body: string } {
  const form = new URLSearchParams({ grant_type: 'client_credentials' });
  for (const name of ['scope', 'audience', 'resource'] as const) {
    const value = config[name];
    if (value !== undefined) form.set(name, value);
  }
  const headers: Record<string, string> = {
    accept: 'application/json',
    'content-type': 'application/x-www-form-urlencoded',
    'user-agent': 'berth',
  };
  if (config.authMethod === 'post') {
    form.set('client_id', config.clientId);
    form.set('client_secret', secret);
  } else {
    // RFC 6749 2.3.1: each is form-encoded before they are joined, so that a colon in the id does not end it.
    headers.authorization = `Basic ${Buffer.from(`${formEncode(config.clientId)}:${formEncode(secret)}`).toString('base64')}`;
  }
  return { headers, body: form.toString() };
}

function formEncode(text: string): string {
  return new URLSearchParams({ '': text }).toString().slice(1);
}

async function exchange(client: Client, path: string, headers: Record<string, string>, body: string, signal: AbortSignal) {
  const reply = await client.request({ method: 'POST', path, headers, body, signal });
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of reply.body) {
    bytes += (chunk as Buffer).length;
    if (bytes > MAX_ANSWER_BYTES) throw new TokenRequestFailed('oauth_bad_reply', { cause: 'too_large' });
    chunks.push(chunk as Buffer);
  }
  return { status: reply.statusCode, text: Buffer.concat(chunks).toString('utf8') };
}

function readAnswer(status: number, text: string): GrantedToken {
  const value = parse(text);
  if (status === 429 || status >= 500) throw new TokenRequestFailed('oauth_failed', { status });
  if (status >= 300 && status < 400) throw new TokenRequestFailed('oauth_bad_reply', { status, cause: 'redirect' });
  if (status !== 200) throw new TokenRequestFailed('oauth_refused', { status, ...standardError(value) });
  const { access_token: token, token_type: type, expires_in: expiresIn } = value;
  if (typeof token !== 'string' || !isToken(token)) throw new TokenRequestFailed('oauth_bad_reply', { cause: 'no_token' });
  if (typeof type !== 'string' || type.toLowerCase() !== 'bearer') {
    throw new TokenRequestFailed('oauth_bad_reply', { cause: 'token_type' });
  }
  // Some servers send the number as text.
  const seconds = expiresIn === undefined || expiresIn === null ? DEFAULT_LIFE_S : Number(expiresIn);
  if (!(seconds > 0)) throw new TokenRequestFailed('oauth_bad_reply', { cause: 'expires_in' });
  return { value: token, lifeMs: Math.min(seconds, MAX_LIFE_S) * 1000 };
}

/** `invalid_client`, `invalid_scope` …: the one word of RFC 6749 5.2. The description beside it could hold anything. */
function standardError(value: Readonly<Record<string, unknown>>): { error?: string } {
  const { error } = value;
  return typeof error === 'string' && /^[a-z_]{1,40}$/.test(error) ? { error } : {};
}

function parse(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : {};
  } catch {
    return {};
  }
}
