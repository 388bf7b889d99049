// A small MCP client to try things with, made of the official SDK:
//   node examples/client.mjs URL                                lists the tools
//   node examples/client.mjs URL TOOL '{"name":"value"}'        calls one, prints the text of its answer
//   … --every 1                                                 goes on calling, once a second, until Ctrl-C
//   … --header 'Authorization: Bearer KEY'                      may be repeated
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { parseArgs } from 'node:util';

const USAGE = `usage: node examples/client.mjs URL [TOOL ['{"argument":"value"}']] [--every SECONDS] [--header 'NAME: VALUE']`;
const SHOWN_OF_AN_ID = 8;

const usage = (why) => {
  process.stderr.write(`${why}\n${USAGE}\n`);
  process.exit(64);
};

function readArguments() {
  try {
    const options = { every: { type: 'string' }, header: { type: 'string', multiple: true, default: [] } };
    const { values, positionals } = parseArgs({ allowPositionals: true, options });
    const [url, tool, text = '{}'] = positionals;
    if (!URL.canParse(url) || positionals.length > 3) return usage('Which URL?');
    const headers = values.header.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()]);
    return {
      url: new URL(url),
      tool,
      input: JSON.parse(text),
      every: Number(values.every),
      headers: Object.fromEntries(headers),
    };
  } catch (error) {
    return usage(error.message);
  }
}

const { url, tool, input, every, headers } = readArguments();
const client = new Client({ name: 'example', version: '1.0.0' });
const transport = new StreamableHTTPClientTransport(url, { requestInit: { headers } });
const say = (text) => process.stdout.write(`${text}\n`);
/** The beginning only: a session id is as good as a password. */
const session = () => `session ${transport.sessionId?.slice(0, SHOWN_OF_AN_ID)}…`;

/** A tool's own error is an answer too; the exit code tells it. */
async function call(number) {
  const begun = performance.now();
  try {
    const { content, isError } = await client.callTool({ name: tool, arguments: input });
    const text = content.map((part) => part.text ?? `(${part.type})`).join(' ');
    say(`${session()}  call ${number}  ${text.replaceAll('\n', ' ')}  (${Math.round(performance.now() - begun)} ms)`);
    if (isError) process.exitCode = 1;
  } catch (error) {
    say(`${session()}  call ${number}  failed: ${error.message}`);
    process.exitCode = 1;
  }
}

let stopped = false;
async function stop() {
  if (stopped) return;
  stopped = true;
  // DELETE: the gateway and the servers behind it need not wait for the idle time.
  await transport.terminateSession().catch(() => undefined);
  await client.close();
  process.exit();
}

await client.connect(transport).catch((error) => {
  process.stderr.write(`${url}: ${error.message}${error.cause ? ` (${error.cause.message})` : ''}\n`);
  process.exit(1);
});
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, stop);
if (tool === undefined) {
  const { tools } = await client.listTools();
  say(tools.map(({ name }) => name).join('\n'));
} else {
  for (let number = 1; !stopped; number += 1) {
    await call(number);
    if (!(every > 0)) break;
    await new Promise((wake) => setTimeout(wake, every * 1000));
  }
}
await stop();
