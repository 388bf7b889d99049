// Pods, a backend of each kind, and every official client behind every kind of balancer, in steady use while a test does harm.
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Ownership, whenAllServe } from './cluster.js';
import { Fleet } from './fleet.js';
import { type ConnectOfficialClient, OFFICIAL_CLIENTS } from './official-clients.js';
import type { Pod } from './pod.js';
import { isReaped } from './processes.js';
import { type RecordingBackend, startRecordingBackend } from './recording-backend.js';
import { SteadyClient } from './steady-client.js';
import { waitFor } from './wait-for.js';

const STDIO = join(__dirname, 'fixtures/stdio-backend.mjs');
const PATH = '/servers/both/mcp';
const TOOLS = { counter: 'web__counter', slow: 'web__slow', stdioCounter: 'local__counter' };
const WATCHED = 'remote://watched';
const NUMBER_EVERY_MS = 100;
/** A lease, a retry hint, and a busy machine. */
const HEARD_WITHIN_MS = 20_000;

export interface SteadyFleetOptions {
  /** What the long calls take, in turn. */
  readonly longMs: readonly number[];
  readonly drain: { readonly delay: string; readonly timeout: string };
  /** `limits`. */
  readonly limits?: Record<string, string>;
  /** `each`: every client behind every kind of balancer; `one`: in turn, each behind one of them; or all behind that one. */
  readonly balancers: 'each' | 'one' | 'per request';
  /** By name; default the TypeScript clients. */
  readonly clients?: Record<string, ConnectOfficialClient>;
}

async function release(backend: RecordingBackend, dir: string): Promise<void> {
  rmSync(dir, { recursive: true, force: true });
  await backend.close();
}

export class SteadyFleet {
  /** In their order; none before the first. */
  readonly #phases: string[] = [];
  readonly clients: SteadyClient[] = [];
  #number = 0;
  #numbering: NodeJS.Timeout | undefined;
  #sessionIds: string[] = [];

  private constructor(
    readonly backend: RecordingBackend,
    readonly fleet: Fleet,
    readonly dir: string,
  ) {}

  /** Two pods of two workers. */
  static async start({
    longMs,
    drain,
    limits = {},
    balancers,
    clients = OFFICIAL_CLIENTS,
  }: SteadyFleetOptions): Promise<SteadyFleet> {
    const backend = await startRecordingBackend({ features: true });
    const dir = mkdtempSync(join(tmpdir(), 'berth-steady-'));
    const local = { command: process.execPath, args: [STDIO], env: { RECORD_FILE: join(dir, 'calls') } };
    const config = {
      mcpServers: { web: { type: 'http', url: backend.url }, local: { ...local, onStateLoss: 'reinitialize' } },
      servers: { both: { backends: ['web', 'local'], prefix: 'always' } },
      drain,
      limits,
      log: { level: 'warn', format: 'json' },
    };
    const fleet = await Fleet.start({ config, workers: 2 }, 2).catch(async (error: unknown) => {
      await release(backend, dir);
      throw error;
    });
    const steady = new SteadyFleet(backend, fleet, dir);
    try {
      const all = Object.entries({ 'per request': fleet.fresh.origin, 'per connection': fleet.perConnection.origin });
      const places = all.slice(0, balancers === 'per request' ? 1 : all.length);
      for (const [n, [kind, connect]] of Object.entries(clients).entries()) {
        for (const [balanced, origin] of balancers === 'each' ? places : [places[n % places.length] as (typeof places)[0]]) {
          const options = { tools: TOOLS, watched: WATCHED, longMs };
          steady.clients.push(await SteadyClient.start(`${kind}, balanced ${balanced}`, connect, origin + PATH, options));
        }
      }
      steady.#sessionIds = steady.clients.map(({ sessionId }) => sessionId);
      await waitFor('every client to listen', () => backend.listening.size === steady.clients.length);
      steady.#numbering = setInterval(() => void backend.sendLog({ number: ++steady.#number }), NUMBER_EVERY_MS);
      await steady.isWell('before');
      return steady;
    } catch (error) {
      await steady.dispose().catch(() => undefined);
      throw error;
    }
  }

  phase(name: string): void {
    this.#phases.push(name);
    for (const client of this.clients) client.phase(name);
  }

  ownerOf(client: SteadyClient): Promise<Ownership> {
    return this.fleet.ownerOf(client.sessionId);
  }

  workers(): Array<{ readonly pid: number; readonly pod: Pod }> {
    return this.fleet.pods.flatMap((pod) => pod.workers().map((pid) => ({ pid, pod })));
  }

  /** SIGKILL, with long calls of everybody in flight. */
  async kill(pid: number): Promise<void> {
    await waitFor('long calls of every client to be in flight', () => this.clients.every(({ longInFlight }) => longInFlight > 0));
    process.kill(pid, 'SIGKILL');
    // Its pod has to know: until then it takes it for one that serves.
    await waitFor(`worker ${pid} to be dead`, () => isReaped(pid));
  }

  /**
   * Every pod is replaced, one after the other.
   * @param surge whether the new one comes before the old one goes, as a Deployment has it; else at its address, as a StatefulSet
   */
  async roll(surge: boolean): Promise<void> {
    for (const pod of this.fleet.pods) {
      if (surge) await this.fleet.add();
      await this.fleet.remove(pod);
      if (!surge) await this.fleet.add(pod.host);
    }
  }

  /** Phases `owner killed`, `after the kill`, `rolling restart`, `after the restart`: the owner of the first client ends, then every pod. */
  async killOwnerThenRoll(): Promise<void> {
    const [first] = this.clients;
    if (!first) throw new Error('there are clients');
    this.phase('owner killed');
    await this.kill((await this.ownerOf(first)).pid);
    await this.isWell('after the kill');
    this.phase('rolling restart');
    await this.roll(false);
    await this.isWell('after the restart');
  }

