// What is not measured in turns: memory of idle sessions, the longest stall, and what grows with the number of sessions.
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Redis } from 'ioredis';

const GROWTH = [10, 100, 1000];
const AT_REST_MS = 10_000;
const rest = (ms) => new Promise((wake) => setTimeout(wake, ms));

/** Rows of the kind `memory`: bytes a session has more after `sessions` of them were opened. */
export async function measureMemory({ ask, subject, sessions }) {
  await ask('open', { subject, sessions: 50 });
  const before = await probe(subject);
  await ask('open', { subject, sessions: 50 + sessions, streams: subject.name === 'listening' });
  await rest(1000);
  const after = await probe(subject);
  await ask('close', { name: subject.name });
  const each = (figure) => (after[figure] - before[figure]) / sessions / 1024;
  return { round: 1, subject: subject.name, kind: 'memory', at: 0, kib: each('bytes'), rssKib: each('rss') };
}

/** The longest stretch of CPU in one turn of a worker's event loop, ms, since it was asked last. */
export async function longestStall(subject) {
  return (await probe(subject)).stallMs;
}

/** Rows of the kind `growth`: latency while more and more sessions live, each size beside a subject that keeps its few. */
export async function measureGrowth({ ask, subject, beside, rounds, turns, most }) {
  const redis = new Redis(subject.redisUrl);
  const used = async () => Number(/^used_memory:(\d+)/m.exec(await redis.info('memory'))[1]);
  const rows = [];
  let bytesBefore = await used();
  for (const size of [...GROWTH.filter((one) => one < most), most]) {
    await ask('open', { subject, sessions: size });
    if (size === GROWTH[0]) bytesBefore = await used();
    const redisBytes = size === GROWTH[0] ? undefined : ((await used()) - bytesBefore) / (size - GROWTH[0]);
    const commands = await commandsOf(redis);
    await rest(AT_REST_MS);
    const redisAtRest = ((await commandsOf(redis)) - commands) / (AT_REST_MS / 1000);
    for (let round = 1; round <= rounds; round += 1) {
      const names = [subject.name, beside.name, `${beside.name}-again`];
      const figures = await ask('measure', { names, kind: 'call', connections: 16, ...turns });
      for (const name of names) {
        const own = name === subject.name ? { redisBytes, redisAtRest } : {};
        rows.push({ round, subject: name, kind: 'growth', at: size, ...figures[name], ...own });
      }
    }
  }
  redis.disconnect();
  return rows;
}

async function commandsOf(redis) {
  return Number(/^total_commands_processed:(\d+)/m.exec(await redis.info('stats'))[1]);
}

/** What a process with probe.mjs says of itself, after it has collected its garbage. @returns `{ bytes, rss, stallMs }` */
export async function probeProcess(pid, probeDir) {
  const file = join(probeDir, String(pid));
  rmSync(file, { force: true });
  process.kill(pid, 'SIGUSR2');
  for (let tries = 0; !existsSync(file); tries += 1) {
    if (tries > 3000) throw new Error(`process ${pid} tells nothing of itself`);
    await rest(10);
  }
  return JSON.parse(readFileSync(file, 'utf8'));
}

/** Sums over the processes of the gateway; the stall is the longest of any. */
async function probe({ gateway, probeDir }) {
  const sum = { bytes: 0, rss: 0, stallMs: 0 };
  for (const pid of gateway) {
    const { bytes, rss, stallMs } = await probeProcess(pid, probeDir);
    sum.bytes += bytes;
    sum.rss += rss;
    sum.stallMs = Math.max(sum.stallMs, stallMs);
  }
  return sum;
}
