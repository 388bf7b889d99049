// How others forward: an edge publishes the request on the owner's Redis channel, the owner asks the backend and publishes the answer
// on the edge's. Arguments: origin of the backend, URL of Redis, role (`owner`, `edge`). Prints its port (an edge), ends with its parent.
import { createServer } from 'node:http';
import { Redis } from 'ioredis';
import { Pool } from 'undici';

const [, , origin, redisUrl, role] = process.argv;
const KEPT = ['accept', 'content-type', 'mcp-session-id', 'mcp-protocol-version', 'content-length'];
const kept = (headers) =>
  Object.fromEntries(KEPT.filter((name) => headers[name] !== undefined).map((name) => [name, headers[name]]));
const publisher = new Redis(redisUrl, { enableAutoPipelining: true });
const subscriber = new Redis(redisUrl);
await subscriber.subscribe(role);
if (role === 'owner') serveOwner();
else serveEdge();
process.on('disconnect', () => process.exit(0));

function serveOwner() {
  const pool = new Pool(origin, { connections: 256, pipelining: 1, headersTimeout: 0, bodyTimeout: 0 });
  subscriber.on('message', async (_channel, text) => {
    const { id, method, path, headers, body } = JSON.parse(text);
    const answer = await pool.request({ method, path, headers, body });
    const reply = { id, status: answer.statusCode, headers: kept(answer.headers), body: await answer.body.text() };
    publisher.publish('edge', JSON.stringify(reply));
  });
  process.send({ port: 0 });
}

function serveEdge() {
  const waiting = new Map();
  let nextId = 1;
  subscriber.on('message', (_channel, text) => {
    const { id, status, headers, body } = JSON.parse(text);
    const outgoing = waiting.get(id);
    waiting.delete(id);
    outgoing?.writeHead(status, headers).end(body);
  });
  const server = createServer({ keepAliveTimeout: 3_600_000 }, (incoming, outgoing) => {
    const chunks = [];
    incoming.on('data', (chunk) => chunks.push(chunk));
    incoming.on('end', () => {
      const id = nextId++;
      waiting.set(id, outgoing);
      const { method, url: path, headers } = incoming;
      const body = Buffer.concat(chunks).toString('utf8');
      publisher.publish('owner', JSON.stringify({ id, method, path, headers: kept(headers), body }));
    });
  });
  server.listen(0, '127.0.0.1', () => process.send({ port: server.address().port }));
}