  /** Every client goes on with calls and hears of everything, over the stream that it has or makes by itself. */
  async isWell(phase: string): Promise<void> {
    await whenAllServe(this.fleet);
    this.phase(phase);
    const marks = this.clients.map((client) => client.mark());
    const methods = ['notifications/message', 'notifications/tools/list_changed', 'notifications/resources/updated'];
    const heard = async (client: SteadyClient, mark: number) => {
      const missing = () => methods.filter((method) => !client.heardSince(mark).some((heard) => heard.method === method));
      await waitFor(
        () => `${client.name} to hear ${missing()} ${phase}; errors: ${client.client.errors.slice(-5)}`,
        () => missing().length === 0,
        HEARD_WITHIN_MS,
      );
    };
    const telling = setInterval(() => {
      this.backend.sendToolListChanged();
      this.backend.touch(WATCHED);
    }, 500);
    try {
      await Promise.all(this.clients.map((client, n) => heard(client, marks[n] as number)));
      await Promise.all(this.clients.map((client) => client.goesOn(3, HEARD_WITHIN_MS)));
    } finally {
      clearInterval(telling);
    }
  }

  whenAllServe(): Promise<boolean> {
    return whenAllServe(this.fleet);
  }

  /** Calls that failed although none of these phases was while they ran. */
  failedOutside(phases: readonly string[]): object[] {
    const during = (begunIn: string, endedIn: string) =>
      this.#phases.slice(Math.max(0, this.#phases.indexOf(begunIn)), this.#phases.lastIndexOf(endedIn) + 1);
    return this.clients.flatMap(({ name, calls }) =>
      calls
        .filter(
          ({ begunIn, endedIn, outcome }) =>
            outcome !== 'answered' && !during(begunIn, endedIn).some((phase) => phases.includes(phase)),
        )
        .map((call) => ({ name, ...call })),
    );
  }

  /** For each client: how its calls ended in each phase, the longest wait beyond the tool's own time, GETs, gaps told, errors. */
  figures(): string {
    const lines = this.clients.map(({ name, calls, client, numbered, failedStreamRequests }) => {
      const outcomes: Record<string, number> = {};
      const mostMs: Record<string, number> = {};
      for (const { endedIn: phase, outcome, extraMs } of calls) {
        const key = `${phase}: ${outcome}`;
        outcomes[key] = (outcomes[key] ?? 0) + 1;
        mostMs[phase] = Math.max(mostMs[phase] ?? 0, extraMs);
      }
      const gets = client.exchanges.filter(({ method }) => method === 'GET').map(({ status, error }) => status ?? error);
      return JSON.stringify({
        name,
        outcomes,
        mostMs,
        gets,
        failedStreamRequests,
        gapsTold: numbered.gapsTold,
        errors: [...new Set(client.errors)],
      });
    });
    return lines.join('\n');
  }

  /** Lets the calls end. What must hold whatever was done: @returns sentences about what did not. */
  async finish(): Promise<string[]> {
    await Promise.all(this.clients.map((client) => client.stop()));
    const wrong: string[] = [];
    for (const [n, client] of this.clients.entries()) {
      const say = (what: string) => wrong.push(`${client.name}: ${what}`);
      const { exchanges, errors, sessionId } = client.client;
      if (sessionId !== this.#sessionIds[n]) say('has another session');
      const initialized = exchanges.filter(({ rpcMethod }) => rpcMethod === 'initialize').length;
      if (initialized !== 1) say(`initialized ${initialized} times`);
      if (client.failedStreamRequests > 1) say('gave a stream up');
      for (const error of errors.filter((text) => text.includes('Maximum reconnection'))) say(error);
      for (const text of client.numbered.misheard) say(`heard ${text}`);
      for (const text of client.refusals.filter((text) => /^\d/.test(text) && !text.startsWith('502')))
        say(`was answered ${text}`);
      for (const { kind, nonce, endedIn, outcome, extraMs } of client.calls) {
        if (!['answered', 'outcome unknown', 'cut'].includes(outcome)) say(`${endedIn}, ${kind} (${extraMs} ms): ${outcome}`);
        if (outcome === 'answered' && kind !== 'list' && this.#begun(nonce) !== 1)
          say(`${nonce} ran ${this.#begun(nonce)} times`);
      }
    }
    for (const [nonce, times] of this.#counts()) if (times > 1) wrong.push(`${nonce} ran ${times} times`);
    return wrong;
  }

  async dispose(): Promise<void> {
    clearInterval(this.#numbering);
    try {
      await Promise.all(this.clients.map((client) => client.stop()));
    } finally {
      try {
        await this.fleet.dispose();
      } finally {
        await release(this.backend, this.dir);
      }
    }
  }

  #begun(nonce: string): number {
    return this.#counts().get(nonce) ?? 0;
  }

  #counted: Map<string, number> | undefined;

  /** How often each call began, as the backends say. To be asked when nothing runs any more. */
  #counts(): Map<string, number> {
    if (this.#counted) return this.#counted;
    const counts = new Map<string, number>();
    const file = join(this.dir, 'calls');
    const lines = existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : [];
    const stdio = lines.map((line) => JSON.parse(line) as { kind: string; nonce?: string }).filter(({ kind }) => kind === 'call');
    for (const { nonce = '' } of [...this.backend.calls, ...stdio]) counts.set(nonce, (counts.get(nonce) ?? 0) + 1);
    this.#counted = counts;
    return counts;
  }
}
