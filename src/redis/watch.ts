// Tells when a connection is up or down, and counts what it sends. ioredis' own errors carry the arguments of the command
// (credentials in a handshake): they are stripped before anybody can log them.
import { Redis, type Cluster } from 'ioredis';

export interface ConnectionHooks {
  /** Usable (again). After the first time it means: verify what you own: its data may be older. */
  readonly onUp?: () => void;
  /** No longer usable; on a Cluster: a master was lost. Called once per loss. */
  readonly onDown?: () => void;
  /** Every error of the connection, for a rate-limited log; without command arguments. */
  readonly onError?: (error: Error) => void;
  /** Once per command that is handed to the connection (metric redis_commands_total). */
  readonly onCommand?: () => void;
}

/** Name, code and message only: ioredis hangs the command with all its arguments on its errors. */
export function plainError(error: unknown): Error {
  if (!(error instanceof Error)) return new Error(String(error));
  const plain = new Error(error.message);
  plain.name = error.name;
  const code = (error as NodeJS.ErrnoException).code;
  return code ? Object.assign(plain, { code }) : plain;
}

/** Installs the hooks. Always listens for `error`: unheard, ioredis prints it. */
export function watchConnection(connection: Redis | Cluster, hooks: ConnectionHooks): void {
  connection.on('error', (error: unknown) => hooks.onError?.(plainError(error)));
  let isUp = false;
  const up = () => {
    if (isUp) return;
    isUp = true;
    hooks.onUp?.();
  };
  const down = () => {
    if (!isUp) return;
    isUp = false;
    hooks.onDown?.();
  };
  connection.on('close', down);
  if (connection instanceof Redis) connection.on('ready', up);
  else watchCluster(connection, up, down, hooks);
}

/**
 * A Cluster is up while every master it knows is connected. Servers are connected as soon as they are known: ioredis does it at the
 * first command, and without an offline queue it would refuse every further command until that one is through.
 */
function watchCluster(cluster: Cluster, up: () => void, down: () => void, hooks: ConnectionHooks): void {
  const check = () => {
    const masters = cluster.nodes('master');
    if (cluster.status === 'ready' && masters.length > 0 && masters.every((server) => server.status === 'ready')) up();
  };
  const connect = (server: Redis) => {
    // Race: before it says `ready`, ioredis asks one of them whether the Cluster is all right. It would ask an idle one; it gives up
    // and begins anew when the one it chose is connecting, and with busy servers it never got any further.
    if (cluster.status === 'ready' && server.status === 'wait') server.connect().catch(() => undefined);
  };
  const adopt = (server: Redis) => {
    server.on('ready', check);
    // Deferred by a tick: the redirection that made this connection known sends its command first, on the idle connection.
    process.nextTick(connect, server);
  };
  for (const server of cluster.nodes('all')) adopt(server);
  cluster.on('+node', adopt);
  cluster.on('-node', (server: Redis) => {
    if (!server.options.readOnly) down();
  });
  // Also after a fail-over: a promoted replica was connected before and says nothing by itself.
  cluster.on('refresh', () => process.nextTick(check));
  cluster.on('ready', () => {
    for (const server of cluster.nodes('all')) connect(server);
    check();
  });
  cluster.on('node error', (error: unknown) => hooks.onError?.(plainError(error)));
}

/** Counts by wrapping `sendCommand`, also of duplicates (BullMQ makes its blocking connection that way). */
export function countCommands<T extends Redis | Cluster>(connection: T, onCommand: () => void): T {
  const client = connection as unknown as {
    sendCommand: (...args: unknown[]) => unknown;
    duplicate: (...args: unknown[]) => T;
  };
  const send = client.sendCommand.bind(connection);
  const duplicate = client.duplicate.bind(connection);
  client.sendCommand = (...args) => {
    onCommand();
    return send(...args);
  };
  client.duplicate = (...args) => countCommands(duplicate(...args), onCommand);
  return connection;
}
