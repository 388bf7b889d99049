import type { Worker } from 'node:cluster';
import { EventEmitter } from 'node:events';
import type { FromWorker, ToWorker } from '../../../src/cluster/messages.js';
import { type SupervisorOptions, WorkerSupervisor } from '../../../src/cluster/worker-supervisor.js';
import { makeLogger } from '../../../src/observability/log.js';
import type { WorkerId } from '../../../src/protocol/ids.js';
import { FakeClock } from '../../support/fake-clock.js';

/** What the supervisor sees of a process. */
class FakeProcess extends EventEmitter {
  readonly received: ToWorker[] = [];
  readonly process = { pid: 1, kill: () => this.die(null, 'SIGKILL') };

  isConnected(): boolean {
    return true;
  }

  send(message: ToWorker): void {
    this.received.push(message);
  }

  says(message: FromWorker): void {
    this.emit('message', message);
  }

  comesUp(): void {
    this.says({ kind: 'up' });
    this.says({ kind: 'ready', ready: true, reasons: [] });
  }

  die(code: number | null = 1, signal: string | null = null): void {
    this.emit('exit', code, signal);
  }
}

function setUp(options: Partial<SupervisorOptions> = {}) {
  const clock = new FakeClock();
  const processes: FakeProcess[] = [];
  const removed: WorkerId[] = [];
  const events: string[] = [];
  const supervisor = new WorkerSupervisor({
    count: 2,
    clock,
    log: makeLogger({ level: 'silent', format: 'json', isTty: false }),
    fork: () => {
      const process = new FakeProcess();
      processes.push(process);
      return process as unknown as Worker;
    },
    startMessage: (index) => ({ kind: 'start', index }) as ToWorker,
    endGroups: () => undefined,
    removeLease: async (id) => void removed.push(id),
    onAdmined: () => undefined,
    onCollected: () => events.push('collected'),
    onReload: (_life, answer) => void events.push(answer.kind),
    onExit: ({ index }) => events.push(`exit ${index}`),
    onFailed: ({ exitCode }) => events.push(`failed ${exitCode}`),
    onAllReady: () => events.push('all ready'),
    ...options,
  });
  const at = (position: number) => processes[position] as FakeProcess;
  return { clock, processes, removed, events, supervisor, at };
}

const id = (text: string) => text as WorkerId;

describe('the supervisor of workers', () => {
  it('sends nothing to a process before it listens: it would be lost', () => {
    const { supervisor, at } = setUp();
    supervisor.start();
    supervisor.send({ kind: 'collect', request: 1 });
    expect(at(0).received).toEqual([]);
    at(0).says({ kind: 'up' });
    expect(at(0).received.map(({ kind }) => kind)).toEqual(['start', 'collect']);
  });

  it('keeps a bounded number of incarnations of one life, the latest, and removes their leases', () => {
    const { supervisor, at, removed } = setUp({ count: 1 });
    supervisor.start();
    for (let n = 0; n < 1200; n++) at(0).says({ kind: 'incarnation', incarnation: id(`w.${n}`) });
    at(0).die();
    expect(removed).toHaveLength(1000);
    expect(removed.at(-1)).toBe('w.1199');
  });

  it('tells once that all are ready', () => {
    const { supervisor, at, events } = setUp();
    supervisor.start();
    at(0).comesUp();
    expect(events).toEqual([]);
    at(1).comesUp();
    at(1).says({ kind: 'ready', ready: false, reasons: ['redis is away'] });
    at(1).says({ kind: 'ready', ready: true, reasons: [] });
    expect(events).toEqual(['all ready']);
  });

  it('deletes the lease of every incarnation of a dead process, and of no other', async () => {
    const { supervisor, at, removed } = setUp();
    supervisor.start();
    for (const process of [at(0), at(1)]) process.comesUp();
    at(0).says({ kind: 'incarnation', incarnation: id('a.1') });
    at(0).says({ kind: 'incarnation', incarnation: id('a.2') });
    at(1).says({ kind: 'incarnation', incarnation: id('b.1') });
    expect(at(0).received.at(-1)).toEqual({ kind: 'acknowledged', incarnation: 'a.2' });
    at(0).die();
    expect(removed).toEqual(['a.1', 'a.2']);
  });

  it('ends what a dead worker may have left before its sessions are free', () => {
    const order: string[] = [];
    const { supervisor, at } = setUp({
      endGroups: (pid) => void order.push(`groups of ${pid}`),
      removeLease: async (lease) => void order.push(`lease ${lease}`),
    });
    supervisor.start();
    at(0).comesUp();
    at(0).says({ kind: 'incarnation', incarnation: id('a.1') });
    at(0).die();
    expect(order).toEqual([`groups of ${at(0).process.pid}`, 'lease a.1']);
  });

  it('does not acknowledge an incarnation that is read after the exit, and deletes its lease', () => {
    const { supervisor, at, removed } = setUp();
    supervisor.start();
    at(0).comesUp();
    at(0).die();
    at(0).says({ kind: 'incarnation', incarnation: id('a.9') });
    expect(removed).toEqual(['a.9']);
    expect(at(0).received.map(({ kind }) => kind)).toEqual(['start']);
  });

  it('forgets readiness with the process, and starts one successor under the same index', () => {
    const { supervisor, at, clock, processes } = setUp();
    supervisor.start();
    for (const process of [at(0), at(1)]) process.comesUp();
    at(1).die();
    expect(supervisor.lives.map(({ index }) => index)).toEqual([1]);
    clock.advance(99);
    expect(processes).toHaveLength(2);
    clock.advance(60_000);
    expect(processes).toHaveLength(3);
    at(2).comesUp();
    expect(at(2).received).toEqual([{ kind: 'start', index: 2 }]);
    expect(clock.pendingTimers).toBe(0);
  });

  it('tries again when a process cannot be forked at all', () => {
    let failures = 1;
    const made: FakeProcess[] = [];
    const { supervisor, clock } = setUp({
      count: 1,
      fork: () => {
        if (failures-- > 0) throw new Error('EAGAIN');
        made.push(new FakeProcess());
        return made[0] as unknown as Worker;
      },
    });
    supervisor.start();
    expect(supervisor.lives).toEqual([]);
    clock.advance(100);
    expect(made).toHaveLength(1);
  });

  it('starts nothing again once it stops, and waits for the last process', async () => {
    const { supervisor, at, clock, processes } = setUp();
    supervisor.start();
    for (const process of [at(0), at(1)]) process.comesUp();
    at(0).die();
    const stopped = supervisor.stop(1000);
    expect(at(1).received.at(-1)).toEqual({ kind: 'drain' });
    at(1).die(0);
    await stopped;
    clock.advance(60_000);
    expect(processes).toHaveLength(2);
  });

  it('kills who has not drained in time', async () => {
    const { supervisor, at, clock, events } = setUp();
    supervisor.start();
    for (const process of [at(0), at(1)]) process.comesUp();
    const stopped = supervisor.stop(1000);
    at(0).die(0);
    clock.advance(1000);
    await stopped;
    expect(events.slice(-2)).toEqual(['exit 1', 'exit 2']);
  });

  it('passes on that a worker cannot run', () => {
    const { supervisor, at, events } = setUp();
    supervisor.start();
    at(0).says({ kind: 'failed', exitCode: 69, message: 'port in use' });
    expect(events).toEqual(['failed 69']);
  });
});
