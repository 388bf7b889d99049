// The worker's side of the admin API: answers what the primary asks, for the whole cluster. Knows nothing of HTTP.
import type { Config } from '../config/schema.js';
import { type Directory, DirectoryUnavailable, UnreadableRecord } from '../directory/directory.js';
import type { SessionRef } from '../protocol/ids.js';
import { TeardownQueueUnavailable } from '../teardown/bull-teardown-queue.js';
import type { DeskOutcome, ListedTeardown, TeardownDesk } from '../teardown/teardown-desk.js';
import { AdminError } from './admin-error.js';
import type { AdminAnswer, AdminRequest } from './admin-request.js';
import { type AskedWorker, askWorkers, type WorkersParts } from './ask-workers.js';
import { decodeOffset, encodeOffset } from './cursor.js';
import { describeBackend, describeServer, type ServedServer } from './describe-config.js';
import { listSessions } from './list-sessions.js';
import { mergeBackend } from './merge-backends.js';
import { mergeWarnings } from './merge-warnings.js';
import { viewSession } from './session-view.js';
import { timeText } from './time-text.js';

export interface AdminDeskParts extends WorkersParts {
  readonly directory: Pick<Directory, 'readSession' | 'countSessions'>;
  readonly desk: Pick<TeardownDesk, 'list' | 'retry' | 'retryAll' | 'drop'>;
  readonly config: () => Pick<Config, 'mcpServers'>;
  readonly servers: () => readonly ServedServer[];
  readonly kill: (ref: SessionRef) => Promise<'killed' | 'gone' | 'later'>;
  readonly onError: (error: unknown) => void;
}

export class AdminDesk {
  readonly #parts: AdminDeskParts;

  constructor(parts: AdminDeskParts) {
    this.#parts = parts;
  }

  /** Never rejects. */
  async serve(request: AdminRequest): Promise<AdminAnswer> {
    try {
      const status = request.kind === 'kill' ? 202 : 200;
      return { status, body: await this.#answer(request) };
    } catch (error) {
      const known = asAdminError(error);
      if (known.code === 'INTERNAL') this.#parts.onError(error);
      return { status: known.status, body: known.body };
    }
  }

  async #answer(request: AdminRequest): Promise<unknown> {
    const { overview, directory, desk } = this.#parts;
    switch (request.kind) {
      case 'workers':
        return { workers: (await askWorkers(this.#parts)).map((worker) => this.#viewWorker(worker)) };
      case 'backends':
        return this.#listBackends();
      case 'servers':
        return this.#listServers();
      case 'sessions': {
        const [page, total] = await Promise.all([listSessions(overview, request), directory.countSessions()]);
        return { ...page, total };
      }
      case 'session':
        return this.#showSession(request.ref);
      case 'kill':
        return this.#kill(request.ref);
      case 'teardowns': {
        const offset = decodeOffset(request.cursor);
        const { jobs, total } = await desk.list(request.state, offset, request.limit);
        const next = offset + request.limit;
        const cursor = next < total ? { cursor: encodeOffset(next) } : {};
        return { teardowns: jobs.map((job) => this.#viewTeardown(job)), total, ...cursor };
      }
      case 'retry':
        return settled(await desk.retry(request.id), { id: request.id, retried: true });
      case 'retryAll':
        return desk.retryAll(request.backend);
      case 'drop':
        return settled(await desk.drop(request.id), { id: request.id, dropped: true });
    }
  }

  async #listBackends() {
    const asked = await askWorkers(this.#parts);
    const served = this.#parts.servers();
    const backends = Object.entries(this.#parts.config().mcpServers);
    return {
      backends: backends.map(([name, backend]) => ({
        ...describeBackend(name, backend, served),
        ...mergeBackend(name, asked),
      })),
    };
  }

  async #listServers() {
    const asked = await askWorkers(this.#parts);
    // A server may be called what every object has, such as "constructor".
    const toolsOf = (id: string) => asked.find(({ status }) => status && Object.hasOwn(status.tools, id))?.status?.tools[id];
    const statuses = asked.flatMap(({ status }) => status ?? []);
    return {
      servers: this.#parts
        .servers()
        .map((server) => describeServer(server, toolsOf(server.id), mergeWarnings(server.id, statuses))),
    };
  }

  async #showSession(ref: SessionRef) {
    const { directory, overview } = this.#parts;
    const read = await directory.readSession(ref);
    if (read.kind === 'gone') throw new AdminError('SESSION_UNKNOWN');
    if (read.kind === 'settling') throw new AdminError('REDIS_AWAY');
    return viewSession(ref, read.record, await overview.readExpiry(ref));
  }

  async #kill(ref: SessionRef) {
    const outcome = await this.#parts.kill(ref);
    if (outcome === 'gone') throw new AdminError('SESSION_UNKNOWN');
    if (outcome === 'later') throw new AdminError('OWNER_UNKNOWN');
    return { ref, killed: true };
  }

  #viewWorker({ lease, leftMs, status }: AskedWorker) {
    return {
      id: lease.id,
      index: lease.index,
      pid: lease.pid,
      pod: lease.pod,
      host: lease.host,
      started: timeText(lease.startedMs),
      draining: lease.draining,
      leaseEnds: timeText(this.#parts.clock.wallMs() + leftMs),
      answered: status !== undefined,
      sessions: status?.sessions ?? null,
      streams: status?.streams ?? null,
      backendSessions: status?.backendSessions ?? null,
    };
  }

  #viewTeardown({ id, state, backend, sessionRef, protocolVersion, reason, attempts, createdMs, failedMs }: ListedTeardown) {
    return {
      id,
      state,
      backend,
      session: sessionRef,
      protocolVersion,
      reason: reason ?? null,
      attempts,
      created: timeText(createdMs),
      failed: failedMs === undefined ? null : timeText(failedMs),
      ageSeconds: Math.max(0, Math.round((this.#parts.clock.wallMs() - createdMs) / 1000)),
    };
  }
}

function settled(outcome: DeskOutcome, body: unknown): unknown {
  switch (outcome) {
    case 'done':
      return body;
    case 'unknown':
      throw new AdminError('TEARDOWN_UNKNOWN');
    case 'busy':
      throw new AdminError('TEARDOWN_BUSY');
    case 'notFailed':
      throw new AdminError('TEARDOWN_NOT_FAILED');
  }
}

function asAdminError(error: unknown): AdminError {
  if (error instanceof AdminError) return error;
  if (error instanceof UnreadableRecord) return new AdminError('RECORD_UNREADABLE');
  if (error instanceof DirectoryUnavailable || error instanceof TeardownQueueUnavailable) return new AdminError('REDIS_AWAY');
  return new AdminError('INTERNAL');
}
