// The credentials of one configured backend, by what its options say.
import { createHash } from 'node:crypto';
import type { LookupFunction } from 'node:net';
import type { OAuthConfig } from '../../config/schema-credentials.js';
import type { TokenStore } from '../../directory/token-store.js';
import type { Clock } from '../../lifecycle/clock.js';
import type { Keyring } from '../../secrets/keyring.js';
import { BearerFile } from './bearer-file.js';
import { type CredentialLogger, type Credentials, NO_CREDENTIALS } from './credentials.js';
import { OAuthToken } from './oauth-token.js';
import { requestToken } from './token-request.js';

export interface CredentialParts {
  readonly name: string;
  readonly config: { readonly bearerFile?: string | undefined; readonly oauth?: OAuthConfig | undefined };
  readonly connectTimeoutMs: number;
  readonly keyring: Keyring;
  readonly clock: Clock;
  readonly logger?: CredentialLogger | undefined;
  /** The tokens of this client, for all workers. */
  readonly tokens: (backend: string, digest: string) => TokenStore;
  /** Resolver of names; default the system's. */
  readonly lookup?: LookupFunction;
}

export function makeCredentials(parts: CredentialParts): Credentials {
  const { name, config, clock, keyring, logger } = parts;
  const { bearerFile, oauth } = config;
  if (bearerFile !== undefined) return new BearerFile({ backend: name, path: bearerFile, clock, logger });
  if (!oauth) return NO_CREDENTIALS;
  const digest = digestOf(oauth);
  const { connectTimeoutMs, lookup } = parts;
  return new OAuthToken({
    backend: name,
    place: `token/${name}/${digest}`,
    store: parts.tokens(name, digest),
    keyring,
    clock,
    logger,
    request: (signal) => requestToken(oauth, { connectTimeoutMs, clock, signal, lookup }),
  });
}

/** What makes one token another: during a rolling change of it old and new pods do not share. Not the secret: a new one changes no token. */
function digestOf({ tokenUrl, clientId, scope, audience, resource }: OAuthConfig): string {
  const facts = JSON.stringify([tokenUrl, clientId, scope ?? '', audience ?? '', resource ?? '']);
  return createHash('sha256').update(facts).digest('hex').slice(0, 16);
}
