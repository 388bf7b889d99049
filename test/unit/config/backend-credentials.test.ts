// What a configuration may say about headers and credentials of a backend, and what it is told where it may not.
import { resolve, dirname } from 'node:path';
import { redactConfig } from '../../../src/config/redact.js';
import type { HttpBackendConfig } from '../../../src/config/schema.js';
import { HeaderPlan } from '../../../src/backends/http/headers.js';
import { loadText, refusal } from './load-text.js';

const backend = (more: string) => `mcpServers: { a: { url: "https://x.example/mcp", ${more} } }`;
const oauth = (more = 'clientSecret: s3cret') => `oauth: { tokenUrl: "https://as.example/token", clientId: c, ${more} }`;
const loaded = (more: string) => loadText(backend(more)).config.mcpServers.a as HttpBackendConfig;

describe('headers of the client', () => {
  const refused: Array<[string, string]> = [
    ['Mcp-Session-Id', 'set by the gateway itself'],
    ['mcp-protocol-version', 'set by the gateway itself'],
    ['host', 'set by the gateway itself'],
    ['Proxy-Authorization', 'set by the gateway itself'],
    ['content-encoding', 'set by the gateway itself'],
    ['accept-encoding', 'set by the gateway itself'],
    ['x-forwarded-internally', 'set by the gateway itself'],
    ['x-berth-owner', 'set by the gateway itself'],
    ['X-Forwarded-For', 'where a request came from'],
    ['x-forwarded-user', 'where a request came from'],
    ['Forwarded', 'where a request came from'],
    ['x-real-ip', 'where a request came from'],
    ['cookie', 'sessions'],
  ];

  test.each(refused)('%s is refused in forwardHeaders, with the reason', (name, reason) => {
    const message = refusal(backend(`forwardHeaders: [x-tenant, ${name}]`));
    expect(message).toContain('mcpServers.a.forwardHeaders[1]');
    expect(message).toContain(reason);
  });

  test.each(refused)('%s gets nowhere even past the schema', (name) => {
    const config = { ...loaded('forwardHeaders: [x-tenant]'), forwardHeaders: ['x-tenant', name] };
    expect(new HeaderPlan('a', config, new URL(config.url)).forwarded).toEqual(['x-tenant']);
  });

  test('names of the operator and of tenants pass, lower-case; authorization too', () => {
    expect(loaded('forwardHeaders: [X-Tenant, Authorization, x-request-id]').forwardHeaders).toEqual([
      'x-tenant',
      'authorization',
      'x-request-id',
    ]);
    // What a client may not say, the operator may.
    expect(loaded('headers: { X-Forwarded-Proto: https, Cookie: a=b }').headers).toEqual({
      'X-Forwarded-Proto': 'https',
      Cookie: 'a=b',
    });
  });
});

describe('credentials', () => {
  test('files are relative to the configuration file', () => {
    const { config, file } = loadText(backend(oauth('clientSecretFile: run/secret')));
    const other = loadText(backend('bearerFile: run/token'));
    expect(config.mcpServers.a).toMatchObject({ oauth: { clientSecretFile: resolve(dirname(file ?? ''), 'run/secret') } });
    expect(other.config.mcpServers.a).toMatchObject({ bearerFile: resolve(dirname(other.file ?? ''), 'run/token') });
  });

  test.each([
    ['bearerFile: t, headers: { AUTHORIZATION: x }', 'a.bearerFile', 'both headers.Authorization and bearerFile'],
    [`bearerFile: t, ${oauth()}`, 'a.oauth', 'both bearerFile and oauth'],
    [`headers: { authorization: x }, ${oauth()}`, 'a.oauth', 'both headers.Authorization and oauth'],
    [`forwardHeaders: [authorization], ${oauth()}`, 'a.forwardHeaders', 'is set by oauth'],
    ['forwardHeaders: [authorization], bearerFile: t', 'a.forwardHeaders', 'is set by bearerFile'],
    [oauth('scope: s'), 'a.oauth', 'there is no client secret'],
    [oauth('clientSecret: a, clientSecretFile: b'), 'a.oauth', 'both clientSecret and clientSecretFile'],
    ['oauth: { tokenUrl: "https://u:p@as.example", clientId: c, clientSecret: s }', 'a.oauth.tokenUrl', 'holds user or password'],
    ['oauth: { tokenURL: "https://as.example", clientId: c, clientSecret: s }', 'a.oauth.tokenURL', 'Did you mean "tokenUrl"'],
    [oauth('clientSecret: s, authMethod: jwt'), 'a.oauth.authMethod', 'expected one of "basic", "post"'],
  ])('%s is refused', (more, where, message) => {
    const text = refusal(backend(more));
    expect(text).toContain(where);
    expect(text).toContain(message);
    expect(text).not.toContain('s3cret');
  });

  test('user and password in the URL are a credential as well', () => {
    const text = 'mcpServers: { a: { url: "https://u:p@x.example/mcp", bearerFile: t } }';
    expect(refusal(text)).toContain('both user and password in url and bearerFile');
  });

  test('what a client keeps under oauth to log its user in is ignored with a warning', () => {
    const { config, warnings } = loadText(
      backend('oauth: { enabled: true, clientId: c, clientSecret: s, authorizationUrl: "https://a", tokenUrl: "https://t" }'),
    );
    expect((config.mcpServers.a as HttpBackendConfig).oauth).toBeUndefined();
    expect(warnings.join()).toContain('does not log in as a user');
  });

  test.each([
    ['http://as.internal/token', true],
    ['http://127.0.0.1:9/token', false],
    ['http://[::1]:9/token', false],
    ['https://as.example/token', false],
  ])('%s: a warning that the secret travels readable is %s', (tokenUrl, isWarned) => {
    const { warnings } = loadText(backend(`oauth: { tokenUrl: "${tokenUrl}", clientId: c, clientSecret: s }`));
    expect(warnings.some((line) => line.includes('travels readable'))).toBe(isWarned);
  });

  test('the secret is not shown', () => {
    const { config } = loadText(backend(oauth()));
    expect(JSON.stringify(config)).toContain('s3cret');
    expect(JSON.stringify(redactConfig(config))).not.toContain('s3cret');
    expect(redactConfig(config).mcpServers.a).toMatchObject({ oauth: { clientId: 'c', clientSecret: '***' } });
  });
});
