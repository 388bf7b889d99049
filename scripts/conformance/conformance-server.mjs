// The backend that the official conformance suite expects: its tools, prompts and resources, over Streamable HTTP, HTTP+SSE or stdio.
// Legacy protocol, on the official SDK.
//   node conformance-server.mjs http [--json] [--only a,b | --without a,b]   prints its port as the first line of stdout
//   node conformance-server.mjs sse …     the same over HTTP+SSE (2024-11-05)
//   node conformance-server.mjs stdio …
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { completable } from '@modelcontextprotocol/sdk/server/completable.js';
import { InMemoryEventStore } from '@modelcontextprotocol/sdk/examples/shared/inMemoryEventStore.js';
import { McpServer, ResourceTemplate } from '@modelcontextprotocol/sdk/server/mcp.js';
import { SSEServerTransport } from '@modelcontextprotocol/sdk/server/sse.js';
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import {
  CallToolRequestSchema,
  CreateMessageResultSchema,
  ElicitResultSchema,
  ListToolsRequestSchema,
  SubscribeRequestSchema,
  UnsubscribeRequestSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { z } from 'zod';

const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==';
const WAV = 'UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQAAAAA=';
const STEP_MS = 50;
const pause = (ms) => new Promise((wake) => setTimeout(wake, ms));
const text = (value) => ({ content: [{ type: 'text', text: value }] });
const object = (properties, required = []) => ({ type: 'object', properties, required });

const [kind = 'http', ...flags] = process.argv.slice(2);
const listOf = (flag) => flags[flags.indexOf(flag) + 1]?.split(',') ?? [];
const only = flags.includes('--only') ? new Set(listOf('--only')) : undefined;
const without = new Set(flags.includes('--without') ? listOf('--without') : []);
const isServed = (name) => (only ? only.has(name) : !without.has(name));

const DRAFT_2020_12 = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  type: 'object',
  $defs: {
    address: {
      $anchor: 'addressDef',
      type: 'object',
      properties: { street: { type: 'string' }, city: { type: 'string' } },
    },
  },
  properties: {
    name: { type: 'string' },
    address: { $ref: '#/$defs/address' },
    contactMethod: { type: 'string', enum: ['phone', 'email'] },
    phone: { type: 'string' },
    email: { type: 'string' },
  },
  allOf: [{ anyOf: [{ required: ['phone'] }, { required: ['email'] }] }],
  if: { properties: { contactMethod: { const: 'phone' } }, required: ['contactMethod'] },
  // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
  then: { required: ['phone'] },
  else: { required: ['email'] },
  additionalProperties: false,
};

