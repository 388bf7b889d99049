// Commands of one turn of the event loop leave in one write: sessions that open side by side send many, and a write of its own for each is
// an eighth of what opening one costs. Unlike ioredis' own pipelining this changes nothing but the write: what a command's fate is after
// a lost connection stays its own affair, and nothing is ever sent twice.
import type { Redis } from 'ioredis';

/** @param connection of its own to one server, not a Cluster */
export function gatherWrites(connection: Redis): void {
  const client = connection as unknown as { sendCommand: (...args: unknown[]) => unknown };
  const send = client.sendCommand.bind(connection);
  let gathering: Redis['stream'] | undefined;
  client.sendCommand = (...args) => {
    const { stream } = connection;
    // Another one after a reconnect; none before the first.
    if (stream && stream !== gathering) {
      gathering = stream;
      stream.cork();
      // Not a microtask: all sockets that became readable in this turn share the write.
      setImmediate(() => {
        if (gathering === stream) gathering = undefined;
        stream.uncork();
      });
    }
    return send(...args);
  };
}
