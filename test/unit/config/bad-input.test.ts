// biome-ignore-all lint/suspicious/noTemplateCurlyInString: references of the configuration are written like templates
// Each mistake is told with its place and what to do, all of a file at once, exit code 78.
import { refusal } from './load-text.js';

describe('a bad configuration', () => {
  test.each([
    ['an unknown key', 'listn: x', 'listn (line 1): unknown option', 'Did you mean "listen"?'],
    [
      'a key in another spelling',
      'sessions:\n  max_per_principal: 1',
      'sessions.max_per_principal (line 2)',
      '"maxPerPrincipal"?',
    ],
    ['a key one level too high', 'maxPerPrincipal: 1', 'maxPerPrincipal (line 1)', 'Did you mean "sessions.maxPerPrincipal"?'],
    ['a key like no other', 'limits: { zzz: 1 }', 'limits.zzz (line 1)', 'Known here: body, requestTimeout'],
    ['a bare number as duration', 'limits: { hold: 5 }', 'limits.hold (line 1): expected a duration', 'such as 5s or 5ms'],
    ['a bare number as size', 'limits: { body: 64 }', 'limits.body (line 1): expected a size', 'such as 64B'],
    ['a unit that does not exist', 'limits: { hold: 5sec }', 'limits.hold (line 1): expected a duration', 'Default: "10s"'],
    ['a duration beyond what timers can', 'drain: { delay: 1000h }', 'drain.delay (line 1)', 'at most 596h'],
    [
      'text where a number belongs',
      'sessions: { max: many }',
      'sessions.max (line 1): expected a whole number',
      'Default: 10000',
    ],
    ['a number out of range', 'internal: { port: 70000 }', 'internal.port (line 1)', 'expected at most 65535'],
    ['a fraction', 'sessions: { max: 1.5 }', 'sessions.max (line 1)', 'expected'],
    ['a wrong choice', 'log: { level: warning }', 'log.level (line 1): expected one of "trace"', 'Default: "info"'],
    ['a wrong choice that is near', 'log: { level: wran }', 'log.level (line 1)', 'Did you mean "warn"?'],
    ['workers', 'workers: lots', 'workers (line 1): expected "auto" or a whole number from 1 to 64', 'CPU quota'],
    ['a listen address without port', 'listen: localhost', 'listen (line 1): expected HOST:PORT', '127.0.0.1:8080'],
    ['a port that is none', 'listen: "127.0.0.1:99999"', 'listen (line 1): expected HOST:PORT', '127.0.0.1:8080'],
    ['a publicUrl without scheme', 'publicUrl: mcp.example.com', 'publicUrl (line 1): expected an http:// or https:// URL', ''],
    ['a host with a scheme', 'hosts: ["https://x"]', 'hosts[0] (line 1): expected a host name', ''],
    ['a proxy that is no address', 'trustedProxies: [lb]', 'trustedProxies[0] (line 1)', '10.0.0.0/8'],
    ['a prefix with braces', 'redis: { prefix: "{a}" }', 'redis.prefix (line 1)', 'slots'],
    ['a Redis scheme', 'redis: { url: "http://x" }', 'redis.url (line 1): expected redis://HOST:PORT', ''],
    ['a group that is text', 'sessions: 5', 'sessions (line 1): expected a group of options, got the number 5', ''],
    ['a list of options', '- listen', 'the file: expected options by name', 'listen: 127.0.0.1:8080'],
    ['a number in env', 'mcpServers: { a: { command: x, env: { N: 1 } } }', 'mcpServers.a.env.N (line 1)', 'Write it in quotes.'],
    [
      'a misspelt command',
      'mcpServers: { a: { comand: x } }',
      'mcpServers.a (line 1): neither "command"',
      '"command" instead of "comand"',
    ],
    ['command and url', 'mcpServers: { a: { command: x, url: "http://x" } }', 'both "command" and "url"', 'Keep one'],
    [
      'a type that does not fit',
      'mcpServers: { a: { type: http, command: x } }',
      '"http" does not go with "command"',
      'type: stdio',
    ],
    ['SSE of a command', 'mcpServers: { a: { type: sse, command: x } }', '"sse" does not go with "command"', 'type: stdio'],
    ['an unknown type', 'mcpServers: { a: { type: stido, command: x } }', 'mcpServers.a.type', 'Did you mean "stdio"?'],
    [
      'a session header',
      'mcpServers: { a: { url: "http://x", headers: { Mcp-Session-Id: x } } }',
      'a.headers.Mcp-Session-Id',
      'set by the gateway',
    ],
    [
      'a header with a line break',
      'mcpServers: { a: { url: "http://x", headers: { A: "x\\ny" } } }',
      'a.headers.A',
      'no line break',
    ],
    ['a pattern', 'mcpServers: { a: { url: "http://x", lostSessionPattern: "(" } }', 'lostSessionPattern', 'regular expression'],
    ['an entry that is text', 'mcpServers: { a: npx }', 'mcpServers.a (line 1): expected an object', 'command'],
    [
      'an unknown backend',
      'mcpServers: { tickets: { command: x } }\nservers: { s: { backends: [tikets] } }',
      'servers.s.backends[0] (line 2)',
      '"tickets"?',
    ],
    [
      'a virtual server without backends',
      'servers: { s: { tools: {} } }',
      'servers.s (line 1): neither "backends"',
      'backends: [...]',
    ],
    [
      'no backend in a virtual server',
      'servers: { s: { backends: [] } }',
      'servers.s.backends (line 1): expected at least one',
      '',
    ],
    [
      'one name for both',
      'mcpServers: { a: { command: x } }\nservers: { a: { backends: [a] } }',
      'servers.a (line 2): "a" is also the name',
      'rename',
    ],
    [
      'two names that become one',
      'mcpServers: { a b: { command: x }, a.b: { command: y } }',
      '"a-b" is also the name of',
      'rename one',
    ],
    ['a name of nothing', 'mcpServers: { "!!": { command: x } }', 'no name can be made of "!!"', 'begin with a letter'],
    [
      'a virtual server among the backends',
      'mcpServers: { a: { backends: [b] } }',
      'is a virtual server',
      'Move it to "servers"',
    ],
  ])('with %s is refused', (_name, text, place, remedy) => {
    const message = refusal(text);
    expect(message).toContain(place);
    expect(message).toContain(remedy);
  });

  test('tells all problems at once, each with its line', () => {
    const message = refusal('listn: 1\nlimits: { hold: 5 }\nadmin: { token: "${NOPE}" }\nmcpServers: { a: { comand: x } }\n');
    expect(message).toMatch(/has 4 problems/);
    for (const line of [1, 2, 3, 4]) expect(message).toContain(`(line ${line})`);
  });

  test.each([
    ['YAML', 'berth.yaml', 'listen: "x\nhosts: [', /line \d+, column \d+/],
    ['a doubled YAML key', 'berth.yaml', 'workers: 1\nworkers: 2\n', /line 2, column 1.*unique/],
    ['JSON', 'berth.json', '{\n  "listen" "x"\n}', /line 2, column 12: colon expected/],
    ['TOML', 'config.toml', 'workers = 1\nlisten = x"\n', /line 2, column \d+: /],
    [
      'a doubled TOML table',
      'config.toml',
      '[mcp_servers.a]\ncommand = "x"\n[mcp_servers.a]\n',
      /line 3, column 2: .*given twice/,
    ],
    ['a doubled TOML key', 'config.toml', 'workers = 1\nworkers = 2\n', /line 2, column 1: .*given twice/],
    ['a doubled JSON key', 'berth.json', '{\n"workers": 1,\n"workers": 2}', /workers \(line 3\): the key is given twice/],
  ])('tells line and column of a syntax error in %s', (_name, name, text, expected) => {
    expect(refusal(text, { name })).toMatch(expected);
  });

  test.each([
    ['YAML', 'berth.yaml', 'admin: { token: hunter2hunter2\nlisten: ['],
    ['JSON', 'berth.json', '{ "admin": { "token": "hunter2hunter2 }\n}'],
    ['TOML', 'config.toml', '[mcp_servers.a]\nhttp_headers = { "X" = "hunter2" oops }\n'],
    ['TOML, a string', 'config.toml', 'x = "hunter2\n'],
  ])('whose %s is broken does not print its lines, which may hold secrets', (_name, name, text) => {
    expect(refusal(text, { name })).not.toContain('hunter2');
  });

  test.each([
    ['of servers that are no table', 'mcp_servers = 1', 'mcp_servers (line 1): expected tables by name', '[mcp_servers.NAME]'],
    ['of a server that is no table', '[mcp_servers]\na = 1', 'mcp_servers.a (line 2): expected an object', 'command'],
    [
      'of a key that nobody knows',
      '[mcp_servers.a]\ncommand = "x"\nenviroment = {}',
      'mcp_servers.a.enviroment (line 3): unknown option',
      '',
    ],
    [
      'of a name that no URL can carry',
      '[mcp_servers."%%"]\ncommand = "x"',
      'mcp_servers["%%"] (line 1): no name can be made',
      'Names are',
    ],
    [
      'of two names that become one',
      '[mcp_servers."a b"]\ncommand = "x"\n[mcp_servers.a-b]\ncommand = "y"',
      'mcp_servers.a-b (line 3): "a-b" is also the name of mcp_servers["a b"] (line 1)',
      'rename one',
    ],
    [
      'of a token that is written out',
      '[mcp_servers.a]\nurl = "http://x"\nbearer_token = "hunter2"',
      'mcp_servers.a.bearer_token (line 3)',
      'bearer_token_env_var',
    ],
    [
      'of a token where a name belongs',
      '[mcp_servers.a]\nurl = "http://x"\nbearer_token_env_var = "sk-hunter2"',
      'mcp_servers.a.bearer_token_env_var (line 3): expected the name',
      'set a variable',
    ],
    [
      'of a variable that is not set',
      '[mcp_servers.a]\nurl = "http://x"\nbearer_token_env_var = "NOPE"',
      'mcp_servers.a.bearer_token_env_var (line 3): the environment variable NOPE is not set',
      'Set NOPE',
    ],
    [
      'of two credentials',
      '[mcp_servers.a]\nurl = "http://x"\nbearer_token_env_var = "A"\nhttp_headers = { authorization = "b" }',
      'the header authorization is written out, too',
      'Keep one',
    ],
    [
      'of a list that is none',
      '[mcp_servers.a]\ncommand = "x"\nenabled_tools = "all"',
      'mcp_servers.a.enabled_tools (line 3): expected a list',
      '',
    ],
    [
      'of a number in an inline table',
      '[mcp_servers.a]\ncommand = "x"\n\nenv = { "A" = "b", B = 1 }',
      'mcp_servers.a.env.B (line 4): expected text',
      'Write it in quotes.',
    ],
  ])('as Codex writes it tells %s', (_name, text, place, remedy) => {
    const message = refusal(text, { name: 'config.toml', env: { A: 'a' } });
    expect(message).toContain(place);
    expect(message).toContain(remedy);
    expect(message).not.toContain('hunter2');
  });

  test.each([
    [
      'that has no value',
      '{ "id": "api-key", "description": "Key of X" }',
      '"api-key" (Key of X) has no value',
      'BERTH_INPUT_API_KEY',
    ],
    ['that is misspelt', '{ "id": "api-kye" }', 'there is no input "api-key"', 'Did you mean "api-kye"?'],
    [
      'that is none of the choices',
      '{ "id": "api-key", "options": ["eu"], "default": "us" }',
      'none of the choices',
      'They are: eu.',
    ],
    ['without an id', '{}', 'inputs[0] (line 1): expected an input with an id', 'promptString'],
    ['of one name with another', '{ "id": "api-key" }, { "id": "api-key" }', 'inputs[1] (line 1): there are two', 'Rename one'],
    [
      'of one variable with another',
      '{ "id": "api-key" }, { "id": "API_KEY" }',
      'both be read from BERTH_INPUT_API_KEY',
      'Rename',
    ],
  ])('with an input %s', (_name, input, place, remedy) => {
    const text = `{ "inputs": [${input}],\n"servers": { "a": { "command": "x", "env": { "A": "\${input:api-key}" } } } }`;
    const message = refusal(text, { name: 'mcp.json' });
    expect(message).toContain(place);
    expect(message).toContain(remedy);
  });
});
