// Loaded into a gateway process (`--import`) for what only the process itself can tell. On SIGUSR2 it collects garbage and writes to
// $BENCH_PROBE/<pid>: bytes of JavaScript and of buffers, and the longest stretch of CPU between two turns of the event loop since then.
// CPU, not time: on a crowded machine a process that waits for its core would seem to stall.
import { renameSync, writeFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

const TURN_MS = 1;
let longestMicros = 0;
let before;
if (process.env.BENCH_STALLS) {
  setInterval(() => {
    const { user, system } = process.cpuUsage();
    const micros = user + system;
    if (before !== undefined) longestMicros = Math.max(longestMicros, micros - before);
    before = micros;
  }, TURN_MS).unref();
}
process.on('SIGUSR2', () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc');
  const stallMs = longestMicros / 1000;
  collect();
  collect();
  const { heapUsed, external, rss } = process.memoryUsage();
  const file = `${process.env.BENCH_PROBE}/${process.pid}`;
  writeFileSync(`${file}.part`, JSON.stringify({ bytes: heapUsed + external, rss, stallMs }));
  renameSync(`${file}.part`, file);
  longestMicros = 0;
  before = undefined;
});
