// Clients that read slowly or not at all, backends that say more than anybody takes, and what of it a test wants to know.
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Cluster, Ownership, Worker } from './cluster.js';
import { eventsOf, openSession, type RawRequest, sendRaw, toolCall } from './raw-request.js';
import type { StrictBackend } from './strict-backend.js';

/** 50 MB in 800 events. */
export const EVENTS = 800;
export const PAD = 'x'.repeat(64 * 1024);
const MOST_GROWN_BYTES = 120 * 1024 * 1024;
/** JSON-RPC id of the call that pours. */
const POURED = 'poured';

/** What the backend has written of the answer of one call. */
export class Pouring {
  written = 0;
  isHeldBack = false;
  isDone = false;

  async run(response: ServerResponse, { id, params }: { id?: unknown; params?: Record<string, unknown> }): Promise<void> {
    const { progressToken } = (params as { _meta: { progressToken: string } })._meta;
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const say = (message: object) => response.write(`data: ${JSON.stringify({ jsonrpc: '2.0', ...message })}\n\n`);
    for (let progress = 1; progress <= EVENTS && !response.destroyed; progress++) {
      this.written += PAD.length;
      if (say({ method: 'notifications/progress', params: { progressToken, progress, message: PAD } })) continue;
      this.isHeldBack = true;
      await takesMore(response);
      this.isHeldBack = false;
    }
    say({ id, result: { content: [{ type: 'text', text: POURED }] } });
    response.end();
    this.isDone = true;
  }
}

/** Also when its reader is killed. */
function takesMore(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const go = () => {
      response.off('drain', go).off('close', go);
      resolve();
    };
    response.on('drain', go).on('close', go);
  });
}

/** The next call to the backend is answered with 50 MB. */
export function pourNext(backend: StrictBackend): Pouring {
  const pouring = new Pouring();
  backend.once('tools/call', (request, response) => pouring.run(response, request.message));
  return pouring;
}

/** The call that `readAll` finds the answer of, with a progress token. */
export function pourCall(path: string, sessionId: string, name = 'echo', args: Record<string, unknown> = {}): RawRequest {
  const call = toolCall(path, sessionId, name, args, POURED);
  const message = JSON.parse(call.body as string);
  message.params._meta = { progressToken: 'p' };
  return { ...call, body: JSON.stringify(message) };
}

/** Reads from now on, to the end of the stream. Rejects where it is broken off. */
export async function readAll(answer: IncomingMessage) {
  let text = '';
  answer.setEncoding('utf8').on('data', (part: string) => {
    text += part;
  });
  await once(answer, 'end');
  // As clients do: of another type than `message` nothing is read.
  const blocks = text.split('\n\n').filter((block) => !/^event: (?!message$)/m.test(block));
  const events = eventsOf(blocks.join('\n\n'));
  const messages = events.filter(({ data }) => data !== '').map(({ data }) => JSON.parse(data));
  return {
    lastId: events.at(-1)?.id as string,
    messages,
    /** When to come again: told at the beginning, for a client that is let go later. */
    retryMs: Number(/^retry: (\d+)$/m.exec(text)?.[1]),
    hasGap: messages.some(({ params }) => params?.data?.gap === true),
    progress: messages.flatMap(({ params }) => (params?.progress === undefined ? [] : [params.progress as number])),
    final: messages.find(({ id }) => id === POURED),
  };
}

/** Up to the end of the stream, however it comes; at the deadline, which `performance.now()` tells, it is broken off. */
export async function* eventsAsTheyCome(answer: IncomingMessage, deadlineMs: number) {
  let text = '';
  // Not by who awaits the next event: that would never hear of the deadline.
  const late = setTimeout(() => answer.destroy(), Math.max(0, deadlineMs - performance.now()));
  try {
    for await (const part of answer.setEncoding('utf8')) {
      text += part as string;
      const end = text.lastIndexOf('\n\n') + 2;
      if (end < 2) continue;
      yield* eventsOf(text.slice(0, end));
      text = text.slice(end);
    }
  } catch {
    // Cut off: it comes again.
  } finally {
    clearTimeout(late);
  }
}

export const upTo = (first: number, last: number) => Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => first + i);

function memoryOf(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024;
}

/** @returns a check that no worker has grown by more than 120 MiB since */
export function watchMemory(cluster: Cluster): () => void {
  const before = new Map(cluster.workers().map(({ pid }) => [pid, memoryOf(pid)]));
  return () => {
    for (const { pid } of cluster.workers()) {
      const grown = memoryOf(pid) - (before.get(pid) ?? Number.POSITIVE_INFINITY);
      if (grown > MOST_GROWN_BYTES) throw new Error(`worker ${pid} has grown by ${grown} bytes`);
    }
  };
}

/** A session that has used its backend, its owner, a worker of another pod, and one that is neither. */
export async function openBetween(cluster: Cluster, path: string, tool = 'echo') {
  const sessionId = await openSession(cluster.balancer.origin, path);
  await sendRaw(cluster.balancer.origin, toolCall(path, sessionId, tool));
  const owner: Ownership = await cluster.ownerOf(sessionId);
  const edge = cluster.workers().find(({ pod }) => pod !== owner.pod) as Worker;
  const third = cluster.workers().find(({ pid }) => pid !== owner.pid && pid !== edge.pid) as Worker;
  return { sessionId, owner, edge, third };
}

/** Lines of the log about streams that ended for this reason. */
export function endsBy(cluster: Cluster, reason: string) {
  return cluster.pods.flatMap((pod) => pod.logs()).filter((line) => line.msg === 'stream ended' && line.reason === reason);
}

/** Of all pods together. */
export async function readMetric(cluster: Cluster, name: string): Promise<number> {
  let sum = 0;
  for (const pod of cluster.pods) {
    const text = await (await fetch(pod.adminUrl('/metrics'))).text();
    for (const [, value] of text.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\d+)$`, 'gm'))) sum += Number(value);
  }
  return sum;
}
