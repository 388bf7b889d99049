// What tests of a failing Redis share: pods with one HTTP and one stdio backend that write down every call, clients that go on
// calling through the balancer all the time, and somebody who watches the probes.
import { randomUUID } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { Agent, get } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Cluster, type ClusterOptions, startCluster } from './cluster.js';
import { openSession, type RawAnswer, responseOf, sendRaw, toolCall } from './raw-request.js';
import { type RecordingBackend, startRecordingBackend } from './recording-backend.js';
import { waitFor } from './wait-for.js';

export const HTTP = '/servers/recorder/mcp';
export const STDIO = '/servers/local/mcp';
/** Between two calls of one session, ms. */
const CALL_EVERY_MS = 100;
const PROBE_EVERY_MS = 100;

export interface World {
  readonly cluster: Cluster;
  readonly backend: RecordingBackend;
  /** Nonces of every call that reached a backend, of either kind; one that ran twice is in it twice. */
  ran(): string[];
  open(path: string): Promise<OpenSession>;
  dispose(): Promise<void>;
}

export interface OpenSession {
  readonly id: string;
  readonly path: string;
  /** One call through the balancer. */
  call(tool?: string, nonce?: string): Promise<Answer>;
  /** Which process runs the backend; for stdio: of this session alone. */
  backendPid(): Promise<number>;
}

/** `HTTP status` and, of a JSON-RPC error in a 200, its code; `text` of a result. */
export interface Answer {
  readonly nonce: string;
  readonly kind: string;
  readonly text: string | undefined;
  readonly raw: RawAnswer;
}

export async function startWorld(options: ClusterOptions): Promise<World> {
  const backend = await startRecordingBackend({ json: true });
  const dir = mkdtempSync(join(tmpdir(), 'berth-record-'));
  const file = join(dir, 'record');
  const args = [join(__dirname, 'fixtures/stdio-backend.mjs')];
  const mcpServers = {
    recorder: { type: 'http', url: backend.url },
    local: { command: process.execPath, args, env: { RECORD_FILE: file } },
  };
  const cleanUp = async () => {
    await backend.close();
    rmSync(dir, { recursive: true, force: true });
  };
  const cluster = await startCluster({ ...options, config: { mcpServers, ...options.config } }).catch(async (error) => {
    await cleanUp();
    throw error;
  });
  return {
    cluster,
    backend,
    ran: () => [...backend.calls.map(({ nonce }) => nonce), ...readNonces(file)],
    async open(path) {
      const id = await openSession(cluster.balancer.origin, path);
      const session: OpenSession = {
        id,
        path,
        call: async (tool = 'echo', nonce = randomUUID()) =>
          read(nonce, await sendRaw(cluster.balancer.origin, toolCall(path, id, tool, { nonce }))),
        backendPid: async () => JSON.parse((await session.call('whoami')).text ?? '{}').pid,
      };
      return session;
    },
    async dispose() {
      await cluster.dispose();
      await cleanUp();
    },
  };
}

function readNonces(file: string): string[] {
  let text = '';
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    // No stdio session yet.
  }
  const entries = text.split('\n').filter((line) => line !== '');
  return entries.map((line) => JSON.parse(line)).flatMap((entry) => (entry.kind === 'call' ? [entry.nonce] : []));
}

/** What the answer to a tool call says. */
export function read(nonce: string, raw: RawAnswer): Answer {
  if (raw.status !== 200) return { nonce, kind: String(raw.status), text: undefined, raw };
  const { result, error } = responseOf(raw) as { result?: { content: [{ text: string }] }; error?: { code: number } };
  return { nonce, kind: error ? `200 ${error.code}` : 'ok', text: result?.content[0]?.text, raw };
}

export interface Load {
  readonly answers: readonly Answer[];
  /** Waits until every session was answered well by a call that began after this. */
  untilAllServed(withinMs: number): Promise<void>;
  /** Ends it. @returns all answers, once every call has one */
  stop(): Promise<readonly Answer[]>;
}

