// A worker `self` in a cluster where `other` owns the session: everything around an execution, on a clock that stands still.
import { type Directory, DirectoryUnavailable, type Lease } from '../../../src/directory/directory.js';
import type { ForwardOutcome } from '../../../src/forward/forward.js';
import { type Epoch, mintSessionId, type OwnerToken, type WorkerId } from '../../../src/protocol/ids.js';
import { Execution, type ExecutionParts } from '../../../src/routing/execute.js';
import { HoldRoom } from '../../../src/routing/hold-room.js';
import { makeProbe } from '../../../src/routing/probe.js';
import { OwnerCache } from '../../../src/routing/owner-cache.js';
import type { LeaseKeeper } from '../../../src/sessions/lease-keeper.js';
import { Session } from '../../../src/sessions/session.js';
import { SessionTable } from '../../../src/sessions/session-table.js';
import type { Exchange, RequestBody } from '../../../src/streams/exchange.js';
import { newNote } from '../../../src/streams/exchange.js';
import { FakeClock } from '../../support/fake-clock.js';
import { RecordingAnswer } from '../streams/recording-answer.js';

export const HOLD_MS = 10_000;
export const settle = () => new Promise<void>((resolve) => setImmediate(resolve));
export const tokenOf = (owner: string, epoch: number): OwnerToken => ({ owner: owner as WorkerId, epoch: epoch as Epoch });
const leaseOf = (id: string): Lease => ({
  id: id as WorkerId,
  index: 1,
  pid: 1,
  pod: 'pod',
  host: 'host',
  unixSocket: '/tmp/none.sock',
  draining: false,
  startedMs: 0,
});

export class Fixture {
  readonly clock = new FakeClock();
  readonly answer = new RecordingAnswer();
  readonly id = mintSessionId();
  readonly hops: string[] = [];
  readonly served: string[] = [];
  readonly held: string[] = [];
  readonly table = new SessionTable();
  readonly lease = { valid: true, draining: false };
  /** What the record says. */
  owner: OwnerToken = tokenOf('other', 1);
  alive = new Set(['other']);
  readonly silent = new Set<string>();
  away = false;
  /** The session has ended. */
  gone = false;
  opens = 0;
  onHop: (hop: number, exchange: Exchange) => ForwardOutcome = (_hop, exchange) => this.#answered(exchange);
  readonly closed: string[] = [];
  readonly audited: string[] = [];
  onClose: () => 'closing' | 'gone' | 'foreign' | 'moved' = () => 'closing';
  onServe: () => 'done' | 'notOwner' | 'moved' = () => this.#served();
  readonly execution = new Execution(this.#parts());

  async run(exchange: Exchange): Promise<void> {
    let done = false;
    const running = this.execution.execute(exchange).then(() => {
      done = true;
    });
    for (let n = 0; !done && n < 2000; n++) {
      await settle();
      if (!done) this.clock.advance(20);
    }
    await settle();
    if (!done) throw new Error('the execution has not ended');
    await running;
  }

  exchange(changes: Partial<Exchange> = {}): Exchange {
    const message = { jsonrpc: '2.0' as const, id: 'call', method: 'tools/call', params: {} };
    return {
      method: 'POST',
      serverId: 'support',
      headers: { 'mcp-session-id': this.id },
      body: { kind: 'request', message, bytes: Buffer.from(JSON.stringify(message)) },
      principal: { name: 'alice', digest: 'alice' },
      deadlineMs: this.clock.monotonicMs() + 300_000,
      startedMs: this.clock.monotonicMs(),
      hop: undefined,
      answer: this.answer,
      note: { ...newNote('POST', undefined), method: 'tools/call' },
      aborted: false,
      onAbort: () => undefined,
      ...changes,
    };
  }

  addSession(token: OwnerToken = tokenOf('self', 1)): Session {
    const facts = { id: this.id, ref: 'ref' as never, server: { id: 'support' } as never, principal: 'alice' };
    const rest = { protocolVersion: '2025-06-18', client: { clientInfo: {}, capabilities: {} }, createdMs: 0 };
    const session = new Session({ ...facts, ...rest }, token, this.#keeper(), 0);
    this.table.add(session);
    return session;
  }

  error(): { id: unknown; error: { code: number } } {
    return JSON.parse(this.answer.text);
  }

  #answered(exchange: Exchange): ForwardOutcome {
    exchange.answer.send(200, {}, 'from the owner');
    return { kind: 'answered', status: 200 };
  }

  #served(): 'done' {
    this.answer.send(200, {}, 'from here');
    return 'done';
  }

