// Files of MCP clients, pasted as they are.
import { loadText, refusal } from './load-text.js';

describe('a pasted file', () => {
  test('of Claude, Cursor and Cline is understood; what belongs to them is told', () => {
    const { config, warnings } = loadText(
      JSON.stringify({
        globalShortcut: 'x',
        mcpServers: {
          files: {
            command: 'npx',
            args: ['-y', 'fs'],
            env: { A: 'b' },
            autoApprove: ['x'],
            alwaysAllow: [],
            timeout: 60,
            disabled: false,
          },
          remote: {
            type: 'http',
            url: 'https://x.example/mcp',
            headers: { Authorization: 'Bearer x' },
            description: 'd',
            icon: 'i',
          },
          off: { command: 'x', disabled: true },
        },
      }),
      { name: 'claude.json' },
    );
    expect(config.mcpServers).toEqual({
      files: { type: 'stdio', command: 'npx', args: ['-y', 'fs'], env: { A: 'b' }, timeout: 60_000, onStateLoss: 'fail' },
      remote: {
        type: 'http',
        url: 'https://x.example/mcp',
        headers: { Authorization: 'Bearer x' },
        forwardHeaders: [],
        timeout: 60_000,
        onStateLoss: 'reinitialize',
        keepAlive: 0,
      },
    });
    for (const word of ['globalShortcut', 'autoApprove', 'alwaysAllow', 'timeout', 'description', 'icon', 'off']) {
      expect(warnings.filter((warning) => warning.includes(word))).toHaveLength(1);
    }
    expect(warnings.find((warning) => warning.includes('timeout'))).toContain('Write timeout: 60s');
  });

  test.each(['http', 'streamable-http', 'streamableHttp'])('may call the type %s', (type) => {
    expect(loadText(`mcpServers: { a: { type: ${type}, url: "http://x/mcp" } }`).config.mcpServers.a?.type).toBe('http');
  });

  test.each(['type', 'transport', 'transportType'])('may say with %s that a URL speaks HTTP+SSE', (key) => {
    const { config, warnings } = loadText(
      JSON.stringify({ mcpServers: { a: { [key]: 'sse', url: 'http://x/sse', headers: { A: 'b' } } } }),
      { name: 'mcp.json' },
    );
    expect(config.mcpServers.a).toEqual({
      type: 'sse',
      url: 'http://x/sse',
      headers: { A: 'b' },
      forwardHeaders: [],
      timeout: 60_000,
      onStateLoss: 'reinitialize',
    });
    expect(warnings).toEqual([]);
  });

  test('of VS Code may hold a server of type sse under servers', () => {
    const { config } = loadText('{ "servers": { "a": { "type": "sse", "url": "http://x/sse" } } }', { name: 'mcp.json' });
    expect(config.mcpServers.a?.type).toBe('sse');
    expect(config.servers).toEqual({});
  });

  test.each(['serverUrl', 'httpUrl', 'url'])('may write the URL as %s', (key) => {
    expect(loadText(`mcpServers: { a: { ${key}: "http://x/mcp" } }`).config.mcpServers.a).toMatchObject({
      type: 'http',
      url: 'http://x/mcp',
    });
  });

  test('of VS Code has comments, inputs, and backends under servers beside virtual servers', () => {
    const { config, warnings } = loadText(
      `{
        // what VS Code writes
        "inputs": [{ "id": "key", "type": "promptString" }],
        "servers": {
          "git hub": { "type": "http", "url": "https://x.example/mcp", },
          "local": { "command": "node", "envFile": ".env" },
          "team": { "backends": ["git hub", "local"] },
        },
      }`,
      { name: 'mcp.json' },
    );
    expect(Object.keys(config.mcpServers)).toEqual(['git-hub', 'local']);
    expect(config.servers.team?.backends).toEqual(['git-hub', 'local']);
    expect(warnings.join('\n')).toMatch(/served as "git-hub"[\s\S]*envFile/);
  });

  test.each([
    ['enabled_tools', 'disabled_tools'],
    ['includeTools', 'excludeTools'],
    ['enabledTools', 'disabledTools'],
  ])('that limits tools by %s and %s limits them here', (include, exclude) => {
    const { config, warnings } = loadText(`mcpServers: { a: { command: x, ${include}: [a, b], ${exclude}: [b] } }`);
    expect(config.mcpServers.a?.tools).toEqual({ include: ['a', 'b'], exclude: ['b'] });
    expect(warnings).toEqual([]);
  });

  test.each([
    ['a list', '[a]', { include: ['a'], exclude: [] }],
    ['our form', '{ exclude: [rm] }', { include: ['*'], exclude: ['rm'] }],
    ['nothing', '{}', undefined],
    ['settings of single tools', '{ search: { approval_mode: prompt } }', undefined],
  ])('may hold as tools %s', (_name, tools, expected) => {
    expect(loadText(`mcpServers: { a: { command: x, tools: ${tools} } }`).config.mcpServers.a?.tools).toEqual(expected);
  });

  test('may not say twice which tools there are', () => {
    expect(refusal('mcpServers: { a: { command: x, includeTools: [a],\n tools: { include: [b] } } }')).toMatch(
      /mcpServers\.a\.tools \(line 2\): "includeTools" says the same/,
    );
    expect(refusal('mcpServers: { a: { command: x,\n disabledTools: rm } }')).toContain(
      'mcpServers.a.disabledTools (line 2): expected a list',
    );
  });

  test('keeps the line of an entry that was renamed', () => {
    expect(refusal('servers:\n  my files:\n    command: x\n    args: 5\n')).toContain('servers["my files"].args (line 4)');
  });

  test('leaves disabled backends out of virtual servers, and a server with no other out altogether', () => {
    const { config, warnings } = loadText(
      'mcpServers: { a: { command: x }, b: { command: y, disabled: true } }\nservers: { s: { backends: [a, b] }, t: { backends: [b] } }',
    );
    expect(config.servers.s?.backends).toEqual(['a']);
    expect(config.servers.t).toBeUndefined();
    expect(warnings.filter((warning) => warning.includes('disabled'))).toHaveLength(4);
  });

  test('still refuses keys that no client is known to write', () => {
    expect(refusal('mcpServers: { a: { command: x, enviroment: {} } }')).toContain(
      'mcpServers.a.enviroment (line 1): unknown option',
    );
  });

  test('shortens and cleans names', () => {
    const { config } = loadText(`mcpServers: { "io.github/x": { command: x }, "${'n'.repeat(40)}": { command: x } }`);
    expect(Object.keys(config.mcpServers)).toEqual(['io-github-x', 'n'.repeat(32)]);
  });
});
