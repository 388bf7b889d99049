// Which options of a backend's credentials contradict each other. Apart from the schema, so that every kind of backend that is
// reached over HTTP is judged alike.
import { isLoopback } from './address.js';
import type { Problem } from './problems.js';
import type { BackendConfig, Config } from './schema.js';

/** Two sources of one header, a secret too many or none. */
export function* checkCredentials({ mcpServers }: Config): Generator<Problem> {
  for (const [name, backend] of Object.entries(mcpServers)) {
    for (const problem of checkBackend(backend)) yield { ...problem, where: `mcpServers.${name}${problem.where}` };
  }
}

/** What is allowed, and should be known. */
export function* credentialWarnings({ mcpServers }: Config): Generator<string> {
  for (const [name, backend] of Object.entries(mcpServers)) {
    const url = 'oauth' in backend && backend.oauth ? new URL(backend.oauth.tokenUrl) : undefined;
    if (url?.protocol !== 'http:' || isLoopback(url.hostname.replace(/^\[|\]$/g, ''))) continue;
    yield `mcpServers.${name}.oauth.tokenUrl: with http:// the client secret travels readable`;
  }
}

function* checkBackend(backend: BackendConfig): Generator<Problem> {
  if (!('url' in backend)) return;
  const { bearerFile, oauth, headers, forwardHeaders } = backend;
  const { username, password } = new URL(backend.url);
  const given = [
    Object.keys(headers).some((name) => name.toLowerCase() === 'authorization') && 'headers.Authorization',
    username + password !== '' && 'user and password in url',
    bearerFile !== undefined && 'bearerFile',
    oauth !== undefined && 'oauth',
  ].filter((source) => typeof source === 'string');
  const dynamic = oauth ? 'oauth' : 'bearerFile';
  if ((bearerFile !== undefined || oauth) && given.length > 1) {
    yield {
      where: `.${dynamic}`,
      message: `both ${given.join(' and ')} set the Authorization header`,
      remedy: 'Keep one of them.',
    };
  }
  if ((bearerFile !== undefined || oauth) && forwardHeaders.includes('authorization')) {
    const message = `authorization is set by ${dynamic}, so that of the client cannot be passed on`;
    yield { where: '.forwardHeaders', message, remedy: `Remove it from the list, or remove ${dynamic}.` };
  }
  if (!oauth) return;
  if ((oauth.clientSecret === undefined) === (oauth.clientSecretFile === undefined)) {
    const message = oauth.clientSecret === undefined ? 'there is no client secret' : 'both clientSecret and clientSecretFile';
    yield { where: '.oauth', message, remedy: 'Set exactly one of clientSecret and clientSecretFile.' };
  }
  const endpoint = new URL(oauth.tokenUrl);
  if (endpoint.username || endpoint.password) {
    const remedy = 'Write them as clientId and clientSecret.';
    yield { where: '.oauth.tokenUrl', message: 'holds user or password', remedy };
  }
}
