// Connections that the primary has handed to a worker which died before it took them. node:cluster forgets them: the client would
// wait for an answer until its own time-out. Here they go to another worker; none of their bytes has been read, so nothing has begun.
//
// This looks at messages of node:cluster that are not documented (`newconn` and its `ack`; unchanged since Node 0.12). Where they
// looked different, nothing would be found to rescue, and a test in the cluster lane would fail.
import type { Worker } from 'node:cluster';

/** Connections that wait while nobody listens: each holds a descriptor. Beyond that the one that came last is closed. */
const MAX_HOMELESS = 1024;

interface NewConnection {
  readonly cmd: 'NODE_CLUSTER';
  readonly act: 'newconn';
  readonly seq: number;
}

interface Handle {
  close(): void;
}

interface Pending {
  readonly message: NewConnection;
  readonly handle: Handle;
}

interface Watched {
  readonly worker: Worker;
  readonly pending: Map<number, Pending>;
  isListening: boolean;
}

export class ConnectionRescue {
  readonly #workers = new Set<Watched>();
  /** Nobody listens at the moment. */
  #homeless: Pending[] = [];
  #nextSeq = -1;

  /** To be called right after the fork. */
  watch(worker: Worker): void {
    const watched: Watched = { worker, pending: new Map(), isListening: false };
    this.#workers.add(watched);
    const child = worker.process;
    const send = child.send.bind(child) as (...args: unknown[]) => boolean;
    child.send = ((message: unknown, handle: unknown, ...rest: unknown[]) => {
      if (handle && isNewConnection(message)) watched.pending.set(message.seq, { message, handle: handle as Handle });
      return send(message, handle, ...rest);
    }) as typeof child.send;
    child.on('internalMessage', (reply: unknown) => this.#take(watched, reply));
    worker.on('listening', () => {
      watched.isListening = true;
      for (const pending of this.#homeless.splice(0)) this.#pass(pending);
    });
    // Not at `exit`: answers of the dead worker may still be in the channel, and what it took is not ours to give away.
    child.once('close', () => {
      this.#workers.delete(watched);
      for (const pending of watched.pending.values()) this.#pass(pending);
    });
  }

  /** The gateway stops: nobody will take them. */
  close(): void {
    for (const { handle } of this.#homeless.splice(0)) handle.close();
  }

  #take(watched: Watched, reply: unknown): void {
    if (typeof reply !== 'object' || reply === null || !('ack' in reply)) return;
    const { ack, accepted } = reply as { ack: number; accepted?: boolean };
    const pending = watched.pending.get(ack);
    watched.pending.delete(ack);
    // Those of node:cluster itself (0 and up) it closes or passes on by itself.
    if (!pending || ack >= 0) return;
    if (accepted) pending.handle.close();
    else this.#pass(pending);
  }

  #pass({ message, handle }: Pending): void {
    // The least burdened of those that listen: the dead one's connections spread.
    const [to] = [...this.#workers]
      .filter(({ worker, isListening }) => isListening && worker.isConnected() && !worker.exitedAfterDisconnect)
      .sort((a, b) => a.pending.size - b.pending.size);
    if (!to) {
      if (this.#homeless.length < MAX_HOMELESS) this.#homeless.push({ message, handle });
      else handle.close();
      return;
    }
    // Through the wrapped send, so that it is pending there: this worker may die as well.
    to.worker.process.send({ ...message, seq: this.#nextSeq-- } as never, handle as never);
  }
}

function isNewConnection(message: unknown): message is NewConnection {
  return (
    typeof message === 'object' &&
    message !== null &&
    (message as NewConnection).cmd === 'NODE_CLUSTER' &&
    (message as NewConnection).act === 'newconn'
  );
}