/** Name, description, input schema, and what it does with (args, extra, server). */
const TOOLS = [
  ['test_simple_text', 'Gives a text', object({}), () => text('This is a simple text response for testing.')],
  [
    'test_image_content',
    'Gives an image',
    object({}),
    () => ({ content: [{ type: 'image', data: PNG, mimeType: 'image/png' }] }),
  ],
  ['test_audio_content', 'Gives a sound', object({}), () => ({ content: [{ type: 'audio', data: WAV, mimeType: 'audio/wav' }] })],
  [
    'test_embedded_resource',
    'Gives a resource',
    object({}),
    () => ({
      content: [
        {
          type: 'resource',
          resource: { uri: 'test://embedded-resource', mimeType: 'text/plain', text: 'An embedded resource.' },
        },
      ],
    }),
  ],
  [
    'test_multiple_content_types',
    'Gives a text, an image and a resource',
    object({}),
    () => ({
      content: [
        { type: 'text', text: 'Multiple content types test:' },
        { type: 'image', data: PNG, mimeType: 'image/png' },
        {
          type: 'resource',
          resource: { uri: 'test://mixed-content-resource', mimeType: 'application/json', text: '{"test":"data"}' },
        },
      ],
    }),
  ],
  [
    'test_error_handling',
    'Always fails',
    object({}),
    () => ({ isError: true, ...text('This tool intentionally returns an error for testing') }),
  ],
  [
    'test_tool_with_progress',
    'Tells its progress',
    object({}),
    async (_args, extra) => {
      const progressToken = extra._meta?.progressToken;
      for (const progress of [0, 50, 100]) {
        if (progressToken !== undefined)
          await extra.sendNotification({ method: 'notifications/progress', params: { progressToken, progress, total: 100 } });
        await pause(STEP_MS);
      }
      return text('done');
    },
  ],
  [
    'test_tool_with_logging',
    'Logs three lines',
    object({}),
    async (_args, extra) => {
      for (const data of ['Tool execution started', 'Tool processing data', 'Tool execution completed']) {
        await extra.sendNotification({ method: 'notifications/message', params: { level: 'info', logger: 'test', data } });
        await pause(STEP_MS);
      }
      return text('logged');
    },
  ],
  [
    'test_sampling',
    'Asks the model of the client',
    object({ prompt: { type: 'string' } }, ['prompt']),
    async ({ prompt }, extra) => {
      const params = { messages: [{ role: 'user', content: { type: 'text', text: prompt } }], maxTokens: 100 };
      const result = await extra.sendRequest({ method: 'sampling/createMessage', params }, CreateMessageResultSchema);
      return text(`LLM response: ${result.content.text ?? JSON.stringify(result.content)}`);
    },
  ],
  [
    'test_elicitation',
    'Asks the user',
    object({ message: { type: 'string' } }, ['message']),
    ({ message }, extra) =>
      elicit(extra, message, object({ username: { type: 'string' }, email: { type: 'string' } }, ['username', 'email'])),
  ],
  [
    'test_elicitation_sep1034_defaults',
    'Asks with defaults',
    object({}),
    (_args, extra) =>
      elicit(
        extra,
        'Please review and update the form fields with defaults',
        object({
          name: { type: 'string', default: 'John Doe' },
          age: { type: 'integer', default: 30 },
          score: { type: 'number', default: 95.5 },
          status: { type: 'string', enum: ['active', 'inactive', 'pending'], default: 'active' },
          verified: { type: 'boolean', default: true },
        }),
      ),
  ],
  [
    'test_elicitation_sep1330_enums',
    'Asks with choices',
    object({}),
    (_args, extra) => {
      const titled = [1, 2, 3].map((n) => ({ const: `value${n}`, title: ['First', 'Second', 'Third'][n - 1] }));
      return elicit(
        extra,
        'Please select options from the enum fields',
        object({
          untitledSingle: { type: 'string', enum: ['option1', 'option2', 'option3'] },
          titledSingle: { type: 'string', oneOf: titled },
          legacyEnum: { type: 'string', enum: ['opt1', 'opt2', 'opt3'], enumNames: ['Option One', 'Option Two', 'Option Three'] },
          untitledMulti: { type: 'array', items: { type: 'string', enum: ['option1', 'option2', 'option3'] } },
          titledMulti: { type: 'array', items: { anyOf: titled } },
        }),
      );
    },
  ],
  [
    'test_missing_capability',
    'Asks the model although nobody said that there is one',
    object({}),
    async (_args, extra) => {
      const params = { messages: [{ role: 'user', content: { type: 'text', text: 'x' } }], maxTokens: 10 };
      await extra.sendRequest({ method: 'sampling/createMessage', params }, CreateMessageResultSchema);
      return text('answered');
    },
  ],
  [
    'test_reconnection',
    'Closes its own stream and answers on another one',
    object({}),
    async (_args, extra) => {
      await pause(STEP_MS);
      extra.closeSSEStream?.();
      await pause(2 * STEP_MS);
      return text('Reconnection test completed successfully.');
    },
  ],
  ['json_schema_2020_12_tool', 'Has a schema with many keywords', DRAFT_2020_12, (args) => text(JSON.stringify(args))],
  ['test_echo', 'Gives its arguments back', object({ text: { type: 'string' } }), (args) => text(args.text ?? '')],
];

async function elicit(extra, message, requestedSchema) {
  const result = await extra.sendRequest(
    { method: 'elicitation/create', params: { message, requestedSchema } },
    ElicitResultSchema,
  );
  return text(`Elicitation: action=${result.action}, content=${JSON.stringify(result.content ?? {})}`);
}

function makeServer() {
  const server = new McpServer(
    { name: 'berth-conformance-backend', version: '1.0.0' },
    {
      capabilities: {
        tools: { listChanged: true },
        prompts: { listChanged: true },
        resources: { listChanged: true, subscribe: true },
        logging: {},
        completions: {},
      },
    },
  );
  const tools = TOOLS.filter(([name]) => isServed(name));
  // The schemas as they are: the SDK's own registration would make them anew from zod.
  server.server.setRequestHandler(ListToolsRequestSchema, () => ({
    tools: tools.map(([name, description, inputSchema]) => ({ name, description, inputSchema })),
  }));
  server.server.setRequestHandler(CallToolRequestSchema, async ({ params }, extra) => {
    const tool = tools.find(([name]) => name === params.name);
    if (!tool) return { isError: true, ...text(`Tool ${params.name} not found`) };
    try {
      return await tool[3](params.arguments ?? {}, extra);
    } catch (error) {
      return { isError: true, ...text(String(error)) };
    }
  });
  server.server.setRequestHandler(SubscribeRequestSchema, () => ({}));
  server.server.setRequestHandler(UnsubscribeRequestSchema, () => ({}));
  registerPrompts(server);
  registerResources(server);
  return server;
}

const said = (value) => ({ role: 'user', content: { type: 'text', text: value } });

