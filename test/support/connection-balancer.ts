// A plain TCP balancer: whole connections go to the pods in turn, as a Kubernetes Service does it. What a client keeps open stays with
// its pod, also when the pod is no longer a target.
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import type { BalancerTarget } from './balancer.js';

export interface ConnectionBalancer {
  readonly origin: string;
  /** Of new connections. */
  setTargets(targets: readonly BalancerTarget[]): void;
  close(): Promise<void>;
}

export async function startConnectionBalancer(targets: readonly BalancerTarget[]): Promise<ConnectionBalancer> {
  let current = targets;
  let next = 0;
  const open = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    const target = current[next++ % current.length];
    if (target === undefined) {
      client.resetAndDestroy();
      return;
    }
    const pod = connect({ host: target.host, port: target.port, allowHalfOpen: true, noDelay: true });
    for (const [socket, other] of [
      [client, pod],
      [pod, client],
    ] as const) {
      open.add(socket);
      // A break is passed on as a break, never as a clean end.
      socket.on('error', () => other.resetAndDestroy());
      socket.on('close', () => open.delete(socket));
      socket.pipe(other);
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (!address || typeof address === 'string') throw new Error('no port');
  return {
    origin: `http://127.0.0.1:${address.port}`,
    setTargets(targets) {
      current = targets;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of open) socket.destroy();
      }),
  };
}
