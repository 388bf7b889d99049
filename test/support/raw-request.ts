// One HTTP request over a connection that the caller may choose, answered with every byte and header as they came.
import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import type { Socket } from 'node:net';
import { SESSION_HEADER } from '../../src/protocol/mcp.js';

export interface RawRequest {
  readonly method?: string;
  readonly path: string;
  readonly headers?: Record<string, string | string[]>;
  readonly body?: string | Buffer;
}

export interface RawAnswer {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly body: string;
}

export const JSON_HEADERS = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };

/** Over `socket` if given (it is used up), else over a new connection to `origin`. */
export async function sendRaw(origin: string, raw: RawRequest, socket?: Socket): Promise<RawAnswer> {
  const { answer } = await beginRaw(origin, raw, socket);
  const chunks: Buffer[] = [];
  for await (const chunk of answer) chunks.push(chunk as Buffer);
  return { status: answer.statusCode ?? 0, headers: flatten(answer), body: Buffer.concat(chunks).toString('utf8') };
}

/** As `sendRaw`, resolved with the head of the answer: for streams. */
export function beginRaw(
  origin: string,
  raw: RawRequest,
  socket?: Socket,
): Promise<{ readonly call: ClientRequest; readonly answer: IncomingMessage }> {
  return new Promise((resolve, reject) => {
    const call = request(new URL(raw.path, origin), {
      method: raw.method ?? 'POST',
      headers: raw.headers ?? {},
      // With `agent: false` node makes an agent, which ignores createConnection: the request would go to whichever worker is next.
      ...(socket ? { createConnection: () => socket } : { agent: false }),
    });
    call.on('response', (answer) => resolve({ call, answer }));
    call.on('error', reject);
    call.end(raw.body);
  });
}

/** As it goes over the wire, for what is written to a socket as such. */
export function requestText({ method = 'POST', path, headers, body = '' }: RawRequest): string {
  const lines = Object.entries<string | string[] | undefined>({
    host: '127.0.0.1',
    ...headers,
    'content-length': String(Buffer.byteLength(body)),
  });
  return `${method} ${path} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${String(value)}\r\n`).join('')}\r\n${String(body)}`;
}

/** What has come of a connection so far, and whether its other end has closed it. */
export function collect(socket: Socket): { text: string; isClosed: boolean } {
  const collected = { text: '', isClosed: false };
  socket.setEncoding('utf8').on('data', (part: string) => {
    collected.text += part;
  });
  socket.on('end', () => {
    collected.isClosed = true;
  });
  return collected;
}

/** A JSON-RPC request as a raw one. */
export function rpc(
  path: string,
  sessionId: string | undefined,
  method: string,
  params?: unknown,
  id: number | string = 1,
): RawRequest {
  return {
    path,
    headers: { ...JSON_HEADERS, ...(sessionId !== undefined && { [SESSION_HEADER]: sessionId }) },
    body: JSON.stringify({ jsonrpc: '2.0', id, method, ...(params !== undefined && { params }) }),
  };
}

/** A tools/call as a raw request. */
export function toolCall(
  path: string,
  sessionId: string,
  name: string,
  args: Record<string, unknown> = {},
  id: number | string = 1,
) {
  return rpc(path, sessionId, 'tools/call', { name, arguments: args }, id);
}

/** The standalone stream, or with `lastId` whatever stream had that event. */
export function getStream(path: string, sessionId: string, lastId?: string): RawRequest {
  const headers = { accept: 'text/event-stream', [SESSION_HEADER]: sessionId };
  return { method: 'GET', path, headers: { ...headers, ...(lastId !== undefined && { 'last-event-id': lastId }) } };
}

/** The JSON-RPC response in an answer, whether it came as JSON or as events. */
export function responseOf(
  answer: RawAnswer,
): { id?: unknown; result?: never; error?: { code: number; message: string } } & Record<string, unknown> {
  if (!answer.headers['content-type']?.startsWith('text/event-stream')) return JSON.parse(answer.body);
  const messages = eventsOf(answer.body).filter(({ data }) => data !== '');
  const last = messages.at(-1);
  if (last === undefined) throw new Error(`no message among the events: ${answer.body}`);
  return JSON.parse(last.data);
}

export interface ServerSentEvent {
  readonly id: string | undefined;
  readonly data: string;
}

/** The events of a text/event-stream, without comments. */
export function eventsOf(text: string): ServerSentEvent[] {
  return text
    .split('\n\n')
    .map((block) => block.split('\n'))
    .map((lines) => ({
      id: lines
        .find((line) => line.startsWith('id:'))
        ?.slice(3)
        .trim(),
      data: lines
        .filter((line) => line.startsWith('data:'))
        .map((line) => line.slice(5).replace(/^ /, ''))
        .join('\n'),
    }))
    .filter(({ id, data }) => id !== undefined || data !== '');
}

/** Opens a session by hand; @returns its id. */
export async function openSession(
  origin: string,
  path: string,
  protocolVersion = '2025-11-25',
  capabilities: object = {},
): Promise<string> {
  const params = { protocolVersion, capabilities, clientInfo: { name: 'raw', version: '1.0.0' } };
  const answer = await sendRaw(origin, rpc(path, undefined, 'initialize', params));
  const sessionId = answer.headers[SESSION_HEADER];
  if (answer.status !== 200 || sessionId === undefined) throw new Error(`initialize: ${answer.status} ${answer.body}`);
  const ready = rpc(path, sessionId, 'notifications/initialized');
  const accepted = await sendRaw(origin, {
    ...ready,
    body: JSON.stringify({ jsonrpc: '2.0', method: 'notifications/initialized' }),
  });
  if (accepted.status !== 202) throw new Error(`notifications/initialized: ${accepted.status} ${accepted.body}`);
  return sessionId;
}

function flatten(answer: IncomingMessage): Record<string, string> {
  return Object.fromEntries(
    Object.entries(answer.headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : (value ?? '')]),
  );
}
