// Commands of one turn of the event loop leave in one write, at the end of that turn: sessions that open side by side send many, and a write
// of its own for each is an eighth of what opening one costs. Unlike ioredis' own pipelining this leaves each command its own fate after a
// lost connection, and nothing is ever sent twice. Not on a Cluster, whose connections are ioredis' own affair.
import type { Redis } from 'ioredis';
import type { RedisConnection } from './connect.js';

const FLUSH = Symbol('flush');

/** What was said so far leaves now: for what has little time, as the renewal of a lease. */
export function flushWrites(connection: RedisConnection): void {
  (connection as { [FLUSH]?: () => void })[FLUSH]?.();
}

/** @param connection of its own to one server, not a Cluster */
export function gatherWrites(connection: Redis): void {
  const client = connection as unknown as { sendCommand: (...args: unknown[]) => unknown };
  const send = client.sendCommand.bind(connection);
  let gathering: Redis['stream'] | undefined;
  const flush = () => {
    const stream = gathering;
    gathering = undefined;
    stream?.uncork();
  };
  Object.assign(connection, { [FLUSH]: flush });
  client.sendCommand = (...args) => {
    const { stream } = connection;
    // Another one after a reconnect; none before the first.
    if (stream && stream !== gathering) {
      gathering?.uncork();
      gathering = stream;
      stream.cork();
      // Not a microtask: all sockets that became readable in this turn share the write.
      setImmediate(flush);
    }
    return send(...args);
  };
}
