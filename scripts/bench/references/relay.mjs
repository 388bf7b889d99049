// The reference of the budgets: node:http in front of undici's dispatch, and nothing else. What a gateway costs beyond this is
// the price of what it does. Arguments: origin of the backend. Prints its port, ends with its parent.
import { createServer } from 'node:http';
import { Pool } from 'undici';

const HOP_BY_HOP = new Set(['connection', 'keep-alive', 'transfer-encoding', 'host']);
const pool = new Pool(process.argv[2], { connections: 256, pipelining: 1, headersTimeout: 0, bodyTimeout: 0 });

function endToEnd(names, textOf) {
  const kept = [];
  for (let i = 0; i < names.length; i += 2) {
    const name = String(names[i]);
    if (!HOP_BY_HOP.has(name.toLowerCase())) kept.push(name, textOf(names[i + 1]));
  }
  return kept;
}

class Handler {
  constructor(outgoing) {
    this.outgoing = outgoing;
  }
  onConnect(abort) {
    this.outgoing.on('close', () => {
      if (!this.outgoing.writableFinished) abort();
    });
  }
  onHeaders(status, rawHeaders, resume) {
    this.outgoing.writeHead(
      status,
      endToEnd(rawHeaders, (value) => value.toString('latin1')),
    );
    this.outgoing.on('drain', resume);
    return true;
  }
  onData(chunk) {
    return this.outgoing.write(chunk);
  }
  onComplete() {
    this.outgoing.end();
  }
  onError() {
    if (this.outgoing.headersSent) this.outgoing.destroy();
    else this.outgoing.writeHead(502).end();
  }
}

const server = createServer({ keepAliveTimeout: 3_600_000 }, (incoming, outgoing) => {
  const chunks = [];
  incoming.on('data', (chunk) => chunks.push(chunk));
  incoming.on('end', () => {
    const headers = endToEnd(incoming.rawHeaders, (value) => value);
    const body = chunks.length === 1 ? chunks[0] : Buffer.concat(chunks);
    pool.dispatch({ method: incoming.method, path: incoming.url, headers, body }, new Handler(outgoing));
  });
});
server.listen(0, '127.0.0.1', () => process.send({ port: server.address().port }));
process.on('disconnect', () => process.exit(0));
// A profile is written by a process that exits, not by one that is killed.
process.on('SIGTERM', () => process.exit(0));
