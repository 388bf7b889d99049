// A plain balancer without stickiness: every request goes to the next pod over a connection of its own, so that inside the
// pod another worker may get it. It never repeats a request: what a pod refuses, the client sees.
import { Agent, createServer, request, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

const HOP_BY_HOP = new Set(['connection', 'keep-alive', 'proxy-connection', 'te', 'trailer', 'transfer-encoding', 'upgrade']);

export interface Place {
  readonly host: string;
  readonly port: number;
}

export interface BalancerOptions {
  /** `round-robin` (default), or a seed for a repeatable random order, or who is next by the number of the request. */
  readonly order?: 'round-robin' | { readonly seed: number } | ((requestNumber: number) => number);
  /** `kept`: connections to the pods are used again, as proxies do; they obey `connection: close`. Default `fresh`. */
  readonly connections?: 'fresh' | 'kept';
}

export interface Balancer {
  readonly origin: string;
  /** Requests sent to each place so far, in their order. */
  readonly sent: readonly number[];
  url(path: string): string;
  /** Who gets requests from now on, as after a change of readiness. */
  setPlaces(places: readonly Place[]): void;
  close(): Promise<void>;
}

export async function startBalancer(places: readonly Place[], options: BalancerOptions = {}): Promise<Balancer> {
  let current = places;
  let sent = places.map(() => 0);
  const pick = picker(options.order ?? 'round-robin');
  let requestNumber = 0;
  const agent = options.connections === 'kept' ? new Agent({ keepAlive: true }) : undefined;

  const server = createServer({ keepAliveTimeout: 0, requestTimeout: 0 }, (incoming, outgoing) => {
    const index = pick(requestNumber++, current.length) % current.length;
    const place = current[index];
    if (place === undefined) {
      outgoing.writeHead(503).end();
      return;
    }
    sent[index] = (sent[index] ?? 0) + 1;
    pass(incoming, outgoing, place, agent);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    origin,
    get sent() {
      return sent;
    },
    url: (path) => origin + path,
    setPlaces(next) {
      current = next;
      sent = next.map(() => 0);
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
        agent?.destroy();
      }),
  };
}

function pass(incoming: IncomingMessage, outgoing: ServerResponse, place: Place, agent: Agent | undefined): void {
  const onward = request({
    host: place.host,
    port: place.port,
    method: incoming.method,
    path: incoming.url,
    headers: endToEnd(incoming.headers),
    agent: agent ?? false, // false: a connection of its own
  });
  onward.on('response', (answer) => {
    outgoing.writeHead(answer.statusCode ?? 502, endToEnd(answer.headers));
    outgoing.flushHeaders();
    answer.pipe(outgoing);
    // A break on the way back is passed on as a break, never as a clean end.
    answer.on('error', () => outgoing.destroy());
    answer.on('aborted', () => outgoing.destroy());
  });
  onward.on('error', (error: NodeJS.ErrnoException) => {
    if (outgoing.headersSent) outgoing.destroy();
    // The reason is the first thing that one wants to know of a failed test.
    else outgoing.writeHead(502).end(`${error.code ?? error.message} from ${place.host}:${place.port}`);
  });
  incoming.pipe(onward);
  outgoing.on('close', () => {
    if (!outgoing.writableFinished) onward.destroy();
  });
}

function endToEnd(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !HOP_BY_HOP.has(name)));
}

function picker(order: NonNullable<BalancerOptions['order']>): (requestNumber: number, count: number) => number {
  if (order === 'round-robin') return (requestNumber) => requestNumber;
  if (typeof order === 'function') return order;
  let state = order.seed >>> 0;
  return (_requestNumber, count) => {
    // mulberry32: small, repeatable, good enough to spread requests.
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % count;
  };
}
