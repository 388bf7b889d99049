// Reads of the directory that several requests need at the same time are made once: fifty requests woken for one session read its
// record once, and the requests for all sessions of an owner read its lease once. Nothing is kept: who asks later reads anew.
import type { Directory, Lease, ReadOutcome } from '../directory/directory.js';
import type { SessionRef, WorkerId } from '../protocol/ids.js';

/** What routing reads. */
export type RoutingDirectory = Pick<Directory, 'readSession' | 'readLease' | 'listWorkers'>;

/**
 * Race: a read that is joined began before the request that joins it, and may miss what that request has seen. It never acts on
 * that alone: claims compare and set, hops name their pair, and a lease that is gone stays gone. It only looks once more.
 */
export class SharedReads implements RoutingDirectory {
  readonly #directory: RoutingDirectory;
  /** Bounded by the requests that wait for them. */
  readonly #sessions = new Map<SessionRef, Promise<ReadOutcome>>();
  readonly #leases = new Map<WorkerId, Promise<Lease | undefined>>();
  readonly #workers = new Map<'', Promise<Lease[]>>();

  constructor(directory: RoutingDirectory) {
    this.#directory = directory;
  }

  readSession(ref: SessionRef): Promise<ReadOutcome> {
    return share(this.#sessions, ref, () => this.#directory.readSession(ref));
  }

  readLease(id: WorkerId): Promise<Lease | undefined> {
    return share(this.#leases, id, () => this.#directory.readLease(id));
  }

  listWorkers(): Promise<Lease[]> {
    return share(this.#workers, '', () => this.#directory.listWorkers());
  }
}

function share<K, V>(running: Map<K, Promise<V>>, key: K, read: () => Promise<V>): Promise<V> {
  let promise = running.get(key);
  if (!promise) {
    promise = read().finally(() => running.delete(key));
    running.set(key, promise);
  }
  return promise;
}