/** Each session calls again and again, one call at a time. */
export function startLoad(sessions: readonly OpenSession[]): Load {
  const answers: Answer[] = [];
  const running = new Map<OpenSession, Promise<void>>();
  const served = new Map<OpenSession, number>();
  const begin = (session: OpenSession) => {
    if (running.has(session)) return;
    const begunMs = performance.now();
    const call = session
      .call()
      .then((answer) => {
        answers.push(answer);
        if (answer.kind === 'ok') served.set(session, begunMs);
      })
      .catch((error: unknown) => {
        answers.push({ nonce: '', kind: `broken: ${String(error)}`, text: undefined, raw: { status: 0, headers: {}, body: '' } });
      })
      .finally(() => running.delete(session));
    running.set(session, call);
  };
  const timer = setInterval(() => {
    for (const session of sessions) begin(session);
  }, CALL_EVERY_MS);
  // A test that fails halfway stops nothing; the run has to end all the same.
  timer.unref();
  return {
    answers,
    untilAllServed: async (withinMs) => {
      const fromMs = performance.now();
      await waitFor(
        () => `every session to be served; so far ${JSON.stringify(tally(answers))}`,
        () => sessions.every((session) => (served.get(session) ?? 0) > fromMs),
        withinMs,
      );
    },
    async stop() {
      clearInterval(timer);
      await Promise.all(running.values());
      return answers;
    },
  };
}

/** How many answers of each kind. */
export function tally(answers: readonly Answer[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { kind } of answers) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
}

/** I2 and I6: what was answered well ran once, what was refused never, nothing ran twice. */
export function expectOnce(world: World, answers: readonly Answer[]): void {
  const ran = world.ran();
  expect(ran.length).toBe(new Set(ran).size);
  const all = new Set(ran);
  expect(answers.filter(({ kind, nonce }) => kind === 'ok' && !all.has(nonce))).toEqual([]);
  expect(answers.filter(({ kind, nonce }) => kind === '503' && all.has(nonce))).toEqual([]);
}

export interface ProbeReport {
  /** Statuses of /livez that were not 200. */
  readonly notLive: readonly string[];
  /** Of each worker whose /readyz was not 200: when that was first seen, ms since the watch began. */
  readonly notReadyMs: readonly number[];
}

/** Asks every worker of every pod for /livez and /readyz all the time, each over one connection of its own. */
export async function watchProbes(cluster: Cluster): Promise<{ stop(): Promise<ProbeReport> }> {
  const sockets = [];
  // One after the other: a pod deals out connections in turn, and those of two seekers never meet their worker.
  for (const { pid, pod } of cluster.workers()) sockets.push({ pod, socket: await pod.connectTo(pid) });
  const fromMs = performance.now();
  const notLive: string[] = [];
  const notReadyMs: number[] = [];
  const watches = sockets.map(({ pod, socket }, index) => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    agent.createConnection = () => socket;
    const statusOf = (path: string) =>
      new Promise<number>((resolve, reject) => {
        const asked = get(pod.url(path), { agent }, (answer) =>
          answer.resume().once('end', () => resolve(answer.statusCode ?? 0)),
        );
        asked.once('error', reject);
      });
    const ask = async () => {
      const live = await statusOf('/livez');
      if (live !== 200) notLive.push(`${live} of ${pod.host}`);
      if ((await statusOf('/readyz')) !== 200) notReadyMs[index] ??= performance.now() - fromMs;
    };
    let running: Promise<void> | undefined;
    const timer = setInterval(() => {
      running ??= ask()
        .catch((error: unknown) => void notLive.push(String(error)))
        .finally(() => {
          running = undefined;
        });
    }, PROBE_EVERY_MS);
    return async () => {
      clearInterval(timer);
      await running;
      agent.destroy();
    };
  });
  return {
    async stop() {
      await Promise.all(watches.map((end) => end()));
      return { notLive, notReadyMs: notReadyMs.filter((ms) => ms !== undefined) };
    },
  };
}
