// biome-ignore-all lint/suspicious/noTemplateCurlyInString: references of the configuration are written like templates
// What is shown of a configuration never holds a secret.
import * as fc from 'fast-check';
import { parse } from 'yaml';
import { effectiveYaml } from '../../../src/config/effective.js';
import { redactArguments, redactConfig, redactUrl } from '../../../src/config/redact.js';
import { loadText } from './load-text.js';

const S = 'Zq9';
const text = `
admin: { token: ${S}-1, metricsToken: ${S}-2 }
internal: { secret: ${S}-3-aaaaaaaaaaaaaa, oldSecret: ${S}-4-aaaaaaaaaaaaaa }
redis: { url: "redis://user:${S}-5@h:6379/0" }
mcpServers:
  a:
    command: npx
    args: [-y, pkg, --api-key, ${S}-7, "--token=${S}-8", -e, "KEY=${S}-9", --header, "Authorization: Bearer ${S}-10", "https://u:${S}-11@x/?k=${S}-12"]
    env: { TOKEN: ${S}-13 }
  b: { url: "https://u:${S}-14@x.example/mcp?key=${S}-15", headers: { Authorization: Bearer ${S}-16 } }
  c: { type: sse, url: "https://u:${S}-17@x.example/sse?key=${S}-18", headers: { Authorization: Bearer ${S}-19 } }
`;

describe('a redacted configuration', () => {
  const { config } = loadText(text);

  test('holds none of the secrets, in both forms', () => {
    expect(JSON.stringify(config)).toContain(S);
    expect(JSON.stringify(redactConfig(config))).not.toContain(S);
    expect(effectiveYaml(config)).not.toContain(S);
  });

  test('leaves the original as it was, and keeps the shape', () => {
    const before = structuredClone(config);
    expect(Object.keys(redactConfig(config))).toEqual(Object.keys(config));
    expect(config).toEqual(before);
  });

  test('still shows what is no secret, and that a secret is not set', () => {
    const shown = redactConfig(
      loadText('mcpServers: { a: { command: npx, args: [-y, pkg, --port, "80"], env: { E: x } } }').config,
    );
    expect(shown.internal.secret).toBe('');
    expect(shown.mcpServers.a).toMatchObject({ args: ['-y', 'pkg', '--port', '80'], env: { E: '***' } });
  });
});

describe('a redacted URL', () => {
  test.each([
    ['redis://h:6379/0', 'redis://h:6379/0'],
    ['redis://u:p@h:6379/0', 'redis://***@h:6379/0'],
    ['sentinel:u:p@h:1,i:2/group?tls=true', 'sentinel:***@h:1,i:2/group?tls=***'],
    ['redis://u:p@ss@h', 'redis://***@h'],
    ['redis://u:p?x@h', 'redis://***@h'],
    ['https://x/mcp?a=1&b=2#frag', 'https://x/mcp?a=***&b=***'],
    ['https://x.example:8443/servers/tickets-v2/mcp', 'https://x.example:8443/servers/tickets-v2/mcp'],
    ['https://x/2025-11-25-preview/streamableHttpEndpoint', 'https://x/2025-11-25-preview/streamableHttpEndpoint'],
    ['https://x/modelcontextprotocol-gateway/', 'https://x/modelcontextprotocol-gateway/'],
    ['https://x/s/MDY5Y2Y0ZjEtYTkw/mcp', 'https://x/s/***/mcp'],
    ['https://x/server/2f1c9b1e-0d2a-4b7e-9a61-3d5f0c8e7b42/sse', 'https://x/server/***/sse'],
    ['https://u:p@x/k/QWxhZGRpbjpvcGVuIHNlc/mcp?k=v', 'https://***@x/k/***/mcp?k=***'],
    ['https://x/mcp/sk-ak-abcdefgh', 'https://x/mcp/***'],
    ['https://x/mcp;jsessionid=abc;v=1/y', 'https://x/mcp;jsessionid=***;v=***/y'],
    ['http://[::1]:8080/0123456789abcdef01', 'http://[::1]:8080/***'],
    ['https://x.example/@scope/tool/mcp?api_key=abc', 'https://x.example/@scope/tool/mcp?api_key=***'],
    ['https://x.example/mcp?user=me@home.example', 'https://x.example/mcp?user=***'],
    ['https://u:p@x.example/@scope/tool', 'https://***@x.example/@scope/tool'],
    // As passwords that are not encoded would stand there, these are hidden, whatever a parser makes of them.
    ['https://u:12/34@x.example/', 'https://***@x.example/'],
    ['https://u:12?34@x.example/', 'https://***@x.example/'],
    ['https://u:p/@x.example/', 'https://***@x.example/'],
    ['unix:///run/2f1c9b1e-0d2a-4b7e-9a61-3d5f0c8e7b42.sock', 'unix:///run/2f1c9b1e-0d2a-4b7e-9a61-3d5f0c8e7b42.sock'],
  ])('%s is shown as %s', (url, shown) => {
    expect(redactUrl(url)).toBe(shown);
  });

  test('holds no password, whatever characters it has', () => {
    const secret = fc.string({ minLength: 6, maxLength: 20 }).filter((s) => s.trim().length >= 6);
    fc.assert(
      fc.property(secret, (password) => {
        const encoded = encodeURIComponent(password);
        expect(redactUrl(`redis://user:${encoded}@host:6379/0`)).toBe('redis://***@host:6379/0');
        expect(redactUrl(`redis://user:${password}@host`)).not.toContain(`:${password}@`);
      }),
    );
  });
});

