// Puts measured coefficients into docs/capacity.json, each with where it comes from; `npm run docs` then makes docs/capacity.md anew.
// node scripts/capacity/fill.mjs [--records FILE] [--streams FILE] [--bench docs/benchmarks/node-20/result.json]
//   FILE: what `npm run measure:records -- --json FILE` and `npm run measure:idle-streams -- --json FILE` wrote, on a quiet machine
import { readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

const FILE = join(import.meta.dirname, '../../docs/capacity.json');
const OPENING = ['open (initialize)', 'save a backend session (first call)'];
const CLAIMING = ['give up an idle session', 'claim it again (next request)'];
const ENDING = ['end (DELETE, teardown included)'];
const LOOKING_UP = ['find the owner (forward, not remembered)'];

/** From the result of measure:records; with the steps taken at its greatest size. */
export function fromRecords({ many, memory, periodic, workers, emptyBytes, records }) {
  const sum = (steps, figure) => steps.reduce((all, step) => all + many[step][figure], 0);
  const of = (name, steps) => ({
    [`redisCommands${name}`]: sum(steps, 'commands'),
    [`redisMicros${name}`]: sum(steps, 'redisMicros'),
  });
  const values = {
    ...of('Open', OPENING),
    ...of('Claim', CLAIMING),
    ...of('End', ENDING),
    ...of('LookUp', LOOKING_UP),
    cpuClaim: sum(CLAIMING, 'workerMicros'),
    cpuEnd: sum(ENDING, 'workerMicros'),
    redisBytesSession: memory.total,
    redisBaseBytes: emptyBytes,
    redisMicrosTouch: periodic.used.redisMicros / periodic.sessions,
    redisMicrosWorker: periodic.redisMicrosAtRest / workers,
  };
  return { values, source: `measured with ${records} records` };
}

/** From the result of measure:idle-streams; memory as the system counts it. */
export function fromStreams({ readings, empty, atRest, sessions, workers }) {
  const [none, held, , relayed] = readings.map(({ rss }) => rss);
  const bytesSession = (held - none) / sessions;
  const values = {
    bytesWorker: none / workers,
    bytesSession,
    bytesStream: (relayed - none) / sessions,
    cpuStreamRest: Math.max(0, ((atRest.cores - empty.cores) * 1e6) / sessions),
    redisCommandsWorker: empty.redisPerSecond / workers,
  };
  return { values, source: `measured with ${sessions} sessions` };
}

/** From the result of the bench, as far as it has the rows. */
export function fromBench({ runs }) {
  const summary = Object.values(runs).flatMap((run) => run.summary);
  const cpu = (name, kind) => summary.find(({ subject, kind: one, at }) => subject === name && one === kind && at !== 1)?.cpu;
  const [owner, forwarded, opened] = [cpu('owner', 'call'), cpu('sibling', 'call'), cpu('owner', 'open')];
  const values = {};
  if (owner !== undefined) values.cpuRequest = owner;
  if (owner !== undefined && forwarded !== undefined) values.cpuForward = Math.max(0, forwarded - owner);
  if (opened !== undefined) values.cpuOpen = opened;
  return { values, source: 'measured' };
}

/** @returns the file's content with these values in it */
export function fill(capacity, { values, source }) {
  const coefficients = { ...capacity.coefficients };
  for (const [name, value] of Object.entries(values)) {
    if (!(name in coefficients) || !Number.isFinite(value)) throw new Error(`${name}: ${value} is no coefficient`);
    coefficients[name] = { ...coefficients[name], value: Number(value.toPrecision(3)), source };
  }
  return { ...capacity, coefficients };
}

function main() {
  const file = { type: 'string' };
  const { values } = parseArgs({ options: { records: file, streams: file, bench: file } });
  const read = (name) => JSON.parse(readFileSync(name, 'utf8'));
  let capacity = read(FILE);
  if (values.records) capacity = fill(capacity, fromRecords(read(values.records)));
  if (values.streams) capacity = fill(capacity, fromStreams(read(values.streams)));
  if (values.bench) capacity = fill(capacity, fromBench(read(values.bench)));
  capacity.machine = `${availableParallelism()} × ${cpus()[0]?.model ?? '?'}, Node ${process.version}`;
  writeFileSync(FILE, `${JSON.stringify(capacity, undefined, 2)}\n`);
}

if (process.argv[1] === import.meta.filename) main();
