// An official client in steady use: calls of every length, one after the other, while it listens. It does nothing that
// the client would not do by itself: no second connect, no repeated call, no look at a status. Afterwards it can say what became of it.
import { NumberedMessages } from './numbered-messages.js';
import type { ConnectOfficialClient, Heard, OfficialClient } from './official-clients.js';
import { waitFor } from './wait-for.js';

/** Tools as the gateway shows them. */
export interface SteadyTools {
  readonly counter: string;
  readonly slow: string;
  /** Of a backend whose state may be lost with its worker. */
  readonly stdioCounter: string;
}

export interface SteadyOptions {
  readonly tools: SteadyTools;
  /** A resource that it subscribes to. */
  readonly watched: string;
  /** What the long calls take, in turn. */
  readonly longMs: readonly number[];
}

/** `cut`: the connection ended before any byte of an answer, so that the client knows as little as with -32012. */
export type Outcome = 'answered' | 'outcome unknown' | 'cut' | string;

interface CallRecord {
  readonly kind: string;
  readonly nonce: string;
  readonly begunIn: string;
  readonly endedIn: string;
  readonly outcome: Outcome;
  /** Beyond what the tool itself takes. */
  readonly extraMs: number;
}

const SHORT_MS = 200;
const PROGRESS_MS = 250;

export class SteadyClient {
  readonly calls: CallRecord[] = [];
  readonly numbered = new NumberedMessages();
  readonly #heard: Heard[] = [];
  readonly #options: SteadyOptions;
  readonly #running: Array<Promise<void>> = [];
  #client!: OfficialClient;
  #phase = 'before';
  #stopped = false;
  #inFlight = new Map<string, string>();

  private constructor(
    readonly name: string,
    options: SteadyOptions,
  ) {
    this.#options = options;
  }

  /** @returns once it listens at the backend, with a log level set and a resource subscribed to */
  static async start(name: string, connect: ConnectOfficialClient, url: string, options: SteadyOptions): Promise<SteadyClient> {
    const steady = new SteadyClient(name, options);
    steady.#client = await connect(url, (heard) => steady.#hear(heard));
    try {
      await steady.#client.setLogLevel();
      await steady.#client.subscribe(options.watched);
    } catch (error) {
      await steady.#client.close().catch(() => undefined);
      throw error;
    }
    const { longMs } = options;
    steady.#run((n) => steady.#callShort(n));
    let turn = 0;
    for (const every of [undefined, PROGRESS_MS]) {
      steady.#run((n) =>
        steady.#call(
          every ? 'long, with progress' : 'long, silent',
          n,
          options.tools.slow,
          longMs[turn++ % longMs.length],
          every,
        ),
      );
    }
    return steady;
  }

  get client(): OfficialClient {
    return this.#client;
  }

  get sessionId(): string {
    const { sessionId } = this.#client;
    if (sessionId === undefined) throw new Error(`${this.name} has no session`);
    return sessionId;
  }

  /** What begins and ends from now on counts for `name`. */
  phase(name: string): void {
    this.#phase = name;
  }

  /** Waits for `count` more answered calls of every kind. */
  async goesOn(count: number, withinMs: number): Promise<void> {
    const from = this.calls.length;
    const kinds = ['counter', 'short', 'stdio', 'list'];
    const answered = (kind: string) =>
      this.calls.slice(from).filter((call) => call.kind === kind && call.outcome === 'answered').length;
    await waitFor(
      () => `${count} calls of ${this.name} ${this.#phase}: ${JSON.stringify(kinds.map((kind) => [kind, answered(kind)]))}`,
      () => kinds.every((kind) => answered(kind) >= count),
      withinMs,
    );
  }

  /** What it heard from `mark()` on. */
  heardSince(mark: number): readonly Heard[] {
    return this.#heard.slice(mark);
  }

  mark(): number {
    return this.#heard.length;
  }

  /** Long calls that run now. */
  get longInFlight(): number {
    return [...this.#inFlight.values()].filter((kind) => kind.startsWith('long')).length;
  }

  /** GETs of one stream that were refused or broke, the most in a row: at two the client gives that stream up for ever. */
  get failedStreamRequests(): number {
    const inRow = new Map<string | undefined, number>();
    let most = 0;
    for (const { method, lastEventId, status, error } of this.#client.exchanges) {
      if (method !== 'GET' || (status === undefined && error === undefined)) continue;
      const row = status !== undefined && status < 300 ? 0 : (inRow.get(lastEventId) ?? 0) + 1;
      inRow.set(lastEventId, row);
      most = Math.max(most, row);
    }
    return most;
  }

  /** Every answer that was not a success, as `status method`, and every connection error. */
  get refusals(): string[] {
    return this.#client.exchanges.flatMap(({ method, rpcMethod, status, error }) => {
      if (error !== undefined) return [`${method} ${rpcMethod ?? ''}: ${error}`];
      return status === undefined || status < 300 ? [] : [`${status} ${method} ${rpcMethod ?? ''}`];
    });
  }

  /** Ends after the calls in flight. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#running);
    await this.#client.close();
  }

  #run(step: (n: number) => Promise<void>): void {
    const run = async () => {
      for (let n = 0; !this.#stopped; n += 1) await step(n);
    };
    this.#running.push(run());
  }

  /** One of each kind. */
  async #callShort(n: number): Promise<void> {
    const { tools } = this.#options;
    await this.#call('counter', n, tools.counter);
    await this.#call('stdio', n, tools.stdioCounter);
    await this.#call('short', n, tools.slow, SHORT_MS);
    await this.#record('list', '', 0, async () => {
      const names = await this.#client.listTools();
      const missing = Object.values(tools).filter((tool) => !names.includes(tool));
      if (missing.length) throw new Error(`not listed: ${missing}`);
    });
  }

  #call(kind: string, n: number, tool: string, ms = 0, every?: number): Promise<void> {
    const nonce = `${this.name} ${kind} ${n}`;
    const args = { nonce, ...(ms > 0 && { ms }), ...(every && { every }) };
    return this.#record(kind, nonce, ms, () => this.#client.callText(tool, args, every ? () => undefined : undefined));
  }

  async #record(kind: string, nonce: string, ms: number, run: () => Promise<unknown>): Promise<void> {
    const begunIn = this.#phase;
    const from = performance.now();
    this.#inFlight.set(nonce, kind);
    const outcome = await run().then(() => 'answered', outcomeOf);
    this.#inFlight.delete(nonce);
    this.calls.push({ kind, nonce, begunIn, endedIn: this.#phase, outcome, extraMs: Math.round(performance.now() - from - ms) });
  }

  #hear(heard: Heard): void {
    this.#heard.push(heard);
    const data = heard.method === 'notifications/message' ? (heard.params?.data as Record<string, unknown>) : undefined;
    if (data?.gap === true) this.numbered.gap();
    if (typeof data?.number === 'number') this.numbered.hear(data.number);
  }
}

function outcomeOf(error: Error & { code?: unknown; status?: unknown }): Outcome {
  if (error.code === -32012) return 'outcome unknown';
  // 502 is how a balancer tells that the connection to the pod ended.
  const isCut = error.message === 'fetch failed' || error.message === 'terminated' || error.code === 502 || error.status === 502;
  return isCut ? 'cut' : `${error.name} ${String(error.code)} ${error.message}`;
}
