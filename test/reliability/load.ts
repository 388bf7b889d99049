// Continuous load of clients that keep to the rules: they repeat no POST, and ask for an ended stream again after its retry hint.
import { setTimeout as pause } from 'node:timers/promises';
import { beginRaw, openSession, rpc, responseOf, sendRaw, toolCall } from '../support/raw-request.js';
import { connectSdkClient } from '../support/sdk-client.js';

export interface Failure {
  readonly kind: string;
  readonly what: string;
  readonly atMs: number;
}

/** What the calls of one phase took beyond what the tool itself takes. */
export interface PhaseFigures {
  readonly calls: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

const THINK_MS = 30;
const LONGEST_MS = 500;

export class Load {
  readonly failures: Failure[] = [];
  /** Sessions that ended although nobody ended them. */
  lostSessions = 0;
  newSessions = 0;
  streamReconnects = 0;
  readonly #phases = new Map<string, number[]>();
  #phase = 'before';
  #stopped = false;
  readonly #running: Array<Promise<void>> = [];
  readonly #streams = new Set<{ text: string; isOpen: boolean; close: () => void }>();

  get calls(): number {
    return [...this.#phases.values()].reduce((sum, list) => sum + list.length, 0);
  }

  /** What is measured from now on counts for `name`. */
  phase(name: string): void {
    this.#phase = name;
  }

  figures(): Record<string, PhaseFigures> {
    return Object.fromEntries(
      [...this.#phases].map(([name, list]) => {
        const sorted = [...list].sort((a, b) => a - b);
        const at = (share: number) => Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0);
        return [name, { calls: sorted.length, p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1) }];
      }),
    );
  }

  /** One session; each request over a connection of its own (or over the balancer's kept ones). `counts`: its state must survive. */
  addRaw(origin: string, path: string, kind: string, counts = true): void {
    this.#run(kind, async () => {
      const sessionId = await openSession(origin, path);
      let expected = 0;
      await this.#repeat(kind, async () => {
        if (Math.random() < 0.5) {
          const answer = await this.#timed(0, () => sendRaw(origin, toolCall(path, sessionId, 'counter')));
          const text = this.#textOf(answer);
          expected += 1;
          // A stdio child that had to be started anew counts from one.
          if (!counts) expected = Number(text);
          if (text !== String(expected)) throw new Error(`counted ${text} instead of ${expected}`);
        } else {
          const ms = 5 + Math.floor(Math.random() * (LONGEST_MS - 5));
          const nonce = `${kind}-${Math.random()}`;
          const answer = await this.#timed(ms, () => sendRaw(origin, toolCall(path, sessionId, 'slow', { ms, nonce })));
          const text = this.#textOf(answer);
          if (text !== `${nonce}:slow`) throw new Error(`another's answer: ${text}`);
        }
      });
    });
  }

  /** The official client, with the stream that it opens by itself. */
  addSdk(origin: string, path: string, kind: string): void {
    this.#run(kind, async () => {
      const session = await connectSdkClient(origin + path);
      let expected = 0;
      await this.#repeat(kind, async () => {
        const text = await this.#timed(0, () => session.callText('counter'));
        expected += 1;
        if (text !== String(expected)) throw new Error(`counted ${text} instead of ${expected}`);
      });
      await session.close();
    });
  }

  /** Sessions that are opened, used and deleted, one after the other. */
  addNewcomers(origin: string, path: string, kind: string): void {
    this.#run(kind, () =>
      this.#repeat(kind, async () => {
        const sessionId = await this.#timed(0, () => openSession(origin, path));
        this.newSessions += 1;
        for (const expected of ['1', '2']) {
          const text = this.#textOf(await this.#timed(0, () => sendRaw(origin, toolCall(path, sessionId, 'counter'))));
          if (text !== expected) throw new Error(`a new session counted ${text} instead of ${expected}`);
        }
        const { status } = await sendRaw(origin, { ...rpc(path, sessionId, ''), method: 'DELETE', body: '' });
        if (status !== 202) throw new Error(`DELETE: ${status}`);
      }),
    );
  }

  /** A session with a long GET stream; asked for again after its retry hint when it ends. */
  addStream(origin: string, path: string, kind: string): void {
    this.#run(kind, async () => {
      const sessionId = await openSession(origin, path);
      this.#textOf(await sendRaw(origin, toolCall(path, sessionId, 'counter')));
      const stream = { text: '', isOpen: false, close(): void {} };
      this.#streams.add(stream);
      const headers = { accept: 'text/event-stream', 'mcp-session-id': sessionId };
      while (!this.#stopped) {
        const { call, answer } = await beginRaw(origin, { method: 'GET', path, headers });
        if (answer.statusCode !== 200) {
          this.#fail(kind, `GET: ${answer.statusCode}`);
          if (answer.statusCode === 404) return;
          await pause(THINK_MS);
          continue;
        }
        stream.isOpen = true;
        stream.text = '';
        stream.close = () => void call.destroy();
        answer.setEncoding('utf8').on('data', (part: string) => {
          stream.text += part;
        });
        const how = await new Promise<string>((resolve) => {
          answer
            .on('end', () => resolve('end'))
            .on('error', () => resolve('reset'))
            .on('close', () => resolve('reset'));
        });
        stream.isOpen = false;
        if (this.#stopped) return;
        if (how === 'reset') this.#fail(kind, 'the stream was cut');
        this.streamReconnects += 1;
        await pause(Number(/retry: (\d+)/.exec(stream.text)?.[1] ?? 1000));
      }
    });
  }

  /** Whether every stream is open and has said `text`. */
  allHeard(text: string): boolean {
    return [...this.#streams].every((stream) => stream.isOpen && stream.text.includes(text));
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    for (const stream of this.#streams) stream.close();
    await Promise.all(this.#running);
  }

  #run(kind: string, body: () => Promise<void>): void {
    this.#running.push(body().catch((error: unknown) => this.#fail(kind, `could not begin: ${String(error)}`)));
  }

  async #repeat(kind: string, step: () => Promise<void>): Promise<void> {
    while (!this.#stopped) {
      try {
        await step();
      } catch (error) {
        const what = String(error);
        this.#fail(kind, what);
        if (what.includes('-32001') || what.includes('Session not found')) {
          this.lostSessions += 1;
          return;
        }
      }
      await pause(THINK_MS * Math.random() * 2);
    }
  }

  async #timed<T>(ownMs: number, run: () => Promise<T>): Promise<T> {
    const phase = this.#phase;
    const beganMs = performance.now();
    try {
      return await run();
    } finally {
      const list = this.#phases.get(phase) ?? [];
      list.push(performance.now() - beganMs - ownMs);
      this.#phases.set(phase, list);
    }
  }

  #textOf(answer: Awaited<ReturnType<typeof sendRaw>>): string {
    if (answer.status !== 200) throw new Error(`${answer.status} ${answer.body}`);
    const { result, error } = responseOf(answer) as { result?: { content: Array<{ text: string }> }; error?: object };
    if (!result) throw new Error(JSON.stringify(error));
    return result.content[0]?.text ?? '';
  }

  #fail(kind: string, what: string): void {
    if (!this.#stopped) this.failures.push({ kind, what: what.slice(0, 300), atMs: Math.round(performance.now()) });
  }
}
