// docs/capacity.md: words here, figures from docs/capacity.json by the model.
import { estimate, readCapacity, valuesOf } from './model.mjs';

const SIZES = [1000, 10_000, 100_000, 1_000_000];
const grouped = (value) => String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, ' ');
/** Three digits are more than any of this is good for. */
const rounded = (value) => (value >= 100 ? grouped(Number(value.toPrecision(3))) : String(Number(value.toPrecision(2))));
export const bytes = (value) =>
  value >= 2 ** 30
    ? `${rounded(value / 2 ** 30)} GiB`
    : value >= 2 ** 20
      ? `${rounded(value / 2 ** 20)} MiB`
      : `${rounded(value / 1024)} KiB`;
export const table = (head, rows) => [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');

/** What is printed of an estimate, in this order. */
export const ROWS = [
  ['requests/s', ({ requests }) => rounded(requests)],
  ['of them forwarded', ({ forwards }) => rounded(forwards)],
  ['sessions opened/s, and as many ended', ({ opens }) => rounded(opens)],
  ['idle sessions claimed again/s', ({ claims }) => rounded(claims)],
  ['sessions held in memory', ({ held }) => grouped(held)],
  ['cores of workers that are busy', ({ cores }) => rounded(cores)],
  ['memory of workers', ({ memory }) => bytes(memory)],
  ['workers', ({ workers }) => grouped(workers)],
  ['pods', ({ pods }) => grouped(pods)],
  ['DELETEs to backends at a time', ({ deletes }) => rounded(deletes)],
  ['memory of Redis', ({ redisBytes }) => bytes(redisBytes)],
  ['commands of Redis/s', ({ redisCommands }) => rounded(redisCommands)],
  ['share of the one core of a Redis', ({ redisBusy }) => `${rounded(redisBusy * 100)} %`],
  ['Redis servers', ({ redisServers }) => grouped(redisServers)],
];

/** @param assumed values that stand in place of the file's */
export function givenOf(file, assumed = {}) {
  const assumptions = Object.fromEntries(Object.entries(file.assumptions).map(([name, { value }]) => [name, value]));
  return { ...valuesOf(file), ...assumptions, ...assumed };
}

export function capacityPage() {
  const file = readCapacity();
  const given = givenOf(file);
  const sections = Object.entries(file.profiles).map(([name, { what, ...load }]) => {
    const estimates = SIZES.map((sessions) => estimate({ ...load, sessions }, given));
    const rows = ROWS.map(([label, show]) => [label, ...estimates.map(show)]);
    return `### ${name}: ${what}\n\n${table(['live sessions', ...SIZES.map(grouped)], rows)}\n`;
  });
  const coefficients = Object.entries(file.coefficients).map(([name, { value, unit, what, source, by }]) => [
    `\`${name}\``,
    what,
    unit === 'bytes' ? bytes(value) : `${grouped(value)} ${unit}`,
    source,
    `\`${by}\``,
  ]);
  const assumptions = Object.entries(file.assumptions).map(([name, { value, unit, what }]) => [
    `\`${name}\``,
    what,
    `${value < 1 ? value : grouped(value)} ${unit}`.trim(),
  ]);
  return `# Capacity

<!-- Made by \`npm run docs\` from docs/capacity.json and scripts/capacity/page.mjs: change it there. -->

How many workers, pods and Redis servers so many live sessions need. **Measured** is what one request, one session, one stream and one
worker cost (the table of [coefficients](#coefficients) says by which command, or that it is only an estimate or a
[budget](benchmarks.md#budgets-and-figures) so far). **Computed** is everything in the tables of [profiles](#profiles): nobody has run a million live
sessions, but a million *records* in Redis and ten thousand open streams were weighed ([scale.md](benchmarks/scale.md)). Absolute figures drift with the
machine:
on yours \`npm run measure:records\` and \`npm run measure:idle-streams\`, each with \`--json FILE\`, then \`scripts/capacity/fill.mjs\` with these
files, and \`npm run docs\` make this page anew.

    npm run capacity -- --sessions 1000000 --rate 0.1 --streams 0.2 --lifetime 120

prints the same for a load of your own; without options it lists them.

## Model

Of a load is known: live sessions \`S\`, requests of each a minute \`r\`, the share with an open GET stream \`s\`, and the minutes from the first
request to the end \`L\`. Each session uses one HTTP backend. \`W\` is the number of workers; connections and sessions are spread at random.

\`\`\`text
requests/s        R = S × r / 60
opened, ended/s   O = S / (60 × L)
late              p = e^(-r × releaseAfter / 60)       of the times between two requests, those longer than sessions.releaseAfter
claimed again/s   C = R × (1 - s) × p                  a session without a stream was given up; who gets its request claims it
held in memory    H = S × s + S × (1 - s) × (1 - p)
forwarded/s       F = (R - C) × (W - 1) / W
not remembered/s  U = F × max(0, 1 - ownersRemembered / (H × (W - 1) / W))
used, told/s      T = min(R, H / touchEvery)

cores             = R × cpuRequest + F × cpuForward + O × (cpuOpen + cpuEnd) + C × cpuClaim + S × s × cpuStreamRest
memory            = W × bytesWorker + S × s × bytesStream + (H - S × s) × bytesSession
W                 = the larger of cores / busy and memory of sessions / workerGiB, 2 at least
DELETEs at a time = O × deleteMs / 1000
Redis, commands/s = O × (open + end) + C × claim + U × look-up + T / touchesAtOnce + W × worker
Redis, its core   = the same with the µs of Redis of each, T × redisMicrosTouch
Redis, memory     = redisBaseBytes + S × redisBytesSession
\`\`\`

A session costs Redis nothing while it rests: leases are per worker, and what is told of used sessions goes by the thousand. The commands of a
step do not grow with the number of records; the CPU of Redis for it was 1.4 to 3.6 times as much with a million as with a thousand
([scale.md](benchmarks/scale.md)), and the coefficients are those of a million.

## Profiles

${sections.join('\n')}
## What the tables leave out

- **Redis**: persistence. A rewrite of the append-only file forks: up to as much memory again, and processor time on another core.
  Replicas cost the primary little. A Cluster spreads records; \`expiry\`, \`ending\` and the queue are one key or one slot each, so a part of
  the commands stays on one server.
- **Memory of workers**: garbage. A worker's heap may grow to twice what is alive before it is collected
  ([ADR 27](adr/0027-growth-of-the-heap.md)).
- **Connections**: a stream holds two sockets in its owner (client, backend), and two more where the balancer brought it to another worker.
  \`ulimit -n\` of a worker has to be above that.
- **Backends**: a GET stream for each session that listens, a backend session for each that has called. One backend is asked to end at most
  four sessions at a time by the whole cluster ([teardown.md](teardown.md)): where the tables show more DELETEs at a time than four for each
  backend, teardowns pile up in the queue.
- **Bursts**: a pod that dies leaves its sessions to be claimed within seconds by those who ask for them (\`redisMicrosClaim\` each), and
  their streams to be opened again. Abandoned sessions of a dead worker, and those that were given up, are ended by the sweep: at most 500
  a second in the whole cluster.
- \`sessions.max\` (10 000 by default) and \`sessions.maxPerPrincipal\` have to be raised. Where one caller may have very many sessions, a refusal at
  his cap looks at all of them, at most once a second per worker.

## Coefficients

On ${file.machine}.

${table(['name', 'what', 'value', 'source', 'command'], coefficients)}

## Assumptions

${table(['name', 'what', 'value'], assumptions)}
`;
}
