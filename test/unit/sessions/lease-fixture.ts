// A lease keeper on stopped time, over a directory that a test tells what to answer, and when.
import { type Directory, DirectoryUnavailable, type Lease } from '../../../src/directory/directory.js';
import type { WorkerId } from '../../../src/protocol/ids.js';
import { LeaseKeeper } from '../../../src/sessions/lease-keeper.js';
import { FakeClock } from '../../support/fake-clock.js';

export const LEASE_MS = 6000;
export const MARGIN_MS = LEASE_MS / 6;
export const RENEWAL_MS = LEASE_MS / 3;
export const RETRY_MS = LEASE_MS / 12;

export interface LeaseCall {
  readonly kind: 'open' | 'renew' | 'remove';
  readonly lease: Pick<Lease, 'id' | 'draining' | 'unixSocket'>;
  /** Answers a call that waits. */
  answer(outcome: 'ok' | 'no' | 'unavailable'): Promise<void>;
}

/** Leases in memory. `waits`: calls stay open until the test answers them. */
export class LeaseDirectory {
  readonly calls: LeaseCall[] = [];
  readonly leases = new Set<string>();
  away = false;
  waits = false;
  openNow = 0;
  mostAtOnce = 0;

  openLease(lease: Lease): Promise<boolean> {
    return this.#call('open', lease, () => {
      if (this.leases.has(lease.id)) return false;
      this.leases.add(lease.id);
      return true;
    });
  }

  renewLease(lease: Lease): Promise<boolean> {
    return this.#call('renew', lease, () => this.leases.has(lease.id));
  }

  removeLease(id: WorkerId): Promise<boolean> {
    return this.#call('remove', { id, draining: false, unixSocket: '' }, () => this.leases.delete(id));
  }

  last(): LeaseCall {
    return this.calls.at(-1) as LeaseCall;
  }

  async #call(kind: LeaseCall['kind'], lease: LeaseCall['lease'], run: () => boolean): Promise<boolean> {
    this.openNow++;
    this.mostAtOnce = Math.max(this.mostAtOnce, this.openNow);
    let answered: (outcome: 'ok' | 'no' | 'unavailable') => void = () => undefined;
    const outcome = new Promise<'ok' | 'no' | 'unavailable'>((resolve) => {
      answered = resolve;
    });
    this.calls.push({
      kind,
      lease: { id: lease.id, draining: lease.draining, unixSocket: lease.unixSocket },
      answer: (value) => {
        answered(value);
        return settle();
      },
    });
    try {
      if (this.waits) {
        const told = await outcome;
        if (told === 'unavailable') throw new DirectoryUnavailable(new Error('told to'));
        return told === 'ok';
      }
      if (this.away) throw new DirectoryUnavailable(new Error('away'));
      return run();
    } finally {
      this.openNow--;
    }
  }
}

/** Lets everything run that waits for nothing but promises. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

export class LeaseFixture {
  readonly clock = new FakeClock();
  readonly directory = new LeaseDirectory();
  readonly events: string[] = [];
  readonly acknowledged: string[] = [];
  /** Whether the primary answers by itself. */
  acknowledges = true;
  readonly #waiting: Array<() => void> = [];
  readonly keeper = new LeaseKeeper({
    directory: this.directory as unknown as Directory,
    clock: this.clock,
    leaseMs: LEASE_MS,
    name: 'pod-1',
    facts: { index: 1, pid: 1, pod: 'pod', host: 'host', unixSocket: '/tmp/none.sock', startedMs: 0 },
    acknowledge: (id) =>
      new Promise((resolve) => {
        const done = () => {
          this.acknowledged.push(id);
          resolve();
        };
        if (this.acknowledges) done();
        else this.#waiting.push(done);
      }),
    events: {
      lapsed: () => this.events.push('lapsed'),
      recovered: () => this.events.push('recovered'),
      replaced: (cause) => this.events.push(`replaced ${cause}`),
      warn: (message) => this.events.push(`warn ${message}`),
    },
  });

  async start(): Promise<this> {
    await this.keeper.start();
    return this;
  }

  /** Time goes on in steps, so that what a timer began comes to its end before the next one. */
  async advance(ms: number): Promise<void> {
    for (let leftMs = ms; leftMs > 0; leftMs -= 100) {
      this.clock.advance(Math.min(100, leftMs));
      await settle();
    }
  }

  acknowledgeNow(): Promise<void> {
    for (const done of this.#waiting.splice(0)) done();
    return settle();
  }
}
