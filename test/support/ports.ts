// Ports for processes that have to be told theirs. Taken below the system's ephemeral range, so that no outgoing connection
// can grab one between the probe here and the process that listens on it.
import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

const FIRST = 10_000;
const LAST = 32_000;
const ATTEMPTS = 50;

/** A port on `host` that nobody listened on a moment ago. */
export async function freePort(host = '127.0.0.1'): Promise<number> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const port = randomInt(FIRST, LAST);
    if (await isFree(host, port)) return port;
  }
  throw new Error(`no free port on ${host} in ${ATTEMPTS} attempts`);
}

function isFree(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen({ host, port, exclusive: true }, () => probe.close(() => resolve(true)));
  });
}
