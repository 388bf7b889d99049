// From what one session and one request cost (docs/capacity.json) to what so many of them need. docs/capacity.md says the same in words;
// whoever changes a formula here changes it there (scripts/capacity/page.mjs).
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const FILE = join(import.meta.dirname, '../../docs/capacity.json');
const GIB = 2 ** 30;
/** Workers and the share that is forwarded depend on each other; this often is more than enough for both to stand still. */
const ROUNDS = 30;

/** @returns `{ machine, coefficients, assumptions, profiles }` as the file has them */
export function readCapacity() {
  return JSON.parse(readFileSync(FILE, 'utf8'));
}

/** Coefficients by name, without where they come from. */
export function valuesOf({ coefficients }) {
  return Object.fromEntries(Object.entries(coefficients).map(([name, { value }]) => [name, value]));
}

/**
 * @param load `{ sessions, rate, streams, lifetime }`: live sessions; requests of each a minute; share with an open GET stream; minutes from
 *   the first request to the end
 * @param given coefficients (valuesOf) and assumptions of the file
 * @returns what is needed; shares are 0 … 1, bytes are bytes, everything else is per second
 */
export function estimate(load, given) {
  const { sessions, rate, streams, lifetime } = load;
  const requests = (sessions * rate) / 60;
  const opens = sessions / (lifetime * 60);
  // Times between requests are taken to be exponential: the share of them that is longer than `sessions.releaseAfter`.
  const isLate = Math.exp((-rate * given.releaseAfterSeconds) / 60);
  const listening = sessions * streams;
  const quiet = sessions - listening;
  const held = listening + quiet * (1 - isLate);
  const claims = requests * (1 - streams) * isLate;
  let workers = 2;
  let figures;
  for (let round = 0; round < ROUNDS; round += 1) {
    figures = withWorkers({ requests, opens, claims, listening, held, quiet }, workers, given);
    const wanted = Math.max(2, Math.ceil(figures.cores / given.busy), Math.ceil(figures.heldBytes / (given.workerGiB * GIB)));
    if (wanted <= workers) break;
    workers = wanted;
  }
  const pods = Math.max(2, Math.ceil(workers / given.workersPerPod));
  const redisBytes = given.redisBaseBytes + sessions * given.redisBytesSession;
  return {
    ...{ requests, opens, claims, held, workers, pods, redisBytes, ...figures },
    // One backend is asked to end only so many at a time.
    deletes: (opens * given.deleteMs) / 1000,
    redisServers: Math.max(1, Math.ceil(figures.redisBusy / given.redisBusyMost)),
  };
}

function withWorkers({ requests, opens, claims, listening, held, quiet }, workers, given) {
  // Whoever gets the request of a session that nobody holds claims it, so that one is forwarded to nobody.
  const forwards = ((requests - claims) * (workers - 1)) / workers;
  // A worker remembers so many owners; of the others it reads the record and the lease.
  const elsewhere = (held * (workers - 1)) / workers;
  const unknown = forwards * Math.max(0, 1 - given.ownersRemembered / Math.max(1, elsewhere));
  const touches = Math.min(requests, held / given.touchEverySeconds);
  const cores =
    (requests * given.cpuRequest +
      forwards * given.cpuForward +
      opens * (given.cpuOpen + given.cpuEnd) +
      claims * given.cpuClaim +
      listening * given.cpuStreamRest) /
    1e6;
  const redisCommands =
    opens * (given.redisCommandsOpen + given.redisCommandsEnd) +
    claims * given.redisCommandsClaim +
    unknown * given.redisCommandsLookUp +
    touches / given.touchesAtOnce +
    workers * given.redisCommandsWorker;
  const redisBusy =
    (opens * (given.redisMicrosOpen + given.redisMicrosEnd) +
      claims * given.redisMicrosClaim +
      unknown * given.redisMicrosLookUp +
      touches * given.redisMicrosTouch +
      workers * given.redisMicrosWorker) /
    1e6;
  const heldBytes = listening * given.bytesStream + (held - listening) * given.bytesSession;
  return {
    forwards,
    unknown,
    cores,
    redisCommands,
    redisBusy,
    heldBytes,
    quiet,
    memory: heldBytes + workers * given.bytesWorker,
  };
}
