// A plain HTTP balancer that chooses per request, over a new connection each: nothing of a session stays with a pod or a worker.
import { createServer, request } from 'node:http';

/** @param places `{ host, port }` each; @returns the port, and `close` */
export async function startRoundRobin(places) {
  let next = 0;
  const server = createServer({ requestTimeout: 0 }, (incoming, outgoing) => {
    const { host, port } = places[next++ % places.length];
    const { method, url, headers } = incoming;
    const passed = request(
      { host, port, method, path: url, headers: { ...headers, connection: 'close' }, agent: false },
      (answer) => {
        const { connection, 'keep-alive': keepAlive, 'transfer-encoding': coding, ...rest } = answer.headers;
        outgoing.writeHead(answer.statusCode, rest);
        outgoing.flushHeaders();
        answer.pipe(outgoing);
        answer.on('error', () => outgoing.destroy());
      },
    );
    passed.on('error', () => (outgoing.headersSent ? outgoing.destroy() : outgoing.writeHead(502).end()));
    outgoing.on('close', () => passed.destroy());
    incoming.pipe(passed);
  });
  await new Promise((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve));
  return {
    port: server.address().port,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}
