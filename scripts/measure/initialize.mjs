// How the time of initialize depends on the number of sessions: two pods as they run in production, one with few sessions, one that
// is filled up; at some sizes both are measured in turn, so that whatever else the machine does meets both. Says besides what an
// initialize costs in commands to Redis, and an idle session in memory.
// Run: npm run measure:initialize [-- --sessions 10000 --workers 2 --samples 500]
import { mkdtempSync } from 'node:fs';
import { availableParallelism, cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { HttpConnection } from '../bench/http-connection.mjs';
import { startPod } from '../bench/pod.mjs';
import { rssBytes } from '../bench/proc.mjs';
import { coreOf } from '../bench/processes.mjs';
import { Workplace } from '../bench/workplace.mjs';
import { sessionOpener } from './open-session.mjs';

const { values } = parseArgs({
  options: {
    sessions: { type: 'string', default: '10000' },
    workers: { type: 'string', default: '2' },
    samples: { type: 'string', default: '500' },
  },
});
const TOTAL = Number(values.sessions);
const WORKERS = Number(values.workers);
/** Of each pod at each size, one after the other; each is ended again, so that the size stays. */
const SAMPLES = Number(values.samples);
const FEW = 10;
const SIZES = [FEW, 100, 1000, 5000, 10_000, 20_000, 50_000].filter((size) => size <= TOTAL);
const CONNECTIONS = 8;
const initialize = sessionOpener('application/json', '2025-06-18');

const quantile = (times, q) => times[Math.min(times.length - 1, Math.floor(times.length * q))];
const print = (text) => process.stdout.write(`${text}\n`);

class Subject {
  held = 0;
  times = [];
  #pod;
  #connections;
  #turn = 0;

  static async start(processes, dir, backendPort) {
    const subject = new Subject();
    subject.#pod = await startPod({
      processes,
      core: coreOf(undefined),
      dir,
      host: '127.0.0.1',
      config: {
        workers: WORKERS,
        // They are to be held in memory, all of them.
        sessions: { max: TOTAL + CONNECTIONS, releaseAfter: '0s' },
        mcpServers: { bench: { type: 'http', url: `http://127.0.0.1:${backendPort}/mcp` } },
      },
    });
    await subject.#pod.ready();
    const { host, port } = subject.#pod;
    // The primary deals connections out in turn: every worker has its share.
    subject.#connections = Array.from({ length: CONNECTIONS }, () => new HttpConnection(host, port));
    await Promise.all(subject.#connections.map((connection) => connection.opened()));
    return subject;
  }

  async fillTo(size) {
    const work = async (connection) => {
      while (this.held < size) {
        this.held++;
        await initialize(connection);
      }
    };
    await Promise.all(this.#connections.map(work));
  }

  async sample() {
    const connection = this.#connections[this.#turn++ % CONNECTIONS];
    const startedAt = performance.now();
    const id = await initialize(connection);
    this.times.push(performance.now() - startedAt);
    const { status } = await connection.send('DELETE', '/mcp', `mcp-session-id: ${id}\r\n`);
    if (status !== 202) throw new Error(`DELETE: ${status}`);
  }

  async commands() {
    const text = await (await fetch(`${this.#pod.admin}/metrics`)).text();
    const values = [...text.matchAll(/^berth_redis_commands_total(?:\{[^}]*\})? (\S+)$/gm)];
    return values.reduce((sum, [, value]) => sum + Number(value), 0);
  }

  memory() {
    return this.#pod.workers().reduce((sum, pid) => sum + rssBytes(pid), 0);
  }

  takeTimes() {
    return this.times.splice(0).sort((a, b) => a - b);
  }

  close() {
    for (const connection of this.#connections) connection.close();
  }
}

async function measure(few, filled, size) {
  const before = { commands: await filled.commands(), held: filled.held };
  await filled.fillTo(size);
  const opened = filled.held - before.held;
  const commands = opened > 0 ? ((await filled.commands()) - before.commands) / opened : undefined;
  for (let n = 0; n < SAMPLES; n++) {
    await few.sample();
    await filled.sample();
  }
  const [of, among] = [few.takeTimes(), filled.takeTimes()];
  const [p50, p50few, p95, p95few] = [quantile(among, 0.5), quantile(of, 0.5), quantile(among, 0.95), quantile(of, 0.95)];
  const memory = filled.memory();
  const cells = [
    size,
    `${p50few.toFixed(2)} / ${p95few.toFixed(2)}`,
    `${p50.toFixed(2)} / ${p95.toFixed(2)}`,
    (p50 / p50few).toFixed(2),
    commands?.toFixed(1) ?? '',
    (memory / 2 ** 20).toFixed(0),
  ];
  print(`| ${cells.join(' | ')} |`);
  return { size, memory };
}

const workplace = new Workplace('berth-measure-');
const { processes, dir } = workplace;
await workplace.run(main);

async function main() {
  const { port } = await processes.start('backend.mjs', [], coreOf(undefined));
  const few = await Subject.start(processes, mkdtempSync(join(dir, 'few-')), port);
  const filled = await Subject.start(processes, mkdtempSync(join(dir, 'filled-')), port);
  const machine = `${cpus()[0]?.model ?? '?'} × ${availableParallelism()}, load ${loadavg()[0].toFixed(1)}`;
  print(`node ${process.version}, ${machine}; ${WORKERS} workers and an embedded Redis each, ${SAMPLES} samples a size\n`);
  print(
    `| sessions | with ${FEW}: p50 / p95 ms | with so many: p50 / p95 ms | ratio of p50 | commands per initialize | memory of the workers, MiB |`,
  );
  print('|---|---|---|---|---|---|');
  await Promise.all([few.fillTo(FEW), filled.fillTo(FEW)]);
  for (let n = 0; n < 3 * SAMPLES; n++) await Promise.all([few.sample(), filled.sample()]);
  few.takeTimes();
  filled.takeTimes();
  const rows = [];
  for (const size of SIZES) rows.push(await measure(few, filled, size));
  const [from, to] = [rows.find(({ size }) => size >= Math.min(1000, TOTAL / 10)), rows.at(-1)];
  if (to.size > from.size) {
    print(
      `\nmemory per idle session, from ${from.size} to ${to.size}: ${((to.memory - from.memory) / (to.size - from.size) / 1024).toFixed(1)} KiB`,
    );
  }
  few.close();
  filled.close();
}
