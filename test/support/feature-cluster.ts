// A cluster with a backend of every kind, for what they do beyond calls: features.cjs over HTTP and stdio, HTTP+SSE, and the strict backend.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Cluster, type Ownership, startCluster, type Worker } from './cluster.js';
import { isAlive, killNow } from './processes.js';
import { JSON_HEADERS } from './raw-request.js';
import { type RecordingBackend, startRecordingBackend } from './recording-backend.js';
import { type SdkSseBackend, startSdkSseBackend } from './sdk-sse-backend.js';
import { StrictBackend } from './strict-backend.js';
import { waitFor } from './wait-for.js';

/** Where they are served: HTTP and stdio together, each alone, with the HTTP+SSE one, the strict one. */
export const BOTH = '/servers/both/mcp';
export const REMOTE = '/servers/remote/mcp';
export const LOCAL = '/servers/local/mcp';
export const ALL = '/servers/all/mcp';
export const STRICT = '/servers/strict/mcp';

/** What a stdio child wrote down. */
interface ChildRecord {
  readonly kind: string;
  readonly what?: string;
  readonly pid: number;
}

export class FeatureCluster {
  readonly #dir: string;

  private constructor(
    readonly cluster: Cluster,
    readonly backend: RecordingBackend,
    readonly old: SdkSseBackend,
    readonly strict: StrictBackend,
    dir: string,
  ) {
    this.#dir = dir;
  }

  static async start(): Promise<FeatureCluster> {
    const dir = mkdtempSync(join(tmpdir(), 'berth-record-'));
    const [backend, old, strict] = [
      await startRecordingBackend({ features: true }),
      await startSdkSseBackend(),
      await StrictBackend.start(),
    ];
    const args = [join(__dirname, 'fixtures/stdio-backend.mjs'), '--features'];
    const env = { RECORD_FILE: join(dir, 'record') };
    const mcpServers = {
      remote: { type: 'http', url: backend.url },
      local: { command: process.execPath, args, env, onStateLoss: 'reinitialize' },
      old: { type: 'sse', url: old.url },
      strict: { type: 'http', url: strict.url },
    };
    const servers = {
      both: { backends: ['remote', 'local'] },
      all: { backends: ['remote', 'local', 'old'], prefix: 'always' },
    };
    try {
      const cluster = await startCluster({ config: { mcpServers, servers } });
      return new FeatureCluster(cluster, backend, old, strict, dir);
    } catch (error) {
      await release(dir, [backend, old, strict]);
      throw error;
    }
  }

  async dispose(): Promise<void> {
    try {
      await this.cluster.dispose();
    } finally {
      await release(this.#dir, [this.backend, this.old, this.strict]);
    }
  }

  /** What stdio children wrote down, oldest first. */
  ofChildren(): ChildRecord[] {
    return readFileSync(join(this.#dir, 'record'), 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line));
  }

  /** @returns who owned it, once that process is dead */
  async killOwner({ sessionId }: { readonly sessionId: string }): Promise<Ownership> {
    const owner = await this.cluster.ownerOf(sessionId);
    killNow(owner.pid);
    await waitFor(`worker ${owner.pid} to be dead`, () => !isAlive(owner.pid));
    return owner;
  }

  /** The last one that the HTTP backend has opened. */
  backendSession(): string {
    return this.backend.issued.at(-1) as string;
  }

  listening(backendSession: string): Promise<boolean> {
    return waitFor(`the gateway to listen at the backend in ${backendSession}`, () => this.backend.listening.has(backendSession));
  }

  /** A worker that neither owns the session nor is one of `others`. */
  third(owner: Ownership, ...others: number[]): Worker {
    const worker = this.cluster.workers().find(({ pid }) => pid !== owner.pid && !others.includes(pid));
    if (!worker) throw new Error('too few workers');
    return worker;
  }

  /** A notification of the client at `BOTH`. @returns the status */
  async notify(sessionId: string, { pid, pod }: Worker, method: string, params: object): Promise<number> {
    const body = JSON.stringify({ jsonrpc: '2.0', method, params });
    const headers = { ...JSON_HEADERS, 'mcp-session-id': sessionId };
    return (await pod.sendTo(pid, { path: BOTH, headers, body })).status;
  }
}

async function release(dir: string, backends: ReadonlyArray<{ close(): Promise<unknown> }>): Promise<void> {
  await Promise.all(backends.map((backend) => backend.close()));
  rmSync(dir, { recursive: true, force: true });
}