test('arguments are shown but for credentials', () => {
  expect(
    redactArguments(['run', '-i', '--rm', '-e', 'GITHUB_TOKEN=x', '-e', 'PLAIN', 'image', '--password', 'p', '--verbose']),
  ).toEqual([...['run', '-i', '--rm', '-e', 'GITHUB_TOKEN=***', '-e', 'PLAIN', 'image', '--password', '***', '--verbose']]);
});

test.each([
  [
    ['-HAuthorization: Bearer abc', '-HX-Key:abc'],
    ['-H***', '-H***'],
  ],
  [
    ['-H', 'X-Key: abc', 'next'],
    ['-H', '***', 'next'],
  ],
  [
    ['-u', 'me:abc', '-ume:abc', '--user', 'me:abc'],
    ['-u', '***', '-u***', '--user', '***'],
  ],
  [
    ['-eKEY=abc', '-Dkey=abc', '--env=KEY=abc'],
    ['-e***', '-D***', '--env=KEY=***'],
  ],
  [
    ['-bearer', 'abc', '-token=abc'],
    ['-bearer', '***', '-token=***'],
  ],
  [
    ['-c', "curl -H 'Authorization: Bearer abc' x"],
    ['-c', '***'],
  ],
  [
    ['-c', 'wget https://me:abc@x/?k=abc -q'],
    ['-c', 'wget https://***@x/?k=*** -q'],
  ],
  [
    ['-c', 'ls /tmp && cat'],
    ['-c', 'ls /tmp && cat'],
  ],
  [['2f1c9b1e-0d2a-4b7e-9a61-3d5f0c8e7b42'], ['***']],
  [
    ['@modelcontextprotocol/server-everything', '/opt/x86_64-linux-gnu/run'],
    ['@modelcontextprotocol/server-everything', '/opt/x86_64-linux-gnu/run'],
  ],
])('arguments %j are shown as %j', (args, shown) => {
  expect(redactArguments(args)).toEqual(shown);
});

test('the effective YAML can be loaded again and means the same', () => {
  const { config } = loadText(
    'limits: { hold: 90s, body: 3KiB }\nmcpServers: { a: { command: x, timeout: 1500ms } }\nservers: { s: { backends: [a] } }',
  );
  const yaml = effectiveYaml(config);
  expect(parse(yaml)).toMatchObject({ limits: { hold: '90s', body: '3KiB' } });
  expect(loadText(yaml).config).toEqual({ ...config, sessions: config.sessions });
});