  #keeper(): LeaseKeeper {
    const { lease } = this;
    const own = {
      id: 'self',
      get isDraining() {
        return lease.draining;
      },
      isValid: () => lease.valid,
      mayClaim: () => lease.valid,
      isDataSettled: () => true,
      isOwn: (id: string) => id === 'self',
      mayTakeOver: () => lease.valid && !lease.draining,
    };
    return own as unknown as LeaseKeeper;
  }

  #parts(): ExecutionParts {
    const ask = async <T>(answer: () => T): Promise<T> => {
      if (this.away) throw new DirectoryUnavailable(new Error('away'));
      return answer();
    };
    const record = () => ({ ...this.owner, state: 'active', serverId: 'support', principal: 'alice', backends: {} });
    const directory = {
      readSession: () => ask(() => (this.gone ? { kind: 'gone' } : { kind: 'found', record: record() })),
      readLease: (id: string) => ask(() => (this.alive.has(id) ? leaseOf(id) : undefined)),
      listWorkers: () => ask(() => [...this.alive].map(leaseOf)),
      checkGeneration: () => ask(() => 'same'),
    } as unknown as Directory;
    return {
      table: this.table,
      owners: new OwnerCache(),
      directory,
      keeper: this.#keeper(),
      clock: this.clock,
      hold: new HoldRoom(this.clock, makeProbe({ directory, keeper: this.#keeper(), leaseMs: 6000 })),
      holdMs: HOLD_MS,
      forwarder: {
        forward: async (exchange, to, hop) => {
          this.hops.push(hop.kind === 'named' ? `${to.id} ${hop.token.epoch}` : `${to.id} take`);
          if (this.silent.has(to.id)) await new Promise<void>((resolve) => exchange.onAbort(resolve));
          return this.onHop(this.hops.length, exchange);
        },
        cut: () => undefined,
        close: async () => undefined,
      },
      serve: async (_session, exchange) => {
        this.served.push(exchange.note.method);
        return this.onServe();
      },
      open: async () => {
        if (this.away) return 'unavailable';
        this.opens++;
        this.#served();
        return 'done';
      },
      end: async (exchange, ref, cause) => exchange.answer.send(202, {}, `${cause} ${ref}`),
      status: (exchange, version) => exchange.answer.send(200, {}, `status ${version}`),
      teller: {
        closeInPlaceOf: async (told) => {
          this.closed.push(`${told.owner} ${told.epoch}`);
          return this.onClose();
        },
      },
      takeOver: async (_id, from) => {
        this.owner = tokenOf('self', from.epoch + 1);
        return this.addSession(this.owner);
      },
      metrics: { held: (outcome) => this.held.push(outcome), forwarded: () => undefined },
      log: () => undefined,
      audit: (ref) => this.audited.push(ref),
      warn: () => undefined,
    };
  }
}

export const notification: RequestBody = {
  kind: 'notification',
  message: { jsonrpc: '2.0', method: 'notifications/x' },
  bytes: Buffer.from('{}'),
};
export const initialize: RequestBody = {
  kind: 'request',
  message: { jsonrpc: '2.0', id: 'call', method: 'initialize', params: {} },
  bytes: Buffer.from('{}'),
};
