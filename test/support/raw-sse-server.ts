// An HTTP+SSE server (protocol 2024-11-05) that misbehaves on demand, written without the SDK so that every byte on its stream and
// every answer to a POST is chosen by the test.
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

// biome-ignore lint/suspicious/noExplicitAny: what the gateway sent; the expectation looks into it
export type Sent = any;

export interface RecordedPost {
  readonly stream: RawStream | undefined;
  readonly message: Sent;
  readonly headers: IncomingHttpHeaders;
  readonly path: string;
}

export interface RawStream {
  readonly id: number;
  readonly headers: IncomingHttpHeaders;
  readonly response: ServerResponse;
  /** The client's end is open. */
  isOpen: boolean;
  /** One message event. */
  say(message: object): void;
  write(text: string): void;
  /** Ends the stream: clean, or by a reset. */
  end(how?: 'clean' | 'reset'): void;
}

export interface PostAnswer {
  readonly status: number;
  readonly body?: string;
  readonly headers?: Record<string, string>;
}

export interface RawSseOptions {
  /** Data of the endpoint event; undefined: none is sent. Default: a path with the id of the stream. */
  endpoint?: (stream: RawStream, origin: string) => string | undefined;
  newline?: string;
  /** Instead of a stream. */
  refuseStream?: PostAnswer;
  /** Answer to a POST; undefined: 202, and what the message asks for on the stream. `hang`: none; `reset`: the connection breaks. */
  onPost?: (post: RecordedPost, server: RawSseServer) => PostAnswer | 'hang' | 'reset' | undefined;
  /** Says what it has to say before it answers the POST. */
  answersFirst?: boolean;
  protocolVersion?: string;
}

export class RawSseServer {
  readonly options: RawSseOptions;
  readonly streams: RawStream[] = [];
  readonly posts: RecordedPost[] = [];
  readonly #server = createServer((incoming, outgoing) => void this.#serve(incoming, outgoing));
  #count = 0;

  private constructor(options: RawSseOptions) {
    this.options = options;
  }

  static async start(options: RawSseOptions = {}): Promise<RawSseServer> {
    const server = new RawSseServer(options);
    await new Promise<void>((resolve, reject) => server.#server.once('error', reject).listen(0, '127.0.0.1', resolve));
    return server;
  }

  get origin(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get url(): string {
    return `${this.origin}/deep/sse?tenant=a`;
  }

  get last(): RawStream {
    return this.streams.at(-1) as RawStream;
  }

  /** Messages of that method, as they were posted. */
  sent(method: string): Sent[] {
    return this.posts.filter(({ message }) => message.method === method).map(({ message }) => message);
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  async #serve(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    if (incoming.method === 'GET') {
      this.#openStream(incoming, outgoing);
      return;
    }
    let body = '';
    try {
      for await (const chunk of incoming.setEncoding('utf8')) body += chunk;
    } catch {
      return;
    }
    const id = Number(new URL(incoming.url ?? '/', this.origin).searchParams.get('session'));
    const stream = this.streams.find((one) => one.id === id);
    const post = { stream, message: JSON.parse(body), headers: incoming.headers, path: incoming.url ?? '' };
    this.posts.push(post);
    const answer = this.options.onPost?.(post, this);
    if (answer === 'hang') return;
    if (answer === 'reset') {
      incoming.socket.resetAndDestroy();
      return;
    }
    const reply = () => {
      const { status, body: text = 'Accepted', headers = {} } = answer ?? { status: 202 };
      outgoing.writeHead(status, headers).end(text);
    };
    if (answer) return reply();
    if (!this.options.answersFirst) reply();
    if (stream) this.#run(stream, post.message);
    if (this.options.answersFirst) setImmediate(() => setImmediate(reply));
  }

  #openStream(incoming: IncomingMessage, outgoing: ServerResponse): void {
    const { refuseStream, endpoint, newline = '\n' } = this.options;
    if (refuseStream) {
      outgoing.writeHead(refuseStream.status, refuseStream.headers ?? {}).end(refuseStream.body ?? '');
      return;
    }
    const id = this.streams.length + 1;
    const write = (text: string) => void outgoing.write(text);
    const stream: RawStream = {
      id,
      headers: incoming.headers,
      response: outgoing,
      isOpen: true,
      say: (message) =>
        write(`event: message${newline}data: ${JSON.stringify({ jsonrpc: '2.0', ...message })}${newline}${newline}`),
      write,
      end: (how = 'clean') => void (how === 'clean' ? outgoing.end() : incoming.socket.resetAndDestroy()),
    };
    outgoing.on('close', () => {
      stream.isOpen = false;
    });
    this.streams.push(stream);
    outgoing.writeHead(200, { 'content-type': 'text/event-stream' });
    outgoing.flushHeaders();
    const named = endpoint ? endpoint(stream, this.origin) : `/messages?session=${id}`;
    if (named !== undefined) write(`event: endpoint${newline}data: ${named}${newline}${newline}`);
  }

  #run(stream: RawStream, { id, method, params }: Sent): void {
    if (method === 'initialize') {
      const protocolVersion = this.options.protocolVersion ?? '2024-11-05';
      stream.say({ id, result: { protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'raw', version: '1' } } });
      return;
    }
    if (method !== 'tools/call') return;
    const args = params.arguments;
    switch (params.name) {
      case 'echo':
        stream.say({ id, result: { params } });
        return;
      case 'counter':
        stream.say({ id, result: { count: ++this.#count } });
        return;
      case 'hang':
        return;
      case 'twice':
        stream.say({ id, result: { n: 1 } });
        stream.say({ id, result: { n: 2 } });
        return;
      case 'raw':
        stream.write(args.text.replaceAll('$ID', JSON.stringify(id)));
        return;
      case 'end':
        stream.end(args.how);
        return;
      case 'progress': {
        const { progressToken } = params._meta ?? {};
        for (let progress = 1; progress <= args.steps; progress++) {
          stream.say({ method: 'notifications/progress', params: { progressToken, progress, pad: args.pad } });
        }
        if (!args.hold) stream.say({ id, result: { done: true } });
        return;
      }
      case 'ask':
        stream.say({ id: args.id, method: args.method, params: {} });
        return;
      case 'notify':
        stream.say({ method: args.method, params: { said: true } });
        stream.say({ id, result: {} });
        return;
    }
  }
}
