// Loaded into a gateway process (`--import`) for what only the process itself can tell. On SIGUSR2 it writes to $BENCH_PROBE/<pid>: bytes of
// JavaScript and of buffers after a collection, or with BENCH_STALLS the longest stretch of CPU between two turns of the event loop since then.
// Never both: a forced collection throws compiled code away, and what compiles it again is the next stall.
// CPU, not time: on a crowded machine a process that waits for its core would seem to stall. That of the thread of the loop alone: what
// helpers collect and compile beside it stops nobody.
import { closeSync, openSync, readSync, renameSync, writeFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

const TURN_MS = 1;
/** Linux: nanoseconds on a core, so far. */
const SCHEDSTAT = '/proc/thread-self/schedstat';
let longestMicros = 0;
let before;
if (process.env.BENCH_STALLS) {
  const file = openSync(SCHEDSTAT, 'r');
  process.once('exit', () => closeSync(file));
  const bytes = Buffer.alloc(64);
  setInterval(() => {
    readSync(file, bytes, 0, bytes.length, 0);
    const micros = Number.parseInt(bytes.latin1Slice(), 10) / 1000;
    if (before !== undefined) longestMicros = Math.max(longestMicros, micros - before);
    before = micros;
  }, TURN_MS).unref();
}
process.on('SIGUSR2', () => {
  const stallMs = longestMicros / 1000;
  if (!process.env.BENCH_STALLS) collectAll();
  const { heapUsed, external, rss } = process.memoryUsage();
  const file = `${process.env.BENCH_PROBE}/${process.pid}`;
  writeFileSync(`${file}.part`, JSON.stringify({ bytes: heapUsed + external, rss, stallMs }));
  renameSync(`${file}.part`, file);
  longestMicros = 0;
  before = undefined;
});

function collectAll() {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc');
  collect();
  collect();
}
