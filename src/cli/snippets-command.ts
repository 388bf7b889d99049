// `berth snippets`: what to paste into clients, for an endpoint of a configuration or any URL.
import { type Command, Option } from 'commander';
import { EXIT, StartError } from '../errors/start-error.js';
import type { CommandContext } from './context.js';
import { SNIPPET_CLIENTS } from './snippet-clients.js';
import type { SnippetFacts } from './snippets.js';

interface Flags {
  readonly config?: string;
  readonly client?: string;
  readonly server?: string;
  readonly key?: boolean;
  readonly json?: boolean;
}

export function addSnippets(program: Command, context: CommandContext): void {
  program
    .command('snippets')
    .description('print what to paste into MCP clients to reach a gateway')
    .argument('[url]', 'an endpoint, such as http://127.0.0.1:8080/mcp (default: taken from a configuration)')
    .option('-c, --config <file>', 'configuration file (default: berth.yaml, berth.yml or berth.json here)')
    .addOption(new Option('--client <name>', 'for this client alone, and nothing but the snippet').choices(SNIPPET_CLIENTS))
    .option('--server <id>', 'a virtual server or backend; /mcp: all backends (default: the first virtual server, else /mcp)')
    .option('--key', 'with a URL: the gateway wants a key')
    .option('--json', 'print them as JSON')
    .action(async (url: string | undefined, flags: Flags) => {
      const { formatSnippets, keyNote, makeSnippets } = await import('./snippets.js');
      const facts = url === undefined ? await fromConfig(flags, context) : await fromUrl(url, flags, context);
      const all = makeSnippets(facts, 2);
      const chosen = all.filter(({ client }) => flags.client === undefined || client === flags.client);
      const { out } = context;
      if (flags.json) out(`${JSON.stringify({ url: facts.url, snippets: chosen }, undefined, 2)}\n`);
      else if (flags.client !== undefined) out(chosen.map(({ text }) => `${text}\n`).join(''));
      else out(`${facts.url}\n\n${formatSnippets(chosen)}${facts.needsKey ? `\n${keyNote(true)}` : ''}`);
    });
}

async function fromUrl(text: string, { config, server, key }: Flags, { self }: CommandContext): Promise<SnippetFacts> {
  if (config !== undefined || server !== undefined) {
    throw new StartError(EXIT.usage, 'a URL goes with neither --config nor --server.\n  The URL says it all.');
  }
  const { readEndpoint } = await import('../bridge/endpoint.js');
  const { bridgeCommand } = await import('./snippets.js');
  const { url } = readEndpoint(text);
  const [, id] = /\/servers\/([A-Za-z0-9][\w-]*)\/mcp$/.exec(url.pathname) ?? [];
  return { name: id ?? 'berth', url: url.href, needsKey: key === true, bridge: bridgeCommand(self.script, self.execPath) };
}

async function fromConfig(flags: Flags, { env, cwd, self }: CommandContext): Promise<SnippetFacts> {
  const { loadConfig } = await import('../config/load.js');
  const { requireConfigFile } = await import('./config-file.js');
  const { listEndpoints } = await import('../config/endpoints.js');
  const { addressOf } = await import('../config/address.js');
  const { bridgeCommand } = await import('./snippets.js');
  const { snippetFacts, usualEndpoint } = await import('./welcome.js');
  const { config } = loadConfig({ file: requireConfigFile(flags.config, cwd), env, cwd });
  if (!config.publicUrl && addressOf(config.listen).port === 0) {
    throw new StartError(
      EXIT.usage,
      `listen is ${config.listen}: the port is known to the running gateway only.\n  Take the URL from its "ready" line: berth snippets URL`,
    );
  }
  const endpoints = listEndpoints(config);
  const wanted = flags.server === '/mcp' ? '' : flags.server;
  const endpoint = wanted === undefined ? usualEndpoint(config, endpoints) : endpoints.find(({ id }) => id === wanted);
  if (endpoint) return snippetFacts(config, endpoint, bridgeCommand(self.script, self.execPath));
  const served = endpoints.map(({ id }) => id || '/mcp').join(', ');
  throw new StartError(
    EXIT.usage,
    `${flags.server === undefined ? 'no endpoint' : `no "${flags.server}"`} is served.\n  Served: ${served || 'nothing: see "expose" and "servers"'}.`,
  );
}
