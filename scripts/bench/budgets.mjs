// The budgets that this bench judges, in the order of docs/benchmarks.md. Each is a figure of one subject over that of another, both
// under the same load (`kind` at `at` connections), or a figure alone.

/**
 * @typedef {object} Budget
 * @property {number} id
 * @property {string} label
 * @property {string | [string, string]} of a subject, or what the first has more than the second
 * @property {string | [string, string]} [over]
 * @property {'call' | 'big' | 'events' | 'open' | 'list' | 'memory' | 'growth'} kind
 * @property {number} at connections; sessions where the kind is `growth`
 * @property {string} figure of the load (see load.mjs) or of special.mjs
 * @property {number} [must] at most this (`isLeast`: at least); none: told for comparison
 * @property {number} [aim]
 * @property {boolean} isLeast
 */
const budget = (id, label, of, over, kind, at, figure, must, aim, isLeast = false) => {
  return { id, label, of, over, kind, at, figure, must, aim, isLeast };
};

/** The versions of Node that docs/benchmarks.md has figures of. */
export const NODE_VERSIONS = [20, 24];
/** Of a Node version and those after it. Express, under which `naive` runs, costs far less on newer ones. */
const OVER_NAIVE = { must: { 20: 10, 24: 6 }, aim: { 20: 14, 24: 8 } };

const TABLE = [
  budget(1, 'owner path / naive, requests/s', 'owner', 'naive', 'call', 64, 'perSecond', OVER_NAIVE.must, OVER_NAIVE.aim, true),
  budget(1, 'bare relay / naive, requests/s', 'relay', 'naive', 'call', 64, 'perSecond'),
  budget(2, 'owner path / bare relay, CPU', 'owner', 'relay', 'call', 64, 'cpu', 1.5, 1.25),
  budget(3, 'owner path / nginx, CPU', 'owner', 'nginx', 'call', 64, 'cpu', 2.8, 2.2),
  budget(3, 'owner path / HAProxy, CPU', 'owner', 'haproxy', 'call', 64, 'cpu'),
  budget(3, 'bare relay / nginx, CPU', 'relay', 'nginx', 'call', 64, 'cpu'),
  budget(4, 'owner path / nginx, p50', 'owner', 'nginx', 'call', 1, 'p50', 1.9, 1.6),
  budget(4, 'owner path / bare relay, p50', 'owner', 'relay', 'call', 1, 'p50'),
  budget(4, 'owner path / direct, p50', 'owner', 'direct', 'call', 1, 'p50'),
  budget(4, 'owner path / bare relay, p99', 'owner', 'relay', 'call', 64, 'p99', 1.5, 1.2),
  budget(5, 'forwarded (Unix socket) / owner path, CPU', 'sibling', 'owner', 'call', 64, 'cpu', 1.5, 1.3),
  budget(5, 'forwarded (Unix socket), all from one worker to the other / owner path, CPU', 'one-way', 'owner', 'call', 64, 'cpu'),
  budget(5, 'forwarded (TLS-PSK) / owner path, CPU', 'tls', 'owner', 'call', 64, 'cpu', 1.6, 1.4),
  budget(5, 'HTTP hop / bare relay, CPU', 'hop', 'relay', 'call', 64, 'cpu'),
  budget(5, 'bare frames hop / bare relay, CPU', 'frames', 'relay', 'call', 64, 'cpu'),
  budget(6, 'added by forwarding / by an HTTP hop, p50', ['sibling', 'owner'], ['hop', 'relay'], 'call', 1, 'p50', 0.85, 0.7),
  budget(7, 'forwarded / pub/sub hop with its Redis, requests/s', 'sibling', 'pubsub', 'call', 64, 'perSecond', 1.3, 1.6, true),
  budget(
    7,
    'bare frames hop / pub/sub hop with its Redis, requests/s',
    'frames',
    'pubsub',
    'call',
    64,
    'perSecond',
    undefined,
    undefined,
    true,
  ),
  budget(7, 'forwarded / pub/sub hop with its Redis, CPU', 'sibling', 'pubsub', 'call', 64, 'cpu'),
  budget(8, 'owner path, Redis commands a request', 'owner', undefined, 'call', 64, 'redis', 0.02, 0.005),
  budget(8, 'forwarded, Redis commands a request', 'sibling', undefined, 'call', 64, 'redis', 0.05, 0.02),
  budget(9, '2 workers, sessions at random / 1 worker, CPU', 'random', 'owner', 'call', 64, 'cpu', 1.5, 1.3),
  budget(10, '50 events a call, owner path / nginx, CPU', 'owner', 'nginx', 'events', 16, 'cpu', 1.7, 1.4),
  budget(10, '50 events a call, owner path / naive, CPU', 'owner', 'naive', 'events', 16, 'cpu', 0.2, 0.15),
  budget(10, '50 events a call, bare relay / nginx, CPU', 'relay', 'nginx', 'events', 16, 'cpu'),
  budget(11, '256 KB, owner path / bare relay, CPU', 'owner', 'relay', 'big', 16, 'cpu', 1.2, 1.1),
  // One result at a time: with more a turn of the loop has several of them to pass on, and is as long as all of that takes.
  budget(11, '256 KB, 1 at a time, longest stall, ms', 'watched', undefined, 'big', 1, 'stallMs', 2),
  budget(11, '256 KB, 1 at a time, the bare relay, ms', 'watched-relay', undefined, 'big', 1, 'stallMs'),
  budget(11, '256 KB, 16 at a time, longest stall, ms', 'watched', undefined, 'big', 16, 'stallMs'),
  budget(11, '256 KB, 16 at a time, the bare relay, ms', 'watched-relay', undefined, 'big', 16, 'stallMs'),
  budget(12, 'memory of an idle session, KiB', 'idle', undefined, 'memory', 0, 'kib', 12, 8),
  budget(12, 'memory of one with a GET stream, KiB', 'listening', undefined, 'memory', 0, 'kib', 40, 30),
  budget(13, 'memory of an idle session, owner / naive', 'idle', 'naive-idle', 'memory', 0, 'kib', 0.2, 0.14),
  budget(14, 'owner / naive, sessions opened/s', 'owner', 'naive', 'open', 64, 'perSecond', 6, 10, true),
  budget(15, 'authentication and log on / off, CPU', 'owner', 'plain', 'call', 64, 'cpu', 1.35, 1.2),
  budget(16, 'most live sessions / 64, p50', 'growing', 'owner', 'growth', 10_000, 'p50', 1.2, 1.2),
  budget(16, 'most live sessions / 64, p99', 'growing', 'owner', 'growth', 10_000, 'p99', 1.2, 1.2),
  budget(16, 'most live sessions / 64, CPU', 'growing', 'owner', 'growth', 10_000, 'cpu', 1.2, 1.2),
  budget(16, 'Redis, bytes an idle session', 'growing', undefined, 'growth', 10_000, 'redisBytes', 2048),
  budget(18, 'list of 3 backends / of one, CPU', 'aggregate', 'owner', 'list', 64, 'cpu', 1.5, 1.1),
];