function registerPrompts(server) {
  if (!isServed('prompts')) return;
  server.registerPrompt('test_simple_prompt', { description: 'Without arguments' }, () => ({
    messages: [said('This is a simple prompt for testing.')],
  }));
  server.registerPrompt(
    'test_prompt_with_arguments',
    { description: 'With arguments', argsSchema: { arg1: completing(z.string()), arg2: completing(z.string()) } },
    ({ arg1, arg2 }) => ({ messages: [said(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`)] }),
  );
  server.registerPrompt(
    'test_prompt_with_embedded_resource',
    { description: 'With a resource', argsSchema: { resourceUri: z.string() } },
    ({ resourceUri }) => ({
      messages: [
        {
          role: 'user',
          content: {
            type: 'resource',
            resource: { uri: resourceUri, mimeType: 'text/plain', text: 'Embedded resource content.' },
          },
        },
        said('Please process the embedded resource above.'),
      ],
    }),
  );
  server.registerPrompt('test_prompt_with_image', { description: 'With an image' }, () => ({
    messages: [
      { role: 'user', content: { type: 'image', data: PNG, mimeType: 'image/png' } },
      said('Please analyze the image above.'),
    ],
  }));
}

function registerResources(server) {
  if (!isServed('resources')) return;
  const fixed = (name, uri, mimeType, contents) =>
    server.registerResource(name, uri, { mimeType, description: name }, () => ({ contents: [{ uri, mimeType, ...contents }] }));
  fixed('static-text', 'test://static-text', 'text/plain', { text: 'This is the content of the static text resource.' });
  fixed('static-binary', 'test://static-binary', 'image/png', { blob: PNG });
  fixed('watched-resource', 'test://watched-resource', 'text/plain', { text: 'Watched resource content' });
  server.registerResource(
    'template',
    new ResourceTemplate('test://template/{id}/data', { list: undefined }),
    { mimeType: 'application/json', description: 'By id' },
    (uri, { id }) => ({
      contents: [{ uri: uri.href, mimeType: 'application/json', text: JSON.stringify({ id, data: `Data for ID: ${id}` }) }],
    }),
  );
}

/** A schema whose values the server completes. */
function completing(schema) {
  return completable(schema, (value) => ['paris', 'park', 'party'].filter((one) => one.startsWith(value ?? '')));
}

const isLoopback = (value) => value === undefined || /^(?:https?:\/\/)?(?:localhost|127\.0\.0\.1|\[::1\])(?::\d+)?$/.test(value);

async function readJson(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return chunks.length > 0 ? JSON.parse(Buffer.concat(chunks).toString('utf8')) : undefined;
}

function refuse(response, status, code, message) {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ jsonrpc: '2.0', error: { code, message }, id: null }));
}

/** Streamable HTTP: one server and transport per session. */
async function serveHttp(request, response, sessions) {
  const body = request.method === 'POST' ? await readJson(request) : undefined;
  const sessionId = request.headers['mcp-session-id'];
  if (sessionId === undefined && body?.method === 'initialize') {
    const server = makeServer();
    const transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: () => randomUUID(),
      enableJsonResponse: flags.includes('--json'),
      eventStore: new InMemoryEventStore(),
      retryInterval: 200,
      onsessioninitialized: (id) => void sessions.set(id, transport),
      onsessionclosed: (id) => void sessions.delete(id),
    });
    await server.connect(transport);
    await transport.handleRequest(request, response, body);
    return;
  }
  const transport = sessions.get(sessionId);
  if (transport) await transport.handleRequest(request, response, body);
  else if (sessionId === undefined) refuse(response, 400, -32000, 'Bad Request: Mcp-Session-Id header is required');
  else refuse(response, 404, -32001, 'Session not found');
}

/** HTTP+SSE (2024-11-05): GET opens the stream, POST goes to the endpoint that it names. */
async function serveSse(request, response, sessions) {
  const url = new URL(request.url, 'http://localhost');
  if (request.method === 'GET' && url.pathname === '/sse') {
    const transport = new SSEServerTransport('/messages', response);
    sessions.set(transport.sessionId, transport);
    response.on('close', () => sessions.delete(transport.sessionId));
    await makeServer().connect(transport);
    return;
  }
  const transport = sessions.get(url.searchParams.get('sessionId'));
  if (request.method === 'POST' && transport) await transport.handlePostMessage(request, response);
  else refuse(response, 404, -32001, 'Session not found');
}

async function listen(serve) {
  const sessions = new Map();
  const server = createServer((request, response) => {
    if (!isLoopback(request.headers.host) || !isLoopback(request.headers.origin))
      return refuse(response, 403, -32000, 'Forbidden');
    serve(request, response, sessions).catch((error) => {
      if (response.headersSent) response.destroy();
      else refuse(response, 500, -32603, String(error));
    });
  });
  server.listen(0, '127.0.0.1', () => {
    const { port } = server.address();
    if (process.send) process.send({ port });
    else console.log(port);
  });
}

if (kind === 'stdio') await makeServer().connect(new StdioServerTransport());
else await listen(kind === 'sse' ? serveSse : serveHttp);
