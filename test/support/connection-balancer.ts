// A plain TCP balancer: whole connections go to the pods in turn, as a Kubernetes Service does it. What a client keeps open stays with
// its pod, also when the pod gets no new ones.
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import type { Place } from './balancer.js';

export interface ConnectionBalancer {
  readonly origin: string;
  /** Of new connections. */
  setPlaces(places: readonly Place[]): void;
  close(): Promise<void>;
}

export async function startConnectionBalancer(places: readonly Place[]): Promise<ConnectionBalancer> {
  let current = places;
  let next = 0;
  const open = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    const place = current[next++ % current.length];
    if (place === undefined) {
      client.resetAndDestroy();
      return;
    }
    const pod = connect({ host: place.host, port: place.port, allowHalfOpen: true, noDelay: true });
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
    setPlaces(places) {
      current = places;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of open) socket.destroy();
      }),
  };
}