export const BUDGET_IDS = [...new Set(TABLE.map(({ id }) => id))];

/**
 * @param major of Node
 * @returns {readonly Budget[]} with the bounds of this version
 */
export function budgetsOf(major) {
  return TABLE.map((one) => ({ ...one, must: boundOf(one.must, major), aim: boundOf(one.aim, major) }));
}

function boundOf(bound, major) {
  if (typeof bound !== 'object') return bound;
  const versions = Object.keys(bound).map(Number);
  return bound[Math.max(...versions.filter((version) => version <= major))] ?? bound[Math.min(...versions)];
}

/** @returns 'aim', 'met', 'MISSED', or '' where there is no bound */
export function verdictOf({ must, aim, isLeast }, value) {
  const meets = (bound) => (isLeast ? value >= bound : value <= bound);
  if (must === undefined) return '';
  if (aim !== undefined && meets(aim)) return 'aim';
  return meets(must) ? 'met' : 'MISSED';
}

/** What differs from itself by more voids what it was measured for. */
export const CONTROL_TOLERANCE = 0.1;
export const AGAIN = '-again';
export const groupOf = ({ kind, at }) => `${kind}@${at}`;

/** The subjects of a budget. */
export const subjectsOf = ({ of, over }) => [of, over].flat().filter((name) => name !== undefined);

/** A budget's own comparison with another build: the same subject of both. */
export function againstOf(budgets, isBerth) {
  const seen = new Set();
  return budgets.flatMap(({ kind, at, of }) =>
    [of].flat().flatMap((name) => {
      const key = `${kind}@${at} ${name}`;
      if (!isBerth(name) || kind === 'memory' || kind === 'growth' || seen.has(key)) return [];
      seen.add(key);
      const compare = (figure, what) =>
        budget(0, `${name}, this build / other, ${what} (${kind})`, name, `${name}@before`, kind, at, figure);
      return [compare('cpu', 'CPU'), compare('cpuQuiet', 'CPU of quiet turns')];
    }),
  );
}
