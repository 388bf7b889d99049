// biome-ignore-all lint/suspicious/noTemplateCurlyInString: references of the configuration are written like templates
// Options by which the gateway itself proves who it is to a backend that is reached over HTTP.
import { z } from 'zod';
import { doc } from './doc.js';

const text = (expected: string) => z.string().min(1, expected);

export const oauth = z.strictObject({
  tokenUrl: doc(z.url({ protocol: /^https?$/, error: 'expected an http:// or https:// URL' }), {
    text: 'The token endpoint of the authorization server. Redirects are not followed.',
  }),
  clientId: doc(text('expected a client id'), {
    text: 'The id of the client that the authorization server knows the gateway by.',
  }),
  clientSecret: doc(text('expected a secret').optional(), {
    text: 'Its secret. Either this or `clientSecretFile`.',
    reason: 'Best as `"${TICKETS_CLIENT_SECRET}"`.',
  }),
  clientSecretFile: doc(text('expected a path').optional(), {
    text: 'A file that holds its secret, relative to the configuration file; read anew for each token.',
    reason: 'A mounted secret that is rotated without a restart.',
  }),
  scope: doc(text('expected scopes').optional(), { text: 'Scopes to ask for, separated by spaces.' }),
  audience: doc(text('expected an audience').optional(), {
    text: 'The parameter `audience` of the token request.',
    reason: 'Authorization servers that name the API this way.',
  }),
  resource: doc(z.url('expected a URL').optional(), {
    text: 'The parameter `resource` of the token request (RFC 8707).',
    reason: 'MCP servers that accept only tokens made for them: their URL.',
  }),
  authMethod: doc(z.enum(['basic', 'post']).default('basic'), {
    text: 'How id and secret are sent: `basic`, as an Authorization header, or `post`, in the body.',
    reason: '`post` where the authorization server refuses the header.',
  }),
});

/** Spread into the options of every kind of backend that is reached over HTTP; `checkCredentials` says which go together. */
export const credentialOptions = {
  bearerFile: doc(text('expected a path').optional(), {
    text: 'A file whose content is sent as `Authorization: Bearer …`, relative to the configuration file. Read again within seconds of a change, and at once when the backend answers 401. Not together with `oauth` or a configured Authorization header.',
    reason: 'Tokens that something else renews, such as projected service account tokens in Kubernetes.',
  }),
  oauth: doc(oauth.optional(), {
    text: 'The gateway gets tokens for this backend itself (OAuth 2.0 client credentials) and shares each among all workers of the cluster. Not together with `bearerFile` or a configured Authorization header.',
    reason: 'Backends behind an authorization server that know the gateway as one client.',
  }),
};

export type OAuthConfig = z.output<typeof oauth>;
